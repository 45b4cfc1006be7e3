"""What was seen of an image's programs in every place, once for all tests of a module."""

import os
from typing import TYPE_CHECKING

import pytest

from lyftlearn_local.demo.places import OWN, POD, TOGETHER
from tests.images.conftest import tag
from tests.parity.canary import canary
from tests.parity.canary.programs import Program, load

if TYPE_CHECKING:
    from collections.abc import Iterator

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="the programs' surroundings need root, as scripts/demo --docker does")


def programs(kind: str) -> "list[Program]":
    return [program for program in load() if kind in program.images]


def seen_in(kind: str) -> "Iterator[canary.Seen]":
    """The body of a fixture."""
    with canary.scene(print, dict(os.environ), tag(kind)) as made:
        yield canary.see(made, programs(kind))


def is_the_same_everywhere(seen: canary.Seen, program: Program) -> None:
    """It ran wherever it can, and said the same but for what tests/parity/contract.yaml explains."""
    ran = {place for place, outputs in seen.outputs.items() if program.name in outputs}
    assert ran == {place for place in (OWN if program.own else TOGETHER) if place != program.not_in}
    assert seen.outputs[POD][program.name].get("stdout")
    told = seen.differences(program)
    assert not told, "\n" + "\n".join(told)
