"""Run checks side by side, within a deadline that nothing can delay: a thread that hangs in a name lookup is left behind."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from lyftlearn_entrypoint.errors import StartError
from lyftlearn_entrypoint.process import where

if TYPE_CHECKING:
    from collections.abc import Callable

    from lyftlearn_entrypoint.cli.checks.model import Check, Finding


def run_all(checks: list[Check], seconds: float, waiting: Callable[[], list[str]] = list) -> list[Finding]:
    """All findings, in the order of the checks. A check that is not over after `seconds` is one finding that says what it tried.

    `waiting` gives host:port of requests under way.
    """
    end = time.monotonic() + seconds
    results: dict[int, list[Finding]] = {}
    ended = threading.Condition()

    def work(number: int, check: Check) -> None:
        began = time.monotonic()
        try:
            found = check.run(check.trying)
        except StartError as error:
            found = [check.error(error)]
        except Exception as error:  # noqa: BLE001  a defect is one finding; its own text might hold a value
            found = [check.failed("LL1091", f"unexpected {type(error).__name__}{where(error)}")]
        for finding in found:
            finding.milliseconds = finding.milliseconds or round((time.monotonic() - began) * 1000)
        with ended:
            results[number] = found
            ended.notify()

    for number, check in enumerate(checks):
        thread = threading.Thread(target=work, args=(number, check), daemon=True)
        try:
            thread.start()
        except RuntimeError:  # a limit on processes: one after the other, then
            work(number, check)
    with ended:
        ended.wait_for(lambda: len(results) == len(checks), max(0.0, end - time.monotonic()))
        done = dict(results)
    still = waiting() if len(done) < len(checks) else []
    return [finding for number, check in enumerate(checks) for finding in done.get(number) or _late(check, seconds, still, number in done)]


def _late(check: Check, seconds: float, still: list[str], ended: bool) -> list[Finding]:
    if ended:
        return []
    what = check.trying.what or "it had not begun"
    also = "; connections under way: " + ", ".join(still) if still else ""
    say = check.warning if check.optional else check.failed
    finding = say("LL1090", f"no answer within {seconds:g} s: {what}{also}")
    finding.milliseconds = round(seconds * 1000)
    return [finding]
