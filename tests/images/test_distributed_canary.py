"""Users' programs for images/distributed, unchanged, in every place: docs/canary.md."""

from typing import TYPE_CHECKING

import pytest

from tests.images.alone import alone
from tests.images.canary_fixture import is_the_same_everywhere, needs_root, programs, seen_in
from tests.parity.canary.canary import Seen
from tests.parity.canary.programs import Program

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["alone"]  # a fixture

pytestmark = [pytest.mark.image("distributed"), pytest.mark.slow, pytest.mark.thorough, needs_root]
PROGRAMS = programs("distributed")


@pytest.fixture(scope="module")
def seen() -> "Iterator[Seen]":
    yield from seen_in("distributed")


@pytest.mark.parametrize("program", PROGRAMS, ids=[program.name for program in PROGRAMS])
def test_a_program_says_the_same_in_every_place(seen: Seen, program: Program) -> None:
    is_the_same_everywhere(seen, program)
