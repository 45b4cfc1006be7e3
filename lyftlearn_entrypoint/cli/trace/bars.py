"""A trace file as bars: what happened, when, in which thread, and what lies inside what."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lyftlearn_entrypoint.errors import BadDocument, Missing

if TYPE_CHECKING:
    from pathlib import Path

MAIN = 1  # the number that trace.py gives the thread that becomes the program
HANGS = "still under way"  # what trace.py says of it
_SAME = 0.002  # milliseconds: times are rounded to the microsecond
_LIMIT = 64 << 20  # bytes; a start's trace has some thousand


@dataclass
class Bar:
    """One event with a duration. Times are milliseconds from the trace's beginning; `critical` is how many of them others waited for."""

    name: str
    category: str
    begin: float
    end: float
    thread: int
    facts: dict[str, Any] = field(default_factory=dict)
    inner: list[Bar] = field(default_factory=list)
    critical: float = 0.0
    request: str = ""  # the request that it is a part of

    @property
    def label(self) -> str:
        """Its name, understood without what stands around it."""
        return f"{self.request}: {self.name}" if self.request else self.name

    @property
    def hangs(self) -> bool:
        """Whether it had not ended when the start did."""
        return self.facts.get("error") == HANGS

    @property
    def duration(self) -> float:
        return self.end - self.begin

    def walk(self) -> list[Bar]:
        """This bar and all inside it, outermost first."""
        return [self, *(bar for child in self.inner for bar in child.walk())]


@dataclass
class Trace:
    """What a file holds. `threads` maps a thread's number to its outermost bars; `lines` are (milliseconds, text) of the log."""

    threads: dict[int, list[Bar]]
    names: dict[int, str]
    lines: list[tuple[float, str]]
    facts: dict[str, Any]

    @property
    def total(self) -> float:
        """Milliseconds from the first event to the end of the main thread's last."""
        return max((bar.end for bar in self.threads.get(MAIN, [])), default=0.0)

    def bars(self) -> list[Bar]:
        return [inner for bars in self.threads.values() for bar in bars for inner in bar.walk()]


def load(path: Path) -> Trace:
    """Read a trace. Raises Missing (66) where there is no file, BadDocument (65) where it is not a trace in the Trace Event Format."""
    try:
        with path.open("rb") as file:
            data = file.read(_LIMIT + 1)
    except OSError as error:
        raise Missing(f"{path} cannot be read: {error.strerror}", "LYFTLEARN_TRACE=FILE makes a start write one") from None
    if len(data) > _LIMIT:
        raise BadDocument(f"{path} has over {_LIMIT >> 20} MiB: not the trace of a start")
    try:
        document = json.loads(data)
    except ValueError:
        raise BadDocument(f"{path} is not JSON", "LYFTLEARN_TRACE=FILE makes a start write a trace") from None
    events = document.get("traceEvents") if isinstance(document, dict) else document
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        raise BadDocument(f"{path} is not a trace in the Trace Event Format", "LYFTLEARN_TRACE=FILE makes a start write one")
    try:
        trace = _read(events)
    except (KeyError, TypeError, ValueError):
        raise BadDocument(f"{path} has an event without a name, a time or a duration", "Write it anew with LYFTLEARN_TRACE=FILE") from None
    if not trace.threads:
        raise BadDocument(f"{path} has no event with a duration", "Write it anew with LYFTLEARN_TRACE=FILE")
    if isinstance(document, dict) and isinstance(document.get("otherData"), dict):
        trace.facts = document["otherData"]
    return trace


def _read(events: list[dict[str, Any]]) -> Trace:
    flat: dict[int, list[Bar]] = {}
    names: dict[int, str] = {}
    lines: list[tuple[float, str]] = []
    for event in events:
        kind = event.get("ph")
        if kind == "M" and event.get("name") == "thread_name":
            names[int(event["tid"])] = str(event["args"]["name"])
        elif kind == "i":
            lines.append((float(event["ts"]) / 1000, _said(str(event["name"]))))
        elif kind == "X":
            begin = float(event["ts"]) / 1000
            thread = int(event["tid"])
            bar = Bar(str(event["name"]), str(event.get("cat", "")), begin, begin + float(event["dur"]) / 1000, thread)
            bar.facts = dict(event.get("args") or {})
            flat.setdefault(thread, []).append(bar)
    return Trace({thread: nest(bars) for thread, bars in sorted(flat.items())}, names, sorted(lines), {})


def _said(line: str) -> str:
    """A line of the log as text, also where LYFTLEARN_LOG=json made it an object."""
    try:
        record = json.loads(line)
        level, message = str(record["level"]), str(record["message"])
    except (ValueError, TypeError, KeyError):
        return line
    return message if level == "info" else f"{level}: {message}"


def nest(bars: list[Bar]) -> list[Bar]:
    """The outermost of one thread's bars, with the others inside the one that contains them."""
    outer: list[Bar] = []
    stack: list[Bar] = []
    for bar in sorted(bars, key=lambda bar: (bar.begin, -bar.end)):
        while stack and bar.end > stack[-1].end + _SAME:
            stack.pop()
        (stack[-1].inner if stack else outer).append(bar)
        if stack and bar.category == "network":
            bar.request = stack[-1].name if stack[-1].category == "request" else stack[-1].request
        stack.append(bar)
    return outer
