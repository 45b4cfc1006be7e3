"""The doctor's verdicts: what they become as an exit code, and what a check says that does not come to an end."""

import threading
import time

import pytest

from lyftlearn_entrypoint.cli.checks.command import text
from lyftlearn_entrypoint.cli.checks.model import FAILED, OK, SKIPPED, WARNED, WARNING, Check, Finding, Trying, worst
from lyftlearn_entrypoint.cli.checks.place import names
from lyftlearn_entrypoint.cli.checks.run import run_all
from lyftlearn_entrypoint.cli.findings import table
from lyftlearn_entrypoint.errors import Missing, StartError
from lyftlearn_entrypoint.snapshot.process import CAPABILITIES


def finding(code: str, verdict: str) -> Finding:
    return Finding("check", code, verdict, "evidence")


def check(run: object) -> Check:
    return Check("kms", "LL0400", run, "here")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ([], 0),
        ([("LL0200", OK), ("LL0300", SKIPPED)], 0),
        ([("LL0200", OK), ("LL0751", WARNING)], WARNED),
        ([("LL0751", WARNING), ("LL0609", FAILED)], 66),
        ([("LL0402", FAILED), ("LL0701", FAILED)], 77),
        ([("LL0701", FAILED), ("LL0402", FAILED)], 69),
        ([("LL0701", WARNING)], WARNED),
        ([("LL0743", FAILED)], StartError.code),
    ],
)
def test_the_worst_verdict_is_the_exit_code(findings: "list[tuple[str, str]]", code: int) -> None:
    assert worst([finding(*each) for each in findings]) == code


def test_warnings_alone_end_with_a_code_that_no_start_has() -> None:
    assert WARNED not in {row.exit for row in table().values()}


def test_an_error_of_the_starts_own_keeps_its_words_and_its_code() -> None:
    def run(_: Trying) -> "list[Finding]":
        raise Missing("Confidant has no shop", "Create it", finding="LL0609")

    (found,) = run_all([check(run)], 5)
    assert (found.code, found.verdict, found.exit) == ("LL0609", FAILED, 66)
    assert text(found) == ["FAILED   LL0609  kms              Confidant has no shop", " " * 34 + "-> Create it"]


def test_a_warning_of_the_starts_own_is_taken_apart() -> None:
    found = check(None).said("LYFTLEARN_X is not a setting [LL0207]")
    assert (found.code, found.verdict, found.evidence) == ("LL0207", WARNING, "LYFTLEARN_X is not a setting")
    assert found.remedy == table()["LL0207"].remedy


def test_a_defect_is_one_finding_and_shows_no_value() -> None:
    def run(_: Trying) -> "list[Finding]":
        raise KeyError("hunter2")

    (found,) = run_all([check(run)], 5)
    assert (found.code, found.exit) == ("LL1091", 70)
    assert "KeyError at test_doctor_verdicts.py:" in found.evidence
    assert "hunter2" not in found.evidence


def test_what_hangs_is_left_behind_and_says_what_it_tried() -> None:
    hang = threading.Event()

    def run(trying: Trying) -> "list[Finding]":
        trying("looking up kms.example.com")
        hang.wait(30)
        return []

    fine = Check("disk", "LL1020", lambda _: [fine.ok("there")])
    began = time.monotonic()
    late, found = run_all([check(run), fine], 2, lambda: ["kms.example.com:443"])
    assert time.monotonic() - began < 20
    hang.set()
    assert (late.check, late.about, late.code, late.exit) == ("kms", "here", "LL1090", 69)
    assert late.evidence == "no answer within 2 s: looking up kms.example.com; connections under way: kms.example.com:443"
    assert found.evidence == "there"


def test_they_run_side_by_side_and_keep_their_order() -> None:
    meet = threading.Barrier(5, timeout=60)

    def at(number: int) -> Check:
        def run(_: Trying) -> "list[Finding]":
            meet.wait()  # all of them, or none
            return [each.ok(str(number))]

        each = check(run)
        return each

    assert [found.evidence for found in run_all([at(n) for n in range(5)], 60)] == ["0", "1", "2", "3", "4"]


def test_capabilities_by_their_bits() -> None:
    assert names(0xA80425FB) == [
        "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "NET_BIND_SERVICE", "NET_RAW", "SYS_CHROOT",
        "MKNOD", "AUDIT_WRITE", "SETFCAP",
    ]  # fmt: skip
    assert names(1 << 60) == ["BIT 60"]
    assert len(CAPABILITIES) == len(set(CAPABILITIES)) == 41
