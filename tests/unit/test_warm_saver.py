"""The saver's looks: when it saves, and what stays as it was when it cannot."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from lyftlearn_entrypoint.warm.code import ENTRY
from lyftlearn_entrypoint.warm.pack import unpack, verify
from lyftlearn_entrypoint.warm.pool import NEW
from lyftlearn_entrypoint.warm.saver import Saver, ended
from tests.unit.descriptors import given_back

__all__ = ["given_back"]  # a fixture

KEY = b"k" * 32


class World:
    def __init__(self, root: Path, largest: int = 1 << 20) -> None:
        self.code, self.entries = root / "code", root / "entries"
        for path in (self.code, self.entries):
            path.mkdir()
        opened = [os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in (self.code, self.entries)]
        self.saver = Saver(opened[0], opened[1], KEY, largest, [0, 0, 0])

    def compiled(self, name: str, data: bytes = b"code", age: float = 60) -> None:
        (self.code / name).write_bytes(data)
        os.utime(self.code / name, (time.time() - age, time.time() - age))

    def saved(self, root: Path) -> "dict[str, bytes]":
        entry = os.open(self.entries / ENTRY, os.O_RDONLY)
        private = os.open(root / "private", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        verify(entry, os.fstat(entry).st_size, private, KEY)
        out = root / f"out-{time.monotonic_ns()}"
        out.mkdir()
        unpack(private, os.open(out, os.O_RDONLY | os.O_DIRECTORY))
        return {path.name: path.read_bytes() for path in out.iterdir()}


def test_what_has_come_to_rest_is_saved_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert not world.saver.look()  # there is nothing
    world.compiled("a")
    assert not world.saver.look()  # seen for the first time
    assert world.saver.look()
    assert not world.saver.look()
    assert world.saved(tmp_path) == {"a": b"code"}
    world.compiled("b", b"more")
    assert not world.saver.look()
    assert world.saver.look()
    assert world.saved(tmp_path) == {"a": b"code", "b": b"more"}
    assert os.listdir(world.entries) == [ENTRY]


def test_what_changes_is_waited_for_unless_the_program_has_ended(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.compiled("a", age=-3600)
    assert not world.saver.look()
    assert not world.saver.look()
    assert world.saver.look(last=True)
    assert world.saved(tmp_path) == {"a": b"code"}


def test_too_much_is_not_saved_and_what_was_saved_stays(tmp_path: Path) -> None:
    world = World(tmp_path, largest=1000)
    world.compiled("a")
    assert world.saver.look(last=True)
    world.compiled("b", bytes(1000))
    assert not world.saver.look(last=True)
    assert world.saved(tmp_path) == {"a": b"code"}


def test_a_file_that_cannot_be_read_leaves_what_was_saved(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.compiled("a")
    assert world.saver.look(last=True)
    (world.code / "b").write_bytes(bytes(10))
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60, before[1]))  # a disk that is full in the middle of the pack
    try:
        assert not world.saver.look(last=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert os.listdir(world.entries) == [ENTRY]
    assert world.saved(tmp_path) == {"a": b"code"}
    assert world.saver.look(last=True)


def test_what_an_earlier_saver_began_is_taken_away(tmp_path: Path) -> None:
    world = World(tmp_path)
    (world.entries / (NEW + "half")).write_bytes(b"half")
    (world.entries / ENTRY).mkdir()  # somebody's
    world.compiled("a")
    assert world.saver.look(last=True)
    assert os.listdir(world.entries) == [ENTRY]
    assert world.saved(tmp_path) == {"a": b"code"}


@pytest.mark.parametrize("watched", [True, False], ids=["by a descriptor", "by its number"])
def test_the_end_of_the_program_is_seen(watched: bool) -> None:
    process = subprocess.Popen(["sleep", "100"])
    watch = os.pidfd_open(process.pid) if watched else -1
    assert not ended(watch, process.pid, 0.05)
    process.kill()
    process.wait()
    assert ended(watch, process.pid, 5 if watched else 0.05)
