"""`lyftlearn image test NAME`: which tests concern images/NAME, and what they are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lyftlearn_entrypoint.cli.image.common import lineage, tag_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

# What holds for each image, and is run for the one that LYFTLEARN_TEST_CONTENT_OF names.
EVERY = ("content", "team", "parity")


def files(root: Path, name: str) -> list[str]:
    """The files of tests: those of images/NAME, then those that hold for each. Raises click.UsageError where it has none of its own."""
    found = {kind: sorted(root.glob(f"tests/images/test_{kind}_*.py")) for kind in (name, *EVERY)}
    if not found[name]:
        raise click.UsageError(f"{root} has no tests/images/test_{name}_*.py")
    return [str(path.relative_to(root)) for each in found.values() for path in each]


def environment(root: Path, name: str, tag: str, environ: Mapping[str, str], there: Callable[[str], bool]) -> dict[str, str]:
    """The tests' environment. Images/NAME is required; what compares it with an image below it is left out where that one is not there."""
    variable = "LYFTLEARN_TEST_IMAGE_{}".format
    below = [each for each in lineage(root, name)[1:] if there(environ.get(variable(each.upper())) or tag_of(each))]
    return {
        **environ,
        "LYFTLEARN_TEST_IMAGES": ",".join([name, *below]),
        "LYFTLEARN_TEST_CONTENT_OF": name,
        variable(name.upper()): tag or tag_of(name),
    }
