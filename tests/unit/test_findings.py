"""The table of findings is a contract: each code means one thing for ever, is documented, and stands where it happens."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import lyftlearn_entrypoint
from lyftlearn_entrypoint.cli.findings import Known, areas, page, table
from lyftlearn_entrypoint.errors import EXIT_CODES, BadDocument, Missing, StartError
from lyftlearn_entrypoint.fetch.gather import _together

CHECKOUT = Path(__file__).parents[2]
PACKAGE = Path(lyftlearn_entrypoint.__file__).parent
CODE = re.compile(r"LL\d{4}")
KINDS: dict[str, type[StartError]] = {"StartError": StartError, **{kind.__name__: kind for kind in EXIT_CODES.values()}}


def sources() -> Iterator[Path]:
    """Everything that a start can load."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if "cli" not in path.relative_to(PACKAGE).parts and path.name not in ("errors.py", "install.py", "bundle.py"):
            yield path


def raised() -> "list[tuple[str, str, set[str]]]":
    """(place, class, codes) of each error that the start makes."""
    found = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS):
                continue
            codes: set[str] = set()
            for keyword in node.keywords:
                if keyword.arg == "finding":
                    codes = set(CODE.findall(ast.unparse(keyword.value)))
                    # A table of this module, such as _MISSING in answers.py.
                    for name in [n.id for n in ast.walk(keyword.value) if isinstance(n, ast.Name) and n.id.isupper()]:
                        codes |= set(CODE.findall(next(line for line in path.read_text().splitlines() if line.startswith(name + " ="))))
            found.append((f"{path.relative_to(PACKAGE)}:{node.lineno}", node.func.id, codes))
    return found


def test_every_error_of_a_start_has_its_code() -> None:
    found = raised()
    assert len(found) > 100
    assert [place for place, _, codes in found if not codes] == []


def test_every_code_ends_as_its_class_does() -> None:
    known = table()
    for place, kind, codes in raised():
        for code in codes:
            assert known[code].exit == KINDS[kind].code, f"{code} at {place}"


def test_every_code_in_the_sources_is_documented_and_the_reverse() -> None:
    used = {code for path in PACKAGE.rglob("*.py") if "findings" not in path.parts for code in CODE.findall(path.read_text())}
    assert used == set(table())


def test_the_page_is_current() -> None:
    assert (CHECKOUT / "docs/troubleshooting.md").read_text() == page(), "lyftlearn doctor --docs > docs/troubleshooting.md"


def test_each_code_has_a_heading_of_its_own() -> None:
    headings = [line[4:] for line in page().splitlines() if line.startswith("### ")]
    assert headings == [row.code for area in areas() for row in area.rows]
    assert len(set(headings)) == len(headings) == len(table())


def test_codes_are_never_reused() -> None:
    """The committed list has every code that there ever was. A row may go out of the table, never out of the list; a name stays."""
    lines = (CHECKOUT / "tests/unit/findings.txt").read_text().splitlines()
    ever = dict(line.split(" ", 1) for line in lines)
    assert len(ever) == len(lines)
    assert list(ever) == sorted(ever)
    known = table()
    assert set(known) <= set(ever), "add the new ones to tests/unit/findings.txt"
    assert {code: row.name for code, row in known.items()} == {code: ever[code] for code in known}


@pytest.mark.parametrize("row", table().values(), ids=lambda row: row.code)
def test_each_row_is_whole(row: Known) -> None:
    assert CODE.fullmatch(row.code)
    assert row.exit in {0, StartError.code, *EXIT_CODES}
    assert row.means.endswith(".")
    assert row.remedy.endswith(".") or not row.exit


def test_the_text_of_an_error_ends_with_its_code() -> None:
    error = BadDocument("it broke", "Mend it", finding="LL0501")
    assert str(error) == "it broke. Mend it [LL0501]"
    assert error.told == "it broke. Mend it"


def test_several_errors_keep_their_codes() -> None:
    both = _together([Missing("a is not there", "Make a", finding="LL0411"), BadDocument("b broke", finding="LL0501")])
    assert (type(both), str(both)) == (Missing, "a is not there. Make a [LL0411]; and b broke [LL0501]")
