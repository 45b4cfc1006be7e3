"""How a PATCH changes an object: RFC 7386 (a merge) and RFC 6902 (a list of operations). Strategic merges are taken as merges."""

import copy
from typing import Any

from tests.images.spark.store import Object


def apply(found: Object, patch: "Object | list[Any]") -> Object:
    """The object as `patch` changes it. Raises ValueError for an operation that is not add, replace or remove."""
    if isinstance(patch, dict):
        merged: Object = merge(found, patch)
        return merged
    changed = copy.deepcopy(found)
    for step in patch:
        words = [word.replace("~1", "/").replace("~0", "~") for word in step["path"].split("/")[1:]]
        parent: Any = changed
        for word in words[:-1]:
            parent = parent[int(word)] if isinstance(parent, list) else parent.setdefault(word, {})
        _operate(parent, words[-1], step)
    return changed


def _operate(parent: Any, last: str, step: Object) -> None:
    kind = step["op"]
    if kind not in ("add", "replace", "remove"):
        raise ValueError(f"unknown operation {kind!r}")
    if isinstance(parent, list):
        place = len(parent) if last == "-" else int(last)
        if kind == "add":
            parent.insert(place, step["value"])
        elif kind == "replace":
            parent[place] = step["value"]
        else:
            del parent[place]
    elif kind == "remove":
        del parent[last]
    else:
        parent[last] = step["value"]


def merge(found: Any, patch: Any) -> Any:
    """RFC 7386: null takes away, an object is merged, anything else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(found) if isinstance(found, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value)
    return result
