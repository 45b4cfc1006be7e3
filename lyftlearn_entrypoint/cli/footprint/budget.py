"""images/NAME/footprint.json: what starts may touch, and what they touched when it was written, so that a growth has a name. Pure.

By start: `opened`, bytes of opened files by the beginning of a layer's name (a layer that is not named may not be touched at all); `total`;
`fetched`, bytes unpacked that a lazy pull fetches at most; `packages`, bytes of opened files of each package as they were. Three are
promises, set by hand and kept by `made`: `gzip`, compressed bytes fetched by the upper bound; `gzip_least`, by the lower one, for starts
that map far more than they read; and `over_python`, by how much the upper one may be more than that of the system's bare Python. A start
that the hot list is not made from has none of its own: it is held to another's `gzip` and `gzip_least`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lyftlearn_entrypoint.cli.footprint.spans import SPAN
from lyftlearn_entrypoint.cli.image.size import megabytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lyftlearn_entrypoint.cli.footprint.starts import Start

# What --update leaves for packages to grow, and what it rounds up to: 100 kB.
_GROWTH = 1.05
_ROUND = 100_000
_NAMED = 3  # packages in a message
# How much worse a start may be that the hot list is not made from.
_HELD = 1.15
_PROMISES = ("gzip", "gzip_least", "over_python")
# Promise, bound, and how it is told.
_BOUNDS = (("gzip", "most", "has {} fetched, compressed"), ("gzip_least", "least", "has {} surely fetched, compressed"))


def made(found: list[dict[str, Any]], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A budget for starts as `facts` gives them: what they touch now, and a twentieth more; one span more for what is fetched.

    Promises of the budget `before` stay as they are.
    """
    return {
        each["start"]: {
            "opened": {name: _roomy(size) for name, size in _opened(each["layers"]).items()},
            "total": _roomy(each["bytes"]),
            "fetched": _roomy(each["fetched"]["most"]["bytes"] + SPAN),
            **{name: limit for name, limit in (before or {}).get(each["start"], {}).items() if name in _PROMISES},
            "packages": _packages(each["layers"]),
        }
        for each in found
        if not each.get("held")
    }


def _opened(rows: list[dict[str, Any]]) -> dict[str, int]:
    """Bytes of opened files by the beginning of a layer's name. An image and the one below may have a layer of the same."""
    sizes: dict[str, int] = {}
    for row in rows:
        if row["files"]:
            sizes[key(row["layer"])] = sizes.get(key(row["layer"]), 0) + row["bytes"]
    return sizes


def key(label: str) -> str:
    """The beginning of a layer's name that stays when a step is changed: what it does, and to what."""
    return " ".join(label.split(" ")[:2])


def judged(starts: Iterable[Start], budget: Mapping[str, Any], compressed: bool) -> list[Start]:
    """The starts that a check is of: those that are held out only where compressed bytes are measured, and their kind has a promise."""
    return [start for start in starts if not start.held or (compressed and "gzip" in budget.get(start.held, {}))]


def over(found: list[dict[str, Any]], budget: Mapping[str, Any]) -> list[str]:
    """What is over its budget, one line each, with the packages that grew most. Starts without a budget are passed over."""
    lines = []
    for each in found:
        lines += _squeezed(each, budget)
        if (limits := budget.get(each["start"])) is None:
            continue
        before = limits.get("packages", {})
        for name, rows in _grouped(each["layers"], limits["opened"]).items():
            limit = limits["opened"].get(name, 0)
            lines += _line(each["start"], f"opens {{}} of {name}", sum(row["bytes"] for row in rows), limit, _packages(rows), before)
        everything = _packages(each["layers"])
        lines += _line(each["start"], "opens {} in all", each["bytes"], limits["total"], everything, before)
        lines += _line(each["start"], "has {} fetched", each["fetched"]["most"]["bytes"], limits["fetched"], everything, before)
    return lines


def _squeezed(each: dict[str, Any], budget: Mapping[str, Any]) -> list[str]:
    """What is over a promise; nothing where compressed bytes were not measured."""
    limits = budget.get(each.get("held") or each["start"], {})
    packages, before = _packages(each["layers"]), limits.get("packages", {})
    lines = []
    for promise, bound, told in _BOUNDS:
        size = each["fetched"].get(bound, {}).get("compressed_bytes")
        if size is not None and promise in limits:
            limit = round(limits[promise] * _HELD) if each.get("held") else limits[promise]
            lines += _line(each["start"], told, size, limit, packages, before)
    more = each.get("over_python", {}).get("fetched", {}).get("most", {}).get("compressed_bytes")
    if more is not None and "over_python" in limits:
        lines += _line(each["start"], "has {} more fetched than bare Python, compressed", more, limits["over_python"], packages, before)
    return lines


def _roomy(size: int) -> int:
    return -(-int(size * _GROWTH) // _ROUND) * _ROUND


def _grouped(rows: list[dict[str, Any]], limits: Mapping[str, int]) -> dict[str, list[dict[str, Any]]]:
    """The layers by the longest beginning of their name that has a limit; those of none by their own name."""
    made: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        starts = [start for start in limits if row["layer"].startswith(start)]
        made.setdefault(max(starts, key=len) if starts else row["layer"], []).append(row)
    return made


def _packages(rows: list[dict[str, Any]]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for row in rows:
        for name, size in row["packages"].items():
            sizes[name] = sizes.get(name, 0) + size
    return dict(sorted(sizes.items()))


def _line(start: str, what: str, size: int, limit: int, packages: dict[str, int], before: Mapping[str, int]) -> list[str]:
    if size <= limit:
        return []
    grown = sorted(((size - before.get(name, 0), name) for name, size in packages.items()), key=lambda each: (-each[0], each[1]))
    named = [f"{name} (+{megabytes(more)}{'' if name in before else ', new'})" for more, name in grown[:_NAMED] if more > 0]
    because = ": " + ", ".join(named) if named else ": no package grew, so files moved between layers or spans"
    return [f"{start} {what.format(megabytes(size))}, over its budget of {megabytes(limit)}{because}"]
