"""The first moments of the relay's process: what it gives up, and whom it becomes."""

import _signal
import _socket
import posix
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lyftlearn_entrypoint.relay.leave import Order
    from lyftlearn_entrypoint.relay.life import Life

NAME = b"lyftlearn-statsd-relay"
_PRIORITY = -10  # it computes little, and what the kernel has no room for is lost
INSTANCES = 3
_IN_DELETE_SELF = 0x400  # linux/inotify.h: what never happens to /


def become(order: "Order") -> None:
    """Turn this new process into the relay, and serve until nobody needs it. Raises OSError while it is not yet one.

    Where the program's end is the container's, everything is made ready first. Elsewhere that can wait until the start is over:
    nothing is lost meanwhile, and the processor is the start's.
    """
    _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())  # what ends the program's group or session is not for us
    posix.setsid()
    posix.chdir("/")
    close_all_but({order.line.fileno(), *(receiver.fileno() for receiver in order.receivers)})
    from lyftlearn_entrypoint.relay.life import Life, began, survivors

    since = began(order.program)
    life = Life(order.line.fileno(), order.program, lambda: survivors(order.root, since), time.monotonic)
    if order.last:
        delay_the_end(order.line)
        serve = make_ready(order, life)
        order.line.send(b"\0")  # the start looks for it, and nobody takes it away
        words = order.line.recv(1 << 16)  # waits until the start knows where the gateway is
    else:
        words = order.line.recv(1 << 16)
        serve = make_ready(order, life)
    if words:  # else the start has failed
        serve(words)


def make_ready(order: "Order", life: "Life") -> "Callable[[bytes], None]":
    """Become the program's user. What is given back serves, once it is told what the start knows."""
    rename()
    # Before the user changes, who need not be able to read our files.
    from lyftlearn_entrypoint.relay.gateway import Gateway
    from lyftlearn_entrypoint.relay.loop import Relay
    from lyftlearn_entrypoint.relay.report import Report

    try:
        posix.setpriority(posix.PRIO_PROCESS, 0, _PRIORITY)
    except OSError:
        pass  # only with CAP_SYS_NICE
    if order.user is not None:
        posix.setgroups(order.user.groups)
        posix.setresgid(order.user.gid, order.user.gid, order.user.gid)
        posix.setresuid(order.user.uid, order.user.uid, order.user.uid)

    def serve(words: bytes) -> None:
        address, *times = words.decode().split("\n")
        report = Report(order.context, order.tags, time.monotonic)
        report.start(times)
        gateway = Gateway(order.host, order.port, address, report, time.monotonic())
        order.line.detach()  # it is the life's to close
        Relay(order.receivers, gateway, life, report).run()
        if order.socket:
            try:
                posix.unlink(order.socket)
            except OSError:
                pass  # not ours to take away; the next start does

    return serve


def delay_the_end(line: _socket.socket) -> None:
    """Let the program's last moment last some milliseconds, where its end is the end of the container.

    When process 1 of a container ends, the kernel kills all others, this one with what it has not yet sent: what a program counts just
    before it exits would be lost (measured: three times of four). Before that the kernel closes the dying process's descriptors, and
    to close an inotify instance takes it some milliseconds, since it waits until no processor can still see what was watched
    (fs/notify/group.c, fsnotify_destroy_group). So three of them lie, unread, in the queue of the socket that the program holds: they
    are closed with it, one after the other. Where none can be had it is a race.
    """
    instances = []
    try:
        import _ctypes

        library = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]
        start, watch = (_ctypes.dlsym(library, name) for name in ("inotify_init1", "inotify_add_watch"))
        for _ in range(INSTANCES):
            instance = _ctypes.call_function(start, (posix.O_CLOEXEC,))
            if instance >= 0:
                instances.append(instance)
                _ctypes.call_function(watch, (instance, b"/", _IN_DELETE_SELF))
    except (ImportError, OSError, AttributeError):
        pass
    rights = b"".join(instance.to_bytes(4, sys.byteorder) for instance in instances)
    line.sendmsg([b"\0"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)] if rights else [])
    for instance in instances:
        posix.close(instance)  # in time: whoever closes it last is the one who waits


def close_all_but(kept: "set[int]") -> None:
    """Give up every descriptor of the start's, and put /dev/null where the standard streams were."""
    null = posix.open("/dev/null", posix.O_RDWR)
    for descriptor in (0, 1, 2):
        if descriptor != null:
            posix.dup2(null, descriptor)
    for name in posix.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in kept:
            try:
                posix.close(int(name))
            except OSError:
                pass  # the one that listed the directory


def rename(name: bytes = NAME) -> None:
    """Show `name` in ps and top, in place of a start and of the program's own words: `pkill -f train.py` does not mean the relay.

    Writes over the words where the kernel looks for them (proc(5): /proc/PID/stat fields 48 and 49; /proc/PID/comm).
    """
    try:
        fields = _read("/proc/self/stat").rpartition(b")")[2].split()
        begin, end = int(fields[45]), int(fields[46])
        _write("/proc/self/mem", name[: end - begin - 1].ljust(end - begin, b"\0"), begin)
        _write("/proc/self/comm", name[:15], 0)
    except (OSError, ValueError, IndexError):
        pass  # it only looks nicer


def _read(path: str) -> bytes:
    descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        return posix.read(descriptor, 4096)
    finally:
        posix.close(descriptor)


def _write(path: str, data: bytes, where: int) -> None:
    descriptor = posix.open(path, posix.O_WRONLY | posix.O_CLOEXEC)
    try:
        posix.lseek(descriptor, where, 0)  # /proc/PID/comm knows no pwrite(2)
        posix.write(descriptor, data)
    finally:
        posix.close(descriptor)
