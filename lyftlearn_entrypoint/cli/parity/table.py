"""The contract as a table for docs/parity.md: what differs, where, why, and what user code could notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lyftlearn_entrypoint.cli.parity.facts import GROUPS, group_of

if TYPE_CHECKING:
    from lyftlearn_entrypoint.cli.parity.contract import Explanation

BEGIN = "<!-- made of the contract by `lyftlearn parity --docs`; a test compares the two -->"
END = "<!-- the contract's end -->"


def table(contract: list[Explanation]) -> str:
    """One table for each group, in Markdown, between two marks."""
    shown = [BEGIN]
    for group in GROUPS:
        mine = [e for e in contract if group_of(e.path) is group]
        if mine:
            shown += ["", f"### {group.name}", "", "| differs | in | why | what code could notice |", "|---|---|---|---|"]
            shown += [f"| `{e.path}`{_values(e)} | {_places(e)} | {_cell(e.why)} | {_cell(e.notice)} |" for e in mine]
    return "\n".join([*shown, "", END]) + "\n"


def _values(explanation: Explanation) -> str:
    return "".join(f"; {context}: `{value}`" for context, value in explanation.values.items()).replace("|", "\\|")


def _places(explanation: Explanation) -> str:
    images = f" (image {', '.join(explanation.images)})" if explanation.images else ""
    return ", ".join(name.removeprefix("sagemaker-") for name in explanation.contexts).replace("*", "every job") + images


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
