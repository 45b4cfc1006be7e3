"""How platform.yaml becomes platform.json, and what the start path says of either; the page made of the table."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

import lyftlearn_entrypoint
from lyftlearn_entrypoint.cli.settings import compile_text, settings, table
from lyftlearn_entrypoint.errors import BadSettings
from lyftlearn_entrypoint.files import Files
from lyftlearn_entrypoint.settings import LINES, PLATFORM_JSON, PLATFORM_YAML, load
from lyftlearn_entrypoint.settings_table import STEPS, TABLE, variable
from tests.unit.helpers import mode, refused, tree

URL = "https://confidant.example.com"


def compiled(root: Path, text: str) -> Files:
    """A platform.yaml below `root`, compiled by the real command."""
    files = tree(root, {PLATFORM_YAML: text})
    result = CliRunner().invoke(settings, ["compile", files.real(PLATFORM_YAML)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return files


def read(root: Path, text: str) -> dict[str, str]:
    found = load({}, compiled(root, text))
    assert found.warnings == []
    return found.values


# The platform's file ---------------------------------------------------------------------------------------------------------------


def test_yaml_newer_than_its_json_is_an_error(tmp_path: Path) -> None:
    files = compiled(tmp_path, "deadline: 5\n")
    source, target = Path(files.real(PLATFORM_YAML)), Path(files.real(PLATFORM_JSON))
    after = os.stat(target).st_mtime_ns + 1
    os.utime(source, ns=(after, after))
    error = refused(BadSettings, lambda: load({}, files))
    assert "is newer than" in error.what
    assert "lyftlearn settings compile" in error.remedy


def test_yaml_without_json_is_an_error(tmp_path: Path) -> None:
    error = refused(BadSettings, lambda: load({}, tree(tmp_path, {PLATFORM_YAML: "deadline: 5\n"})))
    assert "lyftlearn settings compile" in error.remedy


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not JSON"),
        ("", "not JSON"),
        ("[1]", "no JSON object"),
        (b"\xff", "UTF-8"),
        ('{"log": "json", "log": "text"}', "twice"),
        ('{"user": {}}', "neither a string"),
    ],
)
def test_broken_json_is_an_error_that_names_it(tmp_path: Path, content: "str | bytes", says: str) -> None:
    files = tree(tmp_path, {PLATFORM_JSON: content})
    error = refused(BadSettings, lambda: load({}, files))
    assert files.real(PLATFORM_JSON) in error.what
    assert says in error.what


def test_json_that_is_a_directory_is_an_error(tmp_path: Path) -> None:
    error = refused(BadSettings, lambda: load({}, tree(tmp_path, {PLATFORM_JSON + "/": ""})))
    assert "cannot be read" in error.what


def test_json_of_a_hand_without_lines(tmp_path: Path) -> None:
    files = tree(tmp_path, {PLATFORM_JSON: {"deadline": 5, "statsd_relay": True, "env_keep": ["A", "B"], "user": None}})
    found = load({}, files)
    assert (found.deadline, found["statsd_relay"], found.keep, found["user"]) == (5.0, "on", {"A", "B"}, "")


# Compiling ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("# nothing\n---\n", {}),
        ("deadline: 30", {"deadline": "30"}),
        ("deadline: 2.50", {"deadline": "2.50"}),
        ("statsd_relay: on", {"statsd_relay": "on"}),
        ("statsd_relay: false", {"statsd_relay": "off"}),
        ("statsd_relay: Yes", {"statsd_relay": "on"}),
        ("statsd_relay: auto", {"statsd_relay": "auto"}),
        ("user: ~", {"user": ""}),
        ("user:", {"user": ""}),
        ("user: 1000", {"user": "1000"}),
        ("env_keep: [A, B.C, d-e]", {"env_keep": "A,B.C,d-e"}),
        ("env_keep:\n- A\n- NO\n- 12\n", {"env_keep": "A,NO,12"}),
        ("env_keep: '*'", {"env_keep": "*"}),
        ("train_command: python -m train \\\n  --fast", {"train_command": "python -m train \\ --fast"}),
        ("train_command: |\n  python -m train \\\n    --fast\n", {"train_command": "python -m train \\\n  --fast"}),
        # YAML 1.1 reads these as numbers in base 60, base 8 and base 10, and as a truth value.
        ("user: 1000:0", {"user": "1000:0"}),
        ("user: 1000:50", {"user": "1000:50"}),
        ("user: 010", {"user": "010"}),
        ("confidant_service: 12_000", {"confidant_service": "12_000"}),
        ("confidant_service: yes", {"confidant_service": "yes"}),
        ("confidant_service: 2024-01-31", {"confidant_service": "2024-01-31"}),
    ],
)
def test_compiled_value_is_as_written(tmp_path: Path, text: str, values: dict[str, str]) -> None:
    assert read(tmp_path, text) == values


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("deadline: 5\nlog: text\ndeadline: 6\n", 3, "deadline stands twice (first in line 1)"),
        ("log: text\ndeadline: soon\n", 2, "deadline: 'soon'"),
        ("\n\nuser: {uid: 1000}\n", 3, "user is neither"),
        ("env_keep: [[A]]\n", 1, "env_keep is neither"),
        ("- deadline\n", 1, "not a flat mapping"),
        ("just words\n", 1, "not a flat mapping"),
        ("log: text\n  user: x\n", 2, "not YAML"),
        ("log: 'text\n", 2, "not YAML"),
        ("log: text\nuser: \x07\n", 2, "not YAML"),
        ("log: text\n---\nlog: json\n", 2, "not YAML"),
        ("log: !!python/object:os.system x\n", 1, "log: "),
    ],
)
def test_compiling_refuses_with_file_and_line(text: str, line: int, says: str) -> None:
    error = refused(BadSettings, lambda: compile_text(text, "platform.yaml"))
    assert error.what.startswith(f"platform.yaml line {line}: ")
    assert says in error.what


def test_compiling_warns_of_a_mistyped_key_and_the_start_does_again(tmp_path: Path) -> None:
    document, warnings = compile_text("log: text\nconfident_url: x\n", "platform.yaml")
    assert warnings == ["platform.yaml line 2: 'confident_url' is not a setting; is 'confidant_url' meant?"]
    assert "x" not in document.values()
    assert load({}, tree(tmp_path, {PLATFORM_JSON: document})).warnings != []


def test_compiled_file_is_readable_by_all_and_not_older_than_its_source(tmp_path: Path) -> None:
    source = tmp_path / "platform.yaml"
    source.write_text("deadline: 5\n")
    os.utime(source, (2_000_000_000, 2_000_000_000))  # a clock that was wrong when the file was made
    old = os.umask(0o077)
    try:
        result = CliRunner().invoke(settings, ["compile", str(source)], catch_exceptions=False)
    finally:
        os.umask(old)
    target = tmp_path / "platform.json"
    assert (result.exit_code, mode(target)) == (0, 0o644)
    assert target.stat().st_mtime_ns >= source.stat().st_mtime_ns
    assert json.loads(target.read_text()) == {"deadline": "5", LINES: {"deadline": 1}}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["platform.json", "platform.yaml"]


def test_compiling_what_is_wrong_leaves_the_old_file(tmp_path: Path) -> None:
    files = compiled(tmp_path, "deadline: 5\n")
    target = Path(files.real(PLATFORM_JSON))
    before = target.read_bytes()
    Path(files.real(PLATFORM_YAML)).write_text("deadline: soon\n")
    result = CliRunner().invoke(settings, ["compile", files.real(PLATFORM_YAML)])
    assert isinstance(result.exception, BadSettings)
    assert target.read_bytes() == before


def test_compiling_what_is_not_there_says_so(tmp_path: Path) -> None:
    result = CliRunner().invoke(settings, ["compile", str(tmp_path / "platform.yaml")])
    assert isinstance(result.exception, BadSettings)
    assert "No such file" in str(result.exception)


# The table -------------------------------------------------------------------------------------------------------------------------


def test_page_of_settings_is_made_of_the_table() -> None:
    places = [Path(lyftlearn_entrypoint.__file__).parents[1], *Path(__file__).parents, Path.cwd()]
    page = next(place / "docs" / "settings.md" for place in places if (place / "docs" / "settings.md").is_file())
    assert page.read_text(encoding="utf-8") == table(), "run `lyftlearn settings docs > docs/settings.md`"


def test_page_names_every_setting_and_its_default() -> None:
    result = CliRunner().invoke(settings, ["docs"], catch_exceptions=False)
    assert result.output == table()
    for name, _, default, step, meaning in TABLE:
        row = next(line for line in table().splitlines() if line.startswith(f"| `{variable(name)}` |"))
        assert row.count("|") == 6, "a | in a meaning would break the table"
        assert meaning in row
        assert not default or f"`{default}`" in row
        assert step == "" or step in (*STEPS, "snapshot")
