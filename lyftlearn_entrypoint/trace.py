"""The start as a Chrome trace: every step, request, try, pause and thread, for a person with a trace viewer or `lyftlearn trace`.

The form is the Trace Event Format's "complete", "instant" and "metadata" events, which Perfetto and Chrome open. Texts in it are those of
the log: names, hosts, counts and our own errors, never a value, a path of credentials or a header. Loaded where LYFTLEARN_TRACE is set.
"""

import _thread
import time

from lyftlearn_entrypoint import __version__
from lyftlearn_entrypoint.documents import dump
from lyftlearn_entrypoint.errors import StartError
from lyftlearn_entrypoint.fetch.url import HttpError
from lyftlearn_entrypoint.volume import make_directories, replace_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lyftlearn_entrypoint.log import Log

_EARLY = "early connection"  # the one kind of thread that does not name itself
HANGS = "still under way"
STEP, TASK, REQUEST, NETWORK, PAUSE, WAIT = "step", "task", "request", "network", "pause", "wait"


class Timed:
    """Times a block. `facts` may be filled inside it; an error that leaves it is told in them."""

    __slots__ = ("_tracer", "began", "category", "facts", "name", "thread")

    def __init__(self, tracer: "Tracer", name: str, category: str) -> None:
        self._tracer = tracer
        self.name = name
        self.category = category
        self.facts: dict[str, object] = {}

    def __enter__(self) -> "Timed":
        self.began = time.monotonic()
        self.thread = _thread.get_ident()
        self._tracer.under_way[id(self)] = self
        return self

    def __exit__(self, _kind: object, error: "BaseException | None", _traceback: object) -> None:
        if error is not None:
            # The text of an error that is not ours might hold a value.
            ours = isinstance(error, (StartError, HttpError))
            self.facts["error"] = str(error) if ours else getattr(error, "strerror", None) or type(error).__name__
        self._tracer.add(self.name, self.category, self.began, time.monotonic(), self.facts)
        del self._tracer.under_way[id(self)]


class Tracer:
    """Collects what happened, from several threads at once. Times are seconds of the monotonic clock; `began` is when main() began, and
    `path` the file to write."""

    __slots__ = ("_before", "_events", "_lines", "_path", "_threads", "began", "under_way")

    def __init__(self, began: float, path: str) -> None:
        self.began = began
        self._path = path
        # Before main() there is only the interpreter's own start, which waits for little but its processor: CPU time until now, less ours.
        self._before = max(0.0, time.process_time() - (time.monotonic() - began))
        self._events: list[tuple[str, str, float, float, int, Mapping[str, object]]] = []
        self._lines: list[tuple[float, int, str]] = []
        self.under_way: dict[int, Timed] = {}
        self._threads: dict[int, str] = {_thread.get_ident(): "start"}

    def add(self, name: str, category: str, begin: float, end: float, facts: "Mapping[str, object]") -> None:
        self._events.append((name, category, begin, end, _thread.get_ident(), facts))

    def timed(self, name: str, category: str) -> Timed:
        return Timed(self, name, category)

    def thread(self, name: str) -> None:
        """Name the thread that calls, unless it has a name."""
        self._threads.setdefault(_thread.get_ident(), name)

    def task(self, name: str, run: "Callable[[], object]", asks: str) -> "Callable[[], object]":
        """`run`, timed and in a thread of that name."""

        def traced() -> object:
            self.thread(name)
            with self.timed(name, TASK) as timed:
                timed.facts["asks"] = asks
                return run()

        return traced

    def sleep(self, seconds: float) -> None:
        """Wait, and say so."""
        with self.timed("pause before the next try", PAUSE):
            time.sleep(seconds)

    def watch(self, write: "Callable[[bytes], None]") -> "Callable[[bytes], None]":
        """`write` for the log, whose lines come into the trace too."""

        def watched(line: bytes) -> None:
            text = line.decode("utf-8", "replace").strip()
            self._lines.append((time.monotonic(), _thread.get_ident(), text.removeprefix("lyftlearn-entrypoint: ")))
            write(line)

        return watched

    def events(self, steps: "list[tuple[str, float, float]]", facts: "Mapping[str, object]") -> "dict[str, object]":
        """The whole document. `steps` are the main thread's own (name, begin, end); `facts` say how the start ended."""
        origin = self.began - self._before
        main = next(iter(self._threads))
        numbers: dict[int, int] = {main: 1}
        now = time.monotonic()
        # What hangs in another thread is what a start that failed waited for.
        hanging = [(t.name, t.category, t.began, now, t.thread, {**t.facts, "error": HANGS}) for t in list(self.under_way.values())]
        happened = list(self._events) + hanging
        happened.append(("interpreter", STEP, origin, self.began, main, {"clock": "processor time"}))
        happened += [(name, STEP, begin, end, main, {}) for name, begin, end in steps]
        rows: list[object] = []
        for name, category, begin, end, thread, more in sorted(happened, key=lambda event: (event[2], -event[3])):
            row: dict[str, object] = {"name": name, "cat": category, "ph": "X", "ts": _micro(begin - origin)}
            row.update({"dur": _micro(end - begin), "pid": 1, "tid": numbers.setdefault(thread, len(numbers) + 1)})
            if more:
                row["args"] = more
            rows.append(row)
        for moment, thread, line in self._lines:
            number = numbers.setdefault(thread, len(numbers) + 1)
            rows.append({"name": line, "cat": "log", "ph": "i", "s": "t", "ts": _micro(moment - origin), "pid": 1, "tid": number})
        named = [("process_name", 1, "lyftlearn-entrypoint")]
        named += [("thread_name", number, self._threads.get(thread, _EARLY)) for thread, number in numbers.items()]
        metadata = [{"name": kind, "ph": "M", "pid": 1, "tid": number, "args": {"name": text}} for kind, number, text in named]
        other = {"program": "lyftlearn-entrypoint", "version": __version__, **facts}
        return {"traceEvents": [*metadata, *rows], "displayTimeUnit": "ms", "otherData": other}

    def write(self, steps: "list[tuple[str, float, float]]", facts: "Mapping[str, object]", log: "Log") -> None:
        """Write the document to its file. Where that cannot be, it is a warning: a trace stops nothing."""
        path = self._path
        try:
            make_directories(path.rpartition("/")[0] or "/")
            replace_file(path, dump(self.events(steps, facts)).encode("utf-8", "backslashreplace"), 0o644)
        except OSError as error:
            log.warning("trace: " + path + " cannot be written: " + (error.strerror or str(error)) + " [LL0113]")


def _micro(seconds: float) -> int:
    """Microseconds, the unit of the format."""
    return max(0, round(seconds * 1e6))
