"""The command that writes the launcher."""

import os
import stat
from pathlib import Path

import pytest

from lyftlearn_entrypoint.install import CannotInstall, body, install, shebang


def a_python(directory: Path, name: str = "python") -> str:
    path = directory / name
    path.write_text("an interpreter")
    path.chmod(0o755)
    return str(path)


def old(version: str) -> tuple[int, int]:
    return 3, 9


def new(version: str) -> tuple[int, int]:
    return 3, 11


def test_first_line_isolates_and_leaves_out_site() -> None:
    assert shebang("/usr/bin/python3.11") == b"#!/usr/bin/python3.11 -ISXutf8"


@pytest.mark.parametrize(
    ("python", "reason"), [("python3", "not an absolute path"), ("/opt/my python", "white space"), ("/" + "x" * 250, "255")]
)
def test_refuses_what_no_first_line_can_hold(python: str, reason: str) -> None:
    with pytest.raises(CannotInstall, match=reason):
        shebang(python)


def test_longest_line_that_the_kernel_reads_is_accepted() -> None:
    assert len(shebang("/" + "x" * 243)) == 255


def test_launcher_is_whole_executable_and_alone(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        install(a_python(tmp_path), str(tmp_path / "launcher"), new)
    finally:
        os.umask(before)
    first, rest = (tmp_path / "launcher").read_bytes().split(b"\n", 1)
    assert first == b"#!" + os.fsencode(tmp_path / "python") + b" -ISXutf8"
    assert rest == body().split(b"\n", 1)[1]
    assert stat.S_IMODE((tmp_path / "launcher").stat().st_mode) == 0o755
    assert sorted(os.listdir(tmp_path)) == ["launcher", "python"]


def test_replaces_a_launcher_that_is_running(tmp_path: Path) -> None:
    launcher = tmp_path / "launcher"
    launcher.write_text("before")
    with launcher.open() as running:
        install(a_python(tmp_path), str(launcher), new)
        assert running.read() == "before"


def test_refuses_an_interpreter_that_is_missing_not_executable_or_old(tmp_path: Path) -> None:
    with pytest.raises(CannotInstall, match="not there"):
        install(str(tmp_path / "none"), str(tmp_path / "launcher"), new)
    python = a_python(tmp_path)
    os.chmod(python, 0o644)
    with pytest.raises(CannotInstall, match="not executable"):
        install(python, str(tmp_path / "launcher"), new)
    os.chmod(python, 0o755)
    with pytest.raises(CannotInstall, match=r"Python 3\.9; 3\.10 or newer"):
        install(python, str(tmp_path / "launcher"), old)
    assert not (tmp_path / "launcher").exists()


def test_asks_a_real_file_for_its_version_and_says_when_it_is_no_python(tmp_path: Path) -> None:
    with pytest.raises(CannotInstall, match="does not run as a Python"):
        install(a_python(tmp_path), str(tmp_path / "launcher"))


def test_warns_when_the_launcher_would_not_find_the_package(tmp_path: Path) -> None:
    to = tmp_path / "bin" / "launcher"
    to.parent.mkdir()
    assert "not yet at any place" in install(a_python(tmp_path), str(to), new)[0]
    package = tmp_path / "lib" / "lyftlearn_entrypoint"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    assert install(a_python(tmp_path), str(to), new) == []


def test_warns_of_a_line_that_older_kernels_do_not_read(tmp_path: Path) -> None:
    python = a_python(tmp_path, "x" * (130 - len(str(tmp_path))))
    assert any("Linux before 5.1" in warning for warning in install(python, str(tmp_path / "launcher"), new))


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    python = a_python(tmp_path)
    (tmp_path / "launcher").mkdir()
    with pytest.raises(OSError, match="directory"):
        install(python, str(tmp_path / "launcher"), new)
    assert sorted(os.listdir(tmp_path)) == ["launcher", "python"]
