"""A test that lacks its part is skipped by name on a laptop, and fails in CI."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest
def test_part(need): need(False, "no such part here")
@pytest.mark.skip("marked")
def test_mark(): pass
@pytest.mark.xfail(reason="expected")
def test_expected(): raise ValueError
def test_there(need): need(True, "not said")
"""


@pytest.fixture
def run(tmp_path: Path) -> tuple[Path, list[str]]:
    tests = Path(__file__).parents[1]
    shutil.copy(tests / "conftest.py", tmp_path)
    (tmp_path / "tests").mkdir()
    shutil.copy(tests / "remarks.py", tmp_path / "tests")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path, [sys.executable, "-I", "-m", "pytest", "-ra", "-p", "no:cacheprovider"]


def outcome(run: tuple[Path, list[str]], **env: str) -> tuple[int, str]:
    directory, command = run
    kept = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=directory, env={**kept, **env}, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_laptop_skips_with_the_reason(run: tuple[Path, list[str]]) -> None:
    (run[0] / "test_it.py").write_text(TESTS)
    code, text = outcome(run)
    assert code == 0
    assert "no such part here" in text
    assert "1 passed, 2 skipped, 1 xfailed" in text


def test_ci_fails_with_the_reason(run: tuple[Path, list[str]]) -> None:
    (run[0] / "test_it.py").write_text(TESTS)
    code, text = outcome(run, CI="true")
    assert code == 1
    assert "CI=true, where nothing may be skipped: " in text
    assert "no such part here" in text
    assert "1 failed, 1 passed, 1 xfailed, 1 error" in text  # a mark skips before the test: an error


def test_ci_fails_when_a_whole_module_is_skipped(run: tuple[Path, list[str]]) -> None:
    (run[0] / "test_it.py").write_text("import pytest\npytest.importorskip('no_such_package')\n")
    code, text = outcome(run, CI="true")
    assert code == 2
    assert "no_such_package" in text


def test_ci_tells_a_failure_at_once(run: tuple[Path, list[str]]) -> None:
    """With its reason, though the run is cut short and has no summary."""
    (run[0] / "test_it.py").write_text("def test_1(): raise ValueError('the reason')\ndef test_2(): __import__('os')._exit(9)\n")
    run[1].extend(("-p", "no:randomly"))
    code, text = outcome(run, CI="true")
    assert code == 9
    assert re.search(r"^\[0:\d\d\] FAILED in its call: test_it.py::test_1$", text, re.MULTILINE)
    assert "ValueError: the reason" in text
    code, text = outcome(run)
    assert code == 9
    assert "the reason" not in text
