"""LYFTLEARN_TRACE: every step, request, pause and thread of a real start, and none of its values."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from lyftlearn_entrypoint.cli import main
from lyftlearn_local.platform import Platform
from tests.fake_http import Request, answer
from tests.integration.job import Bucket, Job, relay

pytest_plugins = ["tests.integration.platform_fixture"]

Service = Callable[..., dict[str, str]]


def traced(job: Job) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(job.path("/tmp/trace.json").read_text())
    return document


def bars(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The events with a duration, by name."""
    found: dict[str, list[dict[str, Any]]] = {}
    for event in document["traceEvents"]:
        if event["ph"] == "X":
            found.setdefault(event["name"], []).append(event)
    return found


def inside(inner: dict[str, Any], outer: dict[str, Any]) -> bool:
    return bool(outer["ts"] <= inner["ts"] and inner["ts"] + inner["dur"] <= outer["ts"] + outer["dur"] + 1)


def shown(*words: str) -> str:
    done = CliRunner().invoke(main, ["trace", *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_job_with_everything(job: Job, bucket: Bucket, service: Service, platform: Platform) -> None:
    secrets = {"token": "hush-hush-1", "login": "hush-hush-2"}
    pointers = service(secrets)
    uri = bucket.put({"STAGED": "staged-value-3"})
    done = job.start(LYFTLEARN_TRACE="/tmp/trace.json", LYFTLEARN_ENV_URI=uri, **pointers)
    assert done.code == 0, done.err
    document = traced(job)
    found = bars(document)
    main_thread = found["fetch"][0]["tid"]
    assert {"interpreter", "detect", "settle", "fetch", "plan", "apply", "environment", "credentials"} <= set(found)
    for name in ("environment", "credentials"):
        assert inside(found[name][0], found["fetch"][0])
        assert found[name][0]["tid"] != main_thread
    host = platform.aws_url.partition("://")[2]
    (encrypt,) = (event for name, events in found.items() if name == f"POST {host} Encrypt" for event in events)
    assert encrypt["args"]["status"] == 200
    parts = [event["name"] for events in found.values() for event in events if event["tid"] == encrypt["tid"] and inside(event, encrypt)]
    assert {"wait for the answer", "receive"} <= set(parts)
    assert any(name.startswith("resolve ") for name in found)
    assert any(event["ph"] == "i" and "credentials: 2 values" in event["name"] for event in document["traceEvents"])
    text = json.dumps(document)
    assert not any(value in text for value in [*secrets.values(), "staged-value-3"])
    assert document["otherData"]["context"] == "sagemaker-training"
    assert document["otherData"]["code"] == 0
    picture = shown(str(job.path("/tmp/trace.json")), "--width", "140")
    assert "* " in picture
    assert "critical path" in picture
    assert f"POST {host} Encrypt" in picture


def test_tries_and_pauses_are_seen(job: Job, bucket: Bucket, platform: Platform) -> None:
    def twice(number: int, _: Request) -> "bytes | None":
        return answer(503, b"", {}) if number < 3 else None

    with relay(platform.aws_url, twice) as server:
        done = job.start(LYFTLEARN_TRACE="/tmp/trace.json", LYFTLEARN_ENV_URI=bucket.put({"A": "1"}), AWS_ENDPOINT_URL_S3=server.url)
    assert done.code == 0, done.err
    found = bars(traced(job))
    asked = found[f"GET {server.url.partition('://')[2]}"]
    assert [event["args"]["status"] for event in asked] == [503, 503, 200]
    assert len(found["pause before the next try"]) == 2
    report = json.loads(shown(str(job.path("/tmp/trace.json")), "--json"))
    assert sum(part["milliseconds"] for part in report["critical_path"]) > 0.99 * report["milliseconds"]


def test_a_start_that_fails_leaves_its_trace(job: Job, bucket: Bucket, tmp_path: Path) -> None:
    bucket.put({})
    uri = f"s3://{bucket.name}/{bucket.prefix}/not-there.json"
    done = job.start(LYFTLEARN_TRACE="/tmp/trace.json", LYFTLEARN_ENV_URI=uri)
    assert done.code == 66
    document = traced(job)
    assert document["otherData"]["code"] == 66
    assert "not-there.json" in bars(document)["environment"][0]["args"]["error"]
    picture = shown(str(job.path("/tmp/trace.json")))
    assert "failed with exit 66" in picture
    assert "error: " in picture


def test_what_hangs_is_in_the_trace(job: Job, bucket: Bucket) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        done = job.start(
            LYFTLEARN_TRACE="/tmp/trace.json", LYFTLEARN_ENV_URI=bucket.put({}), AWS_ENDPOINT_URL_S3=url, LYFTLEARN_DEADLINE="1"
        )
    assert done.code == 69
    errors = [event["args"].get("error", "") for events in bars(traced(job)).values() for event in events if "args" in event]
    assert any("still under way" in error or "timed out" in error for error in errors)


def test_a_trace_that_cannot_be_written_stops_nothing(job: Job) -> None:
    job.write("/tmp/blocked", b"")
    done = job.start("true", LYFTLEARN_TRACE="/tmp/blocked/trace.json")
    assert done.code == 0
    assert "warning: trace: " in done.err
