"""A zTOC's parts as FlatBuffers, field by field in the order in which AWS's tool writes them, so that the bytes are the same.

Source: awslabs/soci-snapshotter 0.16.1, ztoc/fbs/ztoc.fbs, ztoc/compression/fbs/zinfo.fbs, ztoc/ztoc_marshaler.go,
ztoc/compression/tar_zinfo.go.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from lyftlearn_entrypoint.errors import BadSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lyftlearn_entrypoint.cli.soci.inflate import Checkpoint
    from lyftlearn_entrypoint.cli.soci.tape import Entry

VERSION = b"0.9"
GZIP, UNCOMPRESSED = 1, 2  # enum CompressionAlgorithm; Gzip is the default, and not written
_TAR_VERSION = 2


def builder(size: int = 0) -> Any:
    """A builder of FlatBuffers with that much room to begin with. Raises BadSettings (78) without the library."""
    try:
        import flatbuffers
    except ModuleNotFoundError:
        raise BadSettings("FlatBuffers' library is missing", "pip install flatbuffers") from None
    return flatbuffers.Builder(size)


def checkpoints(found: Sequence[Checkpoint], span: int) -> bytes:
    """A gzip layer's checkpoints: how many, the span, and each one's places, bits and window. Source: gzip_zinfo.c, zinfo_to_blob."""
    parts = [struct.pack("<iq", len(found), span)]
    for each in found:
        parts += [struct.pack("<qqB", each.compressed, each.unpacked, each.bits), each.window]
    return b"".join(parts)


def tar_spans(size: int, span: int) -> bytes:
    """What stands in for checkpoints where a layer is not compressed: any place of it can be read."""
    made = builder()
    made.StartObject(3)
    made.PrependInt32Slot(0, _TAR_VERSION, 0)
    made.PrependInt64Slot(1, span, 0)
    made.PrependInt64Slot(2, size, 0)
    made.Finish(made.EndObject())
    return bytes(made.Output())


def ztoc(
    *, tool: str, compressed: int, unpacked: int, entries: Sequence[Entry], digests: Sequence[str], places: bytes, algorithm: int
) -> bytes:
    """A whole zTOC. `compressed` and `unpacked` are the layer's sizes in bytes, `digests` those of its spans, `places` its checkpoints."""
    made = builder(len(places) + 512 * len(entries) + 100 * len(digests) + 1024)
    version, build_tool = made.CreateString(VERSION), made.CreateString(tool)
    # From the last to the first, since a buffer grows towards its front.
    files = [_file(made, entry) for entry in reversed(entries)]
    vector = _vector(made, files)
    made.StartObject(1)
    made.PrependUOffsetTRelativeSlot(0, vector, 0)
    contents = made.EndObject()
    info = _info(made, digests, places, algorithm)
    made.StartObject(6)
    made.PrependUOffsetTRelativeSlot(0, version, 0)
    made.PrependUOffsetTRelativeSlot(1, build_tool, 0)
    made.PrependUOffsetTRelativeSlot(4, contents, 0)
    made.PrependInt64Slot(2, compressed, 0)
    made.PrependInt64Slot(3, unpacked, 0)
    made.PrependUOffsetTRelativeSlot(5, info, 0)
    made.Finish(made.EndObject())
    return bytes(made.Output())


def _vector(made: Any, offsets: Sequence[int]) -> Any:
    """A vector of what stands at these offsets, the last element first."""
    made.StartVector(4, len(offsets), 4)
    for offset in offsets:
        made.PrependUOffsetTRelative(offset)
    return made.EndVector()


def _info(made: Any, digests: Sequence[str], places: bytes, algorithm: int) -> Any:
    vector = made.CreateByteVector(places)
    offsets = [made.CreateString(digest) for digest in digests]
    strings = _vector(made, offsets[::-1])
    made.StartObject(4)
    made.PrependInt32Slot(1, len(digests) - 1, 0)
    made.PrependUOffsetTRelativeSlot(2, strings, 0)
    made.PrependUOffsetTRelativeSlot(3, vector, 0)
    made.PrependInt8Slot(0, algorithm, GZIP)
    return made.EndObject()


def _file(made: Any, entry: Entry) -> Any:
    name, kind, link = made.CreateString(entry.name), made.CreateString(entry.kind), made.CreateString(entry.link)
    user, group, time = made.CreateString(entry.user), made.CreateString(entry.group), made.CreateString(entry.time)
    records = []
    for key, value in entry.records:
        places = made.CreateString(key), made.CreateString(value)
        made.StartObject(2)
        made.PrependUOffsetTRelativeSlot(0, places[0], 0)
        made.PrependUOffsetTRelativeSlot(1, places[1], 0)
        records.append(made.EndObject())
    extended = _vector(made, records[::-1])
    made.StartObject(14)
    made.PrependUOffsetTRelativeSlot(0, name, 0)
    made.PrependUOffsetTRelativeSlot(1, kind, 0)
    made.PrependInt64Slot(2, entry.offset, 0)
    made.PrependInt64Slot(3, entry.size, 0)
    made.PrependUOffsetTRelativeSlot(4, link, 0)
    made.PrependInt64Slot(5, entry.mode, 0)
    made.PrependUint32Slot(6, entry.uid & 0xFFFFFFFF, 0)
    made.PrependUint32Slot(7, entry.gid & 0xFFFFFFFF, 0)
    made.PrependUOffsetTRelativeSlot(8, user, 0)
    made.PrependUOffsetTRelativeSlot(9, group, 0)
    made.PrependUOffsetTRelativeSlot(10, time, 0)
    made.PrependInt64Slot(11, entry.major, 0)
    made.PrependInt64Slot(12, entry.minor, 0)
    made.PrependUOffsetTRelativeSlot(13, extended, 0)
    return made.EndObject()
