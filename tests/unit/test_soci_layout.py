"""OCI layouts, read and written, and the Engine's archives made into images."""

import gzip
import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from lyftlearn_entrypoint.cli.soci import engine, layout
from lyftlearn_entrypoint.cli.soci.blobs import Blobs
from lyftlearn_entrypoint.errors import BadDocument, BadSettings, Missing
from tests.unit import saved_image
from tests.unit.soci_made import GZIP
from tests.unit.soci_made import layout as made_layout

PARTS = [saved_image.tar({"a": b"1" * 5000}), saved_image.tar({"b": b"2"})]


def test_a_directory_and_a_tar_of_it_are_the_same_image(tmp_path: Path) -> None:
    layer = gzip.compress(PARTS[0])  # once: it holds the time
    blobs, entry = made_layout(tmp_path / "in", [(GZIP, layer)])
    found = layout.open_layout(str(tmp_path / "in"), tmp_path / "unused")
    assert found.root.digest == entry["digest"]
    assert found.config(found.root.config) == blobs.read(found.root.config)
    layout.write(tmp_path / "out.tar", [found.root], blobs)
    again = layout.open_layout(f"{tmp_path}/out.tar", tmp_path / "work")
    assert again.root == found.root
    assert again.path(again.root.document["layers"][0], lambda _: None).read_bytes() == layer
    layout.write(tmp_path / "again.tar", [found.root], blobs)
    assert (tmp_path / "again.tar").read_bytes() == (tmp_path / "out.tar").read_bytes()
    layout.write(tmp_path / "out", [found.root], blobs)
    assert layout.open_layout(str(tmp_path / "out"), tmp_path / "unused").root == found.root


def test_one_of_several_images_is_named(tmp_path: Path) -> None:
    _, entry = made_layout(tmp_path, [(GZIP, gzip.compress(PARTS[0]))])
    names = ["a", "b"]
    entries = [{**entry, "annotations": {layout.NAME: name}} for name in names]
    (tmp_path / "index.json").write_text(json.dumps({"manifests": entries}))
    assert layout.open_layout(f"{tmp_path}:b", tmp_path).root.digest == entry["digest"]
    with pytest.raises(BadSettings, match=r"has 2 images of that name.*Name one of a, b"):
        layout.open_layout(str(tmp_path), tmp_path)
    with pytest.raises(BadSettings, match="has 0 images"):
        layout.open_layout(f"{tmp_path}:c", tmp_path)


@pytest.mark.parametrize("given", ["./in", "in/", "../{}/in", ".//in:a", "in/:a"])
def test_a_path_in_any_form(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, entry = made_layout(tmp_path / "in", [(GZIP, gzip.compress(PARTS[0]))])
    monkeypatch.chdir(tmp_path)
    assert layout.open_layout(given.format(tmp_path.name), tmp_path / "unused").root.digest == entry["digest"]


def test_what_is_no_layout(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="no OCI layout"):
        layout.open_layout(str(tmp_path / "nothing"), tmp_path)
    (tmp_path / "file").write_bytes(b"no tar")
    with pytest.raises(BadDocument, match="no tar of an OCI layout"):
        layout.open_layout(f"{tmp_path}/file", tmp_path / "work")
    with tarfile.open(tmp_path / "other.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("../oci-layout"))
    with pytest.raises(Missing, match="no file oci-layout"):
        layout.open_layout(f"{tmp_path}/other.tar", tmp_path / "work")
    assert not (tmp_path / "oci-layout").exists()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"manifests": 1}', b'{"manifests": [1]}', b'{"manifests": [{}]}'])
def test_a_damaged_index(content: bytes, tmp_path: Path) -> None:
    made_layout(tmp_path, [(GZIP, gzip.compress(PARTS[0]))])
    (tmp_path / "index.json").write_bytes(content)
    with pytest.raises(BadDocument, match="index\\.json"):
        layout.open_layout(str(tmp_path), tmp_path)


def test_a_blob_with_other_content_than_its_digest_says(tmp_path: Path) -> None:
    blobs, entry = made_layout(tmp_path, [(GZIP, gzip.compress(PARTS[0]))])
    blobs.path(entry["digest"]).write_bytes(b"{}")
    with pytest.raises(BadDocument, match="other content"):
        layout.open_layout(str(tmp_path), tmp_path)


@pytest.mark.parametrize("digest", ["", "sha256:../../etc/passwd", "md5:" + "0" * 64, "sha256:" + "0" * 63])
def test_what_is_no_digest_is_no_path(digest: str, tmp_path: Path) -> None:
    with pytest.raises(BadDocument, match="no digest"):
        Blobs(tmp_path).path(digest)


def test_nothing_is_written_over(tmp_path: Path) -> None:
    blobs, _ = made_layout(tmp_path / "in", [(GZIP, gzip.compress(PARTS[0]))])
    (tmp_path / "out").mkdir()
    with pytest.raises(BadSettings, match="is there already"):
        layout.write(tmp_path / "out", [], blobs)


@pytest.mark.parametrize("form", ["engine", "oci", "packed"])
def test_the_engines_archive_becomes_an_image(form: str, tmp_path: Path) -> None:
    parts = [*PARTS, PARTS[0]]
    config = saved_image.config(parts)
    archive = saved_image.engine_form(parts, config) if form == "engine" else saved_image.oci_form(parts, config, compress=form == "packed")
    told: list[int] = []
    saved = engine.unpack(saved_image.chunks(archive), tmp_path, told.append)
    assert sum(told) == len(archive)
    assert json.loads(saved.config) == config
    assert len(set(saved.layers)) == 2
    blobs = Blobs(tmp_path / "layout")
    packed = {file: engine.pack(file, blobs) for file in dict.fromkeys(saved.layers)}
    made = engine.image(saved, [packed[file] for file in saved.layers], blobs)
    found = made.root.document
    assert made.root.media_type == "application/vnd.docker.distribution.manifest.v2+json"
    assert [layer["mediaType"] for layer in found["layers"]] == ["application/vnd.docker.image.rootfs.diff.tar.gzip"] * 3
    contents = [made.path(layer, lambda _: None).read_bytes() for layer in found["layers"]]
    assert [gzip.decompress(content) for content in contents] == parts
    assert [layer["digest"] for layer in found["layers"]] == ["sha256:" + hashlib.sha256(content).hexdigest() for content in contents]
    if form == "packed":
        # As they were pulled, or they would be others than the registry's.
        assert contents[0] == gzip.compress(PARTS[0], mtime=0)


def test_a_layer_with_zstd_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "saved0"
    file.write_bytes(b"\x28\xb5\x2f\xfd and more")
    found = engine.pack(file, Blobs(tmp_path / "layout"))
    assert found["mediaType"].endswith(".zstd")
    assert Blobs(tmp_path / "layout").path(found["digest"]).read_bytes() == b"\x28\xb5\x2f\xfd and more"


def test_packing_gives_the_same_bytes_each_time(tmp_path: Path) -> None:
    found = []
    for number in range(2):
        file = tmp_path / f"saved{number}"
        file.write_bytes(PARTS[0])
        found.append(engine.pack(file, Blobs(tmp_path / "layout")))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "archive", [b"", b"no tar", saved_image.tar({"manifest.json": b"[]"}), saved_image.tar({"manifest.json": b"[{}]"})]
)
def test_an_archive_that_is_none(archive: bytes, tmp_path: Path) -> None:
    with pytest.raises(BadDocument, match="not that of one image"):
        engine.unpack([archive], tmp_path)
