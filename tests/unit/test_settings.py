"""Settings: who wins, what an empty value means, what a bad value or a mistyped name says."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from lyftlearn_entrypoint.cli.settings import settings
from lyftlearn_entrypoint.errors import BadSettings
from lyftlearn_entrypoint.files import Files
from lyftlearn_entrypoint.settings import LINES, PLATFORM_JSON, PLATFORM_YAML, check, load
from lyftlearn_entrypoint.settings_table import NAMES, OUTPUTS, STEPS, TABLE, nearest, variable
from tests.unit.helpers import refused, tree

URL = "https://confidant.example.com"


def compiled(root: Path, text: str) -> Files:
    """A platform.yaml below `root`, compiled by the real command."""
    files = tree(root, {PLATFORM_YAML: text})
    result = CliRunner().invoke(settings, ["compile", files.real(PLATFORM_YAML)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return files


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


@pytest.mark.parametrize(
    ("value", "steps"), [("none", ()), ("user", ("user",)), ("environment, user", ("environment", "user")), (",".join(STEPS), STEPS)]
)
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
    assert load({name: "x"}, Files(str(tmp_path))).warnings == [f"{name} is not a setting; is {meant} meant? [LL0207]"]


@pytest.mark.parametrize("name", ["LYFTLEARN_COMPLETELY_ELSE", "LYFTLEARN_", "LYFTLEARN_X"])
def test_name_that_is_near_nothing_gets_no_suggestion(tmp_path: Path, name: str) -> None:
    assert load({name: "x"}, Files(str(tmp_path))).warnings == [f"{name} is not a setting [LL0207]"]


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
    assert load({}, files).warnings == [f"{place}: 'confident_url' is not a setting; is 'confidant_url' meant? [LL0207]"]


def test_nearest_is_the_nearest_and_itself() -> None:
    assert all(nearest(name, NAMES) == name for name in NAMES)
    assert nearest("DEADLINE", NAMES) == nearest("LYFTLEARN_DEADLINE", NAMES) == "deadline"  # keys as one may write them


# Bad values ------------------------------------------------------------------------------------------------------------------------

BAD = {
    "context": ["kubernets", "sagemaker", "Local"],
    "steps": ["credential", "none,user", "user,", "all"],
    "root": ["relative/path", "."],
    "path": ["secrets", "~/secrets"],
    "words": ["python 'train.py", "python train.py \\"],
    "url": [
        "confidant.example.com",
        "ftp://x",
        "https://",
        "https:///path",
        "https://user:pass@host",
        "https://host?x=1",
        "https://ho st",
        "http://host#x",
    ],
    "text": ["two\nlines", "tab\there"],
    "names": ["A\nB"],
    "s3": ["https://bucket/key", "s3://bucket", "s3://bucket/", "s3:///key", "s3://bucket/key#sha256=beef", "s3://bucket/key?versionId="],
    "model": ["s3://bucket/key", "https://bucket/key", "s3://b/a/#sha256=" + "0" * 64, "s3://b/..#sha256=" + "0" * 64],
    "digest": ["sha256:", "sha256:" + "g" * 64, "0" * 64, "md5:" + "0" * 64, "sha256:" + "0" * 63],
    "address": ["gateway", "gateway:", ":8125", "gateway:0", "gateway:65536", "gateway:8125/udp", "gate way:1", "gateway:٣"],
    "relay": ["yes", "1", "ON"],
    "switch": ["yes", "1", "torch"],
    "master": ["local[2]", "on", "AUTO"],
    "count": ["0", "-1", "many", "1.5", "10001", "٣"],
    "connect": ["connect:15002", "sc://", "sc://c:15002/;token=x", "sc://c d"],
    "destination": ["x", "file://x", "/", "s3://", "s3://bucket", "s3://b/k?versionId=7", "http://h/x"],
    "key": ["short", "a" * 64, "0123456789abcdef0123456789abcde"],
    "size": ["much", "0", "1.5G", "-1", "G"],
    "tags": ["datadog", "DogStatsD", "none"],
    "user": ["two words", ":100", "1000:", "-1", "4294967295", "1000:-5", "a/b"],
    "seconds": ["soon", "0", "-5", "nan", "inf", "1e9", "60s"],
    "log": ["xml", "JSON"],
    "level": ["loud", "warn"],
}
GOOD = {
    "context": ["kubernetes", "studio"],
    "steps": ["none", "credentials,user"],
    "root": ["/tmp/x", "/"],
    "path": ["/etc/secrets"],
    "words": ["python -m train 'a b'", '""'],
    "url": [URL, "http://127.0.0.1:8080/confidant", "https://[::1]:443"],
    "text": ["alias/authnz", "arn:aws:kms:us-east-1:123456789012:key/1-2", "CREDENTIALS_", "é"],
    "names": ["*", "A,B"],
    "s3": ["s3://b/k", "s3://b/a b/ü+.json?versionId=v.1#sha256=" + "0" * 64],
    "model": ["s3://b/k#sha256=" + "0" * 64, "s3://b/a/b/k.bin?versionId=v#sha256=" + "F" * 64],
    "digest": ["sha256:" + "0123456789abcdef" * 4],
    "address": ["gateway:8125", "10.0.0.1:1", "[::1]:8125"],
    "relay": ["auto", "on", "off"],
    "switch": ["auto", "on", "off"],
    "master": ["auto", "local"],
    "count": ["1", "10000"],
    "connect": ["sc://connect.internal:15002", "sc://c:15002/;use_ssl=true"],
    "destination": ["/tmp/x.json", "file:///tmp/x.json", "s3://bucket/key"],
    "key": ["8f1d2c3b4a59687786958473625140fe"],
    "size": ["64m", "1G", "512MiB", "4096"],
    "tags": ["dogstatsd", "influx", "name"],
    "user": ["worker", "1000", "1000:100", "0", "worker:0", "1000680000:0"],
    "seconds": ["5", "0.5", "86400"],
    "log": ["text", "json"],
    "level": ["debug", "error", "DEBUG"],
}
ROWS = {kind: [row[0] for row in TABLE if row[1] == kind] for kind in {row[1] for row in TABLE}}


def test_every_kind_is_tried() -> None:
    assert set(BAD) == set(GOOD) == set(ROWS)


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize("mark", ["\0", "\ud800", "9" * 5000], ids=["NUL", "lone surrogate", "digits"])
def test_what_json_can_hold_and_no_variable_can_is_no_defect(kind: str, mark: str) -> None:
    """A NUL or a lone surrogate is a wrong value; so many digits may be one, but int() refuses to read them (over 4,300)."""
    problems = [check(kind, good + mark) for good in GOOD[kind]]
    assert all(problems) or mark[0] == "9"


@pytest.mark.parametrize("kind", ["s3", "model", "destination"])
def test_a_key_of_s3_is_unicode(kind: str) -> None:
    assert check(kind, GOOD[kind][-1].replace("/", "/\udcff")) == "it is not Unicode text"


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
