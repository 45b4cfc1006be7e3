"""Settings that are wrong are told where and how their reader expects it, also before they are read."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.job import Bucket, Ended, Job, operator

if TYPE_CHECKING:
    from tests.integration.conftest import Starter

pytest_plugins = ["tests.integration.platform_fixture"]

BAD = {"LYFTLEARN_DEADLINE": "soon"}
PLATFORM = "/etc/lyftlearn/platform.json"


def record(ended: Ended) -> dict[str, object]:
    lines = [json.loads(line) for line in ended.err.splitlines()]
    errors: list[dict[str, object]] = [line for line in lines if line["level"] == "error"]
    assert len(errors) == 1
    return errors[0]


@pytest.mark.parametrize("bad", [BAD, {"LYFTLEARN_STEPS": "nonsense"}, {"LYFTLEARN_CONTEXT": "nonsense"}], ids=str)
def test_json_lines_from_the_first_error_on(job: Job, bad: dict[str, str]) -> None:
    ended = job.start(**bad, LYFTLEARN_LOG="json")
    error = record(ended)
    assert (ended.code, error["code"], error["context"]) == (78, 78, "sagemaker-training")
    assert next(iter(bad)) in str(error["message"])


def test_json_lines_for_a_platform_file_that_is_none(job: Job) -> None:
    job.write(PLATFORM, b"{")
    ended = job.start(LYFTLEARN_LOG="json")
    assert ended.code == 78
    assert PLATFORM in str(record(ended)["message"])


@pytest.mark.parametrize(
    ("context", "place"),
    [("sagemaker-training", "failure"), ("sagemaker-processing", "message"), ("local", ""), ("sagemaker-endpoint", "")],
)
def test_a_forced_context_decides_where_the_reason_goes(job: Job, context: str, place: str) -> None:
    for name in ("TRAINING_JOB_NAME", "TRAINING_JOB_ARN"):
        del job.environ[name]
    ended = job.start(**BAD, LYFTLEARN_CONTEXT=context)
    assert ended.code == 78
    assert {path.name for path in job.path("/opt/ml/output").iterdir()} == ({place} if place else set())
    if place:
        assert "LYFTLEARN_DEADLINE" in job.path("/opt/ml/output/" + place).read_text()


@pytest.mark.parametrize("mode", [0o000, 0o644], ids=oct)
def test_a_platform_file_that_nobody_may_look_up_is_78(open_starter: "Starter", mode: int) -> None:
    """Or a pod's start would go on without the platform's settings, and say nothing."""
    place = open_starter.root / "etc/lyftlearn"
    place.mkdir(parents=True)
    (place / "platform.json").write_text("{}")
    place.chmod(mode)
    environ = {"LYFTLEARN_ROOT": str(open_starter.root), "HOME": str(open_starter.root / "tmp")}
    who: dict[str, Any] = {"user": 42426, "group": 42426, "extra_groups": []}
    done = open_starter.run("echo", "ran", env=environ, **who)
    assert (done.returncode, done.stdout) == (78, b"")
    assert b"/etc/lyftlearn/platform.json cannot be looked up: Permission denied" in done.stderr
    place.chmod(0o755)
    assert open_starter.run("echo", "ran", env=environ, **who).stdout == b"ran\n"


@pytest.mark.parametrize("credentials", ["/mnt/both", "/mnt/both/"])
def test_one_directory_for_two_kinds_of_files_is_78(job: Job, credentials: str, service: Callable[..., dict[str, str]]) -> None:
    job.channel(hyperparameters={"depth": 3})
    settings = {**service({"user": "me"}), "LYFTLEARN_CREDENTIALS_DIR": credentials, "LYFTLEARN_HYPERPARAMETERS_DIR": "/mnt/both"}
    ended = job.start(**settings)
    assert ended.code == 78
    for word in ("LYFTLEARN_CREDENTIALS_DIR", "LYFTLEARN_HYPERPARAMETERS_DIR"):
        assert word in ended.line
    assert not job.path("/mnt").exists()
    assert not job.path("/opt/ml/input/config/hyperparameters.json").exists()


# The operator's commands ---------------------------------------------------------------------------------------------------


def test_compiling_where_nothing_can_be_written_is_one_line(root: None, need: Callable[[object, str], None], tmp_path: Path) -> None:
    """Root can write everywhere but on a file system that is read-only."""
    source = tmp_path / "etc"
    source.mkdir()
    script = 'mount -t tmpfs tmpfs "$0" && printf "deadline: 30\\n" > "$0/platform.yaml" && mount -o remount,ro "$0" && exec "$@"'
    before = ["unshare", "--mount", "sh", "-c", script, str(source)]
    need(subprocess.run([*before, "true"], capture_output=True, check=False).returncode == 0, "no private mount namespace")
    words = [*before, *operator("settings", "compile", str(source / "platform.yaml"))]
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environ, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (78, ""), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert f"{source}/platform.json cannot be written: Read-only file system" in done.stderr


@pytest.mark.parametrize(("length", "warned"), [(400, True), (10, False)])
def test_a_long_prefix_is_warned_of(job: Job, length: int, warned: bool, bucket: Bucket) -> None:
    job.write("/environment.json", b'{"A": "1"}')
    keys = {"AWS_ACCESS_KEY_ID": "operator", "AWS_SECRET_ACCESS_KEY": "operator", "NO_PROXY": "127.0.0.1"}
    words = operator("stage", "--to", f"s3://{bucket.name}/" + "p" * length, "--environment", "environment.json")
    ended = job.run(words, **keys)
    assert ended.code == 0, ended.err
    warnings = [line for line in ended.err.splitlines() if "warning" in line]
    assert len(warnings) == warned
    if warned:
        assert "LYFTLEARN_ENV_URI" in warnings[0]
        assert "256" in warnings[0]
    assert "p" * length in ended.out
