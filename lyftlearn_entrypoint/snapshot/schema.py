"""The published form of a snapshot: schema.json, a JSON Schema (2020-12)."""

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "schema.json")


def load() -> "dict[str, Any]":
    with open(PATH, encoding="utf-8") as file:
        found: dict[str, Any] = json.load(file)
    return found


def words() -> "frozenset[str]":
    """The document's own words: names of properties, and values that the schema lists."""
    found: set[str] = set()
    pending: list[Any] = [load()]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            found.update(part.get("properties", ()))
            found.update(word for word in [*part.get("enum", ()), part.get("const")] if isinstance(word, str))
            pending += part.values()
        elif isinstance(part, list):
            pending += part
    return frozenset(found)
