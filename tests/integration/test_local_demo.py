"""The main job itself: examples/train.py unchanged, three ways, and the model served."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lyftlearn_local.demo.table import Table

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.slow
@pytest.mark.parametrize("mounts", [[], ["--no-mounts"]], ids=["mounts", "no-mounts"])
def test_the_program_sees_the_same_each_way(mounts: "list[str]") -> None:
    command = [sys.executable, "-I", "-m", "lyftlearn_local.demo", "--examples", str(EXAMPLES), *mounts]
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    compared = [line for line in lines if line.endswith("  same")]
    assert len(compared) > 12
    assert "DIFFERENT" not in done.stdout
    assert "\033" not in done.stdout
    assert any("exit code 0 after SIGTERM" in line for line in lines)


def test_examples_know_nothing_of_us() -> None:
    for name in ("train.py", "serve.py"):
        text = (EXAMPLES / name).read_text().lower()
        assert "lyft" not in text
        assert "sagemaker" not in text


def test_a_difference_is_marked_and_red_on_a_terminal() -> None:
    table = Table(["a", "b"], colour=True)
    table.add("equal", ["1", "1"])
    table.add("timing", ["1", "2"], compared=False)
    before = table.same
    table.add("secret", ["1", "2"])
    assert (before, table.same) == (True, False)
    lines = table.render().splitlines()
    assert lines[1].startswith("\033[32m")
    assert "\033" not in lines[2]
    assert lines[3].startswith("\033[31m")
    assert lines[3].endswith("DIFFERENT\033[0m")
