"""The waterfall as one page that needs nothing from outside: drawn by the browser's own layout, searched by a few lines of script."""

from __future__ import annotations

import re
from html import escape
from importlib import resources
from typing import TYPE_CHECKING

from lyftlearn_entrypoint.cli.trace.rows import Row, blame, milliseconds, outcome, rows

if TYPE_CHECKING:
    from lyftlearn_entrypoint.cli.trace.bars import Trace
    from lyftlearn_entrypoint.cli.trace.critical import Part


def page(trace: Trace, path: list[Part]) -> str:
    """The whole document. Everything from the trace is escaped."""
    template = resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    parts = {
        "TITLE": escape(outcome(trace)),
        "STATE": "failed" if trace.facts.get("code") else "well",
        "BLAME": "".join(_blame(name, value, trace.total) for name, value in blame(path)[:8]),
        "SCALE": "".join(_tick(step, trace.total) for step in range(5)),
        "ROWS": "".join(_row(row, trace) for row in rows(trace)),
        "LOG": "".join(_log(moment, text) for moment, text in trace.lines) or "<li>nothing</li>",
        "VERSION": escape(str(trace.facts.get("version", ""))),
    }
    return re.sub(r"\{\{([A-Z]+)\}\}", lambda found: parts[found[1]], template)


def _share(value: float, total: float) -> float:
    return 100 * value / total if total else 0.0


def _blame(name: str, value: float, total: float) -> str:
    share = _share(value, total)
    bar = f'<span class="part"><i style="width:{share:.2f}%"></i></span>'
    return f"<li>{bar}<b>{milliseconds(value)} ms</b> <em>{share:.0f} %</em> {escape(name)}</li>"


def _tick(step: int, total: float) -> str:
    return f'<span style="left:{step * 25}%">{milliseconds(total * step / 4)}{" ms" if step == 4 else ""}</span>'


def _row(row: Row, trace: Trace) -> str:
    bar = row.bar
    critical = any(inner.critical > 0 for inner in bar.walk())
    classes = " ".join([escape(bar.category), *(["critical"] if critical else []), *(["error"] if "error" in bar.facts else [])])
    facts = "".join(f"<dt>{escape(str(name))}</dt><dd>{escape(str(value))}</dd>" for name, value in bar.facts.items())
    facts += f"<dt>from</dt><dd>{milliseconds(bar.begin)} ms to {milliseconds(bar.end)} ms</dd>"
    facts += f"<dt>thread</dt><dd>{escape(trace.names.get(bar.thread, str(bar.thread)))}</dd>"
    if critical:
        facts += f"<dt>critical</dt><dd>{milliseconds(sum(inner.critical for inner in bar.walk()))} ms</dd>"
    left, width = _share(bar.begin, trace.total), _share(bar.duration, trace.total)
    note = f"<small>{escape(row.note)}</small>" if row.note else ""
    lane = f'<span class="lane"><i style="left:{left:.3f}%;width:{width:.3f}%"></i></span>'
    return (
        f'<details class="row {classes}"><summary><span class="name" style="padding-left:{row.depth * 1.1:.1f}em">{escape(bar.name)}</span>'
        f'<span class="time">{milliseconds(bar.duration)}</span>{lane}'
        f"{note}</summary><dl>{facts}</dl></details>\n"
    )


def _log(moment: float, text: str) -> str:
    kind = text.partition(": ")[0] if text.startswith(("error: ", "warning: ")) else ""
    return f'<li class="{kind}"><b>{milliseconds(moment)} ms</b> {escape(text)}</li>'
