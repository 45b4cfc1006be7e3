"""The contract: what explains what, what is refused, and that ours is current in the documentation."""

import re
from pathlib import Path

import pytest

from lyftlearn_entrypoint.cli.parity import contract
from lyftlearn_entrypoint.cli.parity.contract import Explanation, load, matches
from lyftlearn_entrypoint.cli.parity.facts import PARTS
from lyftlearn_entrypoint.cli.parity.table import BEGIN, END, table
from lyftlearn_entrypoint.errors import BadSettings
from tests.unit.helpers import refused

GOOD = "path: user.uid\n    in: [kubernetes]\n    why: because\n    notice: the owner"
POD_JOB = ("kubernetes", "sagemaker-training")


def written(root: Path, text: str) -> Path:
    path = root / "contract.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("variables[A]", "variables[A]", True),
        ("variables[A]", "variables[AB]", False),
        ("variables[*]", "variables[a/b.c]", True),
        ("files[/etc/x*]", "files[/etc/x/y].mode", False),
        ("files[/etc/x*].mode", "files[/etc/x/y].mode", True),
        ("*", "", True),
        ("a*c*e", "abcde", True),
        ("a.c", "abc", False),
        ("[ab]", "a", False),
        ("*", "two\nlines", True),
    ],
)
def test_a_star_is_any_text_and_nothing_else_is_special(pattern: str, text: str, fits: bool) -> None:
    assert matches(pattern, text) is fits


def test_where_an_explanation_applies() -> None:
    some = Explanation("user.uid", ["sagemaker-*"], "w", "n", images=["dl"])
    assert some.applies(POD_JOB, "dl")
    assert some.applies(POD_JOB, "")
    assert not some.applies(POD_JOB, "base")
    assert not some.applies(("kubernetes", "studio"), "dl")


@pytest.mark.parametrize(
    ("values", "holds"),
    [
        (("1000680000", "1000"), True),
        (("1000680000", "0"), False),
        (("0", "1000"), False),
        (("1000680000", None), False),
        (("1000680000", "2000"), True),
    ],
)
def test_an_explanation_holds_for_the_values_that_are_meant(values: "tuple[str | None, str | None]", holds: bool) -> None:
    some = Explanation("user.uid", ["*"], "w", "n", {"kubernetes": "1000680000", "*": "1000 | 2000"})
    assert some.holds("user.uid", POD_JOB, values) is holds


def test_absent_is_a_value() -> None:
    some = Explanation("variables[A]", ["*"], "w", "n", {"kubernetes": "absent"})
    assert some.holds("variables[A]", POD_JOB, (None, "hmac:1"))
    assert not some.holds("variables[A]", POD_JOB, ("hmac:2", "hmac:1"))


def test_the_line_of_each(tmp_path: Path) -> None:
    path = written(tmp_path, f"# ours\nexplanations:\n  - {GOOD}\n  # next\n  - {GOOD}\n    is: {{kubernetes: '0'}}\n")
    assert [(e.line, e.values) for e in load(path)] == [(3, {}), (8, {"kubernetes": "0"})]


def test_an_empty_contract_explains_nothing(tmp_path: Path) -> None:
    assert load(written(tmp_path, "")) == []
    assert load(written(tmp_path, "explanations: []")) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1", "is not YAML"),
        ("- a", "is no contract"),
        ("explanation: []", "is no contract"),
        ("explanations: {}", "is no contract"),
        ("explanations: [7]", "line 1: this is no mapping"),
        (f"explanations:\n  - {GOOD}\n    because: x", "line 2: because is not known"),
        ("explanations:\n  - path: user.uid\n    in: [a]\n    why: x", "line 2: there is no notice"),
        ("explanations:\n  - path: user.uid\n    in: [a]\n    why: ' '\n    notice: x", "line 2: there is no why"),
        ("explanations:\n  - path: user.uid\n    why: x\n    notice: x", "line 2: in is no list"),
        ("explanations:\n  - path: user.uid\n    in: kubernetes\n    why: x\n    notice: x", "line 2: in is no list"),
        (f"explanations:\n  - {GOOD}\n    is: {{kubernetes: 1000}}", "quote numbers"),
        (f"explanations:\n  - {GOOD}\n    images: base", "line 2: images is no list"),
        ("explanations:\n  - path: '*'\n    in: [a]\n    why: x\n    notice: x", "path does not begin with a part"),
        ("explanations:\n  - path: varables[A]\n    in: [a]\n    why: x\n    notice: x", "path does not begin with a part"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    path = written(tmp_path, text)
    error = refused(BadSettings, lambda: load(path))
    assert says in error.what
    assert str(path) in error.what


def test_a_contract_that_is_not_there(tmp_path: Path) -> None:
    assert "cannot be read" in refused(BadSettings, lambda: load(tmp_path / "no.yaml")).what


def test_ours_is_narrow() -> None:
    """No explanation of ours takes a whole part, and none lets credentials, capabilities in effect or contents of files differ."""
    ours = load()
    assert ours
    told = {f"{part}[x]" for part in PARTS} | {f"{part}.x" for part in PARTS}
    never = [
        *("variables[CREDENTIALS_PASSWORD]", "variables[PATH]", "variables[AWS_REGION]", "variables[PYTHONPATH]", "variables[SCREENING_X]"),
        *("capabilities.effective", "capabilities.permitted", "signals.ignored", "signals.blocked", "program.argv", "program.cwd"),
        *("files[credentials/password].content", "files[hyperparameters/eta].content", "files[hyperparameters/eta]", "limits[nofile]"),
        *("process.umask", "user.home_usable", "resources.cpu_count", "resources.memory_limit", "listening[udp 127.0.0.1:8125]"),
        *("packages[numpy]", "os_packages[tini]", "image.content", "image.digest", "version", "incomplete[1]", "locale.name", "time.zone"),
        *("descriptors[1].kind", "descriptors[2]", "directories[/tmp].runs_programs", "directories[/dev/shm].writable"),
    ]
    for path in (*told, *never):
        for explanation in ours:
            for values in ((None, "hmac:1"), ("hmac:1", None), ("hmac:1", "hmac:2"), ("yes", "no")):
                assert not explanation.holds(path, POD_JOB, values) or path in ("directories[x]", "mounts[x]"), (path, explanation.line)


@pytest.mark.parametrize("uid", ["0", "1001"])
def test_ours_never_lets_a_program_run_as_somebody_else(uid: str) -> None:
    for context in ("sagemaker-training", "sagemaker-processing", "sagemaker-transform", "sagemaker-endpoint", "studio"):
        assert not any(e.holds("user.uid", ("kubernetes", context), ("1000680000", uid)) for e in load())


def test_the_page_has_ours() -> None:
    places = Path(__file__).resolve().parents
    page = next(place / "docs" / "parity.md" for place in places if (place / "docs" / "parity.md").is_file()).read_text(encoding="utf-8")
    found = re.search(f"{re.escape(BEGIN)}.*{re.escape(END)}\n", page, re.DOTALL)
    assert found
    assert found[0] == table(contract.load()), "run `lyftlearn parity --docs` and put it into docs/parity.md"


def test_every_explanation_is_in_the_table_once() -> None:
    ours = load()
    rows = [line for line in table(ours).splitlines() if line.startswith("| `")]
    assert len(rows) == len(ours)
    for row in rows:
        assert len(re.findall(r"(?<!\\)\|", row)) == 5, row
