"""What a check says, and how the worst of it becomes an exit code. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lyftlearn_entrypoint.cli.findings import table
from lyftlearn_entrypoint.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Callable

OK, WARNING, FAILED, SKIPPED = "ok", "warning", "failed", "skipped"
WARNED = 1  # the exit code where nothing is worse than a warning: none of errors.EXIT_CODES, since a start goes on


@dataclass
class Finding:
    """One verdict. `about` is what was looked at, such as a host; `evidence` what was tried and what answered, never a secret."""

    check: str
    code: str
    verdict: str
    evidence: str
    remedy: str = ""
    about: str = ""
    milliseconds: int = 0

    @property
    def exit(self) -> int:
        """The code with which a start would end because of it; 0 where it would go on."""
        return table()[self.code].exit if self.verdict == FAILED else 0

    def facts(self) -> dict[str, object]:
        """What `--json` prints of it."""
        return {
            "check": self.check,
            "about": self.about,
            "code": self.code,
            "name": table()[self.code].name,
            "verdict": self.verdict,
            "exit": self.exit,
            "evidence": self.evidence,
            "remedy": self.remedy,
            "milliseconds": self.milliseconds,
        }


class Trying:
    """What a check is about to do, said before it does it: where it hangs, this is what is told of it."""

    def __init__(self) -> None:
        self.what = ""

    def __call__(self, what: str) -> None:
        self.what = what


@dataclass
class Check:
    """Something to look at, side by side with the others. `run` gives its findings, or raises StartError, which becomes one.

    `code` is that of its good verdict, `about` what is looked at.
    """

    name: str
    code: str
    run: Callable[[Trying], list[Finding]]
    about: str = ""
    optional: bool = False  # no start fails because of it
    trying: Trying = field(default_factory=Trying)

    def ok(self, evidence: str) -> Finding:
        return Finding(self.name, self.code, OK, evidence, about=self.about)

    def skipped(self, why: str) -> Finding:
        return Finding(self.name, self.code, SKIPPED, why, about=self.about)

    def warning(self, code: str, evidence: str, remedy: str = "") -> Finding:
        return Finding(self.name, code, WARNING, evidence, remedy or table()[code].remedy, self.about)

    def failed(self, code: str, evidence: str, remedy: str = "") -> Finding:
        return Finding(self.name, code, FAILED, evidence, remedy or table()[code].remedy, self.about)

    def error(self, error: StartError) -> Finding:
        """An error of the start's own as a verdict, in its own words."""
        what = error.what.replace("(LYFTLEARN_DEADLINE)", "(--deadline)")
        return self.failed(error.finding or "LL1091", what, error.remedy)

    def said(self, line: str) -> Finding:
        """A warning of the start's own, whose last word is its code."""
        text, _, code = line.removesuffix("]").rpartition(" [")
        return self.warning(code, text) if code in table() else self.warning("LL0207", line)


def worst(findings: list[Finding]) -> int:
    """The exit code: that of the first failure, in the order in which a start would meet them; WARNED; or 0."""
    for finding in findings:
        if finding.verdict == FAILED:
            return finding.exit or StartError.code
    return WARNED if any(finding.verdict == WARNING for finding in findings) else 0
