"""The one table of findings: what a start's lines, `lyftlearn doctor` and docs/troubleshooting.md call by a code.

The start carries only the codes (errors.py); their words are here, never imported by it. A code is never given to another
finding: tests/unit/findings.txt keeps every code that there ever was.
"""

from __future__ import annotations

from typing import NamedTuple

from lyftlearn_entrypoint.errors import EXIT_CODES, BadSettings, StartError


class Known(NamedTuple):
    """A row of the table. `exit` is the code with which a start ends because of it; 0 where a start goes on (a warning, a check)."""

    code: str
    name: str  # a few words for tables and for JSON; stable
    exit: int
    means: str
    remedy: str


class Area(NamedTuple):
    """Findings of one kind: what the page calls them, and the rows."""

    title: str
    rows: tuple[Known, ...]


def areas() -> list[Area]:
    """The whole table, in the order of the page."""
    from lyftlearn_entrypoint.cli.findings import confidant, documents, machine, network, own, services, warm

    return [*own.AREAS, *services.AREAS, *documents.AREAS, *confidant.AREAS, *network.AREAS, *machine.AREAS, *warm.AREAS]


def table() -> dict[str, Known]:
    """Every finding by its code."""
    return {row.code: row for area in areas() for row in area.rows}


def explained(code: str) -> str:
    """A row as a terminal shows it. Raises BadSettings (78) for a code that is none."""
    row = table().get(code.strip(" []").upper())
    if row is None:
        raise BadSettings(f"{code[:20]!r} is no code of this version", "It is the word in brackets at the end of a line, such as LL0609")
    ends = f" (a start ends with {row.exit}: {meaning(row.exit)})" if row.exit else ""
    lines = [f"{row.code}  {row.name}{ends}", "", row.means, *(["", f"Remedy: {row.remedy}"] if row.remedy else [])]
    return "\n".join(lines).replace("`", "")


def meaning(code: int) -> str:
    """What an exit code says of a start."""
    return (EXIT_CODES.get(code) or StartError).meaning


def page() -> str:
    """docs/troubleshooting.md, made of the table."""
    lines = [
        "# Troubleshooting",
        "",
        "This page is made of the code's own table by `lyftlearn doctor --docs`; a test compares the two.",
        "",
        "Each failure has a code. A start's line on stderr ends with it, as does the reason that SageMaker shows; `lyftlearn doctor`",
        "prints it before each verdict. Look for it here. A code is never given to something else.",
        "What `lyftlearn doctor` does, and an example: [doctor](doctor.md). A real line for each exit code: [failures](failures.md).",
        "",
    ]
    for area in areas():
        lines += [f"## {area.title}", ""]
        for row in area.rows:
            lines += [f"### {row.code}", f"**{row.name}**" + (f", exit {row.exit}" if row.exit else ""), "", row.means]
            lines += ["", f"*Remedy:* {row.remedy}"] if row.remedy else []
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"
