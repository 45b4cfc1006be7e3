"""The relay's way to the gateway: one connected UDP socket, which never waits, and a name that is looked up again by a thread."""

import _socket
import _thread
import posix

from lyftlearn_entrypoint.adapt.statsd import is_relay
from lyftlearn_entrypoint.relay.leave import addresses

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lyftlearn_entrypoint.relay.report import Report

# What StatsD's own documentation advises for links of unknown MTU up to 1500, and what datadog's clients take.
PAYLOAD = 1432
_HEADERS = {_socket.AF_INET: (0, 14, 28), _socket.AF_INET6: (41, 24, 48)}  # option level, IP_MTU (linux/in.h, in6.h), bytes of headers
_SEND_BUFFER = 1 << 20
_EINVAL, _EMSGSIZE = 22, 90  # errno.h; the second is for a line of more than 65507 bytes
_OFTEN, _SELDOM = 1.0, 30.0  # seconds between look-ups: at first when something is wrong, and at most


class Gateway:
    """Sends payloads to `host:port`. `address` is where that is now, '' where nobody knows yet; counts go to `report`."""

    __slots__ = (
        "_address",
        "_family",
        "_last",
        "_look_up",
        "_looked",
        "_next",
        "_numeric",
        "_pause",
        "_report",
        "_socket",
        "_trouble",
        "host",
        "limit",
        "looking",
        "port",
    )

    def __init__(
        self, host: str, port: int, address: str, report: "Report", now: float, look_up: "Callable[[str, int], list[str]]" = addresses
    ) -> None:
        self.host = host
        self.port = port
        self.limit = PAYLOAD
        self._report = report
        self._look_up = look_up
        self._address = ""
        self._family: int = _socket.AF_INET
        self._socket = _open(self._family)
        self._last = 0  # datagrams in the payload that was sent last
        self._numeric = _is_numeric(host)
        self.looking = self._trouble = False
        self._pause = _OFTEN
        self._looked = self._next = now
        try:
            if address:
                self._connect(address)
                self._next = now + _SELDOM
        except OSError:
            pass  # there is no route: that is tried again, as is a name that nobody knows yet

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def send(self, payload: bytes, count: int) -> None:
        """Send it, or drop it: this never waits. `count` datagrams of the program's are in it."""
        for _ in (1, 2, 3):
            try:
                self._socket.send(payload)
            except ConnectionRefusedError:
                # Nobody listened to the payload before: Linux says so at the next call, and this one was not sent (udp(7)).
                self._refused()
                continue
            except BlockingIOError:
                break  # the socket's buffer is full
            except OSError as error:
                self._trouble = error.errno != _EMSGSIZE  # no address yet, or no route
                break
            self._last = count
            self._report.sent += count
            self._report.packets += 1
            return
        self._report.dropped += count

    def settle(self) -> None:
        """Take note of a payload that was refused since."""
        if self._socket.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR):
            self._refused()

    def tell(self, payload: bytes) -> bool:
        """Send lines of the relay's own, which are not counted. False where that failed."""
        try:
            self._socket.send(payload)
        except OSError:
            return False
        self._last = 0
        return True

    def tend(self, now: float) -> None:
        """Where it is time, look the name up, without waiting for the answer. `now` is in seconds. Called while there is traffic only."""
        if self._trouble and not self.looking:
            self._next = min(self._next, self._looked + self._pause)
        if now < self._next or self.looking or (self._numeric and self._address):
            return
        self._pause = min(_SELDOM, self._pause * 2) if self._trouble else _OFTEN
        self.looking, self._trouble = True, False
        self._looked, self._next = now, now + _SELDOM
        self.measure()
        try:
            _thread.start_new_thread(self._find, ())
        except RuntimeError:  # a limit on processes: perhaps not the next time
            self.looking = False

    def measure(self) -> None:
        """Ask the kernel for the MTU of the way, which a router may have lowered."""
        level, option, headers = _HEADERS[self._family]
        try:
            mtu = self._socket.getsockopt(level, option)
        except OSError:
            return  # not connected
        self.limit = max(1, min(PAYLOAD, mtu - headers))

    def _refused(self) -> None:
        self._report.sent -= self._last
        self._report.dropped += self._last
        self._last = 0
        self._trouble = True

    def _find(self) -> None:
        """In a thread. An address that is still among the name's stays: the order of the others is the name server's whim."""
        try:
            found = self._look_up(self.host, self.port)
            if found and self._address not in found:
                self._connect(found[0])
        except (OSError, UnicodeError):
            self._trouble = True
        finally:
            self.looking = False

    def _connect(self, address: str) -> None:
        """Turn to this address. The new socket takes the old one's number in one step, so that nobody who sends has to wait.
        Raises OSError where there is none, or no route, or it is our own."""
        if is_relay(address, self.port):
            raise OSError(_EINVAL, "the relay itself")
        family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
        new = _open(family)
        try:
            new.connect((address, self.port))
            posix.dup2(new.fileno(), self._socket.fileno(), inheritable=False)
        finally:
            new.close()
        self._family, self._address = family, address
        self.measure()


def _open(family: int) -> _socket.socket:
    new = _socket.socket(family, _socket.SOCK_DGRAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC)
    new.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDBUF, _SEND_BUFFER)
    return new


def _is_numeric(host: str) -> bool:
    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            _socket.inet_pton(family, host)
        except OSError:
            continue
        return True
    return False
