"""No value of a credential, a key, a hyperparameter or a staged variable is ever said; what is said is one line a step."""

import json
import os
from collections.abc import Callable

import pytest

from lyftlearn_local.platform import Platform
from tests.integration.job import Bucket, Job, relay

pytest_plugins = ["tests.integration.platform_fixture"]

Service = Callable[..., dict[str, str]]


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("broken", ["", "LYFTLEARN_HYPERPARAMETERS_URI", "LYFTLEARN_CREDENTIALS_DIR", "command"])
def test_no_value_reaches_a_log_at_any_level(
    job: Job, platform: Platform, bucket: Bucket, service: Service, form: str, broken: str
) -> None:
    values = [f"hush-{number}-{os.urandom(6).hex()}" for number in range(8)]
    job.hyperparameters({"rate": values[5]})
    settings: dict[str, str] = {
        **service({"a": values[0], "b": values[1], "c": None}),
        "LYFTLEARN_ENV_URI": bucket.put({"A": values[2], "IMAGE": values[3]}),
        "LYFTLEARN_HYPERPARAMETERS_URI": bucket.put({"rate": values[4], "epochs": {"deep": values[6]}}),
        "LYFTLEARN_CREDENTIALS_DIR": "/secrets",
        "LYFTLEARN_HYPERPARAMETERS_DIR": "/etc/training",
        "LYFTLEARN_TRACE": "/trace.json",
        "LYFTLEARN_LOG": form,
        "LYFTLEARN_LOG_LEVEL": "debug",
        "IMAGE": values[7],
    }
    if broken == "LYFTLEARN_CREDENTIALS_DIR":
        job.write("/secrets", b"a file")
    elif broken == "LYFTLEARN_HYPERPARAMETERS_URI":
        settings[broken] = bucket.put({"rate": values[4], "": values[6]})
    argv = ("nosuchprogram",) if broken == "command" else ("/bin/true",)
    with relay(platform.aws_url) as aws, relay(platform.confidant.url) as confidant:
        endpoints = {"AWS_ENDPOINT_URL": aws.url, "LYFTLEARN_CONFIDANT_URL": confidant.url}
        ended = job.start(*argv, **{**settings, **endpoints})
        tokens = [request.headers["x-auth-token"] for request in confidant.requests]
        signed = [request.headers.get(name, "") for request in aws.requests for name in ("authorization", "x-amz-security-token")]
    assert ended.code == {"": 0, "LYFTLEARN_HYPERPARAMETERS_URI": 65, "LYFTLEARN_CREDENTIALS_DIR": 78, "command": 127}[broken], ended.err
    trace = job.path("/trace.json").read_text() if job.path("/trace.json").exists() else ""
    assert trace  # of a start that fails too
    secrets = [*values, *tokens, *signed, *(part.rpartition("Signature=")[2] for part in signed)]
    assert len(tokens) == 1
    assert len(signed) > 4
    said = ended.err + job.failure + trace
    assert [secret for secret in secrets if secret and secret in said] == []
    if form == "json":
        records = [json.loads(line) for line in ended.err.splitlines()]
        assert {record["source"] for record in records} == {"lyftlearn-entrypoint"}
        assert {record["context"] for record in records} == {"sagemaker-training"}
        assert all(record["time"].endswith("Z") and record["level"] in ("debug", "info", "warning", "error") for record in records)
        if broken:
            assert [record["code"] for record in records if record["level"] == "error"] == [ended.code]


def test_one_line_a_step_says_what_from_where_how_many_how_long(job: Job, bucket: Bucket, service: Service) -> None:
    settings = service({"a": "1", "b": "2"})
    uri, other = bucket.put({"A": "1"}), bucket.put({"epochs": 3, "rate": 1})
    err = job.start("/bin/true", **settings, LYFTLEARN_ENV_URI=uri, LYFTLEARN_HYPERPARAMETERS_URI=other).err
    lines = [line.removeprefix("lyftlearn-entrypoint: ") for line in err.splitlines()]
    for start, *words in (
        ("environment: ", "1 variable", uri, " ms"),
        ("hyperparameters: ", "2 ", other, " ms"),
        ("credentials: ", "2 ", settings["LYFTLEARN_CONFIDANT_URL"], " ms"),
        ("start: ", "/bin/true", "sagemaker-training", " ms"),
    ):
        found = [line for line in lines if line.startswith(start)]
        assert len(found) == 1, err
        for word in words:
            assert word in found[0]
    assert len(lines) <= 6
