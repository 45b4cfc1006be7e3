"""A directory in the layout of a Kubernetes Secret or ConfigMap volume, written so that a reader sees all of it or nothing.

The layout is that of Kubernetes' AtomicWriter (pkg/volume/util/atomic_writer.go): a time-stamped directory holds the files,
`..data` points at it, and each name points at `..data/<name>`. No newline is added to a value.
"""

import posix
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.files import Files

MEMORY = "/dev/shm"
_DATA = "..data"


def random_hex(count: int = 5) -> str:
    return posix.urandom(count).hex()


def make_directories(path: str, mode: int = 0o755) -> None:
    """mkdir -p, whatever the umask. Raises OSError."""
    parts = path.split("/")
    for end in range(2 if path.startswith("/") else 1, len(parts) + 1):
        part = "/".join(parts[:end])
        if not part:
            continue
        try:
            posix.mkdir(part, mode)
        except FileExistsError:
            continue
        except OSError:
            # A directory above it that is there may still refuse mkdir (read-only, no permission): only the last one counts.
            if end == len(parts) or not _is_dir(part):
                raise
            continue
        posix.chmod(part, mode)
    if not _is_dir(path):
        raise NotADirectoryError(20, "Not a directory", path)


def write_file(path: str, data: bytes, mode: int, owner: "tuple[int, int] | None" = None) -> None:
    """Write a file that nobody else can read before it has its mode and owner. Raises OSError."""
    fd = posix.open(path, posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC | posix.O_NOFOLLOW, 0o600)
    try:
        left = memoryview(data)
        while left:
            left = left[posix.write(fd, left) :]
        if owner is not None:
            posix.chown(fd, owner[0], owner[1])
        posix.chmod(fd, mode)
    except BaseException:
        _remove(path)
        raise
    finally:
        posix.close(fd)


def replace_file(path: str, data: bytes, mode: int, owner: "tuple[int, int] | None" = None) -> None:
    """Write a file beside `path` and rename it over: whoever reads sees the old one or the new one. Raises OSError."""
    new = path + "." + random_hex()
    write_file(new, data, mode, owner)
    try:
        posix.rename(new, path)
    except BaseException:
        _remove(new)
        raise


def write_volume(
    directory: str, contents: "dict[str, bytes]", mode: int, owner: "tuple[int, int] | None", files: "Files", memory: bool
) -> str:
    """Write a volume at `directory` (a real path) and return where its bytes lie: on tmpfs where `memory` asks for it and
    there is one. A volume that is there is replaced, names that it no longer has are taken away. Raises OSError."""
    from lyftlearn_entrypoint.lock import Lock

    place = directory
    if memory and (not on_tmpfs(directory) or _link(directory)):  # in this order: a start beside this one may make the link meanwhile
        place = _memory_place(directory, files) or directory
    fresh = place != directory and not _is_dir(place)
    try:
        make_directories(place)
        with Lock(place) as alone:
            data = _write(place, contents, mode, owner)
            if alone:
                _sweep(place, data)
        if place == directory or _point(directory, place):
            return place
    except BaseException:
        if fresh:
            _remove_volume(place)  # or the secrets would stay where nobody looks for them
        raise
    _remove_volume(place)
    return write_volume(directory, contents, mode, owner, files, memory)  # where the other start's link points


def _write(place: str, contents: "dict[str, bytes]", mode: int, owner: "tuple[int, int] | None") -> str:
    """Write the files and turn `..data` to them; the name of their directory."""
    from lyftlearn_entrypoint.lock import claim

    for name in contents:
        if not _link(place + "/" + name) and _is_dir(place + "/" + name):
            raise IsADirectoryError(21, "Is a directory, and a file of that name is to be written", place + "/" + name)
    busy, base = None, ""
    while not _is_dir(base):  # a start beside this one may sweep it away before it is claimed
        if busy is not None:
            posix.close(busy)
        data = time.strftime("..%Y_%m_%d_%H_%M_%S.", time.gmtime()) + random_hex()
        base = place + "/" + data
        posix.mkdir(base, 0o700)
        busy = claim(base, wait=True)
    try:
        for name, content in contents.items():
            write_file(base + "/" + name, content, mode, owner)
        posix.chmod(base, 0o755)
        if owner is not None:  # a start inside the program, a notebook kernel say, writes it again as that user
            posix.chown(base, owner[0], owner[1])
            posix.chown(place, owner[0], owner[1])
        _turn(place, _DATA, data)
    except BaseException:
        _remove_tree(base)
        raise
    finally:
        if busy is not None:
            posix.close(busy)
    for name in contents:
        if _link(place + "/" + name) != _DATA + "/" + name:
            _turn(place, name, _DATA + "/" + name)  # over a file of the image too: a mount would have hidden it
    for entry in posix.listdir(place):
        if entry not in contents and _link(place + "/" + entry) == _DATA + "/" + entry:
            _remove(place + "/" + entry)
    return data


def _turn(place: str, name: str, target: str) -> None:
    """Make `name` a link to `target`, at once."""
    while True:
        new = place + "/..new_" + random_hex()
        posix.symlink(target, new)
        try:
            posix.rename(new, place + "/" + name)
            return
        except FileNotFoundError:
            continue  # a start beside this one swept it away


def _sweep(place: str, data: str) -> None:
    """Take away what older writes left, those that crashed included; names that start with `..` are the volume's own. The lock
    keeps other writers out, but for one that no longer waited for it: what it writes, and what it turned `..data` to, stays."""
    from lyftlearn_entrypoint.lock import claim

    for entry in posix.listdir(place):
        if not entry.startswith(("..2", "..new_", "..data_tmp")) or entry in (data, _link(place + "/" + _DATA)):
            continue
        if _link(place + "/" + entry):
            _remove(place + "/" + entry)
        elif (idle := claim(place + "/" + entry)) is not None:
            _remove_tree(place + "/" + entry)
            posix.close(idle)


def on_tmpfs(path: str, mounts: str = "/proc/self/mounts") -> bool:
    """True when `path`, or the nearest directory above it that exists, lies on a tmpfs."""
    while path and path != "/" and not _is_dir(path):
        path = path.rpartition("/")[0]
    path = _real(path)
    best, kind = "", ""
    for point, its_kind in _mounts(mounts):
        inside = point == "/" or path == point or path.startswith(point + "/")
        if inside and len(point) >= len(best):
            best, kind = point, its_kind
    return kind in ("tmpfs", "ramfs")


def _mounts(file: str) -> "list[tuple[str, str]]":
    """(mount point, file system type), the last mounted last. Empty where /proc is not to be had."""
    try:
        fd = posix.open(file, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return []
    text = b""
    try:
        while part := posix.read(fd, 1 << 16):
            text += part
    finally:
        posix.close(fd)
    found = []
    for line in text.decode("utf-8", "surrogateescape").splitlines():
        fields = line.split(" ")
        if len(fields) > 2:
            found.append((fields[1].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\"), fields[2]))
    return found


def _memory_place(directory: str, files: "Files") -> str:
    """A directory on tmpfs for this volume, or '' where none can be had. One that an earlier start made is used again."""
    memory = files.real(MEMORY)
    ours = memory + "/lyftlearn-"
    old = _link(directory)
    if old.startswith(ours):
        return old
    if not on_tmpfs(memory) or not _is_dir(memory) or not posix.access(memory, posix.W_OK | posix.X_OK):
        return ""
    try:
        if old or posix.listdir(directory) or _is_mount_point(directory):
            # Somebody else's link, something in it, or a mount point: write in place. Unless a start beside this one just made it a link.
            now = _link(directory)
            return now if now.startswith(ours) else ""
    except FileNotFoundError:
        pass
    except OSError:
        return ""
    return ours + random_hex(8)


def _point(directory: str, place: str) -> bool:
    """Make `directory` a link to `place`; False when a start beside this one made it a link to a place of its own first."""
    if _link(directory) == place:
        return True
    make_directories(directory.rpartition("/")[0] or "/")
    try:
        posix.rmdir(directory)  # empty: _memory_place looked
    except OSError:
        pass  # it was not there, or the next call says what is
    try:
        posix.symlink(place, directory)
    except FileExistsError:
        if not _link(directory):
            raise
        return False
    return True


def _is_dir(path: str) -> bool:
    try:
        return posix.stat(path).st_mode & 0o170000 == 0o040000
    except OSError:
        return False


def _is_mount_point(path: str) -> bool:
    """By the kernel's list: a bind mount of the same file system has its parent's device number."""
    wanted = _real(path)
    return any(point == wanted for point, _ in _mounts("/proc/self/mounts"))


def _real(path: str) -> str:
    """The path of a directory without any link in it, as the kernel itself says it."""
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
    except OSError:
        return path
    try:
        return _link("/proc/self/fd/" + str(fd)) or path
    finally:
        posix.close(fd)


def _link(path: str) -> str:
    try:
        return posix.readlink(path)
    except OSError:
        return ""


def _remove(path: str) -> None:
    try:
        posix.unlink(path)
    except OSError:
        pass


def _remove_volume(place: str) -> None:
    """Remove a volume that was begun and cannot be finished."""
    try:
        for entry in posix.listdir(place):
            if _link(place + "/" + entry):
                _remove(place + "/" + entry)
            else:
                _remove_tree(place + "/" + entry)
        posix.rmdir(place)
    except OSError:
        pass


def _remove_tree(path: str) -> None:
    """Remove a flat directory of ours."""
    try:
        for name in posix.listdir(path):
            _remove(path + "/" + name)
        posix.rmdir(path)
    except OSError:
        pass
