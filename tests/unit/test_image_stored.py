"""Layers read out of the engine's own directory, made here as the Engine keeps it: the tar is the same, from any place on."""

import gzip
import io
import json
import os
import random
from pathlib import Path

import pytest

from lyftlearn_entrypoint.cli.image import stored
from lyftlearn_entrypoint.cli.image.layers import Saved, Unreadable
from lyftlearn_entrypoint.cli.layout import tape
from tests.unit import saved_image
from tests.unit.stored_engine import Engine

BULK = random.Random(5).randbytes(3_000_000)


LAYERS = [
    saved_image.tar({"etc": None, "etc/empty": b"", "etc/bulk": BULK, "etc/b\udcfc\udce9": b"a name that is not UTF-8", "etc/to": "bulk"}),
    saved_image.tar({}),
    saved_image.tar({"top": b"t" * 700}),
    saved_image.tar({"etc": None, "etc/late": b"late"}),
]


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path, LAYERS)


def test_each_layer_is_the_same_tar(engine: Engine) -> None:
    found = stored.read(engine, engine)
    assert isinstance(found, stored.Stored)
    saved = Saved(engine.save())
    tars = {key: stream.read() for key, stream in saved.blobs()}
    assert [stream.read() for _, stream in found.blobs()] == [tars[layer.key] for layer in saved.layers] == LAYERS
    assert (found.raw_config, found.config) == (saved.raw_config, saved.config) == (engine.raw, json.loads(engine.raw))
    assert [(each.number, each.diff_id, each.name) for each in found.layers] == [
        (each.number, each.diff_id, each.name) for each in saved.layers
    ]


def test_a_layer_is_read_from_any_place(engine: Engine) -> None:
    (_, stream), *_ = stored.Stored(engine.root, engine.id).blobs()
    whole, pick = LAYERS[0], random.Random(3)
    for _ in range(300):
        at, size = pick.randrange(len(whole) + 10), pick.choice([0, 1, 511, 513, 70_000, 4_000_000])
        assert (stream.seek(at), stream.tell()) == (at, at)
        assert stream.read(size) == whole[at : at + size]
    assert stream.seek(-5, os.SEEK_END) == len(whole) - 5
    assert stream.seek(2, os.SEEK_CUR) == len(whole) - 3
    assert tape.entries(stream) == tape.entries(io.BytesIO(whole))
    stream.close()
    assert stream.closed


def test_an_image_that_holds_a_layer_twice_has_it_once(tmp_path: Path) -> None:
    engine = Engine(tmp_path, [LAYERS[2], LAYERS[3], LAYERS[2]])
    found = stored.Stored(tmp_path, engine.id)
    tars = {key: stream.read() for key, stream in found.blobs()}
    assert [tars[layer.key] for layer in found.layers] == [LAYERS[2], LAYERS[3], LAYERS[2]]
    assert len(tars) == 2


def spoil(engine: Engine, how: str) -> None:
    if how == "another driver":
        engine.driver = "vfs"
    elif how == "another image":
        (engine.root / "image/overlay2/imagedb/content/sha256" / engine.id[7:]).write_bytes(b"{}")
    elif how == "another layer":
        (engine.kept[3] / "diff").write_text("sha256:" + "0" * 64)
    elif how == "no headers":
        (engine.kept[3] / "tar-split.json.gz").unlink()
    elif how == "no content":
        engine.content[0].rename(engine.root / "elsewhere")
    else:
        engine.kept[2].rename(engine.root / "elsewhere")


@pytest.mark.parametrize("how", ["another driver", "another image", "another layer", "no headers", "no content", "no layer"])
def test_what_is_not_there_is_saved(engine: Engine, how: str) -> None:
    spoil(engine, how)
    found = stored.read(engine, engine)
    assert isinstance(found, Saved)
    assert not found.seekable
    with stored.opened(engine, engine) as (again, tars):
        assert [tars[layer.key].seek(0) for layer in again.layers] == [0] * len(LAYERS)
        assert [tars[layer.key].read() for layer in again.layers] == LAYERS
        copies = [Path(tar.name) for tar in tars.values()]
        assert all(copy.is_file() for copy in copies)
    assert not any(copy.exists() for copy in copies)


def test_nothing_is_copied_of_what_is_there(engine: Engine) -> None:
    with stored.opened(engine, engine) as (found, tars):
        assert isinstance(found, stored.Stored)
        assert [tars[layer.key].read() for layer in found.layers] == LAYERS
        assert not any(hasattr(tar, "name") for tar in tars.values())
    assert all(tar.closed for tar in tars.values())


@pytest.mark.parametrize("how", ["shorter", "gone", "a link", "a link on the way"])
def test_content_that_changed_is_not_read(engine: Engine, tmp_path: Path, how: str) -> None:
    """By its size, as far as that goes; and never from outside of the layer."""
    bulk, outside = engine.content[0] / "etc/bulk", tmp_path / "outside"
    outside.mkdir()
    (outside / "bulk").write_bytes(BULK)
    if how == "shorter":
        bulk.write_bytes(BULK[:-1])
    elif how in ("gone", "a link"):
        bulk.unlink()
        if how == "a link":
            bulk.symlink_to(outside / "bulk")
    else:
        bulk.parent.rename(tmp_path / "moved")
        bulk.parent.symlink_to(outside)
    (_, stream), *_ = stored.Stored(engine.root, engine.id).blobs()
    with pytest.raises(Unreadable, match="etc/"):
        stream.read()


@pytest.mark.parametrize("damaged", ["", "{}", "[1]", "x", "cut off", "no bytes"])
def test_headers_that_are_damaged(engine: Engine, damaged: str) -> None:
    headers = engine.kept[0] / "tar-split.json.gz"
    whole = headers.read_bytes()
    headers.write_bytes({"cut off": whole[:-20], "no bytes": b""}.get(damaged, gzip.compress(damaged.encode())))
    with pytest.raises(Unreadable, match=r"tar-split\.json\.gz is (not as it is read here|empty)"):
        list(stored.Stored(engine.root, engine.id).blobs())
