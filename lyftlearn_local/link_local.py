"""What a container finds on link-local addresses: the credentials endpoint, as ECS serves it. And, for people, the gateway's counts.

Real containers reach it at 169.254.170.2 by AWS_CONTAINER_CREDENTIALS_RELATIVE_URI. So do ours where they are real containers: their
network's gateway has that address. A program that runs on this machine itself gets the same document on 127.0.0.1, told by
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

# Amazon ECS developer guide, "Task IAM role": the address, and the reply's members. The SDKs allow plain http there, on any port.
CONTAINER_HOST = "169.254.170.2"
Document = dict[str, str]


class LinkLocal:
    """HTTP on `host`. `mint` gives a fresh credentials document; `pages` are further JSON pages, path to function.

    A document is served until less than half of `lifetime` (seconds) is left of it, then a new one is minted: clients that renew in
    time never see the same keys for the whole of a long job, as on the real platform.
    """

    def __init__(
        self,
        mint: "Callable[[], Document]",
        lifetime: float,
        pages: "dict[str, Callable[[], object]] | None" = None,
        host: str = "127.0.0.1",
    ) -> None:
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

        self.host = host
        self._server = self._listen(Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def full_uri(self) -> str:
        return self.url + self.relative_uri

    @property
    def variables(self) -> "dict[str, str]":
        """What tells a program where its credentials are."""
        if (self.host, self.port) == (CONTAINER_HOST, 80):
            return {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": self.relative_uri}
        return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": self.full_uri}

    def _listen(self, handler: "type[BaseHTTPRequestHandler]") -> ThreadingHTTPServer:
        """On port 80 at the containers' address, where that port can be had; else on one that the kernel chooses."""
        if self.host == CONTAINER_HOST:
            try:
                return ThreadingHTTPServer((self.host, 80), handler)
            except OSError:  # somebody listens on it everywhere, or we are not root
                pass
        return ThreadingHTTPServer((self.host, 0), handler)

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
