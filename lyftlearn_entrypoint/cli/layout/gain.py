"""What laying out a layer spares: spans that a start fetches of it, in the engine's own order and hot-first. Pure.

A layer of few huge files, as NVIDIA's libraries are, gains nothing: what a start maps of them lies together anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lyftlearn_entrypoint.cli.footprint.spans import touched
from lyftlearn_entrypoint.cli.layout import order

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lyftlearn_entrypoint.cli.footprint.spans import Range
    from lyftlearn_entrypoint.cli.layout.order import Entry

# Below that share of a layer's spans, for every start, its layout is not worth the writing.
WORTH = 0.03


@dataclass(frozen=True)
class Gain:
    """Spans of one layer that a start fetches at most, in the engine's own order and with the hot files in front."""

    plain: int
    hot: int

    @property
    def share(self) -> float:
        """What is spared, of what is fetched in the engine's own order."""
        return (self.plain - self.hot) / self.plain if self.plain else 0.0


def gains(entries: Sequence[Entry], hot: Iterable[str], uses: Mapping[str, Mapping[str, Sequence[Range]]]) -> dict[str, Gain]:
    """By start, given what each touches of a layer: ranges of the layer's tar as it is now, by path.

    The order in which the layer's entries are now makes no difference.
    """
    known = {entry.path: entry.start for entry in entries}
    places = [_places(made) for made in (order.named(entries), order.ordered(entries, hot))]
    found = {}
    for start, paths in uses.items():
        spans = [
            len(
                touched(
                    (begin + new[path] - known[path], end + new[path] - known[path])
                    for path in paths
                    if path in known
                    for begin, end in paths[path]
                )
            )
            for new in places
        ]
        found[start] = Gain(*spans)
    return found


def _places(entries: Iterable[Entry]) -> dict[str, int]:
    made, at = {}, 0
    for entry in entries:
        made[entry.path] = at
        at += entry.size
    return made
