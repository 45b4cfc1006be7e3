"""Locks on a volume's directories (flock(2)), so that starts that write one volume at the same time do not harm each other."""

import fcntl
import posix
import time


class Lock:
    """One writer at a time: notebook kernels that start together share a volume. Readers need no lock."""

    __slots__ = ("_directory", "_fd")

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def __enter__(self) -> bool:
        """Whether the lock is held."""
        self._fd = posix.open(self._directory, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
        for _ in range(50):  # 5 s: a writer that was stopped must not stop this start
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                time.sleep(0.1)
            except OSError:
                break  # a file system without locks: the worst is an old directory that stays
        return False

    def __exit__(self, *_: object) -> None:
        posix.close(self._fd)


def claim(base: str, wait: bool = False) -> "int | None":
    """Lock the directory of one write until `..data` points at it; None where a writer has it, or the file system has no locks.
    With `wait` a sweep that looks at it is waited for: that is short."""
    fd = None
    try:
        fd = posix.open(base, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        if fd is not None:
            posix.close(fd)
        return None
    return fd
