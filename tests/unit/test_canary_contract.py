"""A contract forgives what it says, to the byte, and nothing else; a rule that is not needed any more is told."""

from pathlib import Path

import pytest

from tests.parity.canary.canary import Seen
from tests.parity.canary.contract import BadContract, Rule, differences, load
from tests.parity.canary.programs import Program

PLACES = ("pod", "training", "studio")
HOME = Rule(("training",), "stdout", "home /tmp\n", "home /root\n", "the place's own")


def out(stdout: str, code: str = "0", stderr: str = "", **more: str) -> "dict[str, str]":
    return {"stdout": stdout, "stderr": stderr, "code": code, **more}


def test_the_same_is_no_difference() -> None:
    assert differences("training", out("a\n"), out("a\n"), []) == []


@pytest.mark.parametrize(
    ("there", "line"),
    [
        (out("b\n"), "+b"),
        (out("a\n", code="1"), "+1"),
        (out("a\n", stderr="warning\n"), "+warning"),
        (out("a\n", statsd="m 1\n"), "+m 1"),
        (out("a\n", left="{}"), "+{}"),
        (out("a"), "stdout: only the ends of lines differ"),
        (out("a\r\n"), "stdout: only the ends of lines differ"),
        ({}, "-a"),
    ],
)
def test_every_stream_is_compared(there: "dict[str, str]", line: str) -> None:
    assert line in differences("training", out("a\n"), there, [])


def test_a_rule_forgives_exactly_what_it_says() -> None:
    pod = out("x\nhome /tmp\ny\n")
    assert differences("training", pod, out("x\nhome /root\ny\n"), [HOME]) == []
    assert "+home /srv" in differences("training", pod, out("x\nhome /srv\ny\n"), [HOME])
    assert "+z" in differences("training", pod, out("x\nhome /root\nz\n"), [HOME])
    assert "+home /root" in differences("studio", pod, out("x\nhome /root\ny\n"), [HOME])  # of another place


def test_a_rule_that_is_not_needed_is_told() -> None:
    same = out("home /tmp\n")
    assert "+home /tmp" in differences("training", same, same, [HOME])
    gone = out("home /srv\n")
    assert differences("training", gone, gone, [HOME]) == [
        "stale: the pod's stdout does not say 'home /tmp\\n', of which the contract says: the place's own"
    ]


def test_what_is_never_twice_the_same_is_left_out_on_both_sides() -> None:
    times = Rule(("training",), "stderr", "", "", "a clock", r"^\d\d:\d\d ")
    pod, there = out("", stderr="10:07 a\n10:08 b\n"), out("", stderr="11:00 a\n11:01 b\n")
    assert differences("training", pod, there, [times]) == []
    assert "+c" in differences("training", pod, out("", stderr="11:00 a\n11:01 c\n"), [times])
    assert differences("training", out(""), out(""), [times]) == [
        "stale: nothing in the pod's stderr is like ^\\d\\d:\\d\\d , of which the contract says: a clock"
    ]


def test_a_long_difference_is_cut() -> None:
    lines = differences("training", out("a\n" * 500), out("b\n" * 500), [])
    assert len(lines) == 40


def test_a_program_that_fails_in_the_pod_shows_nothing_and_is_told() -> None:
    failed = out("", code="1", stderr="Traceback\nKeyError: 'A'\n")
    seen = Seen({"pod": {"it.py": failed}, "training": {"it.py": failed}}, {})
    assert seen.differences(Program("it.py", "")) == [
        "it.py in the pod: exit code 1, and not 0",
        "    Traceback",
        "    KeyError: 'A'",
    ]
    assert seen.differences(Program("it.py", "", code=1)) == []


def test_differences_name_their_places() -> None:
    seen = Seen(
        {"pod": {"it.py": out("home /tmp\n")}, "training": {"it.py": out("home /root\n")}, "studio": {"it.py": out("")}}, {"it.py": [HOME]}
    )
    told = seen.differences(Program("it.py", ""))
    assert told[0] == "it.py in studio:"
    assert "    -home /tmp" in told


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("it.py: [{in: [training], pod: a, there: b}]", "a rule has in, pod, there and why"),
        ("it.py: [{in: [], pod: a, there: b, why: c}]", "a rule has in"),
        ("it.py: [{in: training, pod: a, there: b, why: c}]", "a rule has in"),
        ("it.py: [{in: [training], there: b, why: c}]", "a rule has in"),
        ("it.py: [{in: [training], pod: a, there: b, why: c, since: d}]", "a rule has in"),
        ("it.py: [{mask: a}]", "or mask and why"),
        ("it.py: [{in: [training], mask: a, why: c}]", "or mask and why"),
        ("it.py: [{in: [moon], pod: a, there: b, why: c}]", "in: some of pod, training, studio"),
        ("it.py: [{in: [training], stream: out, pod: a, there: b, why: c}]", "stream: one of stdout"),
    ],
)
def test_a_rule_has_to_say_it_all(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "contract.yaml").write_text(text)
    with pytest.raises(BadContract, match=why):
        load(PLACES, tmp_path / "contract.yaml")


def test_rules_are_read(tmp_path: Path) -> None:
    (tmp_path / "contract.yaml").write_text('it.py: [{in: [training], stream: code, pod: 137, there: "", why: c}]')
    assert load(PLACES, tmp_path / "contract.yaml") == {"it.py": [Rule(("training",), "code", "137", "", "c")]}
