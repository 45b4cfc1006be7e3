"""The zTOC of one layer: which file lies where in it, and from which places it can be unpacked.

A span is what a lazy pull fetches at once. It begins at a checkpoint and ends at the next, and its sha256 is in the zTOC: a node checks
each span that it fetches. Source: awslabs/soci-snapshotter 0.16.1, ztoc/ztoc_builder.go, zinfo_builder.go.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from lyftlearn_entrypoint.cli.footprint.spans import SPAN
from lyftlearn_entrypoint.cli.soci import flat
from lyftlearn_entrypoint.cli.soci.inflate import Inflate
from lyftlearn_entrypoint.cli.soci.tape import Tape, entries
from lyftlearn_entrypoint.errors import BadDocument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lyftlearn_entrypoint.cli.soci.tape import Entry

# What AWS's tool calls itself. It is in the bytes of a zTOC, and the same layer is to have the same zTOC whoever made it.
TOOL = "AWS SOCI CLI v0.2"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Layer:
    """A layer as a registry keeps it, in a file. `algorithm` is flat's; `digest` and `size` are what the manifest says."""

    file: Path
    digest: str
    size: int
    algorithm: int


@dataclass(frozen=True)
class Ztoc:
    """A zTOC: its bytes, how many entries and spans it has, and the layer's size in bytes, unpacked."""

    content: bytes
    files: int
    spans: int
    unpacked: int


def build(layer: Layer, span: int = SPAN, tool: str = TOOL, tell: Callable[[int], object] = lambda _: None) -> Ztoc:
    """The zTOC of a layer. `tell` gets the compressed bytes that were read since it was last called.

    Raises BadDocument (65) where the file is not the layer that the manifest names, or damaged; tape.Unsupported where SOCI has no form
    for it.
    """
    with layer.file.open("rb") as stream:
        counted = _Counted(stream, tell)
        if layer.algorithm == flat.GZIP:
            unpacking = Inflate(counted, span)
            found, unpacked = _entries(unpacking.pieces())
            starts = [each.start for each in unpacking.checkpoints]
            # A byte that two spans share counts for the first one up to its end.
            ends = [each.compressed for each in unpacking.checkpoints[1:]]
            places = flat.checkpoints(unpacking.checkpoints, span)
        else:
            found, unpacked = _entries(iter(lambda: counted.read(_CHUNK), b""))
            starts = list(range(0, layer.size, span))
            ends = starts[1:]
            places = flat.tar_spans(layer.size, span)
        if counted.digest() != layer.digest or counted.size != layer.size:
            raise BadDocument(f"the layer {layer.digest} is not what its digest says: {counted.digest()}, {counted.size} bytes")
        digests = [_digest(stream, start, end) for start, end in zip(starts, [*ends, layer.size], strict=True)]
    content = flat.ztoc(
        tool=tool,
        compressed=layer.size,
        unpacked=unpacked,
        entries=found,
        digests=digests,
        places=places,
        algorithm=layer.algorithm,
    )
    return Ztoc(content, len(found), len(digests), unpacked)


def _entries(pieces: Iterator[bytes]) -> tuple[list[Entry], int]:
    """What is in a tar, and its size up to the end of its archive; what is behind that is read too, for the checkpoints in it."""
    tape = Tape(pieces)
    found = list(entries(tape))
    size = tape.position
    for _ in pieces:
        pass
    return found, size


def _digest(stream: IO[bytes], start: int, end: int) -> str:
    made = hashlib.sha256()
    stream.seek(start)
    while start < end:
        data = stream.read(min(_CHUNK, end - start))
        if not data:
            raise BadDocument("the layer's file became shorter while it was read")
        made.update(data)
        start += len(data)
    return "sha256:" + made.hexdigest()


class _Counted:
    """A file that counts and hashes what is read of it."""

    def __init__(self, stream: IO[bytes], tell: Callable[[int], object]) -> None:
        self.size = 0
        self._stream = stream
        self._tell = tell
        self._hash = hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self.size += len(data)
        self._hash.update(data)
        self._tell(len(data))
        return data

    def digest(self) -> str:
        return "sha256:" + self._hash.hexdigest()
