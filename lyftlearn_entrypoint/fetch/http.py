"""HTTP/1.1 over bare sockets: one request a connection, every wait inside the deadline.

`http.client` costs 26 ms to import and `ssl` 14 ms (benchmarks/start.py); a start makes at most a handful of requests.
"""

import _thread
from _socket import gaierror

from lyftlearn_entrypoint import __version__
from lyftlearn_entrypoint.fetch.dial import dial as dial_tcp
from lyftlearn_entrypoint.fetch.message import Response, read_reply
from lyftlearn_entrypoint.fetch.url import HttpError, TooLarge, Url, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lyftlearn_entrypoint.deadline import Deadline
    from lyftlearn_entrypoint.fetch.dial import Connection, Stream
    from lyftlearn_entrypoint.fetch.message import Into
    from lyftlearn_entrypoint.fetch.proxy import Proxy
    from lyftlearn_entrypoint.fetch.tls import Tls

    Form = tuple[str, int, Into | None]  # method of the request, limit and destination of the answer's body

__all__ = ("Http", "HttpError", "Response", "TooLarge")

_PROXY_VARIABLES = ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
_NO_ROUTE = (99, 100, 101, 113)  # EADDRNOTAVAIL, ENETDOWN, ENETUNREACH, EHOSTUNREACH (asm-generic/errno.h)
# Container credentials (ECS, EKS Pod Identity) and EC2 instance metadata: a proxy cannot reach them, and must not see them.
LINK_LOCAL = ("169.254.170.2", "169.254.170.23", "169.254.169.254", "fd00:ec2::23", "fd00:ec2::254")


class _Early:
    """A connection that a thread is opening. `done` is locked until it is there or has failed (`stream` is None)."""

    __slots__ = ("done", "stream", "wanted")

    def __init__(self) -> None:
        self.done = _thread.allocate_lock()
        self.done.acquire()
        self.stream: Stream | None = None
        self.wanted = True


class Http:
    """Makes requests. Safe to use from several threads at once.

    `environ` gives the proxy and certificate variables. `dial` opens a TCP connection to (host, port) within some seconds
    or raises OSError. Redirects are never followed: only the caller knows what a new host may be told.
    """

    def __init__(self, environ: "dict[str, str]", deadline: "Deadline", dial: "Callable[[str, int, float], Connection]" = dial_tcp) -> None:
        self._environ = environ
        self._deadline = deadline
        self._dial = dial
        self._lock = _thread.allocate_lock()
        self._under_way: dict[int, str] = {}  # thread -> host and port that it waits for
        self._tls: Tls | None = None
        self._early: dict[tuple[str, str, int, str], _Early] = {}
        self._has_proxy = any(environ.get(name) for name in _PROXY_VARIABLES)

    def request(
        self,
        method: str,
        url: str,
        headers: "dict[str, str]",
        body: bytes = b"",
        *,
        limit: int = 1 << 20,
        connect_timeout: float = 3.0,
        read_timeout: float = 15.0,
        proxy: bool = True,
        into: "Into | None" = None,
    ) -> Response:
        """The answer to one request, whatever its status.

        `limit` is in bytes: a 2xx body over it raises `TooLarge`, any other body is cut there. `into` (message.py) takes
        bodies as they come. `connect_timeout` (seconds) is for the TCP connection and again for the TLS handshake, `read_timeout`
        for each wait on the answer; the deadline ends all of them. `proxy` False never uses a proxy. Raises `HttpError`.
        """
        parts = split(url)
        via = self.proxy_for(parts) if proxy else None
        message = _compose(method, parts, headers, body, via)
        self._under_way[_thread.get_ident()] = parts.where
        try:
            return self._send(parts, via, message, (method, limit, into), connect_timeout, read_timeout)
        finally:
            if not self._deadline.passed():
                del self._under_way[_thread.get_ident()]

    def waiting(self) -> "list[str]":
        """host:port of each request that is under way, or was when the deadline passed."""
        return sorted(set(self._under_way.values()))

    def _send(self, parts: Url, via: "Proxy | None", message: bytes, form: "Form", connect_timeout: float, read_timeout: float) -> Response:
        stream = self._take_early(_key(parts, via), connect_timeout)
        if stream is not None:
            try:
                return self._exchange(stream, parts, via, message, form, read_timeout)
            except HttpError as error:
                if not error.unanswered:
                    raise
            # The server gave the idle connection up: dial anew, as if there had been none.
        stream = self.open(parts, via, connect_timeout)
        return self._exchange(stream, parts, via, message, form, read_timeout)

    def dial_early(self, url: str, *, connect_timeout: float = 3.0, proxy: bool = True) -> None:
        """Open the connection for a later request to the same origin, with the same `proxy`, now and in a thread.

        Where that fails nothing is said: the request dials anew.
        """
        try:
            parts = split(url)
            via = self.proxy_for(parts) if proxy else None
        except HttpError:
            return
        key = _key(parts, via)
        early = _Early()
        with self._lock:
            if key in self._early:
                return
            self._early[key] = early

        def work() -> None:
            stream = None
            try:
                stream = self.open(parts, via, connect_timeout)
            except HttpError:
                pass
            with self._lock:
                if early.wanted:
                    early.stream = stream
                elif stream is not None:
                    stream.close()
            early.done.release()

        try:
            _thread.start_new_thread(work, ())
        except RuntimeError:  # no more threads (a pids limit): request() dials itself
            with self._lock:
                del self._early[key]

    def close(self) -> None:
        """Give up the early connections that no request took."""
        with self._lock:
            waiting = list(self._early.values())
            self._early.clear()
            for early in waiting:
                early.wanted = False
                if early.stream is not None:
                    early.stream.close()
                    early.stream = None

    def _take_early(self, key: "tuple[str, str, int, str]", timeout: float) -> "Stream | None":
        with self._lock:
            early = self._early.pop(key, None)
        if early is None:
            return None
        early.done.acquire(True, min(timeout, self._deadline.remaining()))
        with self._lock:
            early.wanted = False
            return early.stream

    def proxy_for(self, url: Url) -> "Proxy | None":
        """The proxy that a request to `url` goes through. Raises `HttpError` for one that is not spoken to."""
        if not self._has_proxy or url.host in LINK_LOCAL:
            return None
        from lyftlearn_entrypoint.fetch.proxy import choose

        return choose(self._environ, url)

    def open(self, url: Url, via: "Proxy | None", timeout: float) -> "Stream":
        """A connection to the origin of `url`, encrypted where its scheme says so."""
        hop = via if via is not None else url
        wait = self._wait(hop.where, timeout)
        try:
            raw = self._dial(hop.host, hop.port, wait)
        except OSError as error:
            raise HttpError(hop.where + ": " + why(error, wait), finding=finding(error)) from None
        try:
            if url.scheme == "http":
                return raw
            if via is not None:
                from lyftlearn_entrypoint.fetch.proxy import connect

                connect(raw, via, url, lambda: self._wait(hop.where, timeout))
            wait = self._wait(url.where, timeout)
            raw.settimeout(wait)
            return self._get_tls().wrap(raw, url.host, url.where, wait)
        except BaseException:
            raw.close()
            raise

    def _get_tls(self) -> "Tls":
        with self._lock:
            if self._tls is None:
                from lyftlearn_entrypoint.fetch.tls import Tls

                self._tls = Tls(self._environ)
            return self._tls

    def _wait(self, where: str, timeout: float) -> float:
        left = self._deadline.remaining()
        if left <= 0:
            raise HttpError(where + ": the deadline of " + format(self._deadline.seconds, ".3g") + " s has passed", True, finding="LL0701")
        return min(timeout, left)

    def _exchange(self, stream: "Stream", url: Url, via: "Proxy | None", message: bytes, form: "Form", timeout: float) -> Response:
        method, limit, into = form
        block = 1 << 16 if into is None else 1 << 18
        where = url.where if via is None else url.where + " through the proxy " + via.where
        answered = False

        def receive() -> bytes:
            nonlocal answered
            wait = self._wait(where, timeout)
            stream.settimeout(wait)
            try:
                data = stream.recv(block)
            except OSError as error:
                broken = not answered and not isinstance(error, TimeoutError)
                raise HttpError(where + ": " + why(error, wait), unanswered=broken, finding=finding(error)) from None
            answered = answered or bool(data)
            return data

        try:
            wait = self._wait(where, timeout)
            stream.settimeout(wait)
            try:
                stream.sendall(message)
            except TimeoutError as error:
                raise HttpError(where + ": " + why(error, wait), finding=finding(error)) from None
            except OSError:
                pass  # the server may have answered before it closed: reading tells
            return read_reply(receive, method, where, limit, into)
        finally:
            stream.close()


def _key(url: Url, via: "Proxy | None") -> "tuple[str, str, int, str]":
    return url.scheme, url.host, url.port, "" if via is None else via.where


def why(error: OSError, wait: float) -> str:
    """What happened, in words: the errno's own text, or how long was waited."""
    if isinstance(error, TimeoutError):
        return "timed out after " + format(wait, ".1f") + " s"
    return (error.strerror or str(error) or type(error).__name__).lower()


def finding(error: OSError) -> str:
    """The code of what happened (docs/troubleshooting.md)."""
    if isinstance(error, TimeoutError):
        return "LL0701"
    if isinstance(error, ConnectionRefusedError):
        return "LL0702"
    if isinstance(error, gaierror):
        return "LL0703"
    return "LL0704" if error.errno in _NO_ROUTE else "LL0705"


def _compose(method: str, url: Url, headers: "dict[str, str]", body: bytes, via: "Proxy | None") -> bytes:
    """The request as bytes. Raises `HttpError` (final) where a header could be taken for two."""
    target = url.target
    lines = {"Host": url.authority, "User-Agent": "lyftlearn-entrypoint/" + __version__, "Accept-Encoding": "identity"}
    if via is not None and url.scheme == "http":
        target = "http://" + url.authority + target
        if via.authorization:
            lines["Proxy-Authorization"] = via.authorization
    if body or method in ("POST", "PUT"):
        lines["Content-Length"] = str(len(body))
    lines["Connection"] = "close"
    given = {name.lower() for name in headers}
    merged = [(name, value) for name, value in lines.items() if name.lower() not in given] + list(headers.items())
    if not (method.isascii() and method.isalpha()):
        raise HttpError("a request method that is not letters", True)
    text = [method + " " + target + " HTTP/1.1"]
    for name, value in merged:
        if not name or not name.isascii() or not name.isprintable() or ":" in name or " " in name:
            raise HttpError("a header name that is not one", True)
        if any((mark < " " and mark != "\t") or mark > "\xff" or mark == "\x7f" for mark in value):
            raise HttpError("the header " + name + " holds a character that no header may", True)
        text.append(name + ": " + value)
    return "\r\n".join(text).encode("latin-1") + b"\r\n\r\n" + body
