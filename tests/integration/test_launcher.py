"""The launcher finds the package by its own place, in each layout, and starts it with nothing of the user's on sys.path."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lyftlearn_entrypoint.install import body, install

# Stands for the package: says what the launcher gave it.
BOOT = """
import json, sys
def main():
    flags = [sys.flags.isolated, sys.flags.no_site]
    with open("seen.json", "w") as file:
        json.dump({"argv": sys.argv[1:], "flags": flags, "path": sys.path, "package": list(sys.modules["lyftlearn_entrypoint"].__path__),
                   "version": sys.modules["lyftlearn_entrypoint"].__version__}, file)
    return 7
"""
VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"
LAYOUTS = {"venv": f"lib/{VERSION}/site-packages", "image": "lib", "checkout": "."}
PYTHON = os.path.realpath(sys.executable)


@pytest.fixture(params=LAYOUTS)
def launcher(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A launcher beside a package, in the layout of a virtual environment, of the image, of a checkout."""
    package = tmp_path / "prefix" / LAYOUTS[request.param] / "lyftlearn_entrypoint"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("__version__ = '1.2.3'\n")
    (package / "boot.py").write_text(BOOT)
    # Backports that must not shadow the standard library, as they do when site-packages comes first.
    for name in ("enum", "json", "typing"):
        (package.parent / f"{name}.py").write_text("raise SystemExit('shadowed')\n")
    launcher = tmp_path / "prefix" / "bin" / "lyftlearn-entrypoint"
    launcher.parent.mkdir()
    assert install(PYTHON, str(launcher)) == []
    return launcher


def seen(command: list[str], cwd: Path, **env: str) -> dict[str, Any]:
    done = subprocess.run(command, cwd=cwd, env={"PATH": os.environ["PATH"], **env}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (7, "")
    found: dict[str, Any] = json.loads((cwd / "seen.json").read_text())
    return found


def test_starts_isolated_with_argv_as_it_is(launcher: Path, tmp_path: Path) -> None:
    words = ["-c", "--help", "a b", "", "train", "two\nlines", "-"]
    found = seen([str(launcher), *words], tmp_path)
    assert found["argv"] == words
    assert found["flags"] == [1, 1]
    assert found["version"] == "1.2.3"


def test_site_packages_never_join_the_path(launcher: Path, tmp_path: Path) -> None:
    found = seen([str(launcher)], tmp_path)
    beside = os.path.realpath(launcher.parents[1])
    assert not [entry for entry in found["path"] if os.path.realpath(str(entry)).startswith(beside)]


@pytest.mark.parametrize("target", ["absolute", "relative"])
def test_starts_through_a_chain_of_links(launcher: Path, tmp_path: Path, target: str) -> None:
    elsewhere = tmp_path / "a" / "b"
    elsewhere.mkdir(parents=True)
    first = elsewhere / "first"
    first.symlink_to(launcher if target == "absolute" else os.path.relpath(launcher, elsewhere))
    (tmp_path / "second").symlink_to(first if target == "absolute" else "a/b/first")
    assert seen([str(tmp_path / "second"), "x"], tmp_path)["argv"] == ["x"]


def test_starts_from_a_linked_directory_by_relative_name(launcher: Path, tmp_path: Path) -> None:
    (tmp_path / "tools").symlink_to(launcher.parent)
    assert seen(["./tools/lyftlearn-entrypoint", "x"], tmp_path)["argv"] == ["x"]


def test_starts_by_name_on_path(launcher: Path, tmp_path: Path) -> None:
    found = seen(["env", "lyftlearn-entrypoint"], tmp_path, PATH=f"{launcher.parent}:{os.environ['PATH']}")
    assert os.path.isabs(str(found["package"][0]))


def test_starts_when_the_interpreter_is_named(launcher: Path, tmp_path: Path) -> None:
    assert seen([PYTHON, "-I", "-S", str(launcher), "x"], tmp_path)["flags"] == [1, 1]


def test_as_pip_leaves_it_the_launcher_goes_on_in_its_process(launcher: Path, tmp_path: Path) -> None:
    """With site, and without -I: slower, still right, and the directory of programs is no place for modules."""
    (launcher.parent / "json.py").write_text("raise SystemExit('shadowed')\n")
    launcher.write_bytes(b"#!" + os.fsencode(PYTHON) + b"\n" + body().partition(b"\n")[2])
    found = seen([str(launcher), "x"], tmp_path)
    assert found["flags"] == [0, 0]
    assert os.path.realpath(launcher.parent) not in [os.path.realpath(str(entry)) for entry in found["path"]]


def test_nothing_of_the_users_runs(launcher: Path, tmp_path: Path) -> None:
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    for name in ("sitecustomize", "usercustomize", "json", "_json"):
        (hostile / f"{name}.py").write_text("raise SystemExit('ran')\n")
    assert seen([str(launcher)], tmp_path, PYTHONPATH=str(hostile), PYTHONSTARTUP=str(hostile / "json.py"))["argv"] == []


def test_without_the_package_it_says_so(tmp_path: Path) -> None:
    launcher = tmp_path / "bin" / "lyftlearn-entrypoint"
    launcher.parent.mkdir()
    assert install(PYTHON, str(launcher)) != []
    done = subprocess.run([str(launcher)], capture_output=True, text=True, check=False)
    assert done.returncode == 78
    assert "the package lyftlearn_entrypoint is not beside" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_installed_launcher_is_the_isolated_one() -> None:
    """What scripts/setup leaves in the environment that runs these tests."""
    installed = Path(sys.executable).parent / "lyftlearn-entrypoint"
    first = installed.read_bytes().split(b"\n", 1)[0]
    assert first.startswith(b"#!/")
    assert first.endswith(b" -ISXutf8")
