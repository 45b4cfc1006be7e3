"""A warm pool's directory, which anybody may have written: what is an entry, what is not, and how much may be in it."""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lyftlearn_entrypoint.warm.pool import (
    NEW,
    BadEntry,
    Pool,
    add,
    allowed,
    copy,
    open_directory,
    open_entry,
    remove,
    reserve,
    settle,
)
from tests.unit.descriptors import given_back
from tests.unit.helpers import is_root

__all__ = ["given_back"]  # a fixture

MANY = 1 << 40


@pytest.fixture
def place(tmp_path: Path) -> "tuple[int, Path]":
    """An open directory, and its path."""
    path = tmp_path / "place"
    path.mkdir()
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY), path


def source(directory: Path, data: bytes) -> int:
    path = directory / "source"
    path.write_bytes(data)
    return os.open(path, os.O_RDONLY)


def pool_at(directory: Path, limit: "int | None" = None) -> "tuple[Pool, int]":
    pool = Pool(str(directory), limit)
    return pool, pool.open("models", make=True)


@pytest.mark.parametrize(
    ("limit", "held", "free", "total", "room"),
    [
        (None, 0, 1000, 1000, 500),
        (None, 400, 600, 1000, 100),
        (None, 600, 200, 1000, -200),
        (1000, 0, 5000, 10000, 1000),
        (1000, 900, 5000, 10000, 100),
        (1000, 0, 600, 10000, 100),  # the last twentieth of the file system
        (1 << 60, 0, 500, 10000, 0),
        (1 << 60, 0, 100, 10000, -400),
        (1 << 60, 0, 6 << 30, 1 << 40, 2 << 30),  # of a large one 4 GiB are enough
    ],
)
def test_how_much_may_be_added(limit: "int | None", held: int, free: int, total: int, room: int) -> None:
    assert allowed(limit, held, free, total) == room


def test_an_entry_comes_and_is_found(place: "tuple[int, Path]", tmp_path: Path) -> None:
    directory, path = place
    add(directory, "entry", source(tmp_path, b"content"), 7)
    assert os.listdir(path) == ["entry"]
    assert (path / "entry").stat().st_mode & 0o777 == 0o444
    descriptor, size = open_entry(directory, "entry", MANY)
    assert (os.read(descriptor, 99), size) == (b"content", 7)
    add(directory, "entry", source(tmp_path, b"another"), 7)
    assert os.read(descriptor, 99) == b""  # who has it open keeps what it opened
    assert (path / "entry").read_bytes() == b"another"


def test_a_source_that_is_shorter_than_it_said_leaves_nothing(place: "tuple[int, Path]", tmp_path: Path) -> None:
    directory, path = place
    with pytest.raises(OSError, match="shorter"):
        add(directory, "entry", source(tmp_path, b"content"), 8)
    assert os.listdir(path) == []


def test_a_full_file_system_leaves_nothing(place: "tuple[int, Path]", tmp_path: Path) -> None:
    import resource

    directory, path = place
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))  # as near to a full disk as one gets without one
    try:
        with pytest.raises(OSError, match="File too large"):
            add(directory, "entry", os.open("/dev/zero", os.O_RDONLY), 1 << 16)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert os.listdir(path) == []


def test_bytes_that_the_kernel_does_not_copy_are_copied(tmp_path: Path) -> None:
    target = os.open(tmp_path / "target", os.O_RDWR | os.O_CREAT)
    copy(os.open("/dev/zero", os.O_RDONLY), target, 3 << 20)
    assert (tmp_path / "target").read_bytes() == bytes(3 << 20)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


BAD: dict[str, Callable[[Path], object]] = {
    "directory": lambda path: path.mkdir(),
    "link": lambda path: path.symlink_to(path.parent.parent / "outside"),
    "dangling": lambda path: path.symlink_to("/nowhere"),
    "loop": lambda path: path.symlink_to(path.name),
    "pipe": os.mkfifo,
    "socket": _socket,
    "huge": lambda path: os.truncate(os.open(path, os.O_RDWR | os.O_CREAT), MANY + 1),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_entry(place: "tuple[int, Path]", tmp_path: Path, kind: str) -> None:
    (tmp_path / "outside").write_bytes(b"secret of somebody")
    directory, path = place
    BAD[kind](path / "entry")
    with pytest.raises(BadEntry):
        open_entry(directory, "entry", MANY)
    add(directory, "entry", source(tmp_path, b"good"), 4)
    descriptor, _ = open_entry(directory, "entry", MANY)
    assert os.read(descriptor, 99) == b"good"
    assert (tmp_path / "outside").read_bytes() == b"secret of somebody"


def test_a_device_is_not_even_opened(place: "tuple[int, Path]") -> None:
    if not is_root():
        pytest.skip("only root can make a device")
    directory, path = place
    os.mknod(path / "entry", 0o600 | 0o020000, os.makedev(10, 130))  # the watchdog: to open it would restart the machine
    with pytest.raises(BadEntry, match="no regular file"):
        open_entry(directory, "entry", MANY)


def test_no_entry_is_no_bad_one(place: "tuple[int, Path]") -> None:
    with pytest.raises(FileNotFoundError):
        open_entry(place[0], "entry", MANY)


def test_a_hard_link_is_read_as_what_it_is_and_its_other_name_is_not_written(place: "tuple[int, Path]", tmp_path: Path) -> None:
    """A model proves itself by its digest, whoever else has the file: only replacing it must not write into that one."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"somebody's")
    directory, path = place
    os.link(outside, path / "entry")
    add(directory, "entry", source(tmp_path, b"good"), 4)
    assert outside.read_bytes() == b"somebody's"


def test_whoever_renames_the_directory_meanwhile_redirects_nothing(place: "tuple[int, Path]", tmp_path: Path) -> None:
    directory, path = place
    target = tmp_path / "target"
    target.mkdir()
    path.rename(tmp_path / "moved")
    path.symlink_to(target)
    add(directory, "entry", source(tmp_path, b"good"), 4)
    assert os.listdir(target) == []
    assert os.listdir(tmp_path / "moved") == ["entry"]


def test_directories_that_are_links_are_not_entered(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    parent = os.open(tmp_path, os.O_RDONLY)
    (tmp_path / "link").symlink_to(outside)
    with pytest.raises(OSError, match="Not a directory"):
        open_directory(parent, "link")
    open_directory(parent, "link", make=True)
    assert (tmp_path / "link").is_dir()
    assert not (tmp_path / "link").is_symlink()
    assert outside.is_dir()


def test_to_remove_a_tree_follows_no_link(place: "tuple[int, Path]", tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"x")
    directory, path = place
    (path / "entry/deep/er").mkdir(parents=True)
    (path / "entry/deep/link").symlink_to(outside)
    (path / "entry/file").write_bytes(b"x")
    assert remove(directory, "entry")
    assert os.listdir(path) == []
    assert os.listdir(outside) == ["file"]
    assert remove(directory, "entry")


def test_a_tree_without_end_costs_no_more_than_it_may(place: "tuple[int, Path]") -> None:
    directory, path = place
    inner = path
    for _ in range(60):
        inner /= "d"
        inner.mkdir()
    assert not remove(directory, "d")  # it stays, and nothing raises
    remaining = [5]
    (path / "wide").mkdir()
    for number in range(50):
        (path / "wide" / str(number)).write_bytes(b"")
    assert not remove(directory, "wide", remaining)
    assert len(os.listdir(path / "wide")) > 40


def test_settling_over_a_directory(place: "tuple[int, Path]") -> None:
    directory, path = place
    (path / "entry/with").mkdir(parents=True)
    (path / "new").write_bytes(b"good")
    settle(directory, "new", "entry")
    assert (path / "entry").read_bytes() == b"good"


# Size ---------------------------------------------------------------------------------------------------------------------


def filled(path: Path, size: int, used: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    os.utime(path, (used, used))


def test_the_longest_unused_goes_first(tmp_path: Path) -> None:
    pool, _ = pool_at(tmp_path, 1 << 20)
    models, code = tmp_path / "lyftlearn/models", tmp_path / "lyftlearn/code"
    filled(models / "old", 400 << 10, 100)
    filled(code / "key/pack", 400 << 10, 200)
    os.utime(code / "key", (50, 50))  # what counts is the newest in it
    filled(models / "new", 100 << 10, 300)
    assert pool.room(200 << 10)
    assert {path.name for path in (tmp_path / "lyftlearn").rglob("*") if path.is_file()} == {"pack", "new"}
    assert not pool.room(2 << 20)  # and nothing is taken away for what never fits
    assert (models / "new").exists()
    assert pool.room(1 << 20)
    assert [path for path in (tmp_path / "lyftlearn").rglob("*") if path.is_file()] == []


def test_a_time_to_come_does_not_keep_an_entry(tmp_path: Path) -> None:
    pool, _ = pool_at(tmp_path, 1 << 20)
    models = tmp_path / "lyftlearn/models"
    filled(models / "hostile", 500 << 10, time.time() + 1e9)
    filled(models / "mine", 500 << 10, time.time())
    assert pool.room(400 << 10)
    assert os.listdir(models) == ["mine"]


def test_what_a_killed_job_began_is_taken_away(tmp_path: Path) -> None:
    pool, _ = pool_at(tmp_path, 1 << 30)
    models = tmp_path / "lyftlearn/models"
    filled(models / (NEW + "old"), 1 << 10, time.time() - 7200)
    filled(models / (NEW + "future"), 1 << 10, time.time() + 7200)
    filled(models / (NEW + "now"), 1 << 10, time.time())
    assert pool.room(0)
    assert os.listdir(models) == [NEW + "now"]


def test_a_small_file_system_is_never_full(tmp_path: Path) -> None:
    pool, _ = pool_at(tmp_path, 1 << 60)

    def free() -> int:
        found = os.statvfs(tmp_path)
        return found.f_bavail * found.f_frsize

    total = os.statvfs(tmp_path)
    size = total.f_blocks * total.f_frsize
    assert not pool.room(free())
    # Others work here too, and may take room or give it back at any time.
    before, longest, after = free(), pool.longest(), free()
    assert longest <= max(before, after) - reserve(size) + (1 << 30)
    assert pool_at(tmp_path, 4096)[0].longest() == 4096


def test_many_names_are_not_all_looked_at(tmp_path: Path) -> None:
    pool, _ = pool_at(tmp_path, 1 << 30)
    models = tmp_path / "lyftlearn/models"
    for number in range(11_000):
        os.close(os.open(models / str(number), os.O_CREAT))
    descriptors = len(os.listdir("/proc/self/fd"))
    began = time.monotonic()
    assert pool.room(4096)
    assert time.monotonic() - began < 60
    assert len(os.listdir("/proc/self/fd")) == descriptors
