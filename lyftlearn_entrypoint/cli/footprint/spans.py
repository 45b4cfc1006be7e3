"""What a lazy pull of an image (SOCI) fetches for the bytes that a start touches. Pure.

The index cuts each layer's unpacked tar into spans of 4 MiB; whoever reads a byte fetches its span. A layer below 10 MiB has no index and
is fetched whole, with the pull. Source: awslabs/soci-snapshotter, docs of `soci create` (--span-size, --min-layer-size) and of the zTOC.
The real index begins a span at the first deflate block behind each 4 MiB, a few ten kB later; it is itself fetched too, and not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SPAN = 4 << 20  # unpacked
SMALLEST = 10 << 20  # compressed
PAGE = 4096

# [start, end) in bytes.
Range = tuple[int, int]


@dataclass(frozen=True)
class Weight:
    """A layer's tar: `size` in bytes unpacked; `marks` are compressed bytes at the end of each span, empty where not measured.

    `eager`: fetched whole, with the pull, since it is smaller than SMALLEST as a registry keeps it.
    """

    size: int
    marks: tuple[int, ...] = ()
    eager: bool = False

    @property
    def spans(self) -> int:
        return -(-self.size // SPAN)

    @property
    def compressed(self) -> int:
        """Bytes as a registry keeps it; 0 where it was not measured."""
        return self.marks[-1] if self.marks else 0


@dataclass(frozen=True)
class Fetched:
    """What is fetched of one layer: how many spans, bytes unpacked, and compressed bytes (0 where not measured)."""

    spans: int
    size: int
    compressed: int


def merged(ranges: Iterable[Range], grain: int = 1, end: int | None = None) -> list[Range]:
    """The same bytes as sorted ranges that neither overlap nor meet, widened to multiples of `grain` and cut at `end`."""
    made: list[Range] = []
    for start, stop in sorted(ranges):
        start = start // grain * grain
        stop = -(-stop // grain) * grain
        if end is not None:
            stop = min(stop, end)
        if stop <= start:
            continue
        if made and start <= made[-1][1]:
            made[-1] = (made[-1][0], max(made[-1][1], stop))
        else:
            made.append((start, stop))
    return made


def total(ranges: Iterable[Range]) -> int:
    """Bytes of ranges that do not overlap."""
    return sum(stop - start for start, stop in ranges)


def pages(ranges: Iterable[Range]) -> int:
    """How many pages ranges hold that were widened to pages; the last of a file may be cut."""
    return sum(-(-(stop - start) // PAGE) for start, stop in ranges)


def touched(ranges: Iterable[Range]) -> set[int]:
    """Numbers of the spans that hold these bytes of a layer's tar."""
    return {number for start, stop in ranges if stop > start for number in range(start // SPAN, (stop - 1) // SPAN + 1)}


def fetched(weight: Weight, ranges: Iterable[Range]) -> Fetched:
    """What a lazy pull fetches of a layer for these bytes of its tar."""
    numbers = range(weight.spans) if weight.eager else sorted(touched(ranges))
    size = sum(min(weight.size, (number + 1) * SPAN) - number * SPAN for number in numbers)
    starts = (0, *weight.marks)
    compressed = sum(weight.marks[number] - starts[number] for number in numbers) if weight.marks else 0
    return Fetched(len(numbers), size, compressed)
