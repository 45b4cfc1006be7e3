"""The fixture that starts registries which answer by a script."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.fake_http import Answer, Script, in_turn, serve
from tests.unit.registry_world import Meet, Met, closing


@pytest.fixture
def meet() -> Iterator[Meet]:
    opened: list[Any] = []

    def start(script: "Script | Answer", *more: Answer) -> Met:
        context = serve(closing(script if callable(script) else in_turn(script, *more)))
        opened.append(context)
        server = context.__enter__()
        return Met(server.port, server)

    yield start
    for context in opened:
        context.__exit__(None, None, None)
