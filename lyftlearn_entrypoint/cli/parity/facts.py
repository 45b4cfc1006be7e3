"""A snapshot as rows: one path and one short text for each thing that can be observed; and what breaks where one differs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lyftlearn_entrypoint.errors import BadDocument, Missing
from lyftlearn_entrypoint.snapshot import schema
from lyftlearn_entrypoint.snapshot.order import LIMIT

if TYPE_CHECKING:
    from pathlib import Path

FORM = "lyftlearn-snapshot/1"


@dataclass(frozen=True)
class Group:
    """Parts of a snapshot that break the same programs. `breaks` says which."""

    name: str
    breaks: str
    parts: tuple[str, ...]


GROUPS = (
    Group("Variables", "programs that read their settings and secrets from the environment", ("variables",)),
    Group("Files", "programs that read configuration, hyperparameters or credentials from files", ("files", "spark")),
    Group(
        "User and places",
        "programs that write files, ask who they are, or need a right",
        ("user", "capabilities", "directories", "mounts"),
    ),
    Group(
        "Start and stop",
        "programs that handle signals, start others, or read and write their standard streams",
        ("program", "process", "signals", "descriptors", "how"),
    ),
    Group("Resources", "programs that size themselves: workers, threads, memory, open files", ("resources", "limits")),
    Group("Network", "programs that look names up, listen, or send to a neighbour on localhost", ("network", "listening")),
    Group("Dates and texts", "programs that print local times, or read and write text that is not ASCII", ("time", "locale")),
    Group(
        "Software",
        "programs that import a package or run another program",
        ("image", "version", "python", "packages", "system", "os_packages"),
    ),
    Group("Incomplete", "this comparison: a snapshot could not see everything", ("incomplete",)),
)
_OF_PART = {part: group for group in GROUPS for part in group.parts}
PARTS = tuple(_OF_PART)
# Where a part's names are data, not the schema's own.
_NAMED = ("variables", "files", "mounts", "directories", "descriptors", "listening", "spark", "packages", "os_packages", "limits", "python")


@dataclass(frozen=True)
class Snapshot:
    """One document: `label` names it for people, `rows` are its facts by path."""

    label: str
    context: str
    key: str | None
    taken: str
    rows: dict[str, str]


def group_of(path: str) -> Group:
    return _OF_PART[path.partition("[")[0].partition(".")[0]]


def read(path: Path) -> Snapshot:
    """Raises Missing (66), and BadDocument (65) for what is no snapshot of a form that we know."""
    try:
        with path.open("rb") as file:
            data = file.read(LIMIT + 1)
        if len(data) > LIMIT:
            raise BadDocument(f"{path} has over {LIMIT} bytes", "It is no snapshot")
        document = json.loads(data)
    except FileNotFoundError:
        raise Missing(f"there is no {path}", "Take it with `lyftlearn snapshot`") from None
    except (OSError, ValueError, RecursionError) as error:
        what = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise BadDocument(f"{path} cannot be read: {what}", "Take it again with `lyftlearn snapshot`") from None
    return made(document, path.stem, str(path))


def made(document: Any, label: str, place: str) -> Snapshot:
    if not isinstance(document, dict) or document.get("form") != FORM:
        raise BadDocument(f"{place} is no snapshot of the form {FORM}", "Take it again with this version of `lyftlearn snapshot`")
    wanted = schema.load()["required"]
    lacking = [name for name in wanted if name not in document or (name == "facts" and not isinstance(document[name], dict))]
    if lacking:
        raise BadDocument(f"{place} is no whole snapshot: it lacks {', '.join(lacking)}", "Take it again with `lyftlearn snapshot`")
    unknown = [part for part in document["facts"] if part not in _OF_PART]
    if unknown:
        raise BadDocument(f"{place} has parts that this version does not know: {', '.join(unknown)}", "Compare with the newer version")
    try:
        rows = {plain(path): plain(value) for path, value in flat(document).items()}
    except (AttributeError, TypeError, KeyError):
        raise BadDocument(f"{place} is no snapshot: a part of it has another form", "Take it again with `lyftlearn snapshot`") from None
    key = document["key"]
    return Snapshot(
        plain(label), plain(str(document["context"])), None if key is None else plain(str(key)), plain(str(document["taken"])), rows
    )


def flat(document: dict[str, Any]) -> dict[str, str]:
    """The facts by path: `user.uid`, `variables[PATH]`, `files[/etc/x].mode`."""
    rows = {"how": document["how"], "version": document["version"]}
    for number, what in enumerate(document["incomplete"], 1):
        rows[f"incomplete[{number}]"] = what
    for part, value in document["facts"].items():
        if part in _NAMED:
            for name, inner in value.items():
                _add_named(rows, f"{part}[{name}]", inner)
        else:
            _add(rows, part, value)
    return rows


def _add_named(rows: dict[str, str], path: str, value: Any) -> None:
    """A thing and its properties: the first row says that it is there."""
    if not isinstance(value, dict):
        if value is not None or not path.startswith(("directories", "python")):
            rows[path] = text(value)
        return
    inner = dict(value)
    rows[path] = text(inner.pop("kind", inner.pop("type", "there")))
    if "uid" in inner:
        rows[f"{path}.owner"] = f"{inner.pop('uid')}:{inner.pop('gid')}"
    _add(rows, path, inner)


def thing_of(path: str) -> str:
    """The row of the thing whose property this is; itself for any other."""
    before, bracket, _ = path.rpartition("]")
    return before + bracket if bracket else path


def _add(rows: dict[str, str], path: str, value: Any) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            _add(rows, f"{path}.{name}", inner)
    else:
        rows[path] = text(value)


def plain(text: str) -> str:
    """For a terminal and a page: bytes that are no UTF-8, and what would move a cursor, as escapes."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def text(value: Any) -> str:
    """A value for people: a list in which all is the same (real, effective and saved uid) as one."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        words = [text(item) for item in value]
        return "none" if not words else words[0] if len(words) > 1 and len(set(words)) == 1 else ", ".join(words)
    return str(value)
