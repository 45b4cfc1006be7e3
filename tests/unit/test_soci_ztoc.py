"""A zTOC: a file is unpacked from its spans alone, as a node does it, and the same layer gives the same bytes."""

import gzip
import hashlib
import io
import itertools
import struct
import tarfile
from pathlib import Path

import pytest

from lyftlearn_entrypoint.cli.soci import flat, ztoc
from lyftlearn_entrypoint.cli.soci.tape import Unsupported
from lyftlearn_entrypoint.errors import BadDocument
from tests.unit.soci_made import PLAIN, Reader, layer, layers

BLOBS = [blob for kind, blob in layers() if kind != PLAIN]
SPAN = 64 << 10


@pytest.mark.parametrize("number", range(len(BLOBS)))
def test_every_file_comes_out_of_its_spans(number: int, tmp_path: Path) -> None:
    blob = BLOBS[number]
    made = ztoc.build(layer(tmp_path, blob), SPAN)
    reader = Reader(made.content)
    data = gzip.decompress(blob)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        known = {member.name: archive.extractfile(member) for member in archive if member.isreg()}
    assert len(known) > 40
    several = 0
    for name, stream in known.items():
        assert stream is not None
        assert reader.read(name, blob) == stream.read()
        several += reader.files[name].size > 0
    assert several > 30
    assert (reader.version, reader.tool, reader.span) == ("0.9", ztoc.TOOL, SPAN)
    assert (reader.compressed, len(reader.digests), reader.count) == (len(blob), made.spans, made.spans)
    assert len(reader.files) == made.files
    # Up to the end of the archive; what pads it to tar's records is no part of it.
    assert len(data) - 10240 < reader.unpacked == made.unpacked <= len(data)


@pytest.mark.parametrize("number", range(len(BLOBS)))
def test_the_spans_are_the_whole_layer_but_for_its_header(number: int, tmp_path: Path) -> None:
    blob = BLOBS[number]
    reader = Reader(ztoc.build(layer(tmp_path, blob), SPAN).content)
    ranges = [reader.span_range(each) for each in range(reader.count)]
    assert ranges[0][0] == 10
    assert ranges[-1][1] == len(blob)
    # Two that meet within a byte both have it.
    assert all(former[1] - later[0] in (0, 1) for former, later in itertools.pairwise(ranges))
    assert reader.digests == ["sha256:" + hashlib.sha256(blob[start:end]).hexdigest() for start, end in ranges]


@pytest.mark.parametrize("size, spans", [(SPAN, 1), (2 * SPAN, 2), (2 * SPAN + 1024, 3)])
def test_spans_of_a_layer_that_is_not_compressed(size: int, spans: int, tmp_path: Path) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo("a")
        member.size = size - 512 - 1024
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    blob = made.getvalue()[:size]
    assert len(blob) == size
    found = ztoc.build(layer(tmp_path, blob, flat.UNCOMPRESSED), SPAN)
    assert (found.spans, found.unpacked) == (spans, size)
    assert Reader(found.content).digests[-1] == "sha256:" + hashlib.sha256(blob[(spans - 1) * SPAN :]).hexdigest()


def test_the_same_layer_gives_the_same_bytes_and_other_choices_other_ones(tmp_path: Path) -> None:
    made = layer(tmp_path, BLOBS[0])
    first = ztoc.build(made, SPAN).content
    assert ztoc.build(made, SPAN).content == first
    assert ztoc.build(made, 2 * SPAN).content != first
    assert Reader(ztoc.build(made, SPAN, "another").content).tool == "another"


def test_bytes_are_told_while_they_are_read(tmp_path: Path) -> None:
    told: list[int] = []
    ztoc.build(layer(tmp_path, BLOBS[0]), SPAN, tell=told.append)
    assert sum(told) == len(BLOBS[0])
    assert len(told) > 1


@pytest.mark.parametrize("change", [{"digest": "sha256:" + "0" * 64}, {"size": 17}])
def test_a_layer_that_is_another_than_its_manifest_says(change: "dict[str, object]", tmp_path: Path) -> None:
    import dataclasses

    with pytest.raises(BadDocument, match="not what its digest says"):
        ztoc.build(dataclasses.replace(layer(tmp_path, BLOBS[0]), **change), SPAN)  # type: ignore[arg-type]


def test_a_layer_that_soci_has_no_form_for(tmp_path: Path) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", pax_headers={"comment": "x"}) as archive:
        archive.addfile(tarfile.TarInfo("a"))
    with pytest.raises(Unsupported):
        ztoc.build(layer(tmp_path, gzip.compress(made.getvalue())), SPAN)


def test_checkpoints_have_the_form_of_gzip_zinfo() -> None:
    """The form by itself, not through what reads it: count, span, then 17 bytes and a window for each."""
    from lyftlearn_entrypoint.cli.soci.inflate import Checkpoint

    window = bytes(range(256)) * 128
    made = flat.checkpoints([Checkpoint(10, 0, 0, bytes(32768)), Checkpoint(1234, 99999, 5, window)], SPAN)
    assert made[:12] == struct.pack("<iq", 2, SPAN)
    assert made[12:29] == struct.pack("<qqB", 10, 0, 0)
    assert made[29 + 32768 :] == struct.pack("<qqB", 1234, 99999, 5) + window


def test_an_empty_tar_has_a_ztoc_too(tmp_path: Path) -> None:
    made = ztoc.build(layer(tmp_path, gzip.compress(bytes(10240), mtime=0)), SPAN)
    assert (made.files, made.spans, made.unpacked) == (0, 1, 1024)
