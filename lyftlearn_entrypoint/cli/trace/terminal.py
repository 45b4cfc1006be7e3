"""The waterfall in a terminal: a line a bar, the critical path marked by a star and, where there is colour, in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lyftlearn_entrypoint.cli.trace.rows import Row, blame, milliseconds, outcome, rows

if TYPE_CHECKING:
    from lyftlearn_entrypoint.cli.trace.bars import Trace
    from lyftlearn_entrypoint.cli.trace.critical import Part

_LEFT, _RIGHT = " ▕▐", " ▏▎▍▌▋▊▉█"  # blocks of eighths; what begins inside a column has halves only
_NAMES = 44  # columns for a name, at most


def draw(trace: Trace, path: list[Part], width: int) -> str:
    """The picture, `width` columns wide (60 at least). Lines of the log that are warnings or errors stand below it."""
    shown = rows(trace)
    names = min(_NAMES, max((len(row.bar.name) + 2 * row.depth for row in shown), default=0))
    room = max(60, width) - names - 13
    lines = [outcome(trace), ""]
    lines += [_line(row, trace.total, names, room) for row in shown]
    lines += ["", "critical path (*): what everything else waited for"]
    for name, value in blame(path)[:8]:
        lines.append(f"  {milliseconds(value):>9} ms  {100 * value / trace.total if trace.total else 0:>3.0f} %  {name}")
    troubles = [(moment, text) for moment, text in trace.lines if text.startswith(("warning: ", "error: "))]
    if troubles:
        lines += ["", "it said"]
        lines += [f"  {milliseconds(moment):>9} ms  {text}" for moment, text in troubles]
    return "\n".join(lines)


def _line(row: Row, total: float, names: int, room: int) -> str:
    bar = row.bar
    critical = bar.critical > 0 or any(inner.critical > 0 for inner in bar.walk())
    name = "  " * row.depth + bar.name
    name = name if len(name) <= names else name[: names - 1] + "…"
    text = f"{'*' if critical else ' '} {name:{names}} {milliseconds(bar.duration):>8} "
    blocks = _blocks(bar.begin, bar.end, total, room)
    note = row.note
    if note and len(blocks.rstrip()) + len(note) + 2 < room:
        blocks = blocks.rstrip() + "  " + note
    elif note:
        blocks = blocks.rstrip()
    line = text + click.style(blocks.rstrip(), fg="red" if "error" in bar.facts else "yellow" if critical else "blue")
    if note and note not in blocks:
        line += f"\n{'':{names + 12}}{note}"
    return line


def _blocks(begin: float, end: float, total: float, room: int) -> str:
    """A bar in eighths of a column; the shortest is still seen."""
    scale = room * 8 / total if total else 0.0
    first, last = int(begin * scale), max(int(begin * scale) + 1, round(end * scale))
    first = min(first, room * 8 - 1)
    column, inside = divmod(first, 8)
    if last <= (column + 1) * 8 and inside:  # within one column
        return " " * column + _LEFT[1 if last - first < 4 else 2]
    text = " " * column
    if inside:
        text += _LEFT[1 if inside >= 6 else 2] if inside >= 3 else "█"
        first = (column + 1) * 8
    whole, rest = divmod(max(0, last - first), 8)
    return text + "█" * whole + (_RIGHT[rest] if rest else "")
