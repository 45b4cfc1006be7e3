"""Reads of the platform's files, below a root that development and tests may move. Commands, HOME and AWS files are the user's
own and are never moved."""

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from typing import Protocol

    class Reader(Protocol):
        """What the pure steps need of a file system."""

        def read(self, path: str, limit: int = ...) -> "bytes | None": ...
        def stat(self, path: str) -> "os.stat_result | None": ...
        def is_dir(self, path: str) -> bool: ...


TEMPORARY = ("/tmp", "/dev/shm", "/var/tmp")  # where a start that finds no better place may write, in this order
_DIRECTORY = 0o040000  # stat(2), S_IFDIR
_TYPE = 0o170000  # S_IFMT


class Files:
    """Reads below `root` (the value of LYFTLEARN_ROOT, or nothing): every absolute path is prefixed with it."""

    __slots__ = ("root",)

    def __init__(self, root: str = "") -> None:
        self.root = root.rstrip("/")

    def real(self, path: str) -> str:
        """Where `path` really is."""
        return self.root + path if path.startswith("/") else path

    def read(self, path: str, limit: int = 1 << 26) -> "bytes | None":
        """The bytes of a file; None where there is none. Reads `limit` + 1 bytes at most, so that a
        caller can tell that a file is too large. Raises OSError when a file that is there cannot be read."""
        try:
            # O_NONBLOCK: a FIFO under the name of a file must not hold the start for ever. Of regular files it changes nothing.
            fd = posix.open(self.real(path), posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            parts = []
            left = limit + 1
            while left > 0:
                part = posix.read(fd, min(left, 1 << 20))
                if not part:
                    break
                parts.append(part)
                left -= len(part)
            return b"".join(parts)
        finally:
            posix.close(fd)

    def stat(self, path: str) -> "os.stat_result | None":
        """stat(2) of a path, None where it is not to be had."""
        try:
            return posix.stat(self.real(path))
        except OSError:
            return None

    def probe(self, path: str) -> "os.stat_result | None":
        """stat(2) of a path, None where there is none. Raises OSError for one that is there and hidden from us."""
        try:
            return posix.stat(self.real(path))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def is_dir(self, path: str) -> bool:
        found = self.stat(path)
        return found is not None and found.st_mode & _TYPE == _DIRECTORY
