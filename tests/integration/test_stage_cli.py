"""`lyftlearn stage` against moto's S3, and each thing that it prints, used for real."""

import hashlib
import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lyftlearn_local.platform import Platform
from tests.fake_http import answer, serve
from tests.integration.job import SEE, Bucket, Job, launcher, operator

pytest_plugins = ["tests.integration.platform_fixture"]

ENVIRONMENT = {f"FEATURE_{number}": f"value {number} é 'quoted' $HOME" for number in range(150)} | {"LONG": "x" * 4000}
HYPERPARAMETERS = {f"p{number}": number / 7 for number in range(140)} | {"big": "y" * 10_000, "nested": {"layers": [64, {"a": None}]}}
Stage = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def stage(platform: Platform, bucket: Bucket, tmp_path: Path) -> Stage:
    (tmp_path / "environment.json").write_text(json.dumps(ENVIRONMENT))
    (tmp_path / "hyperparameters.json").write_text(json.dumps(HYPERPARAMETERS))
    environ = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "AWS_REGION": platform.region,
        "AWS_DEFAULT_REGION": platform.region,
        "AWS_ENDPOINT_URL": platform.aws_url,
        "AWS_ACCESS_KEY_ID": "operator",
        "AWS_SECRET_ACCESS_KEY": "operator",
        "NO_PROXY": "127.0.0.1",
    }

    def run(
        *words: str, to: str = f"s3://{bucket.name}/{bucket.prefix}", stdin: str = "", **more: str
    ) -> "subprocess.CompletedProcess[str]":
        command = operator("stage", *(["--to", to] if to else []), *words)
        return subprocess.run(command, env={**environ, **more}, cwd=tmp_path, input=stdin, capture_output=True, text=True, check=False)

    return run


BOTH = ("--environment", "environment.json", "--hyperparameters", "hyperparameters.json")


def check(job: Job, seen: dict[str, str]) -> None:
    assert {name: seen[name] for name in ENVIRONMENT} == ENVIRONMENT
    found = json.loads(Path(seen["LYFTLEARN_HYPERPARAMETERS_FILE"]).read_text())
    assert {name: value if name == "big" else json.loads(value) for name, value in found.items()} == HYPERPARAMETERS


def test_shell_lines_are_sourced_by_a_shell(stage: Stage, job: Job) -> None:
    done = stage(*BOTH)
    assert done.returncode == 0, done.stderr
    script = done.stdout + 'exec "$@"'
    check(job, job.run(["/bin/sh", "-c", script, "sh", *launcher(), sys.executable, "-I", "-c", SEE]).env)


def test_shell_is_the_default_and_quotes(stage: Stage, bucket: Bucket) -> None:
    lines = stage(*BOTH, to=f"s3://{bucket.name}/{bucket.prefix}/it's a prefix/").stdout.splitlines()
    assert len(lines) == 2
    for line in lines:
        export, assignment = shlex.split(line)
        name, _, uri = assignment.partition("=")
        assert (export, name in ("LYFTLEARN_ENV_URI", "LYFTLEARN_HYPERPARAMETERS_URI")) == ("export", True)
        assert uri.startswith(f"s3://{bucket.name}/{bucket.prefix}/it's a prefix/")


def test_json_holds_the_variables(stage: Stage, job: Job) -> None:
    done = stage(*BOTH, "--print", "json")
    variables = json.loads(done.stdout)
    assert sorted(variables) == ["LYFTLEARN_ENV_URI", "LYFTLEARN_HYPERPARAMETERS_URI"]
    check(job, job.start(**variables).env)


def test_request_is_a_fragment_of_create_training_job(stage: Stage, job: Job, platform: Platform) -> None:
    fragment = json.loads(stage(*BOTH, "--print", "request").stdout)
    assert sorted(fragment) == ["Environment"]
    name = "staged-" + hashlib.sha256(str(job.root).encode()).hexdigest()[:12]
    platform.client("sagemaker").create_training_job(**request(name), **fragment)  # botocore checks it against the API's own model
    assert all(len(value) <= 512 for value in fragment["Environment"].values())
    check(job, job.start(**fragment["Environment"]).env)


def test_channel_is_downloaded_as_sagemaker_would(stage: Stage, job: Job, platform: Platform, bucket: Bucket) -> None:
    fragment = json.loads(stage(*BOTH, "--print", "channel").stdout)
    assert sorted(fragment) == ["InputDataConfig"]
    (channel,) = fragment["InputDataConfig"]
    name = "staged-" + hashlib.sha256(str(job.root).encode()).hexdigest()[:12]
    platform.client("sagemaker").create_training_job(**request(name), **fragment)
    assert channel["ChannelName"] == "lyftlearn"
    prefix = channel["DataSource"]["S3DataSource"]["S3Uri"].removeprefix(f"s3://{bucket.name}/")
    assert channel["DataSource"]["S3DataSource"]["S3DataType"] == "S3Prefix"
    for entry in bucket.s3.list_objects_v2(Bucket=bucket.name, Prefix=prefix)["Contents"]:
        data = bucket.s3.get_object(Bucket=bucket.name, Key=entry["Key"])["Body"].read()
        job.write("/opt/ml/input/data/lyftlearn/" + entry["Key"].removeprefix(prefix), data)
    isolated = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": None, "AWS_ENDPOINT_URL": None}
    check(job, job.start(sys.executable, "-I", "-c", SEE, **isolated).env)


def request(name: str) -> "dict[str, object]":
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/base:1", "TrainingInputMode": "File"},
        "RoleArn": "arn:aws:iam::123456789012:role/night-shift",
        "OutputDataConfig": {"S3OutputPath": "s3://lyftlearn-local/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    }


def test_staging_twice_writes_once_and_the_key_tells_the_content(stage: Stage, bucket: Bucket, tmp_path: Path) -> None:
    first = stage(*BOTH, "--print", "json")
    keys = bucket.keys()
    assert len(keys) == 2
    (tmp_path / "environment.json").write_text(json.dumps(ENVIRONMENT, indent=4, ensure_ascii=False))
    second = stage(*BOTH, "--print", "json")
    assert second.stdout == first.stdout
    assert bucket.keys() == keys
    assert "staged s3://" in first.stderr
    assert "staged s3://" not in second.stderr
    for uri in json.loads(first.stdout).values():
        place, _, digest = uri.partition("#sha256=")
        data = bucket.s3.get_object(Bucket=bucket.name, Key=place.removeprefix(f"s3://{bucket.name}/"))["Body"].read()
        assert hashlib.sha256(data).hexdigest() == digest
        assert digest in place
    (tmp_path / "environment.json").write_text(json.dumps({**ENVIRONMENT, "LONG": "z"}))
    stage(*BOTH)
    assert len(bucket.keys()) == 3
    assert {key: when for key, when in bucket.keys().items() if key in keys} == keys


def test_nothing_of_the_documents_is_printed(stage: Stage) -> None:
    done = stage(*BOTH)
    for value in ("value 17", "quoted", "xxx", "yyy", "layers"):
        assert value not in done.stdout + done.stderr


def test_yaml_and_standard_input(stage: Stage, job: Job, tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("layers: [64, 32]\nrate: 0.5\nname: é\n")
    done = stage("--environment", "-", "--hyperparameters", "values.yaml", "--print", "json", stdin='{"A": "1"}')
    assert done.returncode == 0, done.stderr
    env = job.start(**json.loads(done.stdout)).env
    assert env["A"] == "1"
    found = json.loads(Path(env["LYFTLEARN_HYPERPARAMETERS_FILE"]).read_text())
    assert found == {"layers": "[64,32]", "rate": "0.5", "name": "é"}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("d.json", '{"A": 5}', "A is a number"),
        ("d.json", '{"A": "hidden-value"', "too early"),
        ("d.json", '["hidden-value"]', "array"),
        ("d.json", '{"A": "1", "A": "hidden-value"}', "twice"),
        ("d.json", '{"A": "hidden-value\\u0000"}', "NUL"),
        ("d.yaml", "A: [", "YAML"),
        ("d.yaml", "A: 2026-01-01", "JSON"),
        ("d.yaml", "A: yes", "A is a boolean"),
        ("d.yaml", "A: hidden-value\nA: other\n", "twice"),
    ],
)
def test_a_bad_document_is_65_and_nothing_is_written(stage: Stage, bucket: Bucket, tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text)
    done = stage("--hyperparameters", "hyperparameters.json", "--environment", name)
    assert done.returncode == 65, done.stderr
    assert says in done.stderr
    assert name in done.stderr
    assert "hidden-value" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert bucket.keys() == {}


def test_more_than_16_mib_are_65(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "large.json").write_text(json.dumps({"A": "x" * (17 << 20)}))
    done = stage("--hyperparameters", "large.json")
    assert done.returncode == 65
    assert str(16 << 20) in done.stderr


@pytest.mark.parametrize("to", ["bucket/prefix", "s3://", "https://bucket/x", "s3://bucket/x#sha256=" + "0" * 64])
def test_a_bad_target_is_78(stage: Stage, to: str) -> None:
    done = stage(*BOTH, to=to)
    assert done.returncode == 78
    assert "--to" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_bucket_is_66_and_no_access_is_77_and_no_answer_is_69(stage: Stage) -> None:
    done = stage(*BOTH, to="s3://no-such-bucket-here/x")
    assert (done.returncode, "no-such-bucket-here" in done.stderr, "NoSuchBucket" in done.stderr) == (66, True, True)
    with serve(lambda _: answer(403, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>")) as server:
        done = stage(*BOTH, AWS_ENDPOINT_URL=server.url)
    assert (done.returncode, "AccessDenied" in done.stderr, "s3:PutObject" in done.stderr) == (77, True, True)
    done = stage(*BOTH, AWS_ENDPOINT_URL="http://127.0.0.1:1", AWS_MAX_ATTEMPTS="1")
    assert done.returncode == 69
    assert "Traceback" not in done.stderr


def test_a_missing_file_and_no_document_at_all(stage: Stage) -> None:
    done = stage("--environment", "absent.json")
    assert (done.returncode, "absent.json" in done.stderr) == (66, True)
    done = stage()
    assert done.returncode == 2
    assert "--environment" in done.stderr
