"""A comparison in the terminal: what is not explained first, the rest by explanation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lyftlearn_entrypoint.cli.parity.contract import ABSENT, Explanation
from lyftlearn_entrypoint.cli.parity.facts import GROUPS, group_of

if TYPE_CHECKING:
    from lyftlearn_entrypoint.cli.parity.compare import Comparison, Difference

_WIDE = 30  # characters of a value


def short(value: str | None, most: int = _WIDE) -> str:
    """A value in a table: a hash by its first digits."""
    if value is None:
        return ABSENT
    shown = ", ".join("#" + part[5:12] if part.startswith("hmac:") else part for part in value.split(", ")).replace("\n", " ")
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def lines(comparison: Comparison, everything: bool = False) -> list[str]:
    """`everything`: each explained difference with its values too, not only how many there are."""
    labels = [snapshot.label for snapshot in comparison.snapshots]
    shown = [summary(comparison)]
    if comparison.names_only:
        shown.append("names alone: no value was compared")
    if comparison.unexplained:
        shown += ["", "NOT EXPLAINED", *_table(labels, comparison.unexplained)]
    if comparison.explained:
        shown += ["", "explained"]
        for explanation in comparison.used:
            mine = [d for d in comparison.explained if explanation in d.explained]
            if mine:
                shown += _explained(explanation, mine, labels, everything)
    if comparison.stale:
        shown += ["", "STALE: nothing here differs in what these explain"]
        shown += [f"  line {e.line}: {e.path} in {', '.join(e.contexts)}: {e.why}" for e in comparison.stale]
    return shown


def summary(comparison: Comparison) -> str:
    first, *others = [snapshot.label for snapshot in comparison.snapshots]
    same, explained, unexplained = len(comparison.same), len(comparison.explained), len(comparison.unexplained)
    counts = f"{same} facts the same; differences: {explained} explained, {unexplained} not explained"
    stale = f"; {len(comparison.stale)} stale" if comparison.stale else ""
    return f"{first} and {', '.join(others)}: {counts}{stale}"


def _table(labels: list[str], differences: list[Difference]) -> list[str]:
    cells = [[d.path, *(short(value) + ("" if n not in d.unexplained else " !") for n, value in enumerate(d.values))] for d in differences]
    widths = [max(len(row[n]) for row in [["", *labels], *cells]) for n in range(len(labels) + 1)]

    def line(row: list[str]) -> str:
        return "    " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()

    shown = [line(["", *labels])]
    for group in GROUPS:
        mine = [row for row, d in zip(cells, differences, strict=True) if group_of(d.path) is group]
        if mine:
            shown += [f"  {group.name}: would break {group.breaks}", *map(line, mine)]
    return shown


def _explained(explanation: Explanation, mine: list[Difference], labels: list[str], everything: bool) -> list[str]:
    shown = [f"  {explanation.path}  ({len(mine)})", f"      why: {explanation.why}", f"      to notice: {explanation.notice}"]
    if everything:
        shown += ["  " + line for line in _table(labels, mine) if "would break" not in line]
    return shown
