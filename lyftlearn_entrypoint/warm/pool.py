"""The directory that the jobs of a warm pool share. Other teams' jobs write there too, so nothing in it is believed.

A pool is opened once; from then on every name is looked up below an open directory and no link is followed, whoever renames what
meanwhile (openat(2), O_NOFOLLOW). An entry is a regular file. Its content proves itself to whoever takes it: by a digest (model.py) or by a
message authentication code (pack.py). Where the directory is: "Use SageMaker managed warm pools" (developer guide), persistent cache.
"""

import posix
import time

from lyftlearn_entrypoint.volume import random_hex

OWN = "lyftlearn"  # below it; a name that says whose it is
KINDS = ("models", "code")
NEW = ".new-"  # an entry that is being written, or was when its job was killed
BLOCK = 1 << 20  # bytes
_RESERVE = 4 << 30  # bytes: at most so much of a twentieth of the file system stays free
_MANY = 10_000  # names of a directory that are looked at: a pool of ours has tens
_DEEP = 32  # directories below each other that are taken away
_STALE = 3600.0  # seconds
_DIRECTORY = posix.O_RDONLY | posix.O_DIRECTORY | posix.O_NOFOLLOW | posix.O_CLOEXEC
_TYPE, _IS_FILE, _IS_DIRECTORY = 0o170000, 0o100000, 0o040000
_NO_COPY_RANGE = (1, 18, 22, 38, 95)  # EPERM, EXDEV, EINVAL, ENOSYS, EOPNOTSUPP (copy_file_range(2))


class BadEntry(Exception):
    """What has an entry's name is none. The text says why; it quotes nothing."""


class Pool:
    """A warm pool's directory. `limit` is what our entries may take in bytes; None for half of what is free without them."""

    __slots__ = ("_top", "limit", "path")

    def __init__(self, path: str, limit: "int | None") -> None:
        self.path = path
        self.limit = limit
        self._top = -1

    def open(self, kind: str, make: bool = False) -> int:
        """An open directory of this kind, made where it is missing and `make` is true. Raises OSError."""
        if self._top < 0:
            top = posix.open(self.path, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
            try:
                self._top = open_directory(top, OWN, make)
            finally:
                posix.close(top)
        return open_directory(self._top, kind, make)

    def room(self, size: int) -> bool:
        """Make room for an entry of `size` bytes, by taking away what was used longest ago. False where there can be none."""
        used = self._used()
        held = sum(entry.size for entry in used)
        free, total = self._space()
        if size > allowed(self.limit, 0, free + held, total):
            return False
        for entry in used:  # the oldest first
            if size <= allowed(self.limit, held, free, total):
                break
            if self._remove(entry):
                held -= entry.size
                free, _ = self._space()
        return size <= allowed(self.limit, held, free, total)

    def longest(self) -> int:
        """Bytes that an entry can have, were it alone. Raises OSError."""
        free, total = self._space()
        return allowed(self.limit, 0, free + sum(entry.size for entry in self._used()), total)

    def bound(self) -> int:
        """Bytes that an entry which is there may have, however full the disk is by now. Raises OSError."""
        return self._space()[1] if self.limit is None else self.limit

    def left(self) -> int:
        """Bytes that may be added to what is there. Raises OSError."""
        return allowed(self.limit, sum(entry.size for entry in self._used()), *self._space())

    def _space(self) -> "tuple[int, int]":
        found = posix.fstatvfs(self._top)
        return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize

    def _used(self) -> "list[_Entry]":
        """All that lies in our directories, the longest unused first. What was begun and never ended is taken away."""
        found: list[_Entry] = []
        now, left = time.time(), [_MANY]
        for kind in KINDS:
            try:
                directory = self.open(kind)
            except OSError:
                continue
            try:
                for name in _names(directory):
                    size, used = _measure(directory, name, left)
                    abandoned = name.startswith(NEW) and not -_STALE < now - used < _STALE
                    if not (abandoned and remove(directory, name)):
                        # A time to come is made up, to stay for ever.
                        found.append(_Entry(kind, name, size, used if used < now + _STALE else 0.0))
            finally:
                posix.close(directory)
        return sorted(found, key=lambda entry: entry.used)

    def _remove(self, entry: "_Entry") -> bool:
        try:
            directory = self.open(entry.kind)
        except OSError:
            return False
        try:
            return remove(directory, entry.name)
        finally:
            posix.close(directory)


class _Entry:
    __slots__ = ("kind", "name", "size", "used")

    def __init__(self, kind: str, name: str, size: int, used: float) -> None:
        self.kind = kind
        self.name = name
        self.size = size  # bytes on the disk
        self.used = used  # seconds since the epoch


def allowed(limit: "int | None", held: int, free: int, total: int) -> int:
    """Bytes that may be added to `held` on a file system with `free` of `total`: never what stays free."""
    share = (free + held) // 2 if limit is None else limit
    return min(share - held, free - reserve(total))


def reserve(total: int) -> int:
    """Bytes that stay free on a file system of `total`, for the program."""
    return min(total // 20, _RESERVE)


def open_directory(parent: int, name: str, make: bool = False) -> int:
    """A directory below an open one; a link is none. Raises OSError."""
    try:
        return posix.open(name, _DIRECTORY, dir_fd=parent)
    except FileNotFoundError:
        if not make:
            raise
    except OSError:  # a file, or a link
        if not make or not remove(parent, name):
            raise
    posix.mkdir(name, 0o755, dir_fd=parent)
    return posix.open(name, _DIRECTORY, dir_fd=parent)


def open_entry(directory: int, name: str, longest: int) -> "tuple[int, int]":
    """(descriptor, size) of an entry. Raises FileNotFoundError where there is none, BadEntry for what is no entry of ours."""
    try:
        # Looked at before it is opened: to open a device does things.
        _check(posix.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
        descriptor = posix.open(
            name, posix.O_RDONLY | posix.O_NOFOLLOW | posix.O_NONBLOCK | posix.O_NOCTTY | posix.O_CLOEXEC, dir_fd=directory
        )
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BadEntry("it cannot be opened: " + (error.strerror or "error")) from None
    try:
        found = posix.fstat(descriptor)
        _check(found.st_mode)
        if found.st_size > longest:
            raise BadEntry("it is larger than this pool keeps")
    except BaseException:
        posix.close(descriptor)
        raise
    return descriptor, found.st_size


def _check(mode: int) -> None:
    if mode & _TYPE != _IS_FILE:
        raise BadEntry("it is no regular file")


def add(directory: int, name: str, source: int, size: int) -> None:
    """Copy `size` bytes of `source` into an entry, at once or not at all; what had the name is replaced. Raises OSError."""
    new = NEW + random_hex(8)
    descriptor = posix.open(
        new, posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_NOFOLLOW | posix.O_CLOEXEC, 0o600, dir_fd=directory
    )
    try:
        try:
            copy(source, descriptor, size)
            posix.fchmod(descriptor, 0o444)
        finally:
            posix.close(descriptor)
        settle(directory, new, name)
    except BaseException:
        remove(directory, new)
        raise


def settle(directory: int, new: str, name: str) -> None:
    """Give a finished entry its name, whatever had it. Raises OSError."""
    try:
        posix.rename(new, name, src_dir_fd=directory, dst_dir_fd=directory)
    except IsADirectoryError:
        remove(directory, name)
        posix.rename(new, name, src_dir_fd=directory, dst_dir_fd=directory)


def copy(source: int, target: int, size: int) -> None:
    """The first `size` bytes of one file to the end of another; by the kernel, and shared, where the file system can. Raises OSError."""
    at = 0
    try:
        while at < size:
            done = posix.copy_file_range(source, target, min(size - at, 1 << 30), at)
            if not done:
                raise OSError(5, "it has become shorter")
            at += done
    except OSError as error:
        if error.errno not in _NO_COPY_RANGE:
            raise
        while at < size:
            data = posix.pread(source, min(BLOCK, size - at), at)
            if not data:
                raise OSError(5, "it has become shorter") from None
            write_all(target, data)
            at += len(data)


def write_all(descriptor: int, data: bytes) -> None:
    """Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[posix.write(descriptor, view) :]


def used_now(descriptor: int) -> None:
    """Note that an entry was of use, for the next that need room."""
    try:
        posix.utime(descriptor)
    except OSError:
        pass  # somebody else's file: it may be taken away earlier than it should


def remove(directory: int, name: str, left: "list[int] | None" = None, depth: int = _DEEP) -> bool:
    """Take away whatever has this name, a whole tree too; no link is followed. False where it stays. Raises nothing.

    `left` counts what may still be taken away: a tree can be made to take hours."""
    left = [_MANY] if left is None else left
    left[0] -= 1
    try:
        posix.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return True
    except OSError:
        pass
    else:
        return True
    try:
        inner = posix.open(name, _DIRECTORY, dir_fd=directory)
    except OSError:
        return False
    try:
        for below in _names(inner):
            if left[0] > 0 and depth:
                remove(inner, below, left, depth - 1)
    finally:
        posix.close(inner)
    try:
        posix.rmdir(name, dir_fd=directory)
    except OSError:
        return False
    return True


def _names(directory: int) -> "list[str]":
    names: list[str] = []
    try:
        with posix.scandir(directory) as entries:
            for entry in entries:
                names.append(entry.name)
                if len(names) == _MANY:
                    break
    except OSError:
        pass
    return names


def _measure(directory: int, name: str, left: "list[int]", depth: int = _DEEP) -> "tuple[int, float]":
    """(bytes on the disk, when it was last used) of a file or a tree, as far as it can be seen. Raises nothing."""
    left[0] -= 1
    try:
        found = posix.stat(name, dir_fd=directory, follow_symlinks=False)
        size, used = found.st_blocks * 512, found.st_mtime
        if found.st_mode & _TYPE == _IS_DIRECTORY and depth:
            inner = posix.open(name, _DIRECTORY, dir_fd=directory)
            try:
                for below in _names(inner):
                    if left[0] > 0:
                        more, when = _measure(inner, below, left, depth - 1)
                        size, used = size + more, max(used, when)
            finally:
                posix.close(inner)
    except OSError:
        return 0, 0.0
    return size, used
