"""Volumes of secrets lie on a tmpfs where there is one; files that are written whole or not at all."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lyftlearn_entrypoint.files import Files
from lyftlearn_entrypoint.volume import MEMORY, make_directories, on_tmpfs, random_hex, replace_file, write_file, write_volume
from tests.unit.helpers import FIRST, check_layout, mode, seen


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    old = os.umask(request.param)
    yield request.param
    os.umask(old)


# Memory ----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def memory(need: Callable[[object, str], None]) -> Iterator[Path]:
    """A root of our own on a tmpfs, with a /dev/shm in it; what the tests write elsewhere lies on disk."""
    need(on_tmpfs(MEMORY) and os.access(MEMORY, os.W_OK), f"{MEMORY} is no tmpfs that can be written here")
    root = Path(MEMORY) / ("test-" + random_hex())
    (root / MEMORY.lstrip("/")).mkdir(parents=True)
    yield root
    import shutil

    shutil.rmtree(root)


@pytest.fixture
def disk(tmp_path: Path, need: Callable[[object, str], None]) -> Path:
    need(not on_tmpfs(str(tmp_path)), "the temporary directory is itself a tmpfs")
    return tmp_path


def test_secrets_lie_in_memory_behind_a_link(disk: Path, memory: Path) -> None:
    directory = disk / "etc" / "secrets"
    place = write_volume(str(directory), FIRST, 0o400, None, Files(str(memory)), memory=True)
    assert place.startswith(f"{memory}{MEMORY}/lyftlearn-")
    assert os.readlink(directory) == place
    assert on_tmpfs(place)
    check_layout(Path(place), FIRST, 0o400)
    assert seen(directory) == FIRST


def test_starting_again_uses_the_same_place(disk: Path, memory: Path) -> None:
    files = Files(str(memory))
    first = write_volume(str(disk / "s"), {"a": b"1", "b": b"1"}, 0o400, None, files, memory=True)
    assert write_volume(str(disk / "s"), {"a": b"2"}, 0o400, None, files, memory=True) == first
    assert seen(disk / "s") == {"a": b"2"}
    assert len(list((memory / MEMORY.lstrip("/")).iterdir())) == 1


def test_restart_with_a_fresh_memory_writes_again(disk: Path, memory: Path) -> None:
    import shutil

    files = Files(str(memory))
    first = write_volume(str(disk / "s"), {"a": b"1"}, 0o400, None, files, memory=True)
    shutil.rmtree(first)
    write_volume(str(disk / "s"), {"a": b"2"}, 0o400, None, files, memory=True)
    assert seen(disk / "s") == {"a": b"2"}


def test_empty_directory_of_the_image_becomes_the_link(disk: Path, memory: Path) -> None:
    (disk / "s").mkdir()
    write_volume(str(disk / "s"), {"a": b"1"}, 0o400, None, Files(str(memory)), memory=True)
    assert (disk / "s").is_symlink()


def test_directory_with_something_in_it_is_written_in_place(disk: Path, memory: Path) -> None:
    (disk / "s").mkdir()
    (disk / "s" / "README").touch()
    assert write_volume(str(disk / "s"), {"a": b"1"}, 0o400, None, Files(str(memory)), memory=True) == str(disk / "s")
    assert seen(disk / "s") == {"README": b"", "a": b"1"}


def test_directory_that_is_on_a_tmpfs_already_stays_where_it_is(memory: Path) -> None:
    directory = str(memory / "secrets")
    assert write_volume(directory, {"a": b"1"}, 0o400, None, Files(str(memory)), memory=True) == directory


def test_without_a_tmpfs_the_disk(disk: Path) -> None:
    (disk / "root" / MEMORY.lstrip("/")).mkdir(parents=True)
    directory = str(disk / "s")
    assert write_volume(directory, {"a": b"1"}, 0o400, None, Files(str(disk / "root")), memory=True) == directory
    assert write_volume(directory, {"a": b"1"}, 0o400, None, Files(str(disk / "nothing")), memory=True) == directory


def test_mounts_are_read_as_the_kernel_writes_them(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "overlay / overlay rw 0 0\n"
        f"tmpfs {tmp_path}/in\\040memory tmpfs rw 0 0\n"
        f"/dev/sda {tmp_path}/in\\040memory/disk ext4 rw 0 0\n"
        "broken\n"
        f"tmpfs {tmp_path}/over tmpfs rw 0 0\n"
        f"/dev/sdb {tmp_path}/over ext4 rw 0 0\n"
    )
    for name, expected in (
        ("in memory", True),
        ("in memory/below", True),
        ("in memory/disk", False),
        ("in memorys", False),
        ("over", False),
        ("", False),
    ):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        assert on_tmpfs(str(tmp_path / name), str(mounts)) is expected, name
    assert on_tmpfs(str(tmp_path / "in memory" / "not" / "there"), str(mounts))
    assert not on_tmpfs(str(tmp_path), str(tmp_path / "no-such-file"))


# Single files ------------------------------------------------------------------------------------------------------------------------


def test_file_is_never_readable_by_others_before_it_has_its_mode(tmp_path: Path) -> None:
    """Written with 0600 at first: whoever opened it in between would keep reading."""
    import threading

    modes: set[int] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            for path in tmp_path.iterdir():
                try:
                    modes.add(mode(path))
                except FileNotFoundError:
                    pass

    watcher = threading.Thread(target=watch)
    watcher.start()
    old = os.umask(0)
    try:
        for number in range(300):
            write_file(str(tmp_path / str(number)), b"x" * 10_000, 0o400)
            os.unlink(tmp_path / str(number))
    finally:
        os.umask(old)
        stop.set()
        watcher.join()
    assert modes <= {0o600, 0o400}


@pytest.mark.parametrize("there", ["file", "link"])
def test_new_file_is_never_written_over_or_through(tmp_path: Path, there: str) -> None:
    target = tmp_path / "victim"
    target.write_text("safe")
    path = target if there == "file" else tmp_path / "link"
    if there == "link":
        path.symlink_to(target)
    with pytest.raises(FileExistsError):
        write_file(str(path), b"x", 0o600)
    assert target.read_text() == "safe"


def test_replaced_file(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "hyperparameters.json"
    path.write_bytes(b"old")
    held = open(path, "rb")  # noqa: SIM115
    replace_file(str(path), b"new", 0o644)
    assert (path.read_bytes(), held.read(), mode(path)) == (b"new", b"old", 0o644)
    held.close()
    assert list(tmp_path.iterdir()) == [path]


def test_failed_replacement_leaves_the_old_file_alone(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "x").touch()
    with pytest.raises(OSError, match="directory"):
        replace_file(str(tmp_path / "there"), b"new", 0o644)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_directories_under_any_umask(tmp_path: Path, umask: int) -> None:
    make_directories(str(tmp_path / "a" / "b" / "c"))
    make_directories(str(tmp_path / "a" / "b" / "c"))
    assert [mode(tmp_path / part) for part in ("a", "a/b", "a/b/c")] == [0o755] * 3


def test_directories_above_keep_their_mode(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o711)
    make_directories(str(tmp_path / "a" / "b"))
    assert mode(tmp_path / "a") == 0o711


def test_what_cannot_be_pointed_at_leaves_no_secret_behind(memory: Path) -> None:
    """/proc takes no directory of ours, which shows only when the secrets are already in memory."""
    with pytest.raises(OSError, match="No such file"):
        write_volume("/proc/no-such-directory/secrets", FIRST, 0o400, None, Files(str(memory)), memory=True)
    assert list((memory / MEMORY.lstrip("/")).iterdir()) == []
