"""The Unix datagram socket that some clients take in place of UDP."""

import _socket
import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.log import Log

_EADDRINUSE, _ECONNREFUSED = 98, 111  # errno.h
_SOCKET, _TYPE = 0o140000, 0o170000  # stat(2)


def listen(path: str, log: "Log") -> "_socket.socket | None":
    """A socket at `path` that every user may write to, or None, with a line that says why. A socket that nobody listens on any more is
    replaced; directories on the way to it are made."""
    receiver = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC)
    umask = posix.umask(0o022)
    try:
        _make_directories(path.rpartition("/")[0])
        if _is_leftover(path):
            posix.unlink(path)
        posix.umask(0)
        posix.fchmod(receiver.fileno(), 0o666)  # bind(2) gives the mode of the socket to the file (unix(7))
        receiver.bind(path)
    except OSError as error:
        receiver.close()
        if error.errno == _EADDRINUSE:
            log.info("statsd: " + path + ": somebody listens there already, and is left alone", step="statsd")
        else:
            log.warning("statsd: " + path + " cannot be bound: " + (error.strerror or str(error)) + " [LL0805]", step="statsd")
        return None
    finally:
        posix.umask(umask)
    return receiver


def _make_directories(path: str) -> None:
    missing = []
    while path:
        try:
            posix.stat(path)
            break
        except FileNotFoundError:
            missing.append(path)
            path = path.rpartition("/")[0]
    for made in reversed(missing):
        posix.mkdir(made, 0o755)


def _is_leftover(path: str) -> bool:
    probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        probe.connect(path)
    except OSError as error:
        return error.errno == _ECONNREFUSED and posix.lstat(path).st_mode & _TYPE == _SOCKET
    finally:
        probe.close()
    return False
