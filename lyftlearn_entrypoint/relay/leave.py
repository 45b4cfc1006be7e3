"""The start's side of the relay: its sockets, its process, and the one descriptor that the program inherits.

The process is forked before anything is fetched. So it holds nothing that was fetched, stays small, and does not inherit the locks of
threads that hang in a name lookup. It waits until the start says where the gateway is; a start that fails ends it by saying nothing.
"""

import _socket
import posix

from lyftlearn_entrypoint.adapt.statsd import DEFAULT_PORT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lyftlearn_entrypoint.adapt.identity import User
    from lyftlearn_entrypoint.launch import Launch
    from lyftlearn_entrypoint.log import Log

    Spans = list[tuple[str, float, float]]  # name, begin and end in seconds

WHERE = "127.0.0.1:" + str(DEFAULT_PORT)
_EADDRINUSE = 98  # errno.h
_SO_RCVBUFFORCE, _SO_PEEK_OFF = 33, 42  # asm-generic/socket.h
_BUFFER = 16 << 20  # bytes; the kernel doubles it for its own bookkeeping, and takes about 768 for a short datagram (socket(7))
# A number that no script redirects (shells take 10 and the next free ones for themselves, bash 255 too), below any usual limit.
_HIGH = range(250, 200, -1)
_PATIENCE = 0.25  # seconds to wait for a relay that is not yet there, where the end of the program is that of the container
_INITS = (b"tini", b"docker-init", b"dumb-init", b"catatonit")
_CLONE = {"x86_64": 56, "aarch64": 220}  # asm/unistd.h


class Order:
    """What the relay is to do. Plain data, but for the sockets: `line` is its end of the one that the program inherits."""

    __slots__ = ("context", "host", "last", "line", "port", "program", "receivers", "root", "socket", "tags", "user")

    def __init__(self, host: str, port: int, context: str, tags: str, root: str, user: "User | None") -> None:
        self.host = host
        self.port = port
        self.context = context
        self.tags = tags
        self.root = root  # LYFTLEARN_ROOT
        self.user = user  # whom to become; None to stay
        self.socket = ""  # the path of the Unix socket, where there is one
        self.receivers: list[_socket.socket] = []
        self.line: _socket.socket
        self.program = posix.getpid()
        self.last = _ends_all()  # whether the end of the program is the end of the container


class Waiting:
    """A relay that waits for the start to go on."""

    __slots__ = ("_child", "_last", "_line")

    def __init__(self, line: _socket.socket, child: int, last: bool) -> None:
        self._line = line
        self._child = child  # to wait for; 0 where the relay itself is our child, and nobody shall
        self._last = last

    def go(self, address: str, times: "Spans") -> bool:
        """Serve now, for as long as the program lives, which is what this process is about to become. `address` is the gateway's, or ''.
        `times` are the start's own, which the relay sends.

        False where the relay has ended.
        """
        self._reap()
        if not self._is_there():
            self._line.close()
            return False
        lines = [address, *(f"{name} {(end - begin) * 1000:.3f}" for name, begin, end in times)]
        try:
            self._line.send("\n".join(lines).encode())
        except OSError:
            self._line.close()
            return False
        line = self._line.detach()
        for number in _HIGH:
            try:
                posix.fstat(number)
            except OSError:
                try:
                    posix.dup2(line, number, inheritable=True)
                except OSError:
                    break  # a limit on descriptors
                posix.close(line)
                return True
        posix.set_inheritable(line, True)
        return True

    def cancel(self) -> None:
        """End it: there is nothing to do."""
        self._line.close()
        self._reap()

    def _is_there(self) -> bool:
        """It says so by a byte, which stays unread, as does one before it (become.py). As a rule both have been there for long."""
        try:
            if self._last:
                try:
                    self._line.setsockopt(_socket.SOL_SOCKET, _SO_PEEK_OFF, 1)
                except OSError:
                    pass  # then the first byte has to do
            self._line.settimeout(_PATIENCE if self._last else 0)
            return self._line.recv(1, _socket.MSG_PEEK) != b""
        except (BlockingIOError, TimeoutError):
            return True  # this machine is busy: it will come
        except OSError:
            return False

    def _reap(self) -> None:
        if self._child:
            try:
                posix.waitpid(self._child, 0)
            except OSError:
                pass


def leave(order: Order, socket: str, log: "Log", quiet: bool = False) -> "Waiting | None":
    """Bind 127.0.0.1:8125, ::1 and, where it is not '', the Unix socket `socket`, and fork the relay.

    None where somebody listens there already, a pod's sidecar or the relay of another start: that one serves. `quiet` is for a second
    try. Raises nothing: metrics never stop a start.
    """
    try:
        order.receivers = [_udp(_socket.AF_INET, "127.0.0.1")]
        line, order.line = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    except OSError as error:
        if not quiet:
            taken = error.errno == _EADDRINUSE
            why = "somebody listens there already, and is left alone" if taken else error.strerror or "it cannot be bound"
            (log.info if taken else log.warning)("statsd: no relay on " + WHERE + ": " + why, step="statsd")
        return None
    try:
        order.receivers.append(_udp(_socket.AF_INET6, "::1"))  # what `localhost` may mean first
    except OSError:
        pass  # no IPv6 here, or somebody listens on ::1 alone
    if socket:
        from lyftlearn_entrypoint.relay.unix import listen

        receiver = listen(socket, log)
        if receiver is not None:
            order.receivers.append(receiver)
            order.socket = socket
    try:
        child = detach(lambda: _child(order, line))
    except OSError as error:
        log.warning("statsd: no relay: " + (error.strerror or "it cannot be forked") + " [LL0806]", step="statsd")
        child = -1
    for receiver in (*order.receivers, order.line):
        receiver.close()
    if child < 0:
        line.close()
        return None
    return Waiting(line, child, order.last)


def begin(relay: "Waiting | None", launch: "Launch", times: "Spans", context: str, tags: str, log: "Log") -> None:
    """The last of a start's metrics: the relay serves from now on, and the start's own `times` are sent. Raises nothing."""
    if relay is not None:
        if launch.relay is None:
            relay.cancel()
        elif relay.go(launch.gateway[0] if launch.gateway else "", times):
            log.info("statsd: relay on " + WHERE, step="statsd")
            return
        else:
            log.warning(
                "statsd: the relay on " + WHERE + " could not begin: clients that say localhost lose their metrics [LL0806]", step="statsd"
            )
    if launch.gateway:
        from lyftlearn_entrypoint.relay.report import send_times

        send_times(launch.gateway, times, context, tags)


def addresses(host: str, port: int) -> "list[str]":
    """The numeric addresses of a name, IPv4 first, since many clients cannot do IPv6. Raises OSError, UnicodeError."""
    # As bytes: for a str the C code would import encodings.idna, and with it `re` (12 ms).
    found = _socket.getaddrinfo(host.encode("ascii"), port, 0, _socket.SOCK_DGRAM)
    return [str(entry[4][0]) for entry in sorted(found, key=lambda entry: entry[0] != _socket.AF_INET)]


def _child(order: Order, line: _socket.socket) -> None:
    line.close()
    from lyftlearn_entrypoint.relay.become import become

    become(order)


def detach(run: "Callable[[], None]") -> int:
    """Run this in a process that the program's wait(2) does not see. Gives the child to wait for, 0 where there is none. Raises OSError.

    A child of a child is init's to wait for once its parent has ended. As process 1 we are init: there clone(2) makes a child that
    sends no SIGCHLD when it ends, which wait(2) passes over unless it is asked for such (__WCLONE, __WALL).
    """
    if posix.getpid() == 1:
        child = _clone()
        if child == 0:
            _end(run)
        return 0
    child = posix.fork()
    if child == 0:
        try:
            if posix.fork() == 0:
                _end(run)
        finally:
            posix._exit(0)  # noqa: SLF001
    return child


def _end(run: "Callable[[], None]") -> None:
    """Run it and end this process, whatever happens: nothing of the start may run twice."""
    try:
        run()
    finally:
        posix._exit(0)  # noqa: SLF001


def _clone() -> int:
    """fork(2) without a signal for the parent. Where it cannot be had, plain fork(2): wait(2) sees that child. Raises OSError.

    Only while there is one thread, as before a fetch: the child takes up the interpreter's lock again, and nobody else holds one.
    """
    number = _CLONE.get(posix.uname().machine)
    try:
        import _ctypes

        address = _ctypes.dlsym(_ctypes.dlopen(None, 0), "syscall")  # type: ignore[arg-type]
    except (ImportError, OSError, AttributeError):
        number = None
    if number is not None:
        child: int = _ctypes.call_function(address, (number, 0, 0, 0, 0, 0))
        if child >= 0:
            return child
    return posix.fork()


def _ends_all() -> bool:
    """Whether this is process 1, or the child of an init, which ends with its child."""
    if posix.getpid() == 1:
        return True
    try:
        descriptor = posix.open("/proc/" + str(posix.getppid()) + "/comm", posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            return posix.read(descriptor, 64).strip() in _INITS
        finally:
            posix.close(descriptor)
    except OSError:
        return False


def _udp(family: int, address: str) -> _socket.socket:
    receiver = _socket.socket(family, _socket.SOCK_DGRAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC)
    try:
        if family == _socket.AF_INET6:
            receiver.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
        try:
            receiver.setsockopt(_socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        except OSError:  # without CAP_NET_ADMIN: as much as net.core.rmem_max lets us
            receiver.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVBUF, _BUFFER)
        receiver.bind((address, DEFAULT_PORT))
    except OSError:
        receiver.close()
        raise
    return receiver
