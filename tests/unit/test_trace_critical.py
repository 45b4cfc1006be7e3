"""The critical path, the order of rows and the drawing of hand-made traces."""

import itertools
import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from lyftlearn_entrypoint.cli import main
from lyftlearn_entrypoint.cli.trace.bars import Trace, load
from lyftlearn_entrypoint.cli.trace.critical import critical_path
from lyftlearn_entrypoint.cli.trace.page import page
from lyftlearn_entrypoint.cli.trace.rows import blame, rows
from lyftlearn_entrypoint.cli.trace.terminal import draw


def event(name: str, category: str, begin: float, end: float, thread: int = 1, **facts: object) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": name,
        "cat": category,
        "ph": "X",
        "ts": begin * 1000,
        "dur": (end - begin) * 1000,
        "pid": 1,
        "tid": thread,
    }
    return {**row, "args": facts} if facts else row


def made(tmp_path: Path, *events: dict[str, Any], **facts: object) -> Trace:
    path = tmp_path / "trace.json"
    path.write_text(json.dumps({"traceEvents": list(events), "otherData": facts}))
    return load(path)


def path_of(trace: Trace) -> list[tuple[str, float, float]]:
    return [(part.bar.label if part.bar else "-", part.begin, part.end) for part in critical_path(trace)]


def test_one_thread_is_its_own_path(tmp_path: Path) -> None:
    trace = made(tmp_path, event("detect", "step", 0, 2), event("apply", "step", 3, 9), event("switch", "step", 4, 8))
    assert path_of(trace) == [("detect", 0, 2), ("-", 2, 3), ("apply", 3, 4), ("switch", 4, 8), ("apply", 8, 9)]


def test_the_step_fetch_waits_for_the_last_of_its_tasks(tmp_path: Path) -> None:
    trace = made(
        tmp_path,
        event("fetch", "step", 0, 100),
        event("environment", "task", 1, 40, 2),
        event("credentials", "task", 2, 99, 3),
        event("GET a:1", "request", 10, 90, 3),
        event("wait for the answer", "network", 12, 88, 3),
    )
    assert path_of(trace) == [
        ("fetch", 0, 2),
        ("credentials", 2, 10),
        ("GET a:1", 10, 12),
        ("GET a:1: wait for the answer", 12, 88),
        ("GET a:1", 88, 90),
        ("credentials", 90, 99),
        ("fetch", 99, 100),
    ]
    assert next(bar for bar in trace.bars() if bar.name == "environment").critical == 0


def test_a_task_that_waits_for_another_ones_credentials(tmp_path: Path) -> None:
    trace = made(
        tmp_path,
        event("fetch", "step", 0, 60),
        event("environment", "task", 0, 30, 2),
        event("AWS credentials", "wait", 1, 25, 2),
        event("GET c:1", "request", 2, 24, 2),
        event("credentials", "task", 0, 60, 3),
        event("AWS credentials", "wait", 5, 25.1, 3),
    )
    parts = path_of(trace)
    assert ("GET c:1", 5.0, 24.0) in parts
    assert parts[-1] == ("credentials", 25.1, 60)


def test_a_request_that_waits_for_an_early_connection(tmp_path: Path) -> None:
    trace = made(
        tmp_path,
        event("fetch", "step", 0, 50),
        event("credentials", "task", 0, 50, 2),
        event("GET c:1", "request", 10, 50, 2),
        event("connection to c:1", "wait", 10, 40, 2),
        event("connection to c:1", "network", 0, 40, 3),
        event("connect", "network", 0, 39, 3),
    )
    assert ("connect", 10, 39) in path_of(trace)


def test_what_hangs_is_what_was_waited_for(tmp_path: Path) -> None:
    trace = made(
        tmp_path,
        event("fetch", "step", 0, 100),
        event("environment", "task", 1, 104, 2, error="still under way"),
        event("GET a:1", "request", 2, 104.001, 2, error="still under way"),
        event("statsd", "task", 1, 2, 3),
    )
    assert blame(critical_path(trace))[0] == ("GET a:1", 98)
    assert [(row.bar.name, row.depth) for row in rows(trace)] == [("fetch", 0), ("environment", 1), ("GET a:1", 2), ("statsd", 1)]


@pytest.mark.parametrize("seed", range(20))
def test_any_path_covers_the_whole_start_once(tmp_path: Path, seed: int) -> None:
    import random

    dice = random.Random(seed)
    events = [event("fetch", "step", 5, 95), event("plan", "step", 95, 97)]
    for thread in range(2, 6):
        begin = dice.uniform(5, 50)
        events.append(event(f"task{thread}", "task", begin, dice.uniform(begin, 95), thread))
        for _ in range(4):
            first = dice.uniform(begin, 95)
            events.append(event("AWS credentials", "wait", first, dice.uniform(first, 95), thread))
    parts = critical_path(made(tmp_path, *events))
    assert parts[0].begin == 0
    assert parts[-1].end == 97
    assert all(abs(one.end - two.begin) < 1e-9 for one, two in itertools.pairwise(parts))


def test_the_drawing_fits_and_marks_the_path(tmp_path: Path) -> None:
    trace = made(tmp_path, event("fetch", "step", 0, 1000), event("environment", "task", 0, 1, 2, error="refused by s3"), code=77)
    lines = click.unstyle(draw(trace, critical_path(trace), 80)).splitlines()
    assert lines[0] == "start, which failed with exit 77: 1000 ms"
    assert all(len(line) <= 82 for line in lines if "s3" not in line)
    assert any(line.startswith("* fetch") for line in lines)
    assert any("refused by s3" in line for line in lines)


def test_the_page_escapes_what_it_shows(tmp_path: Path) -> None:
    trace = made(tmp_path, event("<script>alert(1)</script>", "step", 0, 1, more="<b>"), command="<img src=x>")
    text = page(trace, critical_path(trace))
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "{{" not in text
    assert text.count("&lt;img src=x&gt;") == 2


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (None, 66, "cannot be read"),
        ("{", 65, "is not JSON"),
        ('{"a": 1}', 65, "not a trace in the Trace Event Format"),
        ('{"traceEvents": []}', 65, "no event with a duration"),
        ('[{"ph": "X", "name": "x"}]', 65, "without a name, a time or a duration"),
    ],
)
def test_a_file_that_is_no_trace(tmp_path: Path, content: "str | None", code: int, said: str) -> None:
    path = tmp_path / "trace.json"
    if content is not None:
        path.write_text(content)
    done = CliRunner().invoke(main, ["trace", str(path)])
    assert done.exit_code == code
    assert said in done.stderr


def test_lines_of_a_json_log_are_read_as_those_of_a_text(tmp_path: Path) -> None:
    line = {"name": '{"level": "warning", "message": "no way"}', "ph": "i", "ts": 5, "pid": 1, "tid": 1}
    trace = made(tmp_path, event("fetch", "step", 0, 1), line)
    assert "warning: no way" in draw(trace, critical_path(trace), 80)


def test_an_array_of_events_is_a_trace_too(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    path.write_text(json.dumps([event("anything", "other", 0, 5, 7)]))
    done = CliRunner().invoke(main, ["trace", str(path), "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["events"][0]["name"] == "anything"
