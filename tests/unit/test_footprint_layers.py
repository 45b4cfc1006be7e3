"""Which file lies where: read from an archive as `docker save` gives it."""

import gzip
import random
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from lyftlearn_entrypoint.cli.footprint.exec import Program, program
from lyftlearn_entrypoint.cli.footprint.layers import Weighed, read
from lyftlearn_entrypoint.cli.footprint.spans import SPAN
from lyftlearn_entrypoint.cli.image.layers import Saved, Unreadable
from lyftlearn_entrypoint.cli.image.stored import Stored
from tests.unit.footprint_made import elf, image, layer, saved
from tests.unit.stored_engine import Engine


def test_a_file_is_found_by_its_place_in_the_layers_tar() -> None:
    content: dict[str, bytes | str | None] = {"a": b"first", "d": None, "d/" + "long" * 40: b"x" * 700, "d/b": b"second"}
    tar = layer(content)
    made = image(content)
    assert made.weights[0].size == len(tar)
    assert {path: tar[file.offset : file.offset + file.size] for path, file in made.files.items()} == {
        "/" + path: data for path, data in content.items() if data
    }


def test_the_topmost_layer_provides_a_file() -> None:
    made = image({"a": b"old", "b": b"kept"}, {"a": b"newer"}, {"c": b"c"})
    assert [(path, file.layer, file.size) for path, file in sorted(made.files.items())] == [("/a", 1, 5), ("/b", 0, 4), ("/c", 2, 1)]


def test_what_is_behind_the_archives_end_belongs_to_the_layer_too() -> None:
    assert read(Saved(saved({"a": b"x"}, behind=3 << 20))).weights[0].size == len(layer({"a": b"x"})) + (3 << 20)


@pytest.mark.parametrize(
    ("above", "left"),
    [
        ({"d/.wh.a": b""}, {"/d/b", "/e"}),
        ({".wh.d": b""}, {"/e"}),
        ({"d/.wh..wh..opq": b"", "d/c": b"new"}, {"/d/c", "/e"}),
        ({"d/c": b"new", "d/.wh..wh..opq": b""}, {"/d/c", "/e"}),
        ({"d/a": "-> b"}, {"/d/b", "/e"}),
        ({"d/a": None}, {"/d/b", "/e"}),
    ],
    ids=["file", "directory", "emptied", "emptied, said last", "now a link", "now a directory"],
)
def test_what_a_layer_takes_away(above: "dict[str, bytes | str | None]", left: "set[str]") -> None:
    assert set(image({"d": None, "d/a": b"a", "d/b": b"b", "e": b"e"}, above).files) == left


def test_a_hard_link_is_the_same_bytes() -> None:
    made = image({"a": b"data", "b": "= a"})
    assert made.files["/b"] == made.files["/a"]


def test_links_are_followed_as_the_kernel_does() -> None:
    made = image(
        {
            "usr/lib/x.so.1": b"x",
            "usr/lib/x.so": "-> x.so.1",
            "lib": "-> usr/lib",
            "srv/up": "-> ../lib/./x.so",
            "srv/all": "-> /srv",
            "loop": "-> loop",
        }
    )
    file = made.files["/usr/lib/x.so.1"]
    assert made.file("/lib/x.so") == file
    assert made.file("/srv/all/all/up") == file
    assert made.file("x.so", "/lib") == file
    assert made.file("/lib/../srv") is None
    assert made.resolve("/loop") == ""
    assert made.resolve("/lib/../srv") == "/usr/srv"  # .. is taken where the link leads
    assert made.file("/loop") is None
    assert made.file("/none") is None


def test_programs_and_lists_are_kept() -> None:
    made = image(
        {
            "bin/x": elf(9000, "/lib/ld.so", ((0, 5000), (6000, 1000))),
            "bin/s": b"#! /bin/x -I\nmore",
            "bin/e": b"#!\n",
            "bin/plain": b"data",
            "site/a-1.dist-info/RECORD": b"a.py,,\n",
            "var/lib/dpkg/info/tini.list": b"/.\n",
        }
    )
    assert made.files["/bin/x"].program == Program("/lib/ld.so", ((0, 5000), (6000, 7000)))
    assert made.files["/bin/s"].program == Program("/bin/x", script=True)
    assert made.files["/bin/e"].program is None
    assert made.files["/bin/plain"].program is None
    assert made.texts == {"/site/a-1.dist-info/RECORD": "a.py,,\n", "/var/lib/dpkg/info/tini.list": "/.\n"}


@pytest.mark.parametrize("head", [b"", b"\x7fELF\x01\x01" + bytes(60), b"\x7fELF\x02\x01", b"MZ" + bytes(100)])
def test_what_is_no_program_of_this_kind(head: bytes) -> None:
    assert program(head) is None


def test_a_broken_table_of_segments_ends_nothing() -> None:
    made = bytearray(elf(4096, segments=((0, 100),)))
    made[56:58] = b"\xff\xff"
    assert program(bytes(made)) is not None


def test_compressed_bytes_at_the_end_of_each_span() -> None:
    noise = random.Random(1).randbytes(6 << 20)
    content: dict[str, bytes | str | None] = {"noise": noise, "zeros": bytes(5 << 20)}
    tar = layer(content)
    (weight,) = image(content, compress=True).weights
    assert weight.size == len(tar)
    assert len(weight.marks) == weight.spans == 3
    assert weight.compressed == pytest.approx(len(gzip.compress(tar, 6)), rel=0.001)
    assert weight.marks[0] == pytest.approx(SPAN, rel=0.02)  # noise does not get smaller
    assert weight.marks[2] - weight.marks[1] < 50_000


@pytest.mark.parametrize(("size", "eager"), [(9 << 20, True), (11 << 20, False)])
@pytest.mark.parametrize("compress", [False, True])
def test_a_layer_is_small_by_its_compressed_size(size: int, eager: bool, compress: bool) -> None:
    noise = random.Random(1).randbytes(size)
    (one,) = image({"noise": noise, "zeros": bytes(20 << 20)}, compress=compress).weights
    assert one.eager is eager
    assert bool(one.marks) is compress


def test_a_layer_that_ends_with_a_span() -> None:
    for size in (SPAN, 2 * SPAN, 2 * SPAN - 1, 2 * SPAN + 1, 0):
        stream = Weighed(BytesIO(bytes(size)), compress=True)
        while stream.read(999_983):
            pass
        weight = stream.weight()
        assert (weight.size, len(weight.marks)) == (size, max(weight.spans, 1))
        assert weight.compressed == pytest.approx(len(gzip.compress(bytes(size), 6)), abs=20)


def test_an_archive_that_ends_early() -> None:
    whole = b"".join(saved({"a": b"x" * 5000}))
    with pytest.raises(Unreadable):
        read(Saved([whole[:3000]]))
    with tarfile.open(fileobj=BytesIO(whole)) as archive:
        assert archive.getnames()[-1] == "manifest.json"


@pytest.mark.parametrize("compress", [False, True])
def test_the_engines_own_directory_gives_the_same_and_what_was_compressed_is_remembered(tmp_path: Path, compress: bool) -> None:
    noise = random.Random(1).randbytes(11 << 20)
    layers = [layer({"d": None, "d/noise": noise}), layer({"zeros": bytes(20 << 20), "run": b"#!/bin/sh\n"}), layer({})]
    engine = Engine(tmp_path / "engine", layers)
    cache = tmp_path / "cache"
    expected = read(Saved(engine.save()), compress)
    assert not cache.exists()
    for _ in range(2):
        found = read(Stored(engine.root, engine.id), compress, cache)
        assert (found.files, found.links, found.texts, found.weights) == (expected.files, expected.links, expected.texts, expected.weights)
        assert len(list(cache.glob("*.json"))) == (len(layers) if compress else 0)


@pytest.mark.parametrize("damaged", ["", "[]", "[9]", "{}", "[1, 2, 3, 4, 5]", '["a"]', "null"])
def test_what_is_remembered_wrong_is_measured_again(tmp_path: Path, damaged: str) -> None:
    engine = Engine(tmp_path / "engine", [layer({"a": bytes(5 << 20)})])
    first = read(Stored(engine.root, engine.id), True, tmp_path / "cache").weights
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_text(damaged)
    assert read(Stored(engine.root, engine.id), True, tmp_path / "cache").weights == first
    assert read(Stored(engine.root, engine.id), True, tmp_path / "cache" / kept.name / "no directory").weights == first
