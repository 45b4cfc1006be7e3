"""A volume in the layout that Kubernetes' AtomicWriter makes, and files that are written whole or not at all."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lyftlearn_entrypoint.files import Files
from lyftlearn_entrypoint.lock import claim
from lyftlearn_entrypoint.volume import write_volume
from tests.unit.helpers import FIRST, check_layout, is_root, mode, seen


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    old = os.umask(request.param)
    yield request.param
    os.umask(old)


def write(directory: Path, contents: dict[str, bytes], bits: int = 0o400, owner: "tuple[int, int] | None" = None) -> str:
    return write_volume(str(directory), contents, bits, owner, Files(), memory=False)


def test_layout(tmp_path: Path, umask: int) -> None:
    directory = tmp_path / "a" / "b" / "secrets"
    assert write(directory, FIRST) == str(directory)
    assert [mode(path) for path in (tmp_path / "a", tmp_path / "a" / "b", directory)] == [0o755] * 3
    check_layout(directory, FIRST, 0o400)


@pytest.mark.parametrize("bits", [0o400, 0o644, 0o440, 0o000])
def test_mode_is_the_one_asked_for(tmp_path: Path, bits: int, umask: int) -> None:
    write(tmp_path / "v", {"a": b"x"}, bits)
    check_layout(tmp_path / "v", {"a": b"x"}, bits)


def test_update_replaces_adds_and_takes_away(tmp_path: Path) -> None:
    write(tmp_path / "v", {"stays": b"1", "changes": b"old", "goes": b"x"})
    held = open(tmp_path / "v" / "changes", "rb")  # noqa: SIM115  a program that still reads
    second = {"stays": b"1", "changes": b"new", "comes": b"y"}
    write(tmp_path / "v", second)
    check_layout(tmp_path / "v", second, 0o400)
    assert seen(tmp_path / "v") == second
    assert held.read() == b"old"
    held.close()


def test_update_is_at_once_for_a_reader(tmp_path: Path) -> None:
    """A reader that goes through ..data sees the old set or the new one, whole, at every moment."""
    import threading

    write(tmp_path / "v", {"a": b"0", "b": b"0"})
    stop, started = threading.Event(), threading.Event()
    wrong: list[object] = []

    def read() -> None:
        while not stop.is_set():
            held = -1
            try:
                held = os.open(tmp_path / "v" / "..data", os.O_RDONLY)
                both = []
                for name in ("a", "b"):
                    fd = os.open(name, os.O_RDONLY, dir_fd=held)
                    both.append(os.read(fd, 9))
                    os.close(fd)
                if both[0] != both[1]:
                    wrong.append(both)
                started.set()
            except FileNotFoundError:
                pass  # the old directory went away on the way to it: kubelet does the same
            finally:
                if held >= 0:
                    os.close(held)

    reader = threading.Thread(target=read)
    reader.start()
    assert started.wait(30)
    for number in range(1, 60):
        write(tmp_path / "v", {"a": b"%d" % number, "b": b"%d" % number})
    stop.set()
    reader.join()
    assert wrong == []


def test_writing_the_same_again_changes_nothing_for_a_reader(tmp_path: Path) -> None:
    for _ in range(3):
        write(tmp_path / "v", FIRST)
        check_layout(tmp_path / "v", FIRST, 0o400)


def test_empty_volume(tmp_path: Path) -> None:
    write(tmp_path / "v", FIRST)
    write(tmp_path / "v", {})
    check_layout(tmp_path / "v", {}, 0o400)


def test_leftovers_of_a_crashed_write_do_not_matter(tmp_path: Path) -> None:
    write(tmp_path / "v", {"a": b"old"})
    (tmp_path / "v" / "..2024_01_01_00_00_00.dead").mkdir()
    (tmp_path / "v" / "..data_tmp").symlink_to("..2024_01_01_00_00_00.dead")
    (tmp_path / "v" / "b").symlink_to("..data/b")  # a name whose file never came
    write(tmp_path / "v", {"a": b"new"})
    assert seen(tmp_path / "v") == {"a": b"new"}
    assert not (tmp_path / "v" / "..data_tmp").is_symlink()
    assert not (tmp_path / "v" / "b").is_symlink()


def test_files_of_the_image_stay_unless_a_name_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "README").write_text("the image's")
    (tmp_path / "v" / "a").write_text("the image's")
    (tmp_path / "v" / "link").symlink_to("README")
    write(tmp_path / "v", {"a": b"ours"})
    assert seen(tmp_path / "v") == {"README": b"the image's", "link": b"the image's", "a": b"ours"}


def test_links_out_of_the_volume_are_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("safe")
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "a").symlink_to(victim)
    (tmp_path / "v" / "..data").symlink_to(tmp_path)  # not one of ours: its target is not removed
    write(tmp_path / "v", {"a": b"ours"})
    assert victim.read_text() == "safe"
    assert seen(tmp_path / "v") == {"a": b"ours"}


def test_directory_that_is_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "v").symlink_to("real")
    write(tmp_path / "v", {"a": b"x"})
    assert (tmp_path / "v").is_symlink()
    check_layout(tmp_path / "real", {"a": b"x"}, 0o400)


def test_failed_write_leaves_the_old_volume_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "v", {"a": b"old"})
    before = sorted(path.name for path in (tmp_path / "v").iterdir())
    with pytest.raises(OSError, match="too long"):
        write(tmp_path / "v", {"a": b"new", "b": b"new", "x" * 300: b""})
    assert sorted(path.name for path in (tmp_path / "v").iterdir()) == before
    assert seen(tmp_path / "v") == {"a": b"old"}


def test_directory_of_the_image_under_a_name_is_refused_before_anything_changes(tmp_path: Path) -> None:
    write(tmp_path / "v", {"a": b"old"})
    (tmp_path / "v" / "b").mkdir()
    before = sorted(path.name for path in (tmp_path / "v").iterdir())
    with pytest.raises(IsADirectoryError):
        write(tmp_path / "v", {"a": b"new", "b": b"new"})
    assert sorted(path.name for path in (tmp_path / "v").iterdir()) == before
    assert (tmp_path / "v" / "a").read_bytes() == b"old"


@pytest.mark.parametrize("where", ["file", "file/below"])
def test_no_place_for_a_directory_is_an_error(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Not a directory"):
        write(tmp_path / where, {"a": b""})


def test_owner(tmp_path: Path, need: Callable[[object, str], None]) -> None:
    need(is_root(), "only root can give files away")
    write(tmp_path / "v", {"a": b"x"}, owner=(4711, 815))
    found = os.stat(tmp_path / "v" / "a")
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (4711, 815, 0o400)


def test_what_another_writer_still_writes_stays(tmp_path: Path) -> None:
    """A writer that waited in vain for the volume's lock writes beside the one that holds it, which must not sweep its files away."""
    write(tmp_path / "v", FIRST)
    busy = tmp_path / "v" / "..2026_11_27_14_54_38.2ed30d1ffd"
    busy.mkdir()
    (busy / "password").write_bytes(b"half")
    claimed = claim(str(busy))
    assert claimed is not None
    write(tmp_path / "v", FIRST)
    assert (busy / "password").read_bytes() == b"half"
    os.close(claimed)  # the writer is done, or was killed
    write(tmp_path / "v", FIRST)
    assert not busy.exists()
    check_layout(tmp_path / "v", FIRST, 0o400)


def test_writers_of_which_some_do_not_get_the_lock(tmp_path: Path) -> None:
    """Writers that no longer wait for the lock, beside others that hold it in turn: each ends well, and the volume is whole."""
    import threading

    from lyftlearn_entrypoint import volume

    write(tmp_path / "v", FIRST)
    failed: list[OSError] = []
    done = threading.Event()

    def unlocked() -> None:
        try:
            for _ in range(100):
                if done.is_set():
                    break
                volume._write(str(tmp_path / "v"), FIRST, 0o400, None)
        except OSError as error:
            failed.append(error)

    writer = threading.Thread(target=unlocked)
    writer.start()
    try:
        for _ in range(20):
            write(tmp_path / "v", FIRST)
            assert (tmp_path / "v" / "..data").exists()
    finally:
        done.set()
        writer.join()
    assert not failed
    write(tmp_path / "v", FIRST)
    check_layout(tmp_path / "v", FIRST, 0o400)
