"""What `lyftlearn image reproduce` says of two images that differ."""

import tarfile
from typing import Any

import pytest

from lyftlearn_entrypoint.cli.image.layers import Saved
from lyftlearn_entrypoint.cli.image.reproduce import Index, compare_config, compare_layer, index
from tests.unit.saved_image import chunks, config, engine_form, tar


def entry(path: str, **fields: Any) -> tarfile.TarInfo:
    made = tarfile.TarInfo(path)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def of(files: "dict[str, Any]", **options: Any) -> Index:
    layers = [tar(files, **options)]
    (only,) = index(Saved(chunks(engine_form(layers, config(layers))))).values()
    return only


def said(first: Index, second: Index) -> "list[str]":
    return [f"{difference.where}: {difference.what}" for difference in compare_layer(first, second)]


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        ({"a": b"1"}, {"a": b"2"}, ["/a: content"]),
        ({"a": b"1"}, {"a": b"22"}, ["/a: size 1 -> 2, content"]),
        ({"a": entry("a", mode=0o644)}, {"a": entry("a", mode=0o4755)}, ["/a: mode 0644 -> 4755"]),
        ({"a": entry("a", uid=0, gid=0)}, {"a": entry("a", uid=1000, gid=100)}, ["/a: owner 0:0 -> 1000:100"]),
        ({"a": "b"}, {"a": "c"}, ["/a: link b -> c"]),
        ({"a": "b"}, {"a": b""}, ["/a: kind symbolic link -> file, link b -> none, content"]),
        ({"a": b"", "b": b""}, {"a": b"", "c": b""}, ["/b: only in the first", "/c: only in the second"]),
        ({"a": b"", "b": b""}, {"b": b"", "a": b""}, ["/: the same files in another order"]),
    ],
)
def test_what_differs_in_a_file(first: "dict[str, Any]", second: "dict[str, Any]", what: "list[str]") -> None:
    assert said(of(first), of(second)) == what


def test_times_are_told_in_utc() -> None:
    assert said(of({"a": b""}, mtime=0), of({"a": b""}, mtime=1_767_225_600)) == ["/a: mtime 1970-01-01T00:00:00Z -> 2026-01-01T00:00:00Z"]


def test_attributes_of_the_file_system_count() -> None:
    """`security.capability`, say: it makes a program privileged, and is in no mode."""
    capable = entry("a", pax_headers={"SCHILY.xattr.security.capability": "x"})
    assert said(of({"a": entry("a")}), of({"a": capable})) == ["/a: attributes none -> SCHILY.xattr.security.capability='x'"]


def test_equal_indices_of_unequal_layers_are_said_too() -> None:
    """Digests differ, and no file does: the archive was written in another way."""
    assert said(of({"a": b""}), of({"a": b""})) == ["/: the same files, with other tar headers"]


def test_config_is_compared_key_by_key() -> None:
    first = {"config": {"Env": ["A=1", "B=2"], "Labels": {"v": "1", "same": "x"}}, "rootfs": {"diff_ids": ["a"]}, "created": "x"}
    second = {"config": {"Env": ["A=1"], "Labels": {"v": "2", "same": "x"}, "User": "u"}, "rootfs": {"diff_ids": ["b"]}, "created": "x"}
    found = [f"{difference.where}: {difference.what}" for difference in compare_config(first, second)]
    assert found == ["config config.Env[1]: 'B=2' -> nothing", "config config.Labels.v: '1' -> '2'", "config config.User: nothing -> 'u'"]
