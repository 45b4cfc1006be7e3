"""Parameters for tests that hold for each image: `@pytest.mark.parametrize("name", EVERY)`, with the image of that name needed."""

import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
# `lyftlearn image test NAME` tests one image, and may have no other.
NAMES = (
    [name]
    if (name := os.environ.get("LYFTLEARN_TEST_CONTENT_OF"))
    else sorted(path.parent.name for path in ROOT.glob("images/*/Dockerfile"))
)


def costly(*names: str) -> "list[Any]":
    """For tests that are `thorough` for these: what takes long there, and says the same as for the others."""
    marks = {name: (pytest.mark.image(name), pytest.mark.thorough) if name in names else pytest.mark.image(name) for name in NAMES}
    return [pytest.param(name, marks=marks[name], id=name) for name in NAMES]


EVERY = costly()
