"""Open a TCP connection: every address of a name, in turn, within one time limit."""

import _socket
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    class Stream(Protocol):
        """What the HTTP client needs of a connection, encrypted or not."""

        def settimeout(self, seconds: float) -> None: ...
        def sendall(self, data: bytes) -> None: ...
        def recv(self, size: int) -> bytes: ...
        def close(self) -> None: ...


class Connection(_socket.socket):
    """A socket that TLS can wrap: `_ssl` keeps a weak reference, which a plain `_socket.socket` has no room for."""

    __slots__ = ("__weakref__",)


def resolve(host: str, port: int) -> "list[tuple[int, Any]]":
    """(address family, socket address) pairs of a name, in the order to try them.

    The name is passed as bytes: for a str the C code would import encodings.idna and with it `re` and unicodedata.
    Raises OSError (gaierror).
    """
    found = _socket.getaddrinfo(host.encode("ascii"), port, 0, _socket.SOCK_STREAM)
    return alternate([(family, address) for family, _, _, _, address in found])


def alternate(pairs: "list[tuple[int, Any]]") -> "list[tuple[int, Any]]":
    """The families in turn: where IPv6 is dead, IPv4 is tried second and not ninth."""
    first = [pair for pair in pairs if pair[0] == pairs[0][0]]
    other = [pair for pair in pairs if pair[0] != pairs[0][0]]
    mixed: list[tuple[int, Any]] = []
    while first or other:
        mixed += first[:1] + other[:1]
        first, other = first[1:], other[1:]
    return mixed


def dial(host: str, port: int, timeout: float, resolve: "Callable[[str, int], list[tuple[int, Any]]]" = resolve) -> Connection:
    """A connected socket, within `timeout` seconds once the name is resolved. Raises OSError: that of the last address.

    Each address but the last may use half of the time that is left, so a dead one costs time and nothing else.
    """
    addresses = resolve(host, port)
    end = time.monotonic() + timeout
    problem: OSError = OSError("the name has no address")
    for number, (family, address) in enumerate(addresses):
        left = end - time.monotonic()
        if left <= 0:
            break
        connection = None
        try:
            connection = Connection(family, _socket.SOCK_STREAM)
            connection.settimeout(left if number == len(addresses) - 1 else left / 2)
            connection.connect(address)
            return connection
        except OSError as error:
            if connection is not None:
                connection.close()
            problem = error
    raise problem
