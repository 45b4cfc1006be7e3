"""The time that a part of a start took, for the trace and the start's own metrics."""

import time


class Span:
    """Times a block for the trace."""

    __slots__ = ("_began", "_name", "_spans")

    def __init__(self, spans: "list[tuple[str, float, float]]", name: str) -> None:
        self._spans = spans
        self._name = name

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._spans.append((self._name, self._began, time.monotonic()))
