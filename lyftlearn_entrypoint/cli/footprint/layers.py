"""Which file of an image lies where: its layer, and its place in that layer's unpacked tar. One pass over the image.

A lazily pulled image is fetched by place in the tar, so that is what is kept of each file; of files that can be run also what the kernel
reads to run them, and of the lists of packages their text.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import posixpath
import re
import tarfile
import zlib
from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING, Any, Literal

from lyftlearn_entrypoint.cli.footprint import exec as footprint_exec
from lyftlearn_entrypoint.cli.footprint.spans import SMALLEST, SPAN, Weight
from lyftlearn_entrypoint.cli.image.layers import deleted
from lyftlearn_entrypoint.cli.image.size import LEVEL

if TYPE_CHECKING:
    from pathlib import Path

    from lyftlearn_entrypoint.cli.footprint.exec import Program
    from lyftlearn_entrypoint.cli.image.layers import Layer, Saved
    from lyftlearn_entrypoint.cli.image.stored import Stored

_LISTS = re.compile(r"\.dist-info/RECORD$|^var/lib/dpkg/info/[^/]+\.list$")
# A path may go through that many links. Source: path_resolution(7).
_LINKS = 40


@dataclass(frozen=True)
class File:
    """A regular file. `layer` is the number of its layer, `offset` and `size` are bytes in that layer's tar."""

    path: str
    layer: int
    offset: int
    size: int
    program: Program | None = None


@dataclass
class Image:
    """The file system that a container of the image sees. Paths are absolute; `links` are symbolic links, path to target.

    `texts` are the lists of packages: RECORD files and dpkg's lists of files.
    """

    layers: list[Layer]
    weights: list[Weight]
    config: dict[str, Any]
    files: dict[str, File] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    def resolve(self, path: str, directory: str = "/") -> str:
        """The path without symbolic links, as the kernel follows them; '' for more links than it follows."""
        left = [part for part in reversed(posixpath.join(directory, path).split("/")) if part]
        place, followed = "/", 0
        while left:
            part = left.pop()
            if part in (".", ".."):
                place = posixpath.dirname(place) if part == ".." else place
                continue
            place = posixpath.join(place, part)
            if (target := self.links.get(place)) is not None:
                followed += 1
                if followed > _LINKS:
                    return ""
                left += [each for each in reversed(target.split("/")) if each]
                place = "/" if target.startswith("/") else posixpath.dirname(place)
        return place

    def file(self, path: str, directory: str = "/") -> File | None:
        """The file of that path, links followed; None where the image has none."""
        return self.files.get(self.resolve(path, directory))


@dataclass
class _Entry:
    path: str
    kind: str  # file, link, same (a hard link), other, or gone
    target: str = ""
    offset: int = 0
    size: int = 0
    program: Program | None = None
    text: str = ""


class Weighed(io.RawIOBase):
    """A stream that counts its bytes and compresses them: all when told to, else until it is clear whether the layer is a small one."""

    def __init__(self, stream: IO[bytes], compress: bool) -> None:
        self._stream = stream
        self._all = compress
        self._gzip: Any = zlib.compressobj(LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        self._compressed = 0
        self._size = 0
        self._marks: list[int] = []  # compressed bytes after each span

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        # Up to the end of a span, so that its mark stands where it ends.
        data = self._stream.read(min(len(buffer), SPAN - self._size % SPAN))
        buffer[: len(data)] = data
        self._size += len(data)
        if self._gzip and data:
            self._compressed += len(self._gzip.compress(data))
            if self._size % SPAN == 0:
                self._marks.append(self._compressed)
            if self._compressed >= SMALLEST and not self._all:
                self._gzip = None
        return len(data)

    def told(self, size: int) -> Weight:
        """The same of a layer of that size, of which no more is read than has to be. The stream can be read from anywhere."""
        self._stream.seek(0)
        while self._gzip and self.read(1 << 20):
            pass
        return replace(self.weight(), size=size)

    def weight(self) -> Weight:
        """What the layer weighs, once it was read to its end."""
        if self._gzip is None:
            return Weight(self._size)
        end = self._compressed + len(self._gzip.flush())
        whole = self._marks if self._size % SPAN else self._marks[:-1]
        return Weight(self._size, (*whole, end) if self._all else (), end < SMALLEST)


def read(saved: Saved | Stored, compress: bool = False, cache: Path | None = None) -> Image:
    """An image of the engine. Compressing takes half a minute for each GB, once where there is a `cache`. Raises layers.Unreadable."""
    entries: dict[str, list[_Entry]] = {}
    weights: dict[str, Weight] = {}
    for key, stream in saved.blobs():
        known = _remembered(cache, key) if saved.seekable and compress else None
        weighed = Weighed(stream, compress)
        if known or (saved.seekable and not compress):
            entries[key] = _entries(stream, "r:")
            weights[key] = known or weighed.told(stream.seek(0, os.SEEK_END))
            continue
        buffered = io.BufferedReader(weighed, 1 << 20)
        entries[key] = _entries(buffered, "r|")
        while buffered.read(1 << 20):  # what is behind the archive's end belongs to the layer too
            pass
        weights[key] = weighed.weight()
        if saved.seekable and cache:
            _remember(cache, key, weights[key])
    image = Image(saved.layers, [weights[layer.key] for layer in saved.layers], saved.config)
    for layer in saved.layers:
        for entry in entries[layer.key]:
            _apply(image, layer.number, entry)
    return image


def _place(cache: Path, diff_id: str) -> Path:
    return cache / f"{diff_id.partition(':')[2]}-{LEVEL}-{SPAN}-{zlib.ZLIB_RUNTIME_VERSION}.json"


def _remembered(cache: Path | None, diff_id: str) -> Weight | None:
    """What a layer weighs, by its digest: measured before, with the same compression."""
    if cache is None:
        return None
    try:
        size, *marks = map(int, json.loads(_place(cache, diff_id).read_text()))
        weight = Weight(size, tuple(marks), marks[-1] < SMALLEST)
    except (OSError, ValueError, TypeError, IndexError):
        return None
    return weight if len(marks) == max(weight.spans, 1) and marks == sorted(marks) else None


def _remember(cache: Path, diff_id: str, weight: Weight) -> None:
    with contextlib.suppress(OSError):
        cache.mkdir(parents=True, exist_ok=True)
        _place(cache, diff_id).write_text(json.dumps([weight.size, *weight.marks]))


def _entries(stream: IO[bytes], mode: Literal["r|", "r:"]) -> list[_Entry]:
    found: list[_Entry] = []
    with tarfile.open(fileobj=stream, mode=mode, bufsize=1 << 20) as archive:
        for member in archive:
            name = posixpath.normpath(member.name).lstrip("/")
            path = "/" + name
            if gone := deleted(name):
                # What is deleted is of lower layers, wherever the entry stands in this one.
                found.insert(0, _Entry("/" + gone, "gone"))
            elif member.isreg():
                found.append(_Entry(path, "file", offset=member.offset_data, size=member.size))
                listed = _LISTS.search(name)
                if (listed or member.mode & 0o111) and (data := archive.extractfile(member)):
                    head = data.read(-1 if listed else footprint_exec.HEAD)
                    found[-1].text = head.decode(errors="replace") if listed else ""
                    found[-1].program = footprint_exec.program(head)
            elif member.issym():
                found.append(_Entry(path, "link", target=member.linkname))
            elif member.islnk():
                found.append(_Entry(path, "same", target="/" + posixpath.normpath(member.linkname).lstrip("/")))
            else:
                found.append(_Entry(path, "directory" if member.isdir() else "other"))
    return found


def _apply(image: Image, layer: int, entry: _Entry) -> None:
    """Lay one entry of a layer over the layers below. Source: OCI image specification, layer.md, "Applying Changesets"."""
    if entry.kind == "gone":
        below = entry.path.rstrip("/") + "/"
        for table in (image.files, image.links, image.texts):
            for path in [path for path in table if path.startswith(below) or path == entry.path]:
                del table[path]
        return
    if entry.kind == "directory":
        image.links.pop(entry.path, None)
        image.files.pop(entry.path, None)
        return
    for table in (image.files, image.links, image.texts):
        table.pop(entry.path, None)
    if entry.kind == "file":
        image.files[entry.path] = File(entry.path, layer, entry.offset, entry.size, entry.program)
        if entry.text:
            image.texts[entry.path] = entry.text
    elif entry.kind == "link":
        image.links[entry.path] = entry.target
    elif entry.kind == "same" and (same := image.files.get(entry.target)):
        image.files[entry.path] = same
