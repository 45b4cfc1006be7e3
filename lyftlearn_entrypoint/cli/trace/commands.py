"""The command `lyftlearn trace FILE`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import click

from lyftlearn_entrypoint.cli.trace.bars import Trace, load
from lyftlearn_entrypoint.cli.trace.critical import Part, critical_path
from lyftlearn_entrypoint.cli.trace.page import page
from lyftlearn_entrypoint.cli.trace.rows import blame, rows
from lyftlearn_entrypoint.cli.trace.terminal import draw
from lyftlearn_entrypoint.errors import BadSettings


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--html", type=click.Path(path_type=Path), help="Also write the waterfall as one page, to open in a browser.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--width", type=click.IntRange(60, 1000), help="Columns to draw in. [default: the terminal's]")
def trace(file: Path, html: Path | None, as_json: bool, width: int | None) -> None:
    """Draw the trace of a start that LYFTLEARN_TRACE=FILE wrote, with the critical path marked. Perfetto opens the file too."""
    read = load(file)
    path = critical_path(read)
    if html is not None:
        try:
            html.write_text(page(read, path), encoding="utf-8")
        except OSError as error:
            raise BadSettings(f"{html} cannot be written: {error.strerror}", "Name another file with --html") from None
        click.echo(f"lyftlearn: wrote {html}", err=True)
    if as_json:
        click.echo(json.dumps(facts(read, path), indent=2))
    elif html is None:
        click.echo(draw(read, path, width or shutil.get_terminal_size((100, 24)).columns))


def facts(read: Trace, path: list[Part]) -> dict[str, object]:
    """What `--json` prints. Times are milliseconds."""
    return {
        **{key: value for key, value in read.facts.items() if key in ("context", "code", "command", "version")},
        "milliseconds": round(read.total, 3),
        "critical_path": [{"name": name, "milliseconds": round(value, 3)} for name, value in blame(path)],
        "events": [
            {
                "name": row.bar.name,
                "category": row.bar.category,
                "thread": read.names.get(row.bar.thread, str(row.bar.thread)),
                "depth": row.depth,
                "begin": round(row.bar.begin, 3),
                "milliseconds": round(row.bar.duration, 3),
                "critical_milliseconds": round(row.bar.critical, 3),
                "facts": row.bar.facts,
            }
            for row in rows(read)
        ],
        "log": [{"at": round(moment, 3), "line": text} for moment, text in read.lines],
    }
