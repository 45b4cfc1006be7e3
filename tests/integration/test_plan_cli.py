"""`lyftlearn plan` tells what a start would do, without doing it, and never a value."""

import json
import subprocess
from collections.abc import Callable

import pytest

from tests.integration.job import Bucket, Job, operator

pytest_plugins = ["tests.integration.platform_fixture"]

Service = Callable[..., dict[str, str]]


def plan(
    job: Job, *words: str, command: tuple[str, ...] = ("/bin/echo", "a b", "--json"), **environ: "str | None"
) -> "subprocess.CompletedProcess[str]":
    env = {name: value for name, value in {**job.environ, **environ}.items() if value is not None}
    return subprocess.run(operator("plan", *words, "--", *command), env=env, cwd=job.root, capture_output=True, text=True, check=False)


@pytest.fixture
def full(job: Job, bucket: Bucket, service: Service) -> Job:
    """A job that uses everything; every value of it holds the word hidden."""
    job.environ.update(
        **service({"token": "hidden-1", "port": "hidden-2"}),
        LYFTLEARN_ENV_URI=bucket.put({"FEATURE": "hidden-3", "IMAGE_NAME": "hidden-4", "LYFTLEARN_USER": "hidden-5"}),
        LYFTLEARN_HYPERPARAMETERS_URI=bucket.put({"epochs": "hidden-6"}),
        LYFTLEARN_HYPERPARAMETERS_DIR="/etc/training",
        LYFTLEARN_CREDENTIALS_DIR="/secrets",
        IMAGE_NAME="hidden-7",
        IMAGE_KEPT="hidden-8",
    )
    job.hyperparameters({"rate": "hidden-9"})
    return job


def test_json_names_everything_and_its_source(full: Job) -> None:
    done = plan(full, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["context"]["context"] == "sagemaker-training"
    assert found["command"] == ["/bin/echo", "a b", "--json"]
    sources = {entry["name"]: entry["from"] for entry in found["variables"]}
    assert "credential" in sources["CREDENTIALS_TOKEN"]
    assert sources["FEATURE"] == sources["IMAGE_NAME"] == "staged environment"
    assert sources["IMAGE_KEPT"] == "image or job"
    assert {"AWS_DEFAULT_REGION", "LYFTLEARN_CONTEXT", "LYFTLEARN_HYPERPARAMETERS_FILE", "STATSD_HOST"} < set(sources)
    assert not [name for name in sources if name.startswith(("LYFTLEARN_CONFIDANT", "LYFTLEARN_ENV"))]
    assert {entry["value"] for entry in found["variables"]} == {"***"}
    volumes = {volume["directory"]: (volume["mode"], volume["files"]) for volume in found["volumes"]}
    assert volumes == {"/secrets": ("0400", ["port", "token"]), "/etc/training": ("0644", ["epochs", "rate"])}
    assert found["hyperparameters_file"] == "/opt/ml/input/config/hyperparameters.json"


@pytest.mark.parametrize("words", [("--json",), ()])
@pytest.mark.parametrize("form", ["text", "json"])
def test_no_value_is_shown_and_nothing_is_done(full: Job, words: tuple[str, ...], form: str) -> None:
    before = {name: (full.root / name).read_bytes() for name in full.left_behind()}
    done = plan(full, *words, LYFTLEARN_LOG=form, LYFTLEARN_LOG_LEVEL="debug")
    assert done.returncode == 0, done.stderr
    assert "hidden" not in done.stdout + done.stderr
    for name in ("CREDENTIALS_TOKEN", "FEATURE", "IMAGE_NAME", "epochs", "/secrets"):
        assert name in done.stdout
    assert {name: (full.root / name).read_bytes() for name in full.left_behind()} == before


def test_text_reads_well(full: Job) -> None:
    lines = plan(full).stdout.splitlines()
    assert lines[0].split() == ["context", "sagemaker-training"]
    assert [line for line in lines if line.startswith("command")] == ["command    /bin/echo 'a b' --json   (from arguments)"]
    assert [line.split() for line in lines if " FEATURE " in line] == [["FEATURE", "***", "staged", "environment"]]


def test_a_start_does_what_the_plan_says(full: Job) -> None:
    planned = {entry["name"] for entry in json.loads(plan(full, "--json").stdout)["variables"]}
    seen = set(full.start().env)
    # Python's own LC_CTYPE, and what `lyftlearn` runs under.
    assert planned - {"LC_CTYPE"} == seen - {"LC_CTYPE"}


def test_a_start_that_would_fail_says_so_with_its_exit_code_and_writes_no_reason(job: Job) -> None:
    done = plan(job, LYFTLEARN_ENV_URI="s3://lyftlearn-local/absent")
    assert done.returncode == 66
    assert "s3://lyftlearn-local/absent" in done.stderr
    assert "Traceback" not in done.stderr
    assert job.failure == ""
    done = plan(job, command=("/no/such/program",))
    assert (done.returncode, "/no/such/program" in done.stderr) == (127, True)


def test_the_users_words_are_not_taken_for_options(job: Job) -> None:
    done = plan(job, "--json", command=("/bin/echo", "--help", "--", "-x", ""))
    assert json.loads(done.stdout)["command"] == ["/bin/echo", "--help", "--", "-x", ""]


def test_context_tells_each_signal(job: Job) -> None:
    done = subprocess.run(operator("context", "--json", "--", "serve"), env=job.environ, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    assert {key: found[key] for key in ("context", "app_type", "tuning", "emulated")} == {
        "context": "sagemaker-training",
        "app_type": None,
        "tuning": False,
        "emulated": False,
    }
    believed = {signal["name"]: signal["believed"] for signal in found["signals"]}
    assert believed["TRAINING_JOB_ARN"] is True
    assert believed["/opt/ml"] is False
    assert all(signal["why"] for signal in found["signals"])
    text = subprocess.run(operator("context"), env=job.environ, capture_output=True, text=True, check=True).stdout
    assert text.startswith("sagemaker-training\n")
    assert "  believed    TRAINING_JOB_ARN: " in text
    assert "  distrusted  /opt/ml: " in text
