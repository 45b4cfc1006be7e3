"""Writes a layer's tar again with its entries in another order. Each entry's blocks, headers included, are copied as they are.

But for one thing, on request: what takes away from lower layers has the time of the build, as no step can set it. It gets another.
"""

from __future__ import annotations

import os
import posixpath
import tarfile
from typing import IO, TYPE_CHECKING

from lyftlearn_entrypoint.cli.image.layers import Unreadable, deleted
from lyftlearn_entrypoint.cli.layout.order import Entry

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

_CHUNK = 1 << 20
_BLOCK = 512
_LATEST = 8**11 - 1  # seconds that a header has digits for


def entries(tar: IO[bytes]) -> list[Entry]:
    """The entries of a tar that can be read anywhere, in its order; none where they depend on what stands before them.

    Raises layers.Unreadable for what is no whole tar.
    """
    tar.seek(0)
    try:
        with tarfile.open(fileobj=tar, mode="r:") as archive:
            members = archive.getmembers()
            end = archive.offset
            if archive.pax_headers:  # global ones, which hold for all that follows
                return []
    except tarfile.TarError as error:
        raise Unreadable(f"a layer is no whole tar ({type(error).__name__}: {error})") from error
    if end > tar.seek(0, os.SEEK_END):
        raise Unreadable("a layer is no whole tar: it ends within a file")
    # A member begins with its own extended headers, as tarfile counts.
    starts = [member.offset for member in members] + [end]
    return [
        Entry(_path(member.name), _kind(member), _path(member.linkname) if member.islnk() else "", start, after - start)
        for member, start, after in zip(members, starts, starts[1:], strict=False)
    ]


def written(tar: IO[bytes], order: Sequence[Entry], young: Container[Entry] = (), epoch: int = 0) -> Iterator[bytes]:
    """The tar with its entries in that order, in pieces. All entries have to be in it, each once. Those of `young` get the time `epoch`."""
    for entry in order:
        tar.seek(entry.start)
        yield from [_stamped(tar.read(_BLOCK), epoch)] if entry in young else _piece(tar, entry.size)
    tar.seek(max((entry.start + entry.size for entry in order), default=0))
    while chunk := tar.read(_CHUNK):
        yield chunk


def younger(tar: IO[bytes], entries: Sequence[Entry], epoch: int) -> set[Entry]:
    """What takes away from lower layers, and is younger than `epoch` (seconds). One header has to be all that there is of it."""
    found = set()
    for entry in entries:
        if entry.size == _BLOCK and deleted(entry.path.lstrip("/")) and epoch <= _LATEST:
            tar.seek(entry.start)
            if tarfile.TarInfo.frombuf(tar.read(_BLOCK), "utf-8", "surrogateescape").mtime > epoch:
                found.add(entry)
    return found


def _stamped(header: bytes, epoch: int) -> bytes:
    """A header of a tar with another time. Source: POSIX, pax, "ustar Interchange Format": octal digits, and the sum of all bytes."""
    made = bytearray(header)
    made[136:148] = b"%011o\0" % epoch
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made)
    return bytes(made)


def _piece(tar: IO[bytes], size: int) -> Iterator[bytes]:
    while size and (chunk := tar.read(min(size, _CHUNK))):
        size -= len(chunk)
        yield chunk


def _kind(member: tarfile.TarInfo) -> str:
    if member.islnk():
        return "link"
    return "directory" if member.isdir() else "file" if member.isreg() else "other"


def _path(name: str) -> str:
    plain = posixpath.normpath(name).lstrip("/")
    return "/" if plain == "." else "/" + plain
