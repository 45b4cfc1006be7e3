"""Compiled code in one file: whose it is, and what its index may name."""

import hashlib
import hmac
import json
import os
from pathlib import Path

import pytest

from lyftlearn_entrypoint.warm.pack import HEAD, MARK, Mac, derive, inside, pack, signature, unpack, verify, walk
from lyftlearn_entrypoint.warm.pool import BadEntry
from tests.unit.descriptors import given_back

__all__ = ["given_back"]  # a fixture

KEY = b"k" * 32


@pytest.mark.parametrize("key", [b"", b"k", b"k" * 64, b"k" * 65, bytes(range(200))], ids=len)
def test_it_is_hmac(key: bytes) -> None:
    mac = Mac(key)
    for part in (b"one", b"", b"two" * 100):
        mac.update(part)
    assert mac.digest() == hmac.new(key, b"one" + b"two" * 100, hashlib.sha256).digest()


def test_derived_keys_differ_by_every_word() -> None:
    assert len({derive(KEY, *words) for words in (("a",), ("a", "b"), ("ab",), ("a", "", "b"))}) == 4


def opened(path: Path) -> int:
    path.mkdir(exist_ok=True)
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


def packed(tmp_path: Path, key: bytes = KEY) -> bytes:
    """A pack of two files, one in a directory."""
    tree = tmp_path / "tree"
    (tree / "inductor/ab").mkdir(parents=True, exist_ok=True)
    (tree / "inductor/ab/k.so").write_bytes(b"\x7fELF" + bytes(3 << 20))
    (tree / "inductor/ab/k.so").chmod(0o755)
    (tree / "index.json").write_bytes(b"{}")
    directory = opened(tree)
    target = os.open(tmp_path / "packed", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    pack(directory, walk(directory), target, key)
    return (tmp_path / "packed").read_bytes()


def taken(tmp_path: Path, data: bytes, key: bytes = KEY) -> Path:
    """Where the files of a pack are after it was verified and unpacked."""
    (tmp_path / "entry").write_bytes(data)
    entry = os.open(tmp_path / "entry", os.O_RDONLY)
    private = os.open(tmp_path / "private", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    verify(entry, len(data), private, key)
    unpack(private, opened(tmp_path / "out"))
    return tmp_path / "out"


def test_there_and_back(tmp_path: Path) -> None:
    out = taken(tmp_path, packed(tmp_path))
    assert {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()} == {"index.json", "inductor/ab/k.so"}
    assert (out / "inductor/ab/k.so").read_bytes() == b"\x7fELF" + bytes(3 << 20)
    assert (out / "inductor/ab/k.so").stat().st_mode & 0o777 == 0o700
    assert (out / "index.json").stat().st_mode & 0o777 == 0o600
    assert signature(walk(opened(out)))[:2] == signature(walk(opened(tmp_path / "tree")))[:2]


def test_nothing_at_all(tmp_path: Path) -> None:
    directory, target = opened(tmp_path / "tree"), os.open(tmp_path / "packed", os.O_RDWR | os.O_CREAT)
    pack(directory, walk(directory), target, KEY)
    assert list(taken(tmp_path, (tmp_path / "packed").read_bytes()).iterdir()) == []


@pytest.mark.parametrize("at", [0, len(MARK), HEAD, HEAD + 7, HEAD + 30, -1], ids=str)
def test_a_byte_that_somebody_changed(tmp_path: Path, at: int) -> None:
    data = bytearray(packed(tmp_path))
    data[at] ^= 1
    with pytest.raises(BadEntry):
        taken(tmp_path, bytes(data))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("length", [0, 5, len(MARK), HEAD - 1, HEAD, HEAD + 8, 1 << 20])
def test_half_of_it(tmp_path: Path, length: int) -> None:
    with pytest.raises(BadEntry):
        taken(tmp_path, packed(tmp_path)[:length])


def test_something_behind_it(tmp_path: Path) -> None:
    with pytest.raises(BadEntry):
        taken(tmp_path, packed(tmp_path) + b"x")


def test_another_teams_key(tmp_path: Path) -> None:
    with pytest.raises(BadEntry, match="another key"):
        taken(tmp_path, packed(tmp_path, b"other" * 8))


def forged(rows: object, content: bytes = b"") -> bytes:
    """A pack that has our code, and an index that we would not write: what a program that knows the key can make."""
    index = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
    payload = len(index).to_bytes(8, "big") + index + content
    return MARK + hmac.new(KEY, payload, hashlib.sha256).digest() + payload


@pytest.mark.parametrize(
    "rows",
    [
        b"not json",
        {},
        [["a", 1]],
        [["a", "1", False]],
        [["a", 1, 1]],
        [["a", -1, False], ["b", 2, False]],
        [[1, 1, False]],
        [["a", True, False]],
        [["/etc/passwd", 1, False]],
        [["../a", 1, False]],
        [["a/../../b", 1, False]],
        [["a//b", 1, False]],
        [["./a", 1, False]],
        [["a/", 1, False]],
        [["", 1, False]],
        [["a\0b", 1, False]],
        [["x" * 300, 1, False]],
        [["/".join("a" * 40), 1, False]],
        [["a", 2, False]],
        [["a", 1 << 62, False]],
        [["a", 0, False], ["a", 1, False]],
        [["a", 0, False], ["a/b", 1, False]],
    ],
    ids=lambda rows: str(rows)[:40],
)
def test_an_index_that_names_what_it_must_not(tmp_path: Path, rows: object) -> None:
    with pytest.raises((BadEntry, NotADirectoryError)):
        taken(tmp_path, forged(rows, b"x"))
    assert {path.name for path in tmp_path.iterdir()} <= {"entry", "private", "out"}


def test_an_index_without_end(tmp_path: Path) -> None:
    payload = (1 << 40).to_bytes(8, "big")
    with pytest.raises(BadEntry, match="index"):
        taken(tmp_path, MARK + hmac.new(KEY, payload, hashlib.sha256).digest() + payload)


@pytest.mark.parametrize(("path", "stays"), [("a", True), ("a/b.c/..d", True), ("a/..", False), (".", False)])
def test_paths_that_stay_inside(path: str, stays: bool) -> None:
    assert inside(path) is stays


def test_links_and_what_is_not_finished_are_left_out(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "below").mkdir(parents=True)
    (tmp_path / "secret").write_text("of somebody")
    (tree / "link").symlink_to(tmp_path / "secret")
    (tree / "around").symlink_to(tmp_path)
    os.mkfifo(tree / "pipe")
    (tree / "a.lock").write_text("")
    (tree / "b.tmp").write_text("")
    (tree / os.fsdecode(b"\xff")).write_text("")
    (tree / "below/good").write_text("x")
    assert [file[0] for file in walk(opened(tree))] == ["below/good"]


@pytest.mark.parametrize("change", [b"", b"longer than it was"])
def test_a_file_that_changes_while_it_is_packed(tmp_path: Path, change: bytes) -> None:
    tree = tmp_path / "tree"
    directory = opened(tree)
    (tree / "a").write_bytes(b"0123456789")
    files = walk(directory)
    (tree / "a").write_bytes(change)
    with pytest.raises(OSError, match="became"):
        pack(directory, files, os.open(tmp_path / "packed", os.O_RDWR | os.O_CREAT), KEY)


def test_a_file_that_becomes_a_link_while_it_is_packed(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    directory = opened(tree)
    (tree / "a").write_bytes(b"of somebody")
    (tmp_path / "secret").write_text("of somebody")
    files = walk(directory)
    (tree / "a").unlink()
    (tree / "a").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic links"):
        pack(directory, files, os.open(tmp_path / "packed", os.O_RDWR | os.O_CREAT), KEY)
