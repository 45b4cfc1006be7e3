"""Until when the relay is needed: as long as the program lives, or a worker that it started."""

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_CONTEXT = b"\0LYFTLEARN_CONTEXT="  # every program of the entrypoint has it, and what the program starts inherits it
_ROOT = b"\0LYFTLEARN_ROOT="
_RETRY = 1000.0  # milliseconds; only where the kernel has no pidfd_open(2), which came with Linux 5.3, or this Python was built without


class Life:
    """Watches for the end in three ways, of which none needs a clock:

    a socket whose other end the program holds, and every worker that it forks; the program's process itself, should it close what
    it has not opened; and, once both are gone, one process after the other of those that still run in the program's environment:
    workers that were started with all descriptors closed, and daemons. `survivors` finds them.
    """

    __slots__ = ("_again", "_clock", "_lost", "_survivors", "line", "watched")

    def __init__(self, line: int, program: int, survivors: "Callable[[], list[int]]", clock: "Callable[[], float]") -> None:
        self._survivors = survivors
        self._clock = clock
        self._again = 0.0  # when to look for survivors again
        self._lost = False  # somebody needs the relay whom the kernel does not let us watch
        self.line = line
        self.watched = {line}
        try:
            self.watched.add(_watch(program))
        except OSError:
            pass  # then the socket alone tells it

    def ended(self, descriptor: int) -> None:
        """What this descriptor watched has ended."""
        self.watched.discard(descriptor)
        posix.close(descriptor)

    def over(self) -> bool:
        """Whether nobody needs the relay any more. May watch another process from now on."""
        if self.watched or (self._lost and self._clock() < self._again):
            return False
        found = self._survivors()
        for process in found:
            try:
                self.watched.add(_watch(process))
                break
            except OSError:
                continue
        self._lost = bool(found) and not self.watched
        self._again = self._clock() + _RETRY / 1000
        return not found

    def wait(self) -> "float | None":
        """Milliseconds until `over` has to be asked again; None where a descriptor tells."""
        return _RETRY if self._lost else None


def _watch(process: int) -> int:
    """A descriptor that can be read once the process has ended. Raises OSError where there is none."""
    try:
        return posix.pidfd_open(process)
    except AttributeError:
        raise OSError from None


def began(process: int) -> int:
    """When a process was started, in the kernel's ticks (proc(5), /proc/PID/stat field 22); 0 where nobody knows."""
    try:
        return int(_read(b"/proc/%d/stat" % process).rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def survivors(root: str, since: int) -> "list[int]":
    """The processes of this user, in this network and with these mounts, that run in an environment that the entrypoint made.

    `root` is the program's LYFTLEARN_ROOT: a program below another one is another container's. `since` is when the program began:
    what is older is not its worker. A process of another user, or one that was started with an environment of its own, is not
    found (proc(5), /proc/PID/environ).
    """
    own = _place(b"self")
    mark = _ROOT + root.encode("utf-8", "surrogateescape") + b"\0" if root else b""
    found = []
    for name in posix.listdir(b"/proc"):
        if name.isdigit() and int(name) != posix.getpid():
            try:
                environ = b"\0" + _read(b"/proc/" + name + b"/environ")
                ours = _CONTEXT in environ and (mark in environ if root else _ROOT not in environ)
                if ours and began(int(name)) > since and _place(name) == own:
                    found.append(int(name))
            except OSError:
                continue  # another user's, or gone
    return found


def _place(process: bytes) -> "tuple[bytes, ...]":
    return tuple(posix.readlink(b"/proc/" + process + b"/ns/" + kind) for kind in (b"net", b"mnt"))


def _read(path: bytes) -> bytes:
    descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        data = b""
        while part := posix.read(descriptor, 1 << 16):
            data += part
        return data
    finally:
        posix.close(descriptor)
