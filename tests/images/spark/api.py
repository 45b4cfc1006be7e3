"""A Kubernetes API server over HTTP or HTTPS, as much of it as Spark's drivers and a doctor of them ask: create, get, list, watch,
patch, update, delete, delete a collection, read a pod's log, and ask what is allowed. Each request is kept.

Its clients are real: fabric8's of both lines of Spark. Simplified: no pagination, no field validation, no discovery.
"""

import socket
import ssl
import threading
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.images.spark.handler import Handler, Request
from tests.images.spark.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Api:
    """The server. `tokens` are those that it takes, any caller when it is empty; `denied` holds (verb, resource) that are refused with
    403; `websockets` may be switched off, as by a proxy. All three may be changed while it runs."""

    def __init__(
        self, store: Store, address: str, tokens: "set[str] | None" = None, certificate: "tuple[Path, Path] | None" = None, port: int = 0
    ) -> None:
        """`certificate`: PEM files of a chain and its key; without them it speaks HTTP. Port 0 takes a free one."""
        self.store = store
        self.tokens = tokens or set()
        self.denied: set[tuple[str, str]] = set()
        self.websockets = True
        self.requests: list[Request] = []
        self.log_of: Callable[[str, str], str] = lambda namespace, name: ""
        self._context: ssl.SSLContext | None = None
        if certificate:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(*certificate)
        self._address = (address, port)
        self._server: ThreadingHTTPServer | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://{self._address[0]}:{self._address[1]}"

    def start(self) -> None:
        """Serve; after `stop` at the same address, with the same objects."""
        api = self

        class Bound(Handler):
            server_side = api

        server = _Server(self._address, Bound)
        if self._context:
            server.socket = self._context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self._address = (self._address[0], server.server_address[1])
        self._server = server
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def secure(self, context: ssl.SSLContext) -> None:
        """Speak HTTPS from the next start on, at the same address."""
        self._context = context

    def stop(self) -> None:
        """Stop listening, and end all watches."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            self.store.unwatch_all()

    def asked(self, verb: str, resource: str) -> "list[Request]":
        return [request for request in self.requests if (request.verb, request.resource) == (verb, resource)]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, *given: Any) -> None:
        self.connections: set[socket.socket] = set()
        super().__init__(*given)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Also of connections that are kept alive: a client must find out."""
        super().server_close()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is no news."""
