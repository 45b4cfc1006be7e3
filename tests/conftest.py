"""What all tests share. Random order comes from pytest-randomly, which prints its seed; `-p randomly -p 'randomly_seed=N'` repeats it."""

import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

import lyftlearn_entrypoint
from tests.remarks import AtOnce, Remarks

CI = os.environ.get("CI") == "true"


def pytest_report_header() -> str:
    return f"lyftlearn_entrypoint {lyftlearn_entrypoint.__version__} from {Path(lyftlearn_entrypoint.__file__).parent}"


def pytest_configure(config: pytest.Config) -> None:
    """In CI the tests run against the installed wheel: what the wheel forgot must be missed here, not by a user."""
    if CI and Path(lyftlearn_entrypoint.__file__).is_relative_to(config.rootpath / "lyftlearn_entrypoint"):
        raise pytest.UsageError("The tests import the checkout, not the installed wheel: run scripts/test")
    config.pluginmanager.register(Remarks(), "lyftlearn-remarks")


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """One of pytest-xdist's workers has no terminal: its reports come to the process that has."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if CI and isinstance(reporter, pytest.TerminalReporter):
        session.config.pluginmanager.register(AtOnce(reporter), "lyftlearn-at-once")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: "list[pytest.Item]") -> None:
    """What takes longest comes last, so that the others are told soon: units, those with real servers, files of images, those with Spark,
    and what one process of a machine alone can run (tests/scheduling.py). With workers side by side it comes first, and they end together.
    """
    first = 1 if hasattr(config, "workerinput") else -1

    def turn(item: pytest.Item) -> int:
        if "alone" in getattr(item, "fixturenames", ()):
            return 0
        if item.path.name.startswith("test_distributed_"):
            return 1
        return {"images": 2, "integration": 3}.get(item.path.parent.name, 4)

    items.sort(key=lambda item: first * turn(item))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """With `--dist loadfile`, as scripts/test has it in CI."""
    if config.getoption("dist") != "loadfile":
        return None
    from tests.scheduling import Together

    return Together(config, log)


@pytest.fixture
def need() -> Callable[[object, str], None]:
    """`need(condition, reason)`: the rest of the test needs a part that not every machine has.

    Without it the test is skipped with that reason on a laptop, and fails where CI=true.
    """

    def check(condition: object, reason: str) -> None:
        if not condition:
            pytest.skip(reason)

    return check


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Every skip is a failure in CI, also one by pytest.importorskip or a mark. An expected failure (xfail) is no skip."""
    if CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"CI=true, where nothing may be skipped: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_if_skipped(report)
    return report
