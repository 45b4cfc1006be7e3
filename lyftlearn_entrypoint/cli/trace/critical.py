"""The critical path: of each moment of a start, the one thing for which everything else waited.

Walked from the end back. On a thread that works it is the innermost bar. Where a thread waits for others (the step `fetch` for its tasks, a
request for a connection that another thread opens, a task for credentials that another one asks for) it goes on with what ended
last among those.
"""

from __future__ import annotations

from dataclasses import dataclass

from lyftlearn_entrypoint.cli.trace.bars import MAIN, Bar, Trace

_NEAR = 0.5  # milliseconds: what ended that long after a waiting thread woke is still what woke it


@dataclass(frozen=True)
class Part:
    """A piece of the critical path: `bar` is None where nothing was timed."""

    bar: Bar | None
    begin: float
    end: float


def critical_path(trace: Trace) -> list[Part]:
    """The parts from the beginning to the end, without a gap; each bar's `critical` is filled."""
    parts = _Walk(trace).thread(MAIN, 0.0, trace.total)
    parts.reverse()
    for part in parts:
        if part.bar is not None:
            part.bar.critical += part.end - part.begin
    return parts


class _Walk:
    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def thread(self, thread: int, begin: float, end: float) -> list[Part]:
        return self.inside(None, self.trace.threads.get(thread, []), begin, end)

    def inside(self, owner: Bar | None, bars: list[Bar], begin: float, end: float) -> list[Part]:
        """The path through [begin, end] of one thread, last part first. `bars` lie in `owner`, whose own time is what they leave."""
        parts: list[Part] = []
        cursor = end
        for bar in sorted((bar for bar in bars if bar.begin < end and bar.end > begin), key=lambda bar: -bar.end):
            if bar.begin >= cursor:
                continue
            if bar.end < cursor:
                parts += self.own(owner, bar.end, cursor)
                cursor = bar.end
            first = max(bar.begin, begin)
            parts += self.inside(bar, bar.inner, first, cursor)
            cursor = first
        if cursor > begin:
            parts += self.own(owner, begin, cursor)
        return parts

    def own(self, owner: Bar | None, begin: float, end: float) -> list[Part]:
        """What `owner` did in a time that no bar inside it explains: it worked, or waited for another thread."""
        woke = self.woke(owner, begin, end) if owner is not None else None
        if woke is None:
            return [Part(owner, begin, end)] if end > begin else []
        first, last = max(woke.begin, begin), min(woke.end, end)
        parts = [Part(owner, last, end)] if last < end else []
        parts += self.inside(woke, woke.inner, first, last)
        # Before the other one began, it was this thread's own time.
        return [*parts, Part(owner, begin, first)] if first > begin else parts

    def woke(self, owner: Bar, begin: float, end: float) -> Bar | None:
        """Which bar of another thread `owner` waited for, of those that ended last before `end`."""
        if owner.category == "wait" and not owner.inner:  # who does the work has the requests inside
            others = [bar for bar in self.trace.bars() if bar.name == owner.name and bar.inner]
        elif owner.category == "step" and owner.name == "fetch":
            others = [bar for bar in self.trace.bars() if bar.category == "task"]
        else:
            return None
        overlaps = [bar for bar in others if bar.thread != owner.thread and bar.end > begin and bar.begin < end]
        found = [bar for bar in overlaps if bar.end <= end + _NEAR or bar.hangs]
        return max(found, key=lambda bar: bar.end, default=None)
