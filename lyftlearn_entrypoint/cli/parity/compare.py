"""Snapshots side by side: the first is what the others are held against. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lyftlearn_entrypoint.cli.parity.facts import Snapshot, group_of, thing_of
from lyftlearn_entrypoint.errors import BadSettings

if TYPE_CHECKING:
    from lyftlearn_entrypoint.cli.parity.contract import Explanation


@dataclass
class Difference:
    """One row that is not the same in all. `values` and `explained` are by snapshot; those of the first explain nothing.

    A value is None where the row is absent; an explanation is None where the value is that of the first, or where nobody explains it.
    """

    path: str
    values: list[str | None]
    explained: list[Explanation | None]

    @property
    def unexplained(self) -> list[int]:
        """The numbers of the snapshots whose difference nobody explains."""
        return [n for n, value in enumerate(self.values) if value != self.values[0] and self.explained[n] is None]


@dataclass
class Comparison:
    snapshots: list[Snapshot]
    differences: list[Difference]
    same: dict[str, str]
    stale: list[Explanation]
    names_only: bool = False
    used: list[Explanation] = field(default_factory=list)

    @property
    def unexplained(self) -> list[Difference]:
        return [difference for difference in self.differences if difference.unexplained]

    @property
    def explained(self) -> list[Difference]:
        return [difference for difference in self.differences if not difference.unexplained]

    def good(self, strict: bool) -> bool:
        return not self.unexplained and not (strict and self.stale)

    def facts(self) -> dict[str, Any]:
        """For --json."""
        return {
            "snapshots": [{"label": s.label, "context": s.context, "taken": s.taken, "facts": len(s.rows)} for s in self.snapshots],
            "names_only": self.names_only,
            "same": len(self.same),
            "explained": len(self.explained),
            "unexplained": len(self.unexplained),
            "differences": [
                {
                    "path": difference.path,
                    "group": group_of(difference.path).name,
                    "values": difference.values,
                    "unexplained": [self.snapshots[n].label for n in difference.unexplained],
                    "explanations": sorted({e.line for e in difference.explained if e}),
                }
                for difference in self.differences
            ],
            "explanations": [{"line": e.line, "path": e.path, "why": e.why, "notice": e.notice} for e in self.used],
            "stale": [{"line": e.line, "path": e.path, "in": e.contexts, "why": e.why} for e in self.stale],
        }


def check_keys(snapshots: list[Snapshot], names_only: bool) -> None:
    """Raises BadSettings (78) where values cannot be compared, and it was not said that names will do."""
    if names_only:
        return
    without = [snapshot.label for snapshot in snapshots if snapshot.key is None]
    if without:
        raise BadSettings(
            f"{', '.join(without)}: taken without a key, so there is no value in it to compare",
            "Take it with LYFTLEARN_SNAPSHOT_KEY or --key-file, or compare names alone: --names-only",
        )
    if len({snapshot.key for snapshot in snapshots}) > 1:
        told = ", ".join(f"{snapshot.label} under {snapshot.key}" for snapshot in snapshots)
        raise BadSettings(
            f"these were taken under different keys ({told}), so every value would differ",
            "Take all of them with one key, or compare names alone: --names-only",
        )


def compare(snapshots: list[Snapshot], contract: list[Explanation], image: str = "", names_only: bool = False) -> Comparison:
    """Each snapshot with the first. `image` is the name of the image, for explanations that are of some images alone."""
    check_keys(snapshots, names_only)
    rows = [_plain(snapshot.rows) if names_only else snapshot.rows for snapshot in snapshots]
    first = snapshots[0]
    pairs = [(first.context, other.context) for other in snapshots]
    applying = [[e for e in contract if e.applies(pair, image)] for pair in pairs]
    differences: list[Difference] = []
    same: dict[str, str] = {}
    used: list[Explanation] = []
    for path in sorted({path for row in rows for path in row}):
        values = [row.get(path) for row in rows]
        thing = thing_of(path)
        if thing != path and thing not in rows[0]:
            continue  # new things are told once, not with each property
        # Nor are those told that are gone.
        gone = [thing != path and thing not in row for row in rows]
        if all(gone[n] or value == values[0] for n, value in enumerate(values)):
            same[path] = str(values[0])
            continue
        values = [values[0] if gone[n] else value for n, value in enumerate(values)]
        if len(set(values)) == 1:
            same[path] = str(values[0])
            continue
        explained: list[Explanation | None] = [None] * len(values)
        for number, value in enumerate(values):
            if value != values[0]:
                found = next((e for e in applying[number] if e.holds(path, pairs[number], (values[0], value))), None)
                explained[number] = found
                if found and found not in used:
                    used.append(found)
        differences.append(Difference(path, values, explained))
    concerned = [e for e in contract if any(e in some for some in applying[1:])]
    return Comparison(snapshots, differences, same, [e for e in concerned if e not in used], names_only, used)


def _plain(rows: dict[str, str]) -> dict[str, str]:
    return {path: "hidden" if value.startswith("hmac:") or value == "none" else value for path, value in rows.items()}
