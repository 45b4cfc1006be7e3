"""Files of configuration: mode, owner, and a keyed hash of what is in them. Not their sizes: a short secret's is half of it."""

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lyftlearn_entrypoint.snapshot.collect import Around

# Where platforms and the entrypoint leave configuration; the order adds what settings name.
TREES = ("/etc/lyftlearn", "/opt/ml/input/config", "/opt/ml/config", "/opt/ml/metadata", "/etc/podinfo")
HYPERPARAMETERS, CREDENTIALS, SPARK = "hyperparameters", "credentials", "spark"  # names of trees, wherever they lie
_MOST = 2000  # files
_LARGEST, _ALL = 4 << 20, 64 << 20  # bytes of a file, and of all that is read
_SECRET = 4096  # bytes of a file whose content may be a secret by itself
_LONG = 12  # characters from which any such content is looked for elsewhere in the document


def files(around: "Around") -> "dict[str, Any]":
    """By path, below the tree's name. A Kubernetes volume's inner directories (`..data`) are its layout alone, with a new name at every
    update."""
    found: dict[str, Any] = {}
    left = [_ALL]
    trees = {path: path for path in TREES} | around.order["trees"]
    for name, top in trees.items():
        top = top.rstrip("/")
        pending = [top]
        while pending:
            path = pending.pop()
            shown = name + path[len(top) :]
            if len(found) >= _MOST or around.late():
                around.lacks(f"files: the first {len(found)}")
                return found
            try:
                mode = os.stat(path)  # through links, as a program reads
            except OSError:
                if path != top:
                    found[shown] = {"kind": "dangling"}
                continue
            entry: dict[str, Any] = {"mode": f"{mode.st_mode & 0o7777:04o}", "uid": mode.st_uid, "gid": mode.st_gid}
            if stat.S_ISDIR(mode.st_mode):
                entry["kind"] = "directory"
                pending += _below(path, entry)
            elif stat.S_ISREG(mode.st_mode):
                entry["kind"] = "file"
                entry["readable"] = os.access(path, os.R_OK)
                closed = not mode.st_mode & stat.S_IROTH or name == CREDENTIALS
                entry["content"] = _content(around, shown, path, mode.st_size, left, _LONG if not closed else 1)
            else:
                entry["kind"] = "other"
            if path == top and name != top:
                entry["at"] = top
            found[shown] = entry
    return found


def _below(path: str, entry: "dict[str, Any]") -> "list[str]":
    try:
        names = sorted(os.listdir(path), reverse=True)
    except OSError:
        entry["kind"] = "closed directory"
        return []
    if "..data" in names:
        entry["kind"] = "volume"
    # A link to a directory is not followed: it may lead round in a circle.
    places = [os.path.join(path, name) for name in names if not name.startswith("..")]
    return [place for place in places if not (os.path.islink(place) and os.path.isdir(place))]


def _content(around: "Around", shown: str, path: str, size: int, left: "list[int]", least: int) -> "str | None":
    """The hash; None where it cannot be read. A content of at least `least` bytes may stand nowhere else in the document."""
    if size > _LARGEST or size > left[0]:
        around.lacks("files: too large to be hashed: " + path)
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        with open(descriptor, "rb") as file:
            data = file.read(_LARGEST)
    except OSError:
        return None
    left[0] -= len(data)
    if least <= len(data) <= _SECRET:
        around.mask.hide([data.decode("utf-8", "surrogateescape").strip()])
    return around.mask.of("file", shown, data)
