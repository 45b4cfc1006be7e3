"""The start as a Chrome trace (Trace Event Format, "complete" events), for a person with a trace viewer."""

from lyftlearn_entrypoint.documents import dump
from lyftlearn_entrypoint.volume import make_directories, replace_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.log import Log

_STAGES = ("detect", "settle", "fetch", "plan", "apply")


def write_trace(path: str, spans: "list[tuple[str, float, float]]", began: float, log: "Log") -> None:
    """Write the spans, (name, begin, end) in monotonic seconds. A trace that cannot be written is a warning."""
    events = [
        {
            "name": name,
            "ph": "X",
            "ts": round((start - began) * 1e6),
            "dur": max(0, round((end - start) * 1e6)),
            "pid": 1,
            "tid": 1 if name in _STAGES else 2 + number,
            "cat": "start" if name in _STAGES else "fetch",
        }
        for number, (name, start, end) in enumerate(spans)
    ]
    try:
        make_directories(path.rpartition("/")[0] or "/")
        replace_file(path, dump({"traceEvents": events, "displayTimeUnit": "ms"}).encode(), 0o644)
    except OSError as error:
        log.warning("trace: " + path + " cannot be written: " + (error.strerror or str(error)))
