"""What pytest says beside its own: lines for its summary, which reach it from pytest-xdist's workers too, and what happens as it happens.

A run that is cut short has no summary: a failure, and what takes long, is told at once.
"""

import time
from typing import Any

import pytest

REMARKS = pytest.StashKey[list[str]]()
_SENT = "lyftlearn-remarks"  # the name that workers send them under


def remark(config: pytest.Config, line: str) -> None:
    """Have the summary say `line`, once."""
    lines = config.stash.setdefault(REMARKS, [])
    if line not in lines:
        lines.append(line)


class Remarks:
    """The plugin that carries them."""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        sent: dict[str, object] | None = getattr(session.config, "workeroutput", None)
        if sent is not None:
            sent[_SENT] = session.config.stash.get(REMARKS, [])

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        for line in getattr(node, "workeroutput", {}).get(_SENT, []):
            remark(node.config, line)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        for line in config.stash.get(REMARKS, []):
            terminalreporter.write_line(line)


_LONG = 60.0  # seconds of a test, from which on it is told
_MOST = 4000  # characters of a failure; the summary has all of it


class AtOnce:
    """The plugin that tells a failure when it is known, and which tests take long. For CI."""

    def __init__(self, reporter: pytest.TerminalReporter) -> None:
        self._reporter, self._began = reporter, time.monotonic()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._say(f"FAILED in its {report.when}: {report.nodeid}\n{report.longreprtext[-_MOST:]}")
        elif report.duration >= _LONG:
            self._say(f"{report.duration:.0f} s of {report.when}: {report.nodeid}")

    def _say(self, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        self._reporter.write(f"\n[{minutes}:{seconds:02}] {text}\n", flush=True)
