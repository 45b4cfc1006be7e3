"""The parts of a URL, percent-encoding, and what can go wrong on the way to one."""

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")  # RFC 3986, section 2.3
_DEFAULT_PORTS = {"http": 80, "https": 443}


class HttpError(Exception):
    """A request without a whole answer. The text says host, port and what happened, and never holds a header or a body.

    `final` is true where another try gives the same (a bad certificate, a bad URL); `unanswered` where the connection ended
    before the first byte of an answer. `finding` is the code of what is the matter (docs/troubleshooting.md), or ''.
    """

    def __init__(self, text: str, final: bool = False, unanswered: bool = False, finding: str = "") -> None:
        super().__init__(text)
        self.final = final
        self.unanswered = unanswered
        self.finding = finding


class TooLarge(HttpError):
    """The body is over the limit. `size` is its length in bytes where the server told it, else None."""

    def __init__(self, text: str, size: "int | None" = None) -> None:
        super().__init__(text, True)
        self.size = size


class Url:
    """An http or https URL: `host` in lower case without brackets, `target` the path with its query, as it goes on the wire."""

    __slots__ = ("host", "port", "scheme", "target")

    def __init__(self, scheme: str, host: str, port: int, target: str) -> None:
        self.scheme = scheme
        self.host = host
        self.port = port
        self.target = target

    @property
    def authority(self) -> str:
        """The value of the Host header: the port only where it is not the scheme's own."""
        host = "[" + self.host + "]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else host + ":" + str(self.port)

    @property
    def where(self) -> str:
        """host:port, for messages."""
        return ("[" + self.host + "]" if ":" in self.host else self.host) + ":" + str(self.port)


def split(url: str) -> Url:
    """The parts of `url`. Raises `HttpError` (final) on anything but a plain http or https URL.

    User information is refused: the HTTP client would have to send it, and messages would have to hide it.
    """
    scheme, found, rest = url.partition("://")
    scheme = scheme.lower()
    if not found or scheme not in _DEFAULT_PORTS:
        raise HttpError("a URL that does not start with http:// or https://", True)
    if not url.isascii() or any(mark <= " " or mark == "\x7f" for mark in url):
        raise HttpError("a URL with a space, a control character or a character outside ASCII", True)
    rest = rest.partition("#")[0]
    end = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    authority, target = rest[:end], rest[end:]
    if "@" in authority:
        raise HttpError("a URL with a user name or a password in it", True)
    host, port = split_authority(authority, _DEFAULT_PORTS[scheme])
    return Url(scheme, host, port, target if target.startswith("/") else "/" + target)


def split_authority(authority: str, default_port: int) -> "tuple[str, int]":
    """Host (lower case, no brackets) and port of `host`, `host:port`, `[v6]` or `[v6]:port`. Raises `HttpError` (final)."""
    if authority.startswith("["):
        host, _, port = authority[1:].partition("]")
        if port and not port.startswith(":"):
            raise HttpError("a URL whose host is malformed", True)
        port = port[1:]
    else:
        host, _, port = authority.partition(":")
    if port and not (port.isdigit() and len(port) < 6 and 0 < int(port) < 65536):
        raise HttpError("a URL whose port is not a number from 1 to 65535", True)
    if not host or not host.isascii() or any(mark <= " " or mark in "[]\\%<>\"'" for mark in host):
        raise HttpError("a URL without a host, or whose host is malformed", True)
    return host.lower(), int(port) if port else default_port


def quote(text: "str | bytes", safe: bytes = b"") -> str:
    """Percent-encode every byte that is neither unreserved (RFC 3986) nor in `safe`, as SigV4 wants it (upper-case hex)."""
    data = text.encode("utf-8") if isinstance(text, str) else text
    return "".join(chr(byte) if byte in _UNRESERVED or byte in safe else "%" + format(byte, "02X") for byte in data)


def unquote(text: str) -> bytes:
    """Undo percent-encoding; a `%` without two hex digits stays as it is."""
    first, *rest = text.encode("utf-8", "surrogateescape").split(b"%")
    result = [first]
    for piece in rest:
        try:
            result.append(bytes((int(piece[:2].decode("ascii"), 16),)) + piece[2:] if len(piece) > 1 else b"%" + piece)
        except ValueError:
            result.append(b"%" + piece)
    return b"".join(result)
