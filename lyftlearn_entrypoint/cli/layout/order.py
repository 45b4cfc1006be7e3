"""In which order the entries of a layer's tar are written. Pure.

First what takes away from lower layers, then the hot files in the order of their list, then compiled files beside these, which another
program's start may touch, then all else by name, as the engine writes it: the order does not depend on the one before. No entry stands
before the directory that it lies in, nor a hard link before its file: whoever unpacks the layer from front to end gets the same tree.
Source: OCI image specification, layer.md, "Whiteouts" and "Hardlinks".
"""

from __future__ import annotations

import posixpath
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lyftlearn_entrypoint.cli.image.layers import deleted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# What programs read of a package that they use. The source of a .pyc that is believed unchecked is not read.
_COMPILED = (".pyc", ".so")


@dataclass(frozen=True)
class Entry:
    """One entry of a layer's tar: absolute path, kind (file, directory, link for a hard link, other), a hard link's target ('' for others).

    `start` is where it begins in the tar, headers of its own included; `size`, in bytes, is up to where the next one begins.
    """

    path: str
    kind: str
    target: str
    start: int
    size: int


def ordered(entries: Sequence[Entry], hot: Iterable[str]) -> list[Entry]:
    """The same entries, hot files first. `hot` are absolute paths without symbolic links; those of other layers are passed over.

    Where a path is there twice, the order has a meaning of its own, and stays. Without a hot file there is nothing to win.
    """
    known = {entry.path: entry for entry in entries}
    first = [known[path] for path in hot if path in known]
    if len(known) < len(entries) or not first:
        return list(entries)
    by_name = named(entries)
    places = {posixpath.dirname(entry.path) for entry in first}
    made: dict[str, Entry] = {}

    def place(entry: Entry) -> None:
        if entry.path in made:
            return
        directory = known.get(posixpath.dirname(entry.path))
        if directory is not None and directory is not entry:
            place(directory)
        if entry.kind == "link" and entry.target in known and entry.target != entry.path:
            place(known[entry.target])
        made[entry.path] = entry

    for entry in by_name:
        if deleted(entry.path.lstrip("/")):
            place(entry)
    for entry in first:
        place(entry)
    for entry in by_name:
        if entry.kind == "file" and posixpath.dirname(entry.path) in places and _compiled(entry.path):
            place(entry)
    for entry in by_name:
        place(entry)
    return list(made.values())


def named(entries: Iterable[Entry]) -> list[Entry]:
    """The same entries as the engine writes them: by name, directory by directory."""
    return sorted(entries, key=lambda entry: entry.path.split("/"))


def _compiled(path: str) -> bool:
    name = posixpath.basename(path)
    return name.endswith(_COMPILED) or ".so." in name


def listed(uses: Mapping[str, Sequence[str]]) -> list[str]:
    """The hot list of starts, given what each touched in the order of first use.

    What more starts touch comes first; what the same starts touch lies together, in the order of first use. So a start that touches only
    some of it still reads few stretches.
    """
    by: dict[str, list[int]] = defaultdict(list)
    for number, paths in enumerate(uses.values()):
        for path in dict.fromkeys(paths):
            by[path].append(number)
    # Paths are in the order of first use already, and sorting keeps it.
    return sorted(by, key=lambda path: (-len(by[path]), by[path]))
