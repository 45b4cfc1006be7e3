"""Which proxy a URL goes through, read from the variables as requests and botocore read them, and CONNECT."""

import _socket
import binascii

from lyftlearn_entrypoint.fetch.message import read_reply
from lyftlearn_entrypoint.fetch.url import HttpError, Url, split_authority, unquote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lyftlearn_entrypoint.fetch.dial import Connection


class Proxy:
    """Where a proxy listens. `authorization` is the Proxy-Authorization value, or empty; it is never shown."""

    __slots__ = ("authorization", "host", "port", "where")

    def __init__(self, host: str, port: int, authorization: str) -> None:
        self.host = host
        self.port = port
        self.authorization = authorization
        self.where = ("[" + host + "]" if ":" in host else host) + ":" + str(port)


def choose(environ: "dict[str, str]", url: Url) -> "Proxy | None":
    """The proxy for `url`, or None. Raises `HttpError` (final) for a proxy that is not spoken to over plain HTTP."""
    value = _variable(environ, url.scheme + "_proxy") or _variable(environ, "all_proxy")
    if not value or _direct(_variable(environ, "no_proxy"), url.host, url.port):
        return None
    scheme, found, rest = value.partition("://")
    if not found:
        scheme, rest = "http", value.lstrip("/")
    if scheme.lower() != "http":
        raise HttpError(
            "the proxy variable for " + url.scheme + " URLs names a " + scheme.lower() + " proxy; only http is supported",
            True,
            finding="LL0713",
        )
    authority = rest.partition("/")[0]
    user, at, authority = authority.rpartition("@")
    host, port = split_authority(authority, 80)
    token = binascii.b2a_base64(unquote(user), newline=False).decode("ascii") if at else ""
    return Proxy(host, port, "Basic " + token if token else "")


def connect(raw: "Connection", via: Proxy, url: Url, wait: "Callable[[], float]") -> None:
    """Make `raw`, a connection to the proxy, a tunnel to the origin of `url`. `wait` gives seconds. Raises `HttpError`."""
    where = url.where + " through the proxy " + via.where
    lines = "CONNECT " + url.where + " HTTP/1.1\r\nHost: " + url.where + "\r\n"
    if via.authorization:
        lines += "Proxy-Authorization: " + via.authorization + "\r\n"

    def receive() -> bytes:
        raw.settimeout(wait())
        return raw.recv(1)  # a byte at a time: what follows the answer belongs to TLS

    try:
        raw.settimeout(wait())
        raw.sendall(lines.encode("latin-1") + b"\r\n")
        reply = read_reply(receive, "CONNECT", where, 1 << 12)
    except TimeoutError:
        raise HttpError(where + ": the proxy did not answer CONNECT in time", finding="LL0712") from None
    except OSError as error:
        raise HttpError(where + ": " + (error.strerror or "connection closed").lower()) from None
    if reply.status >= 300:
        text = ": the proxy answered CONNECT with status " + str(reply.status)
        raise HttpError(where + text, reply.status in (401, 403, 405, 407), finding="LL0712")


def _variable(environ: "dict[str, str]", name: str) -> str:
    """Lower case wins, even where it is empty. HTTP_PROXY is a header, not a setting, in a CGI program (httpoxy)."""
    if name in environ:
        return environ[name]
    if name == "http_proxy" and "REQUEST_METHOD" in environ:
        return ""
    return environ.get(name.upper(), "")


def _direct(no_proxy: str, host: str, port: int) -> bool:
    """Whether NO_PROXY names this host: `*`, a name or its suffix, an address, a network, each with or without a port."""
    number = _number(host)
    for entry in no_proxy.replace(" ", ",").split(","):
        entry = entry.strip().lower()
        if not entry:
            continue
        if entry == "*":
            return True
        if "/" in entry:
            if number is not None and _inside(number, entry):
                return True
            continue
        if entry.count(":") > 1 and not entry.startswith("["):
            entry = "[" + entry + "]"  # a bare IPv6 address
        try:
            name, wanted = split_authority(entry.lstrip(".") if not entry.startswith("[") else entry, 0)
        except HttpError:
            continue
        if wanted and wanted != port:
            continue
        other = _number(name)
        if number is not None or other is not None:
            if number == other:
                return True
        elif host == name or host.endswith("." + name):
            return True
    return False


def _number(host: str) -> "tuple[int, int] | None":
    """(width in bits, value) of an IP address, else None."""
    for family, bits in ((_socket.AF_INET, 32), (_socket.AF_INET6, 128)):
        try:
            return bits, int.from_bytes(_socket.inet_pton(family, host), "big")
        except OSError:
            continue
    return None


def _inside(number: "tuple[int, int]", network: str) -> bool:
    address, _, length = network.partition("/")
    base = _number(address.strip("[]"))
    if base is None or base[0] != number[0] or not (length.isascii() and length.isdigit()) or int(length) > base[0]:
        return False
    return number[1] >> (base[0] - int(length)) == base[1] >> (base[0] - int(length))
