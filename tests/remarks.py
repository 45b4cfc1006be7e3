"""Lines for pytest's summary: what was not checked is said there, and is no skipped test. They reach it from pytest-xdist's workers too."""

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
