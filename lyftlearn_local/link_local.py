"""What a container finds on link-local addresses: the credentials endpoint, as ECS serves it. And, for people, the gateway's counts.

Real containers reach it at 169.254.170.2 by AWS_CONTAINER_CREDENTIALS_RELATIVE_URI. That address can only be given to a loopback
interface in a network namespace of root's, so here the same document is served on 127.0.0.1 and the program is told by
AWS_CONTAINER_CREDENTIALS_FULL_URI, which every AWS SDK reads as well and allows for loopback addresses.
"""

import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Amazon ECS developer guide, "Task IAM role": the reply's members.
Document = dict[str, str]


class LinkLocal:
    """HTTP on 127.0.0.1. `mint` gives a fresh credentials document; `pages` are further JSON pages, path to function.

    A document is served until less than half of `lifetime` (seconds) is left of it, then a new one is minted: clients that renew in
    time never see the same keys for the whole of a long job, as on the real platform.
    """

    def __init__(self, mint: "Callable[[], Document]", lifetime: float, pages: "dict[str, Callable[[], object]] | None" = None) -> None:
        self.relative_uri = "/v2/credentials/" + str(uuid.uuid4())
        self.requests = 0
        self._mint = mint
        self._lifetime = lifetime
        self._lock = threading.Lock()
        self._document: Document = {}
        self._minted = float("-inf")
        answer = self._answer
        extra = pages or {}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the name is http.server's
                page = extra.get(self.path)
                status, body = (200, page()) if page else answer(self.path)
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Silent: a path holds the credentials' id."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def full_uri(self) -> str:
        return self.url + self.relative_uri

    def _answer(self, path: str) -> "tuple[int, object]":
        if path != self.relative_uri:
            return 404, {"code": "InvalidIdInRequest", "message": "CredentialsV2Request: ID not found", "HTTPErrorCode": 404}
        with self._lock:
            self.requests += 1
            if time.monotonic() - self._minted > self._lifetime / 2:
                self._document = self._mint()
                self._minted = time.monotonic()
            return 200, self._document

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
