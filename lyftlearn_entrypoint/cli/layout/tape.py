"""Writes a layer's tar again with its entries in another order. Each entry's blocks, headers included, are copied as they are."""

from __future__ import annotations

import os
import posixpath
import tarfile
from typing import IO, TYPE_CHECKING

from lyftlearn_entrypoint.cli.image.layers import Unreadable
from lyftlearn_entrypoint.cli.layout.order import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CHUNK = 1 << 20


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


def written(tar: IO[bytes], order: Sequence[Entry]) -> Iterator[bytes]:
    """The tar with its entries in that order, in pieces. All entries have to be in it, each once."""
    for entry in order:
        tar.seek(entry.start)
        yield from _piece(tar, entry.size)
    tar.seek(max((entry.start + entry.size for entry in order), default=0))
    while chunk := tar.read(_CHUNK):
        yield chunk


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
