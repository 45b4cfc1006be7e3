"""The order in which a waterfall shows its bars: a step, below it what it waited for in other threads, and inside each its parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lyftlearn_entrypoint.cli.trace.bars import MAIN, Bar, Trace

if TYPE_CHECKING:
    from lyftlearn_entrypoint.cli.trace.critical import Part

_TOLD = ("error", "status", "proxy", "addresses", "clock", "opened")


@dataclass(frozen=True)
class Row:
    """One line of a waterfall."""

    bar: Bar
    depth: int

    @property
    def note(self) -> str:
        """The facts of it that a person wants to see beside it."""
        return ", ".join(str(self.bar.facts[name]) if name == "error" else f"{name} {self.bar.facts[name]}" for name in _told(self.bar))


def _told(bar: Bar) -> list[str]:
    return [name for name in _TOLD if name in bar.facts]


def rows(trace: Trace) -> list[Row]:
    """All bars. Threads beside the main one stand below its bar that was under way when they began."""
    side = [bar for thread, bars in trace.threads.items() if thread != MAIN for bar in bars]
    found: list[Row] = []
    for bar in trace.threads.get(MAIN, []):
        found += _below(bar, 0)
        mine = [other for other in side if bar.begin <= other.begin < max(bar.end, bar.begin + 0.001)]
        for other in sorted(mine, key=lambda other: (other.begin, other.name)):
            found += _below(other, 1)
        side = [other for other in side if other not in mine]
    for other in sorted(side, key=lambda other: other.begin):
        found += _below(other, 0)
    return found


def _below(bar: Bar, depth: int) -> list[Row]:
    return [Row(bar, depth), *(row for child in bar.inner for row in _below(child, depth + 1))]


def blame(parts: list[Part]) -> list[tuple[str, float]]:
    """What the critical path consists of, (name, milliseconds), the longest first; parts of one name are added up."""
    sums: dict[str, float] = {}
    for part in parts:
        name = part.bar.label if part.bar is not None else "between the steps"
        sums[name] = sums.get(name, 0.0) + part.end - part.begin
    return sorted(sums.items(), key=lambda item: -item[1])


def outcome(trace: Trace) -> str:
    """One line on the start: where, how it ended, how long it took."""
    facts = trace.facts
    where = f" in {facts['context']}" if facts.get("context") else ""
    command = f" of {facts['command']}" if facts.get("command") else ""
    code = facts.get("code")
    how = f", which failed with exit {code}" if isinstance(code, int) and code else ""
    return f"start{command}{where}{how}: {milliseconds(trace.total)} ms"


def milliseconds(value: float) -> str:
    return f"{value:.1f}" if value < 1000 else f"{value:.0f}"
