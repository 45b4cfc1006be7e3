"""Log lines: one message is one line, as text and as JSON, whatever is in it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lyftlearn_entrypoint
from lyftlearn_entrypoint.log import LEVELS
from tests.unit.helpers import Lines

UGLY = ["two\nlines", "carriage\rreturn", 'quote " and \\', "ünïcode €", "\udcff not UTF-8", "\x00\x1b[31m", "\u2028", "", "{json}"]


def test_text() -> None:
    lines = Lines()
    lines.log.info("environment: 150 variables", step="environment", count=150)
    lines.log.warning("careful")
    lines.log.error("over")
    lines.log.debug("detail")
    assert lines.text.splitlines() == [
        "lyftlearn-entrypoint: environment: 150 variables",
        "lyftlearn-entrypoint: warning: careful",
        "lyftlearn-entrypoint: error: over",
        "lyftlearn-entrypoint: debug: detail",
    ]


def test_json() -> None:
    lines = Lines(form="json")
    lines.log.context = "sagemaker-training"
    lines.log.warning("careful", step="user", count=2, code=None)
    assert json.loads(lines.text) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "warning",
        "source": "lyftlearn-entrypoint",
        "context": "sagemaker-training",
        "message": "careful",
        "step": "user",
        "count": 2,
        "code": None,
    }


@pytest.mark.parametrize("message", UGLY)
def test_every_message_is_one_line(message: str) -> None:
    for form in ("text", "json"):
        lines = Lines(form=form)
        lines.log.info(message, path=message)
        assert len(lines.written) == 1
        assert lines.written[0].count(b"\n") == 1
        assert lines.written[0].endswith(b"\n")
        assert b"\r" not in lines.written[0]
        if form == "text":
            assert lines.text.rstrip("\n").isprintable()  # no escape sequence of a document's own reaches a terminal
        if form == "json":
            record = json.loads(lines.written[0])
            assert (record["message"], record["path"]) == (message, message)


@pytest.mark.parametrize("level", list(LEVELS))
def test_level(level: str) -> None:
    lines = Lines(level)
    for name in LEVELS:
        getattr(lines.log, name)(name)
    said = [line.rpartition(" ")[2] for line in lines.text.splitlines()]
    assert said == [name for name in LEVELS if LEVELS[name] >= LEVELS[level]]


def stderr_of(redirect: str, directory: Path) -> "subprocess.CompletedProcess[str]":
    """Run a program that logs 300 lines to a stderr that the shell redirected, and then says on stdout that it lives."""
    code = "from lyftlearn_entrypoint.log import Log\nlog = Log()\nfor i in range(300): log.info('x' * 1000)\nprint('alive', flush=True)"
    home = str(Path(lyftlearn_entrypoint.__file__).parents[1])
    command = ["sh", "-c", f'exec "$0" "$@" {redirect}', sys.executable, "-c", code]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": home}, cwd=directory, timeout=30
    )


@pytest.mark.parametrize("redirect", ["2>&-", "2>/dev/full", "2</dev/null", "2>lines"])
def test_stderr_that_takes_nothing_stops_nothing(redirect: str, tmp_path: Path) -> None:
    assert stderr_of(redirect, tmp_path).stdout == "alive\n"


def test_stderr_is_written_whole(tmp_path: Path) -> None:
    stderr_of("2>lines", tmp_path)
    lines = (tmp_path / "lines").read_text().splitlines()
    assert len(lines) == 300
    assert all(re.fullmatch("lyftlearn-entrypoint: x{1000}", line) for line in lines)
