"""A locale whose encoding is not UTF-8, as LC_ALL=de_DE.ISO-8859-1: paths are bytes, and mean what they mean without us."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Starter


@pytest.fixture(scope="module")
def latin_1(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables that choose it; empty where it cannot be made."""
    directory = tmp_path_factory.mktemp("locales")
    words = ["localedef", "-i", "de_DE", "-f", "ISO-8859-1", str(directory / "de_DE.ISO-8859-1")]
    try:
        made = subprocess.run(words, capture_output=True, check=False).returncode == 0
    except OSError:
        made = False
    return {"LOCPATH": str(directory), "LC_ALL": "de_DE.ISO-8859-1"} if made else {}


@pytest.fixture
def latin(latin_1: dict[str, str], need: Callable[[object, str], None]) -> dict[str, str]:
    need(latin_1, "localedef and the sources of locales (Debian: locales) are not there")
    return latin_1


def program(directory: Path) -> Path:
    directory.mkdir()
    path = directory / "prog"
    path.write_text('#!/bin/sh\necho "$0" "$@"\nexit 5\n')
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("name", ["é", "日本", os.fsdecode(b"\xe9"), "plain"], ids=ascii)
@pytest.mark.parametrize("by_path", [True, False], ids=["by-path", "by-PATH"])
def test_a_program_of_any_path_is_found(starter: "Starter", latin: dict[str, str], tmp_path: Path, name: str, by_path: bool) -> None:
    path = program(tmp_path / name)
    env = {**latin, "PATH": f"/usr/bin:{tmp_path}/{name}"}
    word = str(path) if by_path else "prog"
    done = starter.run(word, "ü", env=env)
    assert (done.returncode, done.stdout, done.stderr) == (5, os.fsencode(f"{path} ü\n"), b"")
    plain = starter.direct(word, "ü", env=env)
    assert (plain.returncode, plain.stdout) == (5, done.stdout)


@pytest.mark.parametrize("training", [False, True], ids=["local", "training"])
def test_a_home_of_any_name_stays(starter: "Starter", latin: dict[str, str], tmp_path: Path, training: bool) -> None:
    home = tmp_path / "日本"
    home.mkdir()
    if training:
        starter.training()
        starter.channel('{"STAGED": "grün"}', "{}")
    done = starter.run("sh", "-c", 'echo "$HOME" "$STAGED"; cd "$HOME"', env={**latin, "HOME": str(home)})
    assert (done.returncode, done.stdout) == (0, f"{home} {'grün' if training else ''}\n".encode())
    assert list(home.iterdir()) == []
    assert not (tmp_path / "tmp").exists()  # where a HOME that cannot be written would be made


def test_settings_below_a_root_of_any_name(starter: "Starter", latin: dict[str, str], tmp_path: Path) -> None:
    starter.root = tmp_path / "ö日"
    starter.root.mkdir()
    starter.training()
    starter.channel("{}", '{"Tiefe": 3}')
    done = starter.run("sh", "-c", 'cat "$LYFTLEARN_HYPERPARAMETERS_FILE"', env=latin)
    assert (done.returncode, done.stdout) == (0, b'{"Tiefe":"3"}')
