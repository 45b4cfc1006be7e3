"""Snapshots compared: what is told, what is explained, what is stale, what is refused, and how it is shown."""

import copy
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from lyftlearn_entrypoint.cli import main
from lyftlearn_entrypoint.cli.parity import page
from lyftlearn_entrypoint.cli.parity.compare import compare
from lyftlearn_entrypoint.cli.parity.contract import Explanation
from lyftlearn_entrypoint.cli.parity.facts import GROUPS, PARTS, flat, group_of, made
from lyftlearn_entrypoint.snapshot import schema
from lyftlearn_entrypoint.snapshot.collect import PARTS as TAKEN

A, B = "hmac:" + "a" * 32, "hmac:" + "b" * 32
DOCUMENT: "dict[str, Any]" = {
    "form": "lyftlearn-snapshot/1",
    "version": "1.0.0",
    "taken": "2026-01-01T00:00:00Z",
    "how": "start",
    "context": "kubernetes",
    "key": "0123456789abcdef",
    "milliseconds": 5,
    "incomplete": [],
    "facts": {
        "variables": {"HOME": A, "TOKEN": A},
        "user": {
            "uid": [1000, 1000, 1000],
            "gid": [0, 0, 0],
            "groups": [],
            "passwd": {"name": None, "home": None, "shell": None},
            "home": "/tmp/h",
            "home_usable": True,
        },
        "signals": {"blocked": [], "ignored": ["SIGHUP", "SIGUSR1"]},
        "files": {"/etc/x": {"kind": "directory", "mode": "0755", "uid": 0, "gid": 0}},
        "directories": {"/opt/ml": None, "/tmp": {"mode": "1777", "uid": 0, "gid": 0, "writable": True, "runs_programs": True}},
        "listening": {"udp 127.0.0.1:8125": "listens"},
        "limits": {"nofile": [1024, 4096]},
    },
}


def altered(**more: Any) -> "dict[str, Any]":
    """The document in another context; `more` are parts of its facts, merged."""
    document = copy.deepcopy(DOCUMENT)
    document["context"] = "sagemaker-training"
    for part, values in more.items():
        document["facts"].setdefault(part, {}).update(values)
    return document


def paths(*documents: "dict[str, Any]", contract: "list[Explanation] | None" = None) -> "list[str]":
    snapshots = [made(document, str(n), str(n)) for n, document in enumerate((DOCUMENT, *documents))]
    return [difference.path for difference in compare(snapshots, contract or []).unexplained]


def explanation(path: str, **more: Any) -> Explanation:
    return Explanation(path, more.pop("contexts", ["sagemaker-training"]), "because it is so", "not much", **more)


def test_the_document_of_these_tests_is_one() -> None:
    jsonschema.validate(DOCUMENT, schema.load())


def test_every_part_of_a_snapshot_has_a_group() -> None:
    assert {name for name, _ in TAKEN} | {"how", "version", "incomplete"} == set(PARTS)
    assert sum(len(group.parts) for group in GROUPS) == len(PARTS)
    assert group_of("files[/a.b/c].mode").name == "Files"
    assert group_of("user.passwd.name").name == "User and places"


def test_rows_for_people() -> None:
    rows = flat(DOCUMENT)
    assert rows["user.uid"] == "1000"  # real, effective and saved
    assert rows["user.groups"] == "none"
    assert rows["user.passwd.name"] == "none"
    assert rows["signals.ignored"] == "SIGHUP, SIGUSR1"
    assert rows["files[/etc/x]"] == "directory"
    assert rows["files[/etc/x].owner"] == "0:0"
    assert rows["directories[/tmp].writable"] == "yes"
    assert "directories[/opt/ml]" not in rows
    assert rows["limits[nofile]"] == "1024, 4096"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"variables": {"TOKEN": B}}, ["variables[TOKEN]"]),
        ({"variables": {"NEW": A}}, ["variables[NEW]"]),
        ({"user": {"uid": [0, 0, 0]}}, ["user.uid"]),
        ({"user": {"uid": [1000, 0, 0]}}, ["user.uid"]),
        ({"signals": {"ignored": ["SIGHUP"]}}, ["signals.ignored"]),
        ({"files": {"/etc/x": {"kind": "directory", "mode": "0700", "uid": 0, "gid": 0}}}, ["files[/etc/x].mode"]),
        (
            {"directories": {"/opt/ml": {"mode": "0755", "uid": 0, "gid": 0, "writable": True, "runs_programs": True}}},
            ["directories[/opt/ml]"],
        ),
        ({"directories": {"/tmp": None}}, ["directories[/tmp]"]),
        ({"listening": {"tcp *:80": "listens"}}, ["listening[tcp *:80]"]),
        ({"time": {"offset": 3600}}, ["time.offset"]),
    ],
)
def test_each_difference_is_told_once(change: "dict[str, Any]", found: "list[str]") -> None:
    assert paths(altered(**change)) == found


def test_the_same_is_the_same() -> None:
    assert paths(altered()) == []


def test_a_thing_that_is_gone_is_told_once_and_not_with_each_property() -> None:
    document = altered()
    document["facts"]["files"] = {}
    assert paths(document) == ["files[/etc/x]"]


def test_what_a_snapshot_could_not_see_is_a_difference() -> None:
    document = altered()
    document["incomplete"] = ["files: the first 2000"]
    assert paths(document) == ["incomplete[1]"]
    del document["facts"]["signals"]
    assert paths(document) == ["incomplete[1]", "signals.blocked", "signals.ignored"]


def test_each_is_held_against_the_first() -> None:
    one, two = altered(variables={"TOKEN": B}), altered(variables={"TOKEN": A})
    snapshots = [made(document, str(n), "") for n, document in enumerate((DOCUMENT, one, two))]
    [difference] = compare(snapshots, []).unexplained
    assert difference.values == [A, B, A]
    assert difference.unexplained == [1]


def test_an_explanation_of_one_context_explains_no_other() -> None:
    one, two = altered(variables={"TOKEN": B}), altered(variables={"TOKEN": B})
    two["context"] = "studio"
    snapshots = [made(document, str(n), "") for n, document in enumerate((DOCUMENT, one, two))]
    [difference] = compare(snapshots, [explanation("variables[TOKEN]")]).differences
    assert difference.unexplained == [2]
    assert compare(snapshots, [explanation("variables[TOKEN]", contexts=["kubernetes"])]).unexplained == []


def test_stale_is_what_could_have_explained_and_did_not() -> None:
    contract = [
        explanation("variables[TOKEN]"),
        explanation("variables[*]"),  # the one before it is enough
        explanation("user.uid"),
        explanation("user.uid", contexts=["studio"]),  # no such snapshot here
        explanation("user.gid", images=["dl"]),
    ]
    snapshots = [made(DOCUMENT, "pod", ""), made(altered(variables={"TOKEN": B}), "job", "")]
    comparison = compare(snapshots, contract, "base")
    assert [contract.index(e) for e in comparison.stale] == [1, 2]
    assert comparison.good(strict=False)
    assert not comparison.good(strict=True)
    assert [contract.index(e) for e in compare(snapshots, contract, "dl").stale] == [1, 2, 4]


# The command -----------------------------------------------------------------------------------------------------------------------


CONTRACT = """explanations:
  - path: variables[TOKEN]
    in: [sagemaker-training]
    why: because it is so
    notice: not much
"""


class Files:
    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "contract.yaml").write_text(CONTRACT)
        self.write("pod", DOCUMENT)

    def write(self, name: str, document: Any) -> None:
        (self.root / f"{name}.json").write_text(document if isinstance(document, str) else json.dumps(document))

    def parity(self, *words: str) -> Result:
        names = [str(self.root / f"{word}.json") if re.fullmatch(r"[a-z]+", word) else word for word in words]
        return CliRunner().invoke(main, ["parity", "--contract", str(self.root / "contract.yaml"), *names])


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_all_explained(files: Files) -> None:
    files.write("job", altered(variables={"TOKEN": B}))
    done = files.parity("pod", "job")
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[0] == "pod and job: 23 facts the same; differences: 1 explained, 0 not explained"
    assert "why: because it is so" in done.output


def test_one_is_not(files: Files) -> None:
    files.write("job", altered(variables={"TOKEN": B, "NEW": A}, user={"uid": [0, 0, 0]}))
    done = files.parity("pod", "job")
    assert done.exit_code == 1
    lines = done.output.splitlines()
    assert lines[0].endswith("differences: 1 explained, 2 not explained")
    assert "NOT EXPLAINED" in lines
    assert "  User and places: would break programs that write files, ask who they are, or need a right" in lines
    assert re.search(r"user\.uid +1000 +0 !", done.output)
    assert re.search(r"variables\[NEW\] +absent +#aaaaaaa !", done.output)


def test_stale_fails_only_with_strict(files: Files) -> None:
    files.write("job", altered())
    done = files.parity("pod", "job")
    assert done.exit_code == 0
    assert "STALE" in done.output
    assert "line 2: variables[TOKEN] in sagemaker-training: because it is so" in done.output
    assert files.parity("--strict", "pod", "job").exit_code == 1


def test_json(files: Files) -> None:
    files.write("job", altered(variables={"NEW": A}))
    done = files.parity("--json", "pod", "job")
    assert done.exit_code == 1
    told = json.loads(done.output)
    assert (told["good"], told["same"], told["unexplained"], told["explained"]) == (False, 24, 1, 0)
    assert told["differences"] == [
        {"path": "variables[NEW]", "group": "Variables", "values": [None, A], "unexplained": ["job"], "explanations": []}
    ]
    assert told["stale"][0]["line"] == 2


@pytest.mark.parametrize(
    ("document", "code", "says"),
    [
        ("{", 65, "it is not JSON"),
        ("[" * 100_000, 65, "it is not JSON"),
        ({"form": "other"}, 65, "is no snapshot of the form lyftlearn-snapshot/1"),
        ([], 65, "is no snapshot"),
        ({"form": "lyftlearn-snapshot/1"}, 65, "is no whole snapshot: it lacks version, "),
        ({name: value for name, value in DOCUMENT.items() if name != "key"}, 65, "is no whole snapshot: it lacks key."),
        ({**DOCUMENT, "facts": {"feelings": {}}}, 65, "parts that this version does not know: feelings"),
        ({**DOCUMENT, "facts": {"variables": []}}, 65, "a part of it has another form"),
        ({**DOCUMENT, "facts": {"files": {"/x": {"uid": 0}}}}, 65, "a part of it has another form"),
        ({**DOCUMENT, "facts": []}, 65, "is no whole snapshot: it lacks facts."),
        ({**DOCUMENT, "incomplete": 7}, 65, "a part of it has another form"),
        ({**DOCUMENT, "key": "fedcba9876543210"}, 78, "different keys (pod under 0123456789abcdef, job under fedcba9876543210)"),
        ({**DOCUMENT, "key": None}, 78, "job: taken without a key"),
    ],
)
def test_refused(files: Files, document: Any, code: int, says: str) -> None:
    files.write("job", document)
    done = files.parity("pod", "job")
    assert done.exit_code == code
    assert says in done.output
    assert "Traceback" not in done.output


def test_a_snapshot_that_is_not_there(files: Files) -> None:
    assert files.parity("pod", "gone").exit_code == 66
    assert files.parity("pod").exit_code == 2


def test_a_page_that_cannot_be_written(files: Files) -> None:
    files.write("job", altered())
    done = files.parity("--html", str(files.root / "gone/page.html"), "pod", "job")
    assert done.exit_code == 78
    assert "gone/page.html cannot be written: No such file or directory. Name another file with --html" in done.output


def test_nothing_in_a_snapshot_moves_the_terminal(files: Files) -> None:
    files.write("job", altered(variables={"A\x1b[2J\udcff\nB": A}, user={"home": "/h\r\x07\u202e"}))
    out = files.root / "page.html"
    done = files.parity("--all", "--html", str(out), "pod", "job")
    assert done.exit_code == 1
    assert r"variables[A\x1b[2J\udcff\nB]" in done.output
    assert r"/h\r\x07\u202e" in done.output
    for text in (done.output, out.read_text(encoding="utf-8")):
        assert not [c for c in text if not c.isprintable() and c != "\n"]


def test_names_alone(files: Files) -> None:
    without = altered(variables={"NEW": None, "TOKEN": None, "HOME": None})
    without["key"] = None
    files.write("job", without)
    done = files.parity("--names-only", "pod", "job")
    assert done.exit_code == 1
    assert "names alone: no value was compared" in done.output
    assert re.findall(r"variables\[(\w+)\] +absent", done.output) == ["NEW"]
    assert "; differences: 0 explained, 1 not explained" in done.output


# The page --------------------------------------------------------------------------------------------------------------------------


class Seen(HTMLParser):
    """What a page would load, and its tags in order."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: "list[tuple[str, str | None]]") -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]
        if tag not in ("meta", "link", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_stands_alone(files: Files) -> None:
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
    files.write("job", altered(variables={hostile: A, "TOKEN": B}, user={"home": hostile}))
    out = files.root / "page.html"
    assert files.parity("--html", str(out), "pod", "job").exit_code == 1
    text = out.read_text(encoding="utf-8")
    seen = Seen()
    seen.feed(text)
    assert seen.open == []
    assert seen.addresses == ["data:,"]
    assert seen.tags.count("script") == 1
    assert "img" not in seen.tags
    assert not re.search(r"https?://|url\(|@import", text)
    assert "default-src 'none'" in text


def test_what_is_not_explained_comes_first_on_the_page() -> None:
    snapshots = [made(DOCUMENT, "pod", ""), made(altered(variables={"TOKEN": B, "NEW": A}), "job", "")]
    text = page.render(compare(snapshots, [explanation("variables[TOKEN]"), explanation("user.uid")]))
    order = [
        text.index(word)
        for word in ("1 difference nobody explains", "variables[NEW]", "Stale explanations", "variables[TOKEN]", "The same")
    ]
    assert order == sorted(order)


def test_the_page_says_what_was_found() -> None:
    pod, job, same = made(DOCUMENT, "pod", ""), made(altered(variables={"TOKEN": B}), "job", ""), made(altered(), "same", "")
    told = {
        "No difference": compare([pod, same], []),
        "Every difference is explained": compare([pod, job], [explanation("variables[TOKEN]")]),
        "1 difference nobody explains": compare([pod, job], []),
        "Explanations are stale": compare([pod, same], [explanation("variables[TOKEN]")]),
    }
    for said, comparison in told.items():
        assert f"<h1>{said}</h1>" in page.render(comparison, strict=True)
