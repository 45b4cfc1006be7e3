"""Reading what `docker save` prints, in each form that it has."""

import gzip

import pytest

from lyftlearn_entrypoint.cli.image.layers import Saved, Unreadable, deleted
from tests.unit.saved_image import chunks, config, engine_form, oci_form, tar

LOWER = tar({"./": None, "etc/": None, "etc/a": b"lower", "./etc/b": b"b", "/bin": "usr/bin"})
UPPER = tar({"etc/": None, "etc/.wh.b": b"", "etc/a": b"upper" * 1000})
EMPTY = bytes(1024)


def content(archive: bytes) -> "tuple[Saved, dict[str, list[tuple[str, bytes]]]]":
    """What each layer's key holds."""
    saved = Saved(chunks(archive))
    found: dict[str, list[tuple[str, bytes]]] = {}
    for key, member, layer in saved.files():
        stream = layer.extractfile(member) if member.isreg() else None
        found.setdefault(key, []).append((member.name, stream.read() if stream else b""))
    return saved, found


@pytest.mark.parametrize("form", [engine_form, oci_form, lambda layers, made: oci_form(layers, made, compress=True)])
def test_each_file_of_each_layer(form: "type") -> None:
    layers = [LOWER, EMPTY, UPPER]
    saved, found = content(form(layers, config(layers, User="")))
    assert [layer.number for layer in saved.layers] == [0, 1, 2]
    assert [layer.name for layer in saved.layers] == ["COPY part0 /", "COPY part1 /", "COPY part2 /"]
    assert [layer.diff_id for layer in saved.layers] == config(layers)["rootfs"]["diff_ids"]
    assert saved.config["config"] == {"User": ""}
    keys = [layer.key for layer in saved.layers]
    assert found[keys[0]] == [("etc", b""), ("etc/a", b"lower"), ("etc/b", b"b"), ("bin", b"")]
    assert keys[1] not in found
    assert found[keys[2]] == [("etc", b""), ("etc/.wh.b", b""), ("etc/a", b"upper" * 1000)]


def test_a_layer_that_is_there_twice() -> None:
    """The Engine writes it once, and a link."""
    layers = [LOWER, UPPER, LOWER]
    saved, found = content(engine_form(layers, config(layers)))
    assert len(found) == 2
    assert [layer.number for layer in saved.named(saved.layers[0].key)] == [0, 2]


def test_a_file_that_looks_like_json_is_still_a_layer() -> None:
    layers = [tar({"{odd": b"x"})]
    assert [path for files in content(engine_form(layers, config(layers)))[1].values() for path, _ in files] == ["{odd"]


@pytest.mark.parametrize(
    ("archive", "said"),
    [
        (b"", "ends early, or is none"),
        (b"x" * 2000, "ends early, or is none"),
        (oci_form([LOWER], config([LOWER]))[:9000], "ends early|no manifest"),
        (tar({"a": b"b"}), "no manifest of one image"),
        (tar({"manifest.json": b"[]"}), "no manifest of one image"),
        (tar({"blob": b"\x28\xb5\x2f\xfd" + bytes(600)}), "blob is compressed with zstd"),
    ],
)
def test_what_cannot_be_read_is_said(archive: bytes, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        content(archive)


def test_a_layer_cut_off_inside_is_no_end() -> None:
    """A tar that ends between two files would otherwise pass for a whole one."""
    broken = gzip.compress(LOWER)[:-20]
    archive = tar({"blobs/x": broken, "manifest.json": b"[]"})
    with pytest.raises(Unreadable, match="the layer blobs/x is no whole tar"):
        content(archive)


@pytest.mark.parametrize(
    ("path", "gone"),
    [("etc/.wh.b", "etc/b"), (".wh.b", "b"), ("etc/.wh..wh..opq", "etc/"), ("etc/b", ""), ("etc/x.wh.b", ""), (".wh..wh..opq", "/")],
)
def test_deleted(path: str, gone: str) -> None:
    assert deleted(path) == gone
