"""The HTTP client and the credential chain of a start that is traced: the same work, each part of it timed."""

import time

from lyftlearn_entrypoint.fetch.credentials import CredentialChain
from lyftlearn_entrypoint.fetch.dial import dial, resolve
from lyftlearn_entrypoint.fetch.http import Http
from lyftlearn_entrypoint.fetch.url import HttpError, split
from lyftlearn_entrypoint.trace import NETWORK, REQUEST, WAIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lyftlearn_entrypoint.deadline import Deadline
    from lyftlearn_entrypoint.fetch.credentials import Credentials
    from lyftlearn_entrypoint.fetch.dial import Connection, Stream
    from lyftlearn_entrypoint.fetch.http import Form
    from lyftlearn_entrypoint.fetch.message import Response
    from lyftlearn_entrypoint.fetch.proxy import Proxy
    from lyftlearn_entrypoint.fetch.tls import Tls, TlsStream
    from lyftlearn_entrypoint.fetch.url import Url
    from lyftlearn_entrypoint.trace import Tracer

_SHORT = 1e-4  # seconds: a wait below it was none


class TracedHttp(Http):
    """An Http whose requests, lookups, connections, handshakes and answers are timed."""

    def __init__(self, environ: "dict[str, str]", deadline: "Deadline", tracer: "Tracer") -> None:
        self._tracer = tracer
        super().__init__(environ, deadline, self._traced_dial)

    def request(self, method: str, url: str, headers: "dict[str, str]", body: bytes = b"", **more: "Any") -> "Response":
        # Never the path: a container credentials' one is as good as a key to whoever reads it in here.
        operation = headers.get("X-Amz-Target", "").rpartition(".")[2]
        try:
            where = split(url).where
        except HttpError:
            where = "an address that is none"
        with self._tracer.timed(method + " " + where + (" " + operation if operation else ""), REQUEST) as timed:
            if body:
                timed.facts["sent"] = len(body)
            reply = super().request(method, url, headers, body, **more)
            timed.facts.update({"status": reply.status, "bytes": reply.size})
            return reply

    def open(self, url: "Url", via: "Proxy | None", timeout: float) -> "Stream":
        with self._tracer.timed("connection to " + url.where, NETWORK) as timed:
            if via is not None:
                timed.facts["proxy"] = via.where
            return super().open(url, via, timeout)

    def _traced_dial(self, host: str, port: int, timeout: float) -> "Connection":
        def look(host: str, port: int) -> "list[tuple[int, Any]]":
            with self._tracer.timed("resolve " + host, NETWORK) as timed:
                found = resolve(host, port)
                timed.facts["addresses"] = ", ".join(str(address[0]) for _, address in found[:8])
                return found

        with self._tracer.timed("connect", NETWORK):
            return dial(host, port, timeout, look)

    def _get_tls(self) -> "Tls":
        if self._tls is not None:
            return _TracedTls(super()._get_tls(), self._tracer)  # type: ignore[return-value]
        with self._tracer.timed("load the certificate authorities", NETWORK):
            tls = super()._get_tls()
        return _TracedTls(tls, self._tracer)  # type: ignore[return-value]

    def _take_early(self, key: "tuple[str, str, int, str]", timeout: float) -> "Stream | None":
        began = time.monotonic()
        stream = super()._take_early(key, timeout)
        ended = time.monotonic()
        if ended - began > _SHORT:
            self._tracer.add("connection to " + key[1] + ":" + str(key[2]), WAIT, began, ended, {"opened": "early, by another thread"})
        return stream

    def _exchange(self, stream: "Stream", url: "Url", via: "Proxy | None", message: bytes, form: "Form", timeout: float) -> "Response":
        watched = _Watched(stream)
        began = time.monotonic()
        try:
            return super()._exchange(watched, url, via, message, form, timeout)
        finally:
            ended = time.monotonic()
            self._tracer.add("wait for the answer", NETWORK, began, watched.first or ended, {})
            if watched.first:
                self._tracer.add("receive", NETWORK, watched.first, ended, {})


class _Watched:
    """A connection that notes when the first byte came (`first`, monotonic seconds; 0.0 for none)."""

    __slots__ = ("_stream", "close", "first", "sendall", "settimeout")

    def __init__(self, stream: "Stream") -> None:
        self._stream = stream
        self.first = 0.0
        self.close = stream.close
        self.sendall = stream.sendall
        self.settimeout = stream.settimeout

    def recv(self, size: int) -> bytes:
        data = self._stream.recv(size)
        if data and not self.first:
            self.first = time.monotonic()
        return data


class _TracedTls:
    """A Tls whose handshakes are timed."""

    __slots__ = ("_tls", "_tracer")

    def __init__(self, tls: "Tls", tracer: "Tracer") -> None:
        self._tls = tls
        self._tracer = tracer

    def wrap(self, raw: "Connection", host: str, where: str, wait: float) -> "TlsStream":
        with self._tracer.timed("TLS handshake", NETWORK):
            return self._tls.wrap(raw, host, where, wait)


class TracedChain(CredentialChain):
    """A CredentialChain that says how long its caller waited, be it for another thread that asked first."""

    def __init__(self, environ: "dict[str, str]", http: Http, deadline: "Deadline", tracer: "Tracer") -> None:
        super().__init__(environ, http, deadline)
        self._tracer = tracer

    def get(self) -> "Credentials":
        began = time.monotonic()
        try:
            return super().get()
        finally:
            ended = time.monotonic()
            if ended - began > _SHORT:
                self._tracer.add("AWS credentials", WAIT, began, ended, {})
