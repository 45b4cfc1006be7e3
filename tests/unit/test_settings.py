"""Settings: who wins, what an empty value means, what a bad value or a mistyped name says, and how platform.yaml becomes platform.json."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

import lyftlearn_entrypoint
from lyftlearn_entrypoint.cli.settings import compile_text, settings, table
from lyftlearn_entrypoint.errors import BadSettings
from lyftlearn_entrypoint.files import Files
from lyftlearn_entrypoint.settings import LINES, PLATFORM_JSON, PLATFORM_YAML, check, load
from lyftlearn_entrypoint.settings_table import NAMES, OUTPUTS, STEPS, TABLE, nearest, variable
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


# Who wins ------------------------------------------------------------------------------------------------------------------------


def test_without_anything_there_are_defaults(tmp_path: Path) -> None:
    found = load({"PATH": "/bin"}, Files(str(tmp_path)))
    assert {name: found[name] for name in NAMES} == {row[0]: row[2] for row in TABLE}
    assert (found.deadline, found.keep, found.steps(), found.warnings) == (60.0, set(), None, [])


def test_variable_wins_over_the_platform(tmp_path: Path) -> None:
    files = compiled(tmp_path, f"confidant_url: {URL}\nconfidant_service: from-file\n")
    found = load({"LYFTLEARN_CONFIDANT_SERVICE": "from-variable"}, files)
    assert (found["confidant_url"], found["confidant_service"]) == (URL, "from-variable")
    assert found.place("confidant_service") == "LYFTLEARN_CONFIDANT_SERVICE"
    assert found.place("confidant_url") == f"{files.real(PLATFORM_YAML)} line 1: confidant_url"


@pytest.mark.parametrize("empty", ["", " ", "\t\n"])
def test_empty_variable_switches_the_platform_off(tmp_path: Path, empty: str) -> None:
    files = compiled(tmp_path, f"confidant_url: {URL}\ndeadline: 5\nuser: worker\n")
    found = load({"LYFTLEARN_CONFIDANT_URL": empty, "LYFTLEARN_DEADLINE": empty, "LYFTLEARN_USER": empty}, files)
    assert (found["confidant_url"], found.deadline, found["user"]) == ("", 60.0, "")


def test_empty_variable_heals_a_bad_platform_value(tmp_path: Path) -> None:
    files = tree(tmp_path, {PLATFORM_JSON: {"deadline": "soon"}})
    refused(BadSettings, lambda: load({}, files))
    assert load({"LYFTLEARN_DEADLINE": ""}, files).deadline == 60.0


def test_blanks_around_a_value_do_not_count(tmp_path: Path) -> None:
    found = load({"LYFTLEARN_CONFIDANT_URL": f" {URL}\n", "LYFTLEARN_ENV_KEEP": " A , B,,"}, Files(str(tmp_path)))
    assert (found["confidant_url"], found.keep) == (URL, {"A", "B"})


@pytest.mark.parametrize(("value", "steps"), [("none", ()), ("user", ("user",)), ("environment, user", ("environment", "user")), (",".join(STEPS), STEPS)])
def test_steps(tmp_path: Path, value: str, steps: tuple[str, ...]) -> None:
    assert load({"LYFTLEARN_STEPS": value}, Files(str(tmp_path))).steps() == steps


# Mistyped names --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LYFTLEARN_CONFIDENT_URL", "LYFTLEARN_CONFIDANT_URL"),
        ("LYFTLEARN_CONFIDANT_SERVCE", "LYFTLEARN_CONFIDANT_SERVICE"),
        ("LYFTLEARN_HYPERPARAMETER_URI", "LYFTLEARN_HYPERPARAMETERS_URI"),
        ("LYFTLEARN_STATD_GATEWAY", "LYFTLEARN_STATSD_GATEWAY"),
        ("LYFTLEARN_USR", "LYFTLEARN_USER"),
        ("LYFTLEARN_deadline", "LYFTLEARN_DEADLINE"),
    ],
)
def test_mistyped_variable_names_the_nearest(tmp_path: Path, name: str, meant: str) -> None:
    assert load({name: "x"}, Files(str(tmp_path))).warnings == [f"{name} is not a setting; is {meant} meant?"]


@pytest.mark.parametrize("name", ["LYFTLEARN_COMPLETELY_ELSE", "LYFTLEARN_", "LYFTLEARN_X"])
def test_name_that_is_near_nothing_gets_no_suggestion(tmp_path: Path, name: str) -> None:
    assert load({name: "x"}, Files(str(tmp_path))).warnings == [f"{name} is not a setting"]


def test_a_warning_never_shows_the_value(tmp_path: Path) -> None:
    assert "hunter2" not in str(load({"LYFTLEARN_CONFIDENT_URL": "hunter2"}, Files(str(tmp_path))).warnings)


def test_what_the_entrypoint_itself_sets_is_no_typing_error(tmp_path: Path) -> None:
    given = {variable(name): "/x" for name in OUTPUTS} | {"LYFTLEARN_CONTEXT": "studio"}
    assert load(given, Files(str(tmp_path))).warnings == []


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_mistyped_key_is_a_warning_with_its_place(tmp_path: Path, form: str) -> None:
    if form == "yaml":
        files = compiled(tmp_path, "# ours\ndeadline: 5\nconfident_url: https://x\n")
        place = f"{files.real(PLATFORM_YAML)} line 3"
    else:
        files = tree(tmp_path, {PLATFORM_JSON: {"confident_url": "https://x"}})
        place = files.real(PLATFORM_JSON)
    assert load({}, files).warnings == [f"{place}: 'confident_url' is not a setting; is 'confidant_url' meant?"]


def test_nearest_is_the_nearest_and_itself() -> None:
    assert all(nearest(name, NAMES) == name for name in NAMES)


# Bad values ------------------------------------------------------------------------------------------------------------------------

BAD = {
    "context": ["kubernets", "sagemaker", "Local"],
    "steps": ["credential", "none,user", "user,", "all"],
    "root": ["relative/path", "."],
    "path": ["secrets", "~/secrets"],
    "words": ["python 'train.py", "python train.py \\"],
    "url": ["confidant.example.com", "ftp://x", "https://", "https:///path", "https://user:pass@host", "https://host?x=1", "https://ho st", "http://host#x"],
    "text": ["two\nlines", "tab\there"],
    "names": ["A\nB"],
    "s3": ["https://bucket/key", "s3://bucket", "s3://bucket/", "s3:///key", "s3://bucket/key#sha256=beef", "s3://bucket/key?versionId="],
    "address": ["gateway", "gateway:", ":8125", "gateway:0", "gateway:65536", "gateway:8125/udp", "gate way:1", "gateway:٣"],
    "relay": ["yes", "1", "ON"],
    "user": ["two words", ":100", "1000:", "-1", "4294967295", "1000:-5", "a/b"],
    "seconds": ["soon", "0", "-5", "nan", "inf", "1e9", "60s"],
    "log": ["xml", "JSON"],
    "level": ["loud", "INFO"],
}
GOOD = {
    "context": ["kubernetes", "studio"],
    "steps": ["none", "credentials,user"],
    "root": ["/tmp/x", "/"],
    "path": ["/etc/secrets"],
    "words": ["python -m train 'a b'", "\"\""],
    "url": [URL, "http://127.0.0.1:8080/confidant", "https://[::1]:443"],
    "text": ["alias/authnz", "arn:aws:kms:us-east-1:123456789012:key/1-2", "CREDENTIALS_", "é"],
    "names": ["*", "A,B"],
    "s3": ["s3://b/k", "s3://b/a b/ü+.json?versionId=v.1#sha256=" + "0" * 64],
    "address": ["gateway:8125", "10.0.0.1:1", "[::1]:8125"],
    "relay": ["auto", "on", "off"],
    "user": ["worker", "1000", "1000:100", "0", "worker:0", "1000680000:0"],
    "seconds": ["5", "0.5", "86400"],
    "log": ["text", "json"],
    "level": ["debug", "error"],
}
ROWS = {kind: [row[0] for row in TABLE if row[1] == kind] for kind in {row[1] for row in TABLE}}


def test_every_kind_is_tried() -> None:
    assert set(BAD) == set(GOOD) == set(ROWS)


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in GOOD.items() for value in values])
def test_good_value(kind: str, value: str) -> None:
    assert check(kind, value) == ""


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in BAD.items() for value in values])
def test_bad_value_names_the_variable_or_the_file_and_line(kind: str, value: str, tmp_path: Path) -> None:
    for name in ROWS[kind]:
        error = refused(BadSettings, lambda name=name: load({variable(name): value}, Files(str(tmp_path))))  # type: ignore[misc]
        assert error.code == 78
        assert error.what.startswith(variable(name) + ": ")
        assert len(error.what) > len(variable(name)) + 8, "it must say what is wrong"
        files = tree(tmp_path / name, {PLATFORM_JSON: {name: value, LINES: {name: 7}}})
        error = refused(BadSettings, lambda files=files: load({}, files))  # type: ignore[misc]
        assert error.what.startswith(f"{files.real(PLATFORM_YAML)} line 7: {name}: ")


def test_url_with_a_password_is_not_shown(tmp_path: Path) -> None:
    error = refused(BadSettings, lambda: load({"LYFTLEARN_CONFIDANT_URL": "https://me:hunter2@host"}, Files(str(tmp_path))))
    assert "hunter2" not in str(error)


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
    [("{", "not JSON"), ("", "not JSON"), ("[1]", "no JSON object"), (b"\xff", "UTF-8"), ('{"log": "json", "log": "text"}', "twice"), ('{"user": {}}', "neither a string")],
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
        assert step == "" or step in STEPS
