"""The process beside the program that puts what the program compiles into the warm pool: now and then, and once more when it ends.

There is nothing of ours in the program's process, and where the program's end is its container's (below tini, or as process 1) nothing
beside it outlives it. So it looks every few seconds, and saves what has come to rest. It is forked before anything is fetched, as the
StatsD relay is (relay/leave.py says why), and is told the key by a socket, so that neither its memory before nor its words hold it.
"""

import _signal
import _socket
import posix
import sys
import time

from lyftlearn_entrypoint.relay.become import close_all_but, rename
from lyftlearn_entrypoint.relay.leave import detach

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from lyftlearn_entrypoint.adapt.identity import User
    from lyftlearn_entrypoint.log import Log
    from lyftlearn_entrypoint.warm.code import Place
    from lyftlearn_entrypoint.warm.pack import File

NAME = b"lyftlearn-warm-saver"
LOOK = 5.0  # seconds between two looks
REST = 2.0  # seconds without a change after which files are taken to be whole
_LEAST = 19  # nice(2)
_ORDER: "Literal['little', 'big']" = sys.byteorder


class Waiting:
    """A saver that waits for the start to go on."""

    __slots__ = ("_child", "_line")

    def __init__(self, line: _socket.socket, child: int) -> None:
        self._line = line
        self._child = child

    def go(self, place: "Place | None") -> None:
        """Begin, with this place in the pool; without one, end. Raises nothing."""
        from lyftlearn_entrypoint.documents import dump

        if self._child:
            try:
                posix.waitpid(self._child, 0)
            except OSError:
                pass
        if place is not None:
            words, entries = place.order()
            try:
                self._line.sendmsg([dump(words).encode()], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, entries.to_bytes(4, _ORDER))])
            except OSError:
                pass  # it has ended: nothing new will be kept
            posix.close(entries)
        self._line.close()


def leave(user: "User | None", log: "Log", look: float = LOOK) -> "Waiting | None":
    """Fork the saver, for a program of `user` (None: whoever this is). None where it cannot be. Raises nothing."""
    program = posix.getpid()
    try:
        line, end = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    except OSError:
        return None
    try:
        child = detach(lambda: _become(end, line, program, user, look))
    except OSError as error:
        log.warning("code: nothing new is kept: " + (error.strerror or "no process can be forked") + " [LL1215]", step="code")
        line.close()
        return None
    finally:
        end.close()
    return Waiting(line, child)


def _become(line: _socket.socket, other: _socket.socket, program: int, user: "User | None", look: float) -> None:
    _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())  # what ends the program's group or session is not for us
    other.close()
    posix.setsid()
    posix.chdir("/")
    close_all_but({line.fileno()})
    watch = _watch(program)
    words, rights, _, _ = line.recvmsg(1 << 16, 64)
    if not words or not rights:
        return
    line.close()
    rename(NAME)
    # Loaded before the user is switched, who need not be able to read our files.
    from lyftlearn_entrypoint.documents import parse
    from lyftlearn_entrypoint.warm import code, pack, pool  # noqa: F401

    order = parse(words)
    entries = int.from_bytes(rights[0][2][:4], _ORDER)
    if user is not None:
        posix.setgroups(user.groups)
        posix.setresgid(user.gid, user.gid, user.gid)
        posix.setresuid(user.uid, user.uid, user.uid)
    posix.nice(_LEAST)
    directory = posix.open(order["directory"], posix.O_RDONLY | posix.O_DIRECTORY | posix.O_NOFOLLOW | posix.O_CLOEXEC)
    saver = Saver(directory, entries, bytes.fromhex(order["key"]), order["largest"], order["before"])
    while not ended(watch, program, look):
        saver.look()
    saver.look(last=True)


def _watch(program: int) -> int:
    try:
        return posix.pidfd_open(program)
    except (AttributeError, OSError):
        return -1


def ended(watch: int, program: int, seconds: float) -> bool:
    """Whether the program ended within that time; `watch` is a descriptor that tells it, or -1."""
    if watch >= 0:
        import select

        poll = select.poll()
        poll.register(watch, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    time.sleep(seconds)
    try:
        posix.kill(program, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False


class Saver:
    """Saves the files of one open directory to another as one entry, whenever they have changed and come to rest.

    `largest` is in bytes; `before` is the signature of what the entry holds already.
    """

    __slots__ = ("_before", "_directory", "_entries", "_key", "_largest", "_seen")

    def __init__(self, directory: int, entries: int, key: bytes, largest: int, before: "list[int]") -> None:
        self._directory = directory
        self._entries = entries
        self._key = key
        self._largest = largest
        self._before = self._seen = before

    def look(self, last: bool = False) -> bool:
        """Save where there is something new; whether it was. `last` does not wait for what changes still. Raises nothing."""
        from lyftlearn_entrypoint.warm.pack import packed_size, signature, walk

        try:
            files = walk(self._directory)
            now = signature(files)
            rests = now == self._seen and time.time_ns() - now[2] > REST * 1e9
            self._seen = now
            if now == self._before or not files or not (rests or last) or packed_size(files) > self._largest:
                return False
            self._save(files)
        except (OSError, ValueError):
            return False  # a full disk, or files that changed under our hands: the next look tries again
        self._before = now
        return True

    def _save(self, files: "list[File]") -> None:
        from lyftlearn_entrypoint.volume import random_hex
        from lyftlearn_entrypoint.warm.code import ENTRY
        from lyftlearn_entrypoint.warm.pack import pack, packed_size
        from lyftlearn_entrypoint.warm.pool import NEW, remove, reserve, settle

        found = posix.fstatvfs(self._entries)
        if packed_size(files) > found.f_bavail * found.f_frsize - reserve(found.f_blocks * found.f_frsize):
            raise OSError(28, "No space left on device")
        for name in posix.listdir(self._entries):
            if name.startswith(NEW):  # of a saver whose container ended
                remove(self._entries, name)
        new = NEW + random_hex(8)
        target = posix.open(
            new, posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_NOFOLLOW | posix.O_CLOEXEC, 0o600, dir_fd=self._entries
        )
        try:
            try:
                pack(self._directory, files, target, self._key)
            finally:
                posix.close(target)
            settle(self._entries, new, ENTRY)
        except BaseException:
            remove(self._entries, new)
            raise
