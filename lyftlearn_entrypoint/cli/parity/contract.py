"""The contract: which differences between two contexts are meant, why, and what user code could notice. A YAML file under review."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lyftlearn_entrypoint.cli.parity.facts import PARTS
from lyftlearn_entrypoint.errors import BadSettings

DEFAULT = Path(__file__).with_name("contract.yaml")
ABSENT = "absent"
_FIELDS = ("path", "in", "is", "images", "why", "notice")


@dataclass
class Explanation:
    """`path` is a pattern over a row's path, in which `*` stands for anything. It holds where one of the two contexts is in `contexts`.

    `values` narrows it to what is meant: context to pattern of value (`absent` for none), so that a uid that was 1000 and is 0 is told.
    `images` are the images in which the difference is to be expected, empty for all.
    """

    path: str
    contexts: list[str]
    why: str
    notice: str
    values: dict[str, str] = field(default_factory=dict)
    images: list[str] = field(default_factory=list)
    line: int = 0

    def applies(self, contexts: tuple[str, str], image: str) -> bool:
        """Whether it has anything to say of two snapshots of these contexts."""
        here = any(matches(pattern, context) for pattern in self.contexts for context in contexts)
        return here and (not image or not self.images or image in self.images)

    def holds(self, path: str, contexts: tuple[str, str], values: tuple[str | None, str | None]) -> bool:
        """Whether it explains this difference; `values` are those of the two, None where the row is absent."""
        if not matches(self.path, path):
            return False
        for context, value in zip(contexts, values, strict=True):
            # The first pattern that fits a context is the one that counts: a name before a `*`.
            wanted = next((text for pattern, text in self.values.items() if matches(pattern, context)), None)
            if wanted is not None and not any(matches(part, ABSENT if value is None else value) for part in wanted.split(" | ")):
                return False
        return True


def matches(pattern: str, text: str) -> bool:
    """`*` is any text; everything else, brackets too, is itself."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL) is not None


def load(path: Path = DEFAULT) -> list[Explanation]:
    """Raises BadSettings (78) with the file and the line of what is wrong."""
    try:
        source = path.read_text(encoding="utf-8")
        nodes = yaml.compose(source, yaml.SafeLoader)
        document = yaml.safe_load(source)
    except OSError as error:
        raise BadSettings(f"{path} cannot be read: {error.strerror}", "Name a contract with --contract") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise BadSettings(f"{path}{where} is not YAML", "Correct it") from None
    if document is None:
        return []
    rows = document.get("explanations") if isinstance(document, dict) else None
    if not isinstance(rows, list) or set(document) != {"explanations"} or not isinstance(nodes, yaml.MappingNode):
        raise BadSettings(f"{path} is no contract: a mapping with the one key `explanations`, a list", "See docs/parity.md")
    lines = [node.start_mark.line + 1 for node in nodes.value[0][1].value]
    return [_explanation(row, f"{path} line {line}", line) for row, line in zip(rows, lines, strict=True)]


def _explanation(row: Any, place: str, line: int) -> Explanation:
    def wrong(what: str) -> BadSettings:
        return BadSettings(f"{place}: {what}", "An explanation has path, in, why and notice, and perhaps is and images")

    if not isinstance(row, dict):
        raise wrong("this is no mapping")
    if unknown := [str(name) for name in row if name not in _FIELDS]:
        raise wrong(f"{', '.join(unknown)} is not known")
    for name in ("path", "why", "notice"):
        if not isinstance(row.get(name), str) or not row[name].strip():
            raise wrong(f"there is no {name}, a text")
    if row["path"].partition("[")[0].partition(".")[0] not in PARTS:
        raise wrong(f"path does not begin with a part of a snapshot: {', '.join(PARTS)}")
    for name in ("in", "images"):
        if not _strings(row.get(name, [])) or (name == "in" and not row.get("in")):
            raise wrong(f"{name} is no list of names")
    values = row.get("is", {})
    if not isinstance(values, dict) or not all(isinstance(text, str) for pair in values.items() for text in pair):
        raise wrong("is is no mapping of contexts to texts; quote numbers")
    return Explanation(row["path"], row["in"], _one_line(row["why"]), _one_line(row["notice"]), values, row.get("images", []), line)


def _strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _one_line(text: str) -> str:
    return " ".join(text.split())
