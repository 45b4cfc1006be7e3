"""Staged documents by both routes, against moto's S3 and against servers that misbehave."""

import hashlib
import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lyftlearn_local.platform import Platform
from tests.integration.job import SEE, Bucket, Job, relay

pytest_plugins = ["tests.integration.platform_fixture"]

LIMIT = 16 << 20


def test_an_environment_no_api_would_take(job: Job, bucket: Bucket) -> None:
    document = {f"FEATURE_{number}": f"value {number} é $HOME" for number in range(300)} | {
        "LONG": "x" * 100_000,
        "a.b-c": "",
        "1ST": "\n\t",
    }
    env = job.start(LYFTLEARN_ENV_URI=bucket.put(document, digest=True)).env
    assert {name: env[name] for name in document} == document
    assert "LYFTLEARN_ENV_URI" not in env


@pytest.mark.parametrize(
    "key", ["plain.json", "with space+plus.json", "é/\N{ROCKET}.json", "per%20cent%2F.json", "a=b&c?.json", "~'()*!.json", "a//b/../c.json"]
)
def test_keys_are_taken_as_they_are(job: Job, bucket: Bucket, key: str) -> None:
    assert job.start(LYFTLEARN_ENV_URI=bucket.put({"A": "1"}, key)).env["A"] == "1"


def test_gzip_is_accepted_and_the_digest_is_that_of_the_stored_bytes(job: Job, bucket: Bucket) -> None:
    assert job.start(LYFTLEARN_ENV_URI=bucket.put({"A": "packed"}, packed=True, digest=True)).env["A"] == "packed"


def test_the_version_that_is_named_is_read(job: Job, platform: Platform, bucket: Bucket) -> None:
    s3 = bucket.s3
    s3.create_bucket(Bucket="versioned-" + bucket.prefix[:8])
    name = "versioned-" + bucket.prefix[:8]
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=name, Key="d.json", Body=b'{"A": "first"}')["VersionId"]
    s3.put_object(Bucket=name, Key="d.json", Body=b'{"A": "second"}')
    digest = hashlib.sha256(b'{"A": "first"}').hexdigest()
    assert job.start(LYFTLEARN_ENV_URI=f"s3://{name}/d.json").env["A"] == "second"
    assert job.start(LYFTLEARN_ENV_URI=f"s3://{name}/d.json?versionId={first}#sha256={digest}").env["A"] == "first"
    s3.delete_object(Bucket=name, Key="d.json")
    assert job.start(LYFTLEARN_ENV_URI=f"s3://{name}/d.json").code == 66
    assert job.start(LYFTLEARN_ENV_URI=f"s3://{name}/d.json?versionId={first}").env["A"] == "first"


def test_the_channel_wins_and_makes_no_call(job: Job, platform: Platform, bucket: Bucket) -> None:
    job.channel(environment={"A": "channel"}, hyperparameters={"epochs": 3})
    uri = bucket.put({"A": "uri", "B": "uri"})
    with relay(platform.aws_url) as server:
        ended = job.start(LYFTLEARN_ENV_URI=uri, LYFTLEARN_HYPERPARAMETERS_URI=uri, AWS_ENDPOINT_URL=server.url)
        assert server.requests == []
    assert ended.env["A"] == "channel"
    assert "B" not in ended.env
    assert json.loads(Path(ended.env["LYFTLEARN_HYPERPARAMETERS_FILE"]).read_text()) == {"epochs": "3"}


def test_a_channel_with_one_document_leaves_the_other_to_its_uri(job: Job, bucket: Bucket) -> None:
    job.channel(hyperparameters={"epochs": 3})
    ended = job.start(LYFTLEARN_ENV_URI=bucket.put({"A": "uri"}))
    assert ended.env["A"] == "uri"
    assert json.loads(Path(ended.env["LYFTLEARN_HYPERPARAMETERS_FILE"]).read_text()) == {"epochs": "3"}


def test_a_channel_works_without_network_or_credentials(job: Job) -> None:
    job.channel(environment={"A": "channel"}, hyperparameters={"epochs": 3})
    ended = job.start(AWS_CONTAINER_CREDENTIALS_FULL_URI=None, AWS_ENDPOINT_URL=None, LYFTLEARN_STATSD_GATEWAY=None)
    assert ended.env["A"] == "channel"
    assert ended.seconds < 10  # the deadline is 60


# Who wins ----------------------------------------------------------------------------------------------------------------


def test_image_then_document_then_credentials_then_keep(job: Job, bucket: Bucket, service: Callable[..., dict[str, str]]) -> None:
    uri = bucket.put({"ONE": "staged", "TWO": "staged", "THREE": "staged", "FOUR": "staged"})
    credentials = service({"two": "secret", "three": "secret"}, "")
    image = {"ONE": "image", "S_TWO": "image", "THREE": "image", "ZERO": "image"}
    ended = job.start(**image, **credentials, LYFTLEARN_ENV_URI=uri, LYFTLEARN_CREDENTIALS_PREFIX="S_", LYFTLEARN_ENV_KEEP="THREE, ABSENT")
    env = ended.env
    assert [env[name] for name in ("ZERO", "ONE", "TWO", "THREE", "FOUR")] == ["image", "staged", "staged", "image", "staged"]
    assert (env["S_TWO"], env["S_THREE"]) == ("secret", "secret")
    assert "overwritten: ONE, S_TWO" in ended.err
    ended = job.start(**image, **credentials, LYFTLEARN_ENV_URI=uri, LYFTLEARN_CREDENTIALS_PREFIX="S_", LYFTLEARN_ENV_KEEP="*")
    assert [ended.env[name] for name in ("ONE", "TWO", "THREE", "S_TWO")] == ["image", "staged", "image", "image"]


def test_path_in_a_document_decides_which_command_runs(job: Job, bucket: Bucket) -> None:
    for name in ("old", "new"):
        tool = job.write(f"/tools/{name}/mytool", b"#!/bin/sh\necho " + name.encode() + b"\n")
        tool.chmod(0o755)
    image, staged = (f"{job.path('/tools')}/{name}:/usr/bin:/bin" for name in ("old", "new"))
    assert job.start("mytool", PATH=image).out == "old\n"
    assert job.start("mytool", PATH=image, LYFTLEARN_ENV_URI=bucket.put({"PATH": staged})).out == "new\n"
    assert job.start("mytool", PATH="/usr/bin:/bin", LYFTLEARN_ENV_URI=bucket.put({"PATH": staged})).out == "new\n"
    job.channel(environment={"PATH": staged})
    assert job.start("mytool", PATH="/usr/bin:/bin").out == "new\n"
    assert job.start("mytool", PATH=image, LYFTLEARN_ENV_KEEP="PATH").out == "old\n"


def test_a_typing_error_in_the_command_costs_no_network(
    job: Job, platform: Platform, service: Callable[..., dict[str, str]], bucket: Bucket
) -> None:
    uri = bucket.put({"epochs": 1})
    with relay(platform.aws_url) as server:
        settings = {**service({"a": "1"}), "LYFTLEARN_HYPERPARAMETERS_URI": uri, "AWS_ENDPOINT_URL": server.url}
        assert job.start("pyhton", **settings).code == 127
        # A document may bring another PATH, but not another file of this name.
        assert job.start("/opt/pyhton", **settings, LYFTLEARN_ENV_URI=uri).code == 127
        assert job.start("pyhton", **settings, LYFTLEARN_ENV_URI=uri, LYFTLEARN_ENV_KEEP="PATH").code == 127
        assert server.requests == []


def test_a_staged_path_is_a_value_and_not_shown(job: Job, bucket: Bucket) -> None:
    job.write("/hush/mytool", b"#!/bin/sh\n").chmod(0o644)
    for path, code in ((str(job.path("/hush")), 126), ("/hush-2:/hush-3", 127)):
        ended = job.start("mytool", LYFTLEARN_ENV_URI=bucket.put({"PATH": path}))
        assert ended.code == code
        assert "mytool" in ended.line
        assert "hush" not in ended.err + job.failure


def test_local_mode_has_static_keys_and_no_arn(job: Job, bucket: Bucket) -> None:
    keys = {
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": None,
        "TRAINING_JOB_ARN": None,
    }
    env = job.start(sys.executable, "-I", "-c", SEE, **keys, LYFTLEARN_ENV_URI=bucket.put({"A": "1"})).env
    assert (env["A"], env["LYFTLEARN_CONTEXT"]) == ("1", "sagemaker-training")


def test_a_document_may_set_loader_names_and_none_touches_the_entrypoint(job: Job, bucket: Bucket) -> None:
    document = {"PYTHONPATH": "/nowhere", "PYTHONSTARTUP": "/nowhere/x", "LD_LIBRARY_PATH": "/nowhere", "BASH_ENV": "/nowhere"}
    env = job.start(LYFTLEARN_ENV_URI=bucket.put(document)).env
    assert {name: env[name] for name in document} == document


def test_the_entrypoints_own_names_in_a_document_are_ignored_with_a_warning(job: Job, bucket: Bucket) -> None:
    uri = bucket.put({"A": "1", "LYFTLEARN_USER": "hidden-value", "LYFTLEARN_ANYTHING": "hidden-value"})
    ended = job.start(LYFTLEARN_ENV_URI=uri)
    assert ended.env["A"] == "1"
    assert "LYFTLEARN_ANYTHING" not in ended.env
    assert "warning: " in ended.err
    assert "LYFTLEARN_USER is ignored" in ended.err
    assert "hidden-value" not in ended.err


def test_where_no_step_ran_nothing_is_taken_away(job: Job) -> None:
    uri = {
        "LYFTLEARN_ENV_URI": "s3://bucket/key",
        "LYFTLEARN_HYPERPARAMETERS_URI": "s3://bucket/key",
        "LYFTLEARN_CONFIDANT_URL": "http://confidant",
    }
    for where in ("kubernetes", "local"):
        env = job.start(LYFTLEARN_CONTEXT=where, **uri).env
        assert {name: env[name] for name in uri} == uri
        assert env["LYFTLEARN_CONTEXT"] == where


def test_everything_is_fetched_side_by_side(job: Job, platform: Platform, bucket: Bucket, service: Callable[..., dict[str, str]]) -> None:
    """No answer comes before all three have been asked for."""
    asked = threading.Barrier(3, timeout=60)

    def together(number: int, request: object) -> None:
        asked.wait()

    settings = service({"a": "1"})
    with relay(platform.aws_url, together) as s3, relay(platform.confidant.url, together) as confidant:
        ended = job.start(
            sys.executable,
            "-I",
            "-c",
            SEE,
            **{**settings, "LYFTLEARN_CONFIDANT_URL": confidant.url},
            AWS_ENDPOINT_URL_S3=s3.url,
            LYFTLEARN_ENV_URI=bucket.put({"A": "1"}),
            LYFTLEARN_HYPERPARAMETERS_URI=bucket.put({"b": 1}),
        )
    assert (ended.env["A"], ended.env["CREDENTIALS_A"]) == ("1", "1")
