"""Files of a directory in one file, which says by a message authentication code that this team's own jobs wrote it.

    MARK, code (32 bytes), length of the index (8 bytes), index (JSON: [path, size, executable] of each file), the files' bytes

The code is HMAC-SHA-256 (RFC 2104) over all that follows it. Nothing is parsed before it is verified, and what is verified is a copy that
nobody else can write. Then the index is still not trusted with more than files below one new directory.
"""

import posix
from _operator import _compare_digest

from lyftlearn_entrypoint.documents import NotJson, dump, parse
from lyftlearn_entrypoint.fetch.large import sha256
from lyftlearn_entrypoint.warm.pool import BLOCK, BadEntry, open_directory, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    File = tuple[str, int, int, bool]  # path below the directory, bytes, time of the last change in nanoseconds, executable

MARK = b"lyftlearn-code-1\n"
HEAD = len(MARK) + 32
_HASH_BLOCK = 64  # bytes, SHA-256's block (FIPS 180-4)
_INDEX = 16 << 20  # bytes
_FILES = 50_000
_DEEP = 16
_FILE = posix.O_NOFOLLOW | posix.O_NONBLOCK | posix.O_NOCTTY | posix.O_CLOEXEC
_TYPE, _IS_FILE, _IS_DIRECTORY = 0o170000, 0o100000, 0o040000


class Mac:
    """HMAC-SHA-256 of what comes in parts."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        block = (key if len(key) <= _HASH_BLOCK else sha256(key).digest()).ljust(_HASH_BLOCK, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = bytes(byte ^ 0x5C for byte in block)

    def update(self, data: bytes) -> None:
        self._inner.update(data)

    def digest(self) -> bytes:
        return bytes(sha256(self._outer + self._inner.digest()).digest())


def derive(key: bytes, *words: str) -> bytes:
    """A key, or a name, for one use of `key`."""
    mac = Mac(key)
    mac.update("\0".join(words).encode())
    return mac.digest()


def walk(directory: int) -> "list[File]":
    """The files below an open directory, by path. Links, devices, and what is open to a race (lock and temporary files) are left out."""
    found: list[File] = []
    _walk(directory, "", found, _DEEP)
    return sorted(found)


def _walk(directory: int, prefix: str, found: "list[File]", depth: int) -> None:
    with posix.scandir(directory) as entries:
        names = [entry.name for entry in entries]
    for name in names:
        if len(found) == _FILES:
            return
        try:
            name.encode()
            seen = posix.stat(name, dir_fd=directory, follow_symlinks=False)
            kind = seen.st_mode & _TYPE
            if kind == _IS_DIRECTORY and depth:
                inner = open_directory(directory, name)
                try:
                    _walk(inner, prefix + name + "/", found, depth - 1)
                finally:
                    posix.close(inner)
            elif kind == _IS_FILE and not name.endswith((".lock", ".tmp")):
                found.append((prefix + name, seen.st_size, seen.st_mtime_ns, bool(seen.st_mode & 0o100)))
        except (OSError, UnicodeEncodeError):
            continue  # it went away meanwhile, or has a name that JSON cannot hold


def signature(files: "list[File]") -> "list[int]":
    """What tells two states of a directory apart: number of files, bytes, the last change in nanoseconds."""
    return [len(files), sum(file[1] for file in files), max((file[2] for file in files), default=0)]


def pack(directory: int, files: "list[File]", target: int, key: bytes) -> None:
    """Write these files of an open directory to `target`. Raises OSError; also where one has changed since it was seen."""
    index = dump([[path, size, executable] for path, size, _, executable in files]).encode()
    mac = Mac(key)
    write_all(target, MARK + bytes(32))
    _put(target, mac, len(index).to_bytes(8, "big") + index)
    for path, size, _, _ in files:
        file = _open(directory, path)
        try:
            left = size
            while left:
                data = posix.read(file, min(BLOCK, left))
                if not data:
                    raise OSError(5, "it became shorter")
                _put(target, mac, data)
                left -= len(data)
            if posix.fstat(file).st_size != size:
                raise OSError(5, "it became longer")
        finally:
            posix.close(file)
    posix.pwrite(target, mac.digest(), len(MARK))


def packed_size(files: "list[File]") -> int:
    """About how many bytes `pack` writes."""
    return HEAD + sum(size + len(path) + 32 for path, size, _, _ in files)


def _put(target: int, mac: Mac, data: bytes) -> None:
    mac.update(data)
    write_all(target, data)


def _open(directory: int, path: str) -> int:
    """A regular file below an open directory. Raises OSError."""
    *parents, name = path.split("/")
    place = posix.dup(directory)
    try:
        for parent in parents:
            inner = open_directory(place, parent)
            posix.close(place)
            place = inner
        file = posix.open(name, posix.O_RDONLY | _FILE, dir_fd=place)
    finally:
        posix.close(place)
    if posix.fstat(file).st_mode & _TYPE != _IS_FILE:
        posix.close(file)
        raise OSError(22, "it is no file")
    return file


def verify(entry: int, size: int, private: int, key: bytes) -> None:
    """Copy what follows the code of a pack into `private`, an open file of our own. Raises BadEntry where the code is not this key's."""
    head = posix.read(entry, HEAD)
    if len(head) != HEAD or not head.startswith(MARK):
        raise BadEntry("it is no pack of ours")
    mac = Mac(key)
    left = size - HEAD
    while left > 0:
        data = posix.read(entry, min(BLOCK, left))
        if not data:
            raise BadEntry("it became shorter while it was read")
        _put(private, mac, data)
        left -= len(data)
    if not _compare_digest(mac.digest(), head[len(MARK) :]):
        raise BadEntry("it was written with another key, for another image, or by nobody of this team")


def unpack(private: int, directory: int) -> int:
    """Write the files of a verified pack below an open, empty directory; how many. Raises BadEntry and OSError."""
    size = posix.fstat(private).st_size
    posix.lseek(private, 0, 0)
    length = int.from_bytes(posix.read(private, 8), "big")
    if length > min(_INDEX, size):
        raise BadEntry("its index is too long")
    at = 8 + length
    files = _index(_read(private, length))
    if at + sum(size for _, size, _ in files) != size:
        raise BadEntry("its files are not as long as its index says")
    for path, size, executable in files:
        file = _create(directory, path, 0o700 if executable else 0o600)
        try:
            while size:
                data = _read(private, min(BLOCK, size))
                write_all(file, data)
                size -= len(data)
        finally:
            posix.close(file)
    return len(files)


def _read(file: int, size: int) -> bytes:
    data = posix.read(file, size)
    if len(data) != size:
        raise BadEntry("it ends too early")
    return data


def _index(data: bytes) -> "list[tuple[str, int, bool]]":
    try:
        rows = parse(data)
    except NotJson:
        raise BadEntry("its index is no JSON") from None
    if not isinstance(rows, list) or len(rows) > _FILES:
        raise BadEntry("its index is no list of files")
    files: list[tuple[str, int, bool]] = []
    for row in rows:
        if not isinstance(row, list) or [type(item) for item in row] != [str, int, bool] or row[1] < 0 or not inside(row[0]):
            raise BadEntry("its index names what is no file below a directory")
        files.append((row[0], row[1], row[2]))
    return files


def inside(path: str) -> bool:
    """Whether a path stays below the directory that it is looked up in."""
    parts = path.split("/")
    return len(parts) <= _DEEP + 1 and all(part not in ("", ".", "..") and "\0" not in part and len(part) < 256 for part in parts)


def _create(directory: int, path: str, mode: int) -> int:
    *parents, name = path.split("/")
    place = posix.dup(directory)
    try:
        for parent in parents:
            try:
                posix.mkdir(parent, 0o700, dir_fd=place)
            except FileExistsError:
                pass
            inner = open_directory(place, parent)
            posix.close(place)
            place = inner
        return posix.open(name, posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | _FILE, mode, dir_fd=place)
    except FileExistsError:
        raise BadEntry("its index names a file twice") from None
    finally:
        posix.close(place)
