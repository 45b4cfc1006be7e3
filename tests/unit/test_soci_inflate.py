"""Checkpoints of a gzip stream: where they may lie, that reading can start at each, and streams that are none."""

import gzip
import io
import itertools
import tarfile
from collections.abc import Callable

import pytest

from lyftlearn_entrypoint.cli.soci.inflate import WINDOW, Inflate
from lyftlearn_entrypoint.errors import BadDocument
from tests.unit.soci_made import content, flushed, members, restart, tar

DATA = tar(tarfile.PAX_FORMAT, files=60) + content(5, 300_000)
PACKERS: "list[Callable[[], bytes]]" = [
    lambda: gzip.compress(DATA, 1, mtime=0),
    lambda: gzip.compress(DATA, 9, mtime=0),
    lambda: gzip.compress(DATA, 0, mtime=0),
    lambda: flushed(DATA, 10_000),
]


def unpacked(blob: bytes, span: int, size: int = 1 << 18) -> tuple[bytes, Inflate]:
    made = Inflate(io.BytesIO(blob), span, size)
    return b"".join(made.pieces()), made


@pytest.mark.parametrize("pack", PACKERS)
@pytest.mark.parametrize("span", [1, 40_000, 200_000, 10_000_000])
def test_each_checkpoint_is_a_place_to_start_from(pack: Callable[[], bytes], span: int) -> None:
    blob = pack()
    data, made = unpacked(blob, span)
    assert data == DATA
    assert made.unpacked == len(DATA)
    places = [each.unpacked for each in made.checkpoints]
    assert places[0] == 0
    assert all(later - former > span for former, later in itertools.pairwise(places) if former)
    for each in made.checkpoints:
        assert each.window == (bytes(WINDOW) + DATA[: each.unpacked])[-WINDOW:]
        size = min(50_000, len(DATA) - each.unpacked)
        assert restart(blob[each.start :], each.bits, each.window, size) == DATA[each.unpacked : each.unpacked + size]


@pytest.mark.parametrize("span", [1, 40_000, 200_000])
def test_the_size_of_the_pieces_changes_no_checkpoint(span: int) -> None:
    for pack in PACKERS:
        blob = pack()
        first = unpacked(blob, span)[1].checkpoints
        for size in (1, 999, WINDOW) if len(blob) < 100_000 else (999, WINDOW):
            data, made = unpacked(blob, span, size)
            assert data == DATA
            assert made.checkpoints == first


def test_several_gzip_files_are_one_stream() -> None:
    data, made = unpacked(members(DATA, 123_456), 50_000)
    assert data == DATA
    assert len(made.checkpoints) > len(DATA) / 123_456
    assert made.checkpoints[-1].window == (bytes(WINDOW) + DATA[: made.checkpoints[-1].unpacked])[-WINDOW:]


def test_a_small_file_has_one_checkpoint_behind_its_header() -> None:
    _, made = unpacked(gzip.compress(b"abc", mtime=0), 1)
    assert [(each.compressed, each.unpacked, each.bits) for each in made.checkpoints] == [(10, 0, 0)]


@pytest.mark.parametrize(
    "blob",
    [b"", b"\x1f\x8b", b"plain text, no gzip at all", gzip.compress(DATA)[:-1], gzip.compress(DATA)[:5000], gzip.compress(DATA) + b"junk"],
)
def test_what_is_no_whole_gzip_file_is_refused(blob: bytes) -> None:
    with pytest.raises(BadDocument, match="gzip"):
        unpacked(blob, 1000)


def test_a_flipped_byte_is_found() -> None:
    blob = bytearray(gzip.compress(DATA, mtime=0))
    blob[len(blob) // 2] ^= 0xFF
    with pytest.raises(BadDocument, match="damaged"):
        unpacked(bytes(blob), 1000)
