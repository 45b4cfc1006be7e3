"""The matrix fails where it has to: an image in which a program can tell where it runs, and one that is not there."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.images.alone import alone
from tests.images.parity_matrix import matrix

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["alone"]  # a fixture

pytestmark = [
    pytest.mark.image,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="lyftlearn local parity needs root"),
]


def test_an_image_that_lets_a_program_tell_fails(derived: "Callable[..., str]", tmp_path: Path) -> None:
    image = derived(LYFTLEARN_ENV_KEEP="SCREENING_GREETING", SCREENING_GREETING="of-the-image")
    done = matrix("base", image, tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.splitlines()[0].endswith(" explained, 2 not explained")
    rows = [line for line in done.stdout.splitlines() if line.startswith("    variables[") and " !" in line]
    # The setting itself too: a pod has no step that takes it away.
    assert [row.split()[0] for row in rows] == ["variables[LYFTLEARN_ENV_KEEP]", "variables[SCREENING_GREETING]"]
    assert [row.count(" !") for row in rows] == [5, 5]
    assert "of-the-image" not in done.stdout + (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<h1>2 differences nobody explains</h1>" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_without_the_image_it_says_so(tmp_path: Path) -> None:
    done = matrix("base", "lyftlearn-no-such-image:1", tmp_path / "out")
    assert done.returncode == 1
    assert "there is no image lyftlearn-no-such-image:1" in done.stderr
    assert not (tmp_path / "out").exists()
