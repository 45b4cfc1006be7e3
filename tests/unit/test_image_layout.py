"""What the layout of an image's layers needs no engine for: the hot list, the archive that is loaded, and what counts as the same files."""

import hashlib
import io
import json
import random
import tarfile
from pathlib import Path

import pytest

from lyftlearn_entrypoint.cli.footprint.spans import SMALLEST
from lyftlearn_entrypoint.cli.image.layers import Layer, Saved, Unreadable
from lyftlearn_entrypoint.cli.image.layout import Archive, hot_of
from lyftlearn_entrypoint.cli.image.reproduce import index
from lyftlearn_entrypoint.cli.image.same import compared
from tests.unit import saved_image

ROOT = Path(__file__).parents[2]
BULK = random.Random(7).randbytes(SMALLEST)


def test_a_hot_list_is_of_paths_for_the_machine(tmp_path: Path) -> None:
    assert hot_of(tmp_path, "amd64") == []
    (tmp_path / "hot.txt").write_text("# made by\n/usr/lib/x86_64-linux-gnu/libm.so\n/a.cpython-311-x86_64-linux-gnu.so\n")
    assert hot_of(tmp_path, "amd64") == ["/usr/lib/x86_64-linux-gnu/libm.so", "/a.cpython-311-x86_64-linux-gnu.so"]
    assert hot_of(tmp_path, "arm64") == ["/usr/lib/aarch64-linux-gnu/libm.so", "/a.cpython-311-aarch64-linux-gnu.so"]


@pytest.mark.parametrize(("name", "least"), [("base", 2000), ("distributed", 1000), ("dl", 1000)])
def test_the_committed_lists_are_of_paths_each_once_and_none_of_the_entrypoint(name: str, least: int) -> None:
    """What the entrypoint needs lies in layers that are pulled whole."""
    paths = hot_of(ROOT / "images" / name, "amd64")
    assert len(set(paths)) == len(paths) > least
    assert [path for path in paths if path.startswith("/opt/lyftlearn/lib/lyftlearn_entrypoint")] == []


EPOCH = 1_767_225_600  # as saved_image.tar has it
LAYERS = [
    saved_image.tar({"etc": None, "etc/low": BULK}),
    saved_image.tar({"a": None, "a/bulk": BULK, "hot": b"h"}),
    saved_image.tar({"hot": b"small layers stay as they are", "top": b"t"}),
]


def laid(hot: "list[str]", below: int = 0) -> "tuple[dict[str, bytes], Archive]":
    """What is loaded for these layers, by name in the archive."""
    made = saved_image.config(LAYERS, Env=["A=é"])
    saved = Saved(saved_image.chunks(saved_image.engine_form(LAYERS, made), 1 << 20))
    tars = {key: io.BytesIO(stream.read()) for key, stream in saved.blobs()}
    archive = Archive(saved, tars, hot, ["a:1"], EPOCH, below)  # type: ignore[arg-type]
    with tarfile.open(fileobj=io.BytesIO(b"".join(archive.pieces()))) as found:
        return {each.name: found.extractfile(each).read() for each in found}, archive  # type: ignore[union-attr]


def test_what_lies_below_the_first_layer_that_moves_is_not_sent() -> None:
    found, archive = laid(["/hot"])
    assert sorted(found) == sorted(["1.tar", "2.tar", f"{archive.digest}.json", "manifest.json"])
    with tarfile.open(fileobj=io.BytesIO(found["1.tar"])) as middle:
        assert middle.getnames() == ["hot", "a", "a/bulk"]
    assert found["2.tar"] == LAYERS[2]
    raw = found[f"{archive.digest}.json"]
    assert hashlib.sha256(raw).hexdigest() == archive.digest
    digests = ["sha256:" + hashlib.sha256(tar).hexdigest() for tar in (LAYERS[0], found["1.tar"], LAYERS[2])]
    before = saved_image.config(LAYERS, Env=["A=é"])
    assert json.loads(raw) == {**before, "rootfs": {"type": "layers", "diff_ids": digests}}
    (manifest,) = json.loads(found["manifest.json"])
    assert manifest == {"Config": f"{archive.digest}.json", "RepoTags": ["a:1"], "Layers": ["0.tar", "1.tar", "2.tar"]}


def test_an_image_whose_layers_are_so_already_is_sent_without_any() -> None:
    found, archive = laid(["/etc/low", "/a/bulk"])
    assert sorted(found) == sorted([f"{archive.digest}.json", "manifest.json"])
    assert json.loads(found[f"{archive.digest}.json"]) == saved_image.config(LAYERS, Env=["A=é"])


def test_the_layers_of_the_image_below_stay() -> None:
    """Their own list has laid them out, and other images share them. Here they have hot files, and would move."""
    found, archive = laid(["/hot", "/etc/low"], below=2)
    assert sorted(found) == sorted([f"{archive.digest}.json", "manifest.json"])
    assert sorted(laid(["/hot", "/etc/low"], below=1)[0]) == sorted(laid(["/hot"])[0])


def test_a_layer_without_a_hot_file_stays() -> None:
    """Whatever its order: here it is not by name."""
    layers = [saved_image.tar({"z": BULK, "a": b"a"}), saved_image.tar({"z": BULK, "hot": b"h"})]
    saved = Saved(saved_image.chunks(saved_image.engine_form(layers, saved_image.config(layers))))
    tars = {key: io.BytesIO(stream.read()) for key, stream in saved.blobs()}
    archive = Archive(saved, tars, ["/hot"], ["a:1"], EPOCH)  # type: ignore[arg-type]
    with tarfile.open(fileobj=io.BytesIO(b"".join(archive.pieces()))) as found:
        assert found.getnames() == ["1.tar", f"{archive.digest}.json", "manifest.json"]


def test_what_is_taken_away_is_no_younger_than_the_build_was_told() -> None:
    """No step of a build can set its time: the same inputs would never give the same bytes. In small layers, too."""
    late, early = ({"d": None, "d/.wh.gone": b"", "d/.wh..wh..opq": b"", "d/kept": b"k"} for _ in range(2))
    layers = [saved_image.tar({"z": BULK}), saved_image.tar(late, EPOCH + 9), saved_image.tar(early, EPOCH - 9)]
    saved = Saved(saved_image.chunks(saved_image.engine_form(layers, saved_image.config(layers))))
    tars = {key: io.BytesIO(stream.read()) for key, stream in saved.blobs()}
    archive = Archive(saved, tars, ["/hot"], ["a:1"], EPOCH)  # type: ignore[arg-type]
    with tarfile.open(fileobj=io.BytesIO(b"".join(archive.pieces()))) as found:
        made = {each.name: found.extractfile(each).read() for each in found}  # type: ignore[union-attr]
    assert "0.tar" not in made
    with tarfile.open(fileobj=io.BytesIO(made["1.tar"])) as middle:
        assert [(each.name, each.mtime - EPOCH) for each in middle] == [("d", 9), ("d/.wh.gone", 0), ("d/.wh..wh..opq", 0), ("d/kept", 9)]
    assert made["2.tar"] == layers[2]
    digests = ["sha256:" + hashlib.sha256(tar).hexdigest() for tar in (layers[0], made["1.tar"], layers[2])]
    assert json.loads(made[f"{archive.digest}.json"])["rootfs"]["diff_ids"] == digests


def test_a_layer_that_is_read_wrong_is_not_sent() -> None:
    saved = Saved(saved_image.chunks(saved_image.engine_form(LAYERS, saved_image.config(LAYERS))))
    tars = {key: io.BytesIO(stream.read()) for key, stream in saved.blobs()}
    tars[saved.layers[2].key] = io.BytesIO(saved_image.tar({"hot": b"Small layers stay as they are", "top": b"t"}))
    archive = Archive(saved, tars, ["/hot"], ["a:1"], EPOCH)  # type: ignore[arg-type]
    with pytest.raises(Unreadable, match=r"the layer COPY part2 / is sha256:.* as it is read, and not"):
        list(archive.pieces())


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ({"hot": b"h", "a": b"a"}, []),
        ({"hot": b"H", "a": b"a"}, ["layer 0 (COPY x) /hot: content"]),
        ({"hot": b"h"}, ["layer 0 (COPY x) /a: only in the first"]),
        ({"hot": b"h", "a": "hot"}, ["layer 0 (COPY x) /a: kind file -> symbolic link, link none -> hot, size 1 -> 0, content"]),
    ],
)
def test_the_order_of_files_is_no_difference_and_all_else_is(second: "dict[str, bytes | str]", told: "list[str]") -> None:
    pairs = []
    for files in ({"a": b"a", "hot": b"h"}, second):
        tar = saved_image.tar(files)
        saved = Saved(saved_image.chunks(saved_image.engine_form([tar], saved_image.config([tar]))))
        (found,) = index(saved).values()
        pairs.append([(Layer(0, "sha256:x", "COPY x", "k"), found)])
    assert [f"{each.where}: {each.what}" for each in compared(*pairs)] == told


def test_what_is_gone_has_no_time() -> None:
    found = []
    for mtime in (EPOCH, EPOCH + 9):
        tar = saved_image.tar({".wh.gone": b"", "d/.wh..wh..opq": b""}, mtime)
        (each,) = index(Saved(saved_image.chunks(saved_image.engine_form([tar], saved_image.config([tar]))))).values()
        found.append([(Layer(0, "sha256:x", "COPY x", "k"), each)])
    assert list(compared(*found)) == []
