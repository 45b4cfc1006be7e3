"""A comparison as one HTML page that stands alone: no address in it, so it is the same from a disk, in a mail and offline.

What is not explained comes first, grouped by what it would break; then the explained, by explanation; then all that is the same. Without
JavaScript everything is there and open to read; with it the page can be searched and filtered.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from lyftlearn_entrypoint.cli.parity.facts import GROUPS, Group, group_of
from lyftlearn_entrypoint.cli.parity.show import short

if TYPE_CHECKING:
    from lyftlearn_entrypoint.cli.parity.compare import Comparison, Difference
    from lyftlearn_entrypoint.cli.parity.contract import Explanation

_HERE = Path(__file__).parent
_MOST = 60  # characters of a value; the whole is its title


def render(comparison: Comparison, strict: bool = False, title: str = "Parity") -> str:
    """The page. Every text of a snapshot is escaped; the policy in the head lets nothing be loaded."""
    style, script = ((_HERE / f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    body = [_head(comparison, strict, title), _bar(), _overview(comparison), *(_open_group(comparison, group) for group in GROUPS)]
    if comparison.stale:
        body.append(_stale(comparison.stale))
    body += [_explained(comparison), _same(comparison), '<p id="nothing" hidden>Nothing matches.</p>']
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}: {len(comparison.unexplained)} not explained</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in body if part)
        + f"\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _head(comparison: Comparison, strict: bool, title: str) -> str:
    good = comparison.good(strict)
    count = len(comparison.unexplained)
    if count:
        said = f"{count} difference{'s' * (count != 1)} nobody explains"
    elif not good:
        said = "Explanations are stale"
    else:
        said = "Every difference is explained" if comparison.differences else "No difference"
    first, *others = comparison.snapshots
    told = "".join(f"<li><b>{escape(s.label)}</b> {escape(s.context)} <time>{escape(s.taken)}</time></li>" for s in [first, *others])
    names = '<p class="note">Names alone: no value was compared.</p>' if comparison.names_only else ""
    return (
        f'<header class="{"good" if good else "bad"}"><p class="title">{escape(title)}</p><h1>{said}</h1><dl>'
        f"<div><dt>the same</dt><dd>{len(comparison.same)}</dd></div><div><dt>explained</dt><dd>{len(comparison.explained)}</dd></div>"
        f"<div><dt>not explained</dt><dd>{count}</dd></div><div><dt>stale</dt><dd>{len(comparison.stale)}</dd></div></dl>"
        f'{names}<details class="taken"><summary>{len(comparison.snapshots)} snapshots, held against {escape(first.label)}</summary>'
        f"<ul>{told}</ul></details></header>"
    )


def _bar() -> str:
    return (
        '<nav hidden><label for="search">Search</label><input id="search" type="search" placeholder="a variable, a path, a value, a reason"'
        ' autocomplete="off" spellcheck="false"><select id="place" aria-label="Context"><option value="">every context</option></select>'
        '<output id="count" for="search place"></output></nav>'
    )


def _overview(comparison: Comparison) -> str:
    """What breaks, by context: how many differences, and whether all are explained."""
    head = "".join(f"<th scope=col>{escape(s.label)}</th>" for s in comparison.snapshots[1:])
    rows = []
    for group in GROUPS:
        mine = [d for d in comparison.differences if group_of(d.path) is group]
        if not mine and group.name == "Incomplete":
            continue
        cells = []
        for number in range(1, len(comparison.snapshots)):
            here = [d for d in mine if d.values[number] != d.values[0]]
            unexplained = sum(number in d.unexplained for d in here)
            kind, sign = ("bad", f"{unexplained} ✕") if unexplained else ("meant", f"{len(here)}") if here else ("good", "✓")
            word = f"{unexplained} not explained" if unexplained else f"{len(here)} explained" if here else "the same"
            cells.append(f'<td class="{kind}" title="{word}">{sign}<span class="say"> {word}</span></td>')
        rows.append(f"<tr><th scope=row>{escape(group.name)}</th>{''.join(cells)}</tr>")
    return (
        '<section class="overview"><table><caption>✓ the same; a number: that many differences, each explained; ✕ not explained</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></section>"
    )


def _open_group(comparison: Comparison, group: Group) -> str:
    mine = [d for d in comparison.unexplained if group_of(d.path) is group]
    if not mine:
        return ""
    cards = "".join(_card(comparison, d, "bad") for d in mine)
    return f'<section class="open"><h2>{escape(group.name)}</h2><p class="breaks">would break {escape(group.breaks)}</p>{cards}</section>'


def _explained(comparison: Comparison) -> str:
    parts = []
    for group in GROUPS:
        blocks = []
        for explanation in comparison.used:
            mine = [d for d in comparison.explained if explanation in d.explained and group_of(d.path) is group]
            if mine:
                cards = "".join(_card(comparison, d, "meant", explanation) for d in mine)
                blocks.append(
                    f'<details class="because"><summary><code>{escape(explanation.path)}</code> <span class="many">{len(mine)}</span>'
                    f'<span class="why">{escape(explanation.why)}</span><span class="notice">To notice: {escape(explanation.notice)}</span>'
                    f"</summary>{cards}</details>"
                )
        if blocks:
            parts.append(f"<h3>{escape(group.name)}</h3>" + "".join(blocks))
    return f'<section class="explained"><h2>Explained</h2>{"".join(parts)}</section>' if parts else ""


def _card(comparison: Comparison, difference: Difference, kind: str, explanation: Explanation | None = None) -> str:
    first = difference.values[0]
    cells = []
    for number, (snapshot, value) in enumerate(zip(comparison.snapshots, difference.values, strict=True)):
        if number in difference.unexplained:
            state = "bad"
        elif number and value == first:
            state = "same"
        else:
            state = "meant" if number else "first"
        full = escape(value if value is not None else "not there", quote=True)
        cells.append(
            f'<div class="{state}"><dt>{escape(snapshot.label)}</dt>'
            f'<dd title="{full}"{" class=absent" if value is None else ""}>{escape(short(value, _MOST))}</dd></div>'
        )
    different = " ".join(s.context for s, v in zip(comparison.snapshots, difference.values, strict=True) if v != first)
    reason = f"{explanation.why} {explanation.notice}" if explanation else ""
    words = " ".join([difference.path, *(value or "absent" for value in difference.values), reason])
    return f"<article {_row(words, different, ' ' + kind)}><h4>{escape(difference.path)}</h4><dl>{''.join(cells)}</dl></article>"


def _stale(stale: list[Explanation]) -> str:
    rows = "".join(
        f"<li {_row(f'{e.path} {e.why}', ' '.join(e.contexts))}><code>{escape(e.path)}</code> in {escape(', '.join(e.contexts))}, "
        f"line {e.line}: {escape(e.why)}</li>"
        for e in stale
    )
    told = '<p class="breaks">nothing here differs in what these explain</p>'
    return f'<section class="stale"><h2>Stale explanations</h2>{told}<ul>{rows}</ul></section>'


def _row(words: str, contexts: str, kind: str = "") -> str:
    """The attributes of what is searched: its words, and the contexts in which it differs."""
    return f'class="row{kind}" data-words="{escape(words.lower(), quote=True)}" data-in="{escape(contexts, quote=True)}"'


def _same(comparison: Comparison) -> str:
    parts = []
    for group in GROUPS:
        mine = [(path, value) for path, value in comparison.same.items() if group_of(path) is group]
        if mine:
            rows = "".join(
                f"<tr {_row(f'{path} {value}', '')}><th scope=row>{escape(path)}</th>"
                f'<td title="{escape(value, quote=True)}">{escape(short(value, _MOST))}</td></tr>'
                for path, value in mine
            )
            parts.append(
                f"<details><summary>{escape(group.name)} <span class=many>{len(mine)}</span></summary><table>{rows}</table></details>"
            )
    return f'<section class="same"><h2>The same</h2>{"".join(parts)}</section>'
