"""`lyftlearn doctor` in a training job's container, against the real Confidant server, moto and a StatsD gateway."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lyftlearn_entrypoint.cli.findings import table
from lyftlearn_local.platform import Platform
from tests.fake_http import Authority, answer, closed_port, serve
from tests.integration.job import Bucket, Ended, Job, operator, relay

pytest_plugins = ["tests.integration.platform_fixture"]

Service = Callable[..., dict[str, str]]
Row = dict[str, Any]


class Examined:
    """What the doctor found: by check, in its order."""

    def __init__(self, ended: Ended) -> None:
        assert ended.err == "", ended.err
        self.code = ended.code
        self.facts: Row = json.loads(ended.out)
        self.rows: list[Row] = self.facts["findings"]
        assert all(set(row) == set(self.rows[0]) and row["code"] in table() for row in self.rows)

    def of(self, check: str) -> Row:
        found = [row for row in self.rows if row["check"] == check]
        assert len(found) == 1, found
        return found[0]

    @property
    def bad(self) -> "list[tuple[str, str, str]]":
        return [(row["check"], row["code"], row["verdict"]) for row in self.rows if row["verdict"] in ("failed", "warning")]


def doctor(job: Job, *words: str, **environ: "str | None") -> Examined:
    return Examined(job.run(operator("doctor", "--json", *words), **environ))


@pytest.fixture
def whole(job: Job, bucket: Bucket, service: Service) -> "dict[str, str]":
    """A job with everything: credentials, both documents, the gateway."""
    job.path("/tmp").mkdir()
    job.path("/dev/shm").mkdir(parents=True)
    job.hyperparameters({"eta": "0.3"})
    return {
        **service({"password": "hunter2", "port": 5432}),
        "LYFTLEARN_ENV_URI": bucket.put({"STAGED": "hunter2"}, digest=True),
        "LYFTLEARN_HYPERPARAMETERS_URI": bucket.put({"depth": 3, "eta": 0.1}),
    }


def test_where_all_is_well(job: Job, whole: "dict[str, str]") -> None:
    found = doctor(job, "--args", "true", **whole)
    assert found.bad == []
    assert (found.code, found.facts["exit"], found.facts["context"]) == (0, 0, "sagemaker-training")
    assert "from container: arn:aws:sts::" in found.of("credentials")["evidence"]
    kms = found.of("kms")["evidence"]
    assert whole["LYFTLEARN_CONFIDANT_AUTH_KEY"] in kms
    assert f"from={whole['LYFTLEARN_CONFIDANT_SERVICE']}, to=" in kms
    assert "1 credential, 2 variables" in found.of("confidant")["evidence"]
    assert "1 variable from s3://" in found.of("environment")["evidence"]
    assert "sha256 as in the URI" in found.of("environment")["evidence"]
    assert "2 hyperparameters (1 of SageMaker's own stay) from s3://" in found.of("hyperparameters")["evidence"]
    assert "not pinned" in found.of("hyperparameters")["evidence"]
    assert "less than 1.5 s off" in found.of("clock")["evidence"]
    assert "it may change PATH" in found.of("command")["evidence"]
    assert "hunter2" not in json.dumps(found.facts)


def test_certificates(job: Job, whole: "dict[str, str]", tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with serve(lambda _: answer(403), authority.server("127.0.0.1", days=(-1, 3))) as server:
        https = {**whole, "AWS_ENDPOINT_URL_S3": server.url}
        soon = doctor(job, **https, AWS_CA_BUNDLE=str(authority.bundle))
        unknown = doctor(job, **https)
        gone = doctor(job, **https, AWS_CA_BUNDLE="/no/such.pem")
    assert ("tls", "LL0741", "warning") in soon.bad
    assert "AWS_CA_BUNDLE: " in str([row["evidence"] for row in soon.rows if row["code"] == "LL0740"])
    assert {("environment", "LL0708", "failed"), ("hyperparameters", "LL0708", "failed"), ("reach", "LL0708", "failed")} <= set(unknown.bad)
    assert {("environment", "LL0710", "failed"), ("tls", "LL0710", "failed")} <= set(gone.bad)
    with serve(lambda _: answer(403), authority.server("other.example.com")) as server:
        found = doctor(job, **{**whole, "AWS_ENDPOINT_URL_S3": server.url}, AWS_CA_BUNDLE=str(authority.bundle))
    assert ("reach", "LL0706", "failed") in found.bad
    with serve(lambda _: answer(403), authority.server("127.0.0.1", days=(-9, -1))) as server:
        found = doctor(job, **{**whole, "AWS_ENDPOINT_URL_S3": server.url}, AWS_CA_BUNDLE=str(authority.bundle))
    assert ("reach", "LL0707", "failed") in found.bad


def test_a_proxy_is_used_and_named(job: Job, whole: "dict[str, str]") -> None:
    with serve(lambda _: answer(407)) as server:
        environ = {**whole, "http_proxy": server.url, "HTTP_PROXY": "http://other:1", "no_proxy": "*.internal"}
        found = doctor(job, **environ)
        started = job.start("true", **environ)
        assert [request.target for request in server.requests]
    assert [row[1] for row in found.bad if row[0] == "proxy"] == ["LL0731", "LL0732", "LL0733"]
    ways = next(row["evidence"] for row in found.rows if row["check"] == "proxy")
    assert f"through {server.url.removeprefix('http://')} (http_proxy)" in ways
    assert "Confidant (" in ways
    assert "directly, whatever the variables" in ways
    assert found.code == started.code != 0


def test_a_code_is_explained_where_there_is_no_page(job: Job) -> None:
    ended = job.run(operator("doctor", "--explain", "[LL0609]"))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("LL0609  no such service (a start ends with 66: what a setting names does not exist")
    assert "Remedy: Create it, or correct LYFTLEARN_CONFIDANT_SERVICE." in ended.out
    ended = job.run(operator("doctor", "--explain", "LL9999"))
    assert ended.code == 78
    assert "'LL9999' is no code of this version" in ended.err


def test_a_context_that_is_forced_against_the_evidence(job: Job) -> None:
    found = doctor(job, LYFTLEARN_CONTEXT="studio")
    assert ("context", "LL0211", "warning") in found.bad
    assert found.facts["context"] == "studio"
    assert not [row for row in doctor(job, LYFTLEARN_CONTEXT="sagemaker-training").bad if row[0] == "context"]


def test_a_command_that_is_not_there(job: Job) -> None:
    found = doctor(job, "--args", "pyhton train.py")
    assert ("command", "LL0105", "failed") in found.bad
    assert found.code == 127
    assert doctor(job, "--args", "sh -c true").of("command")["evidence"].endswith("/sh (from arguments)")


def test_the_gateway_gets_the_marked_counter(job: Job, whole: "dict[str, str]", platform: Platform) -> None:
    found = doctor(job, **whole)
    assert "UDP gives no receipt" in found.of("gateway")["evidence"]
    platform.gateway.flush()
    assert platform.gateway.counts().metrics["lyftlearn.doctor"] >= 1


def test_as_text_for_a_person(job: Job, whole: "dict[str, str]") -> None:
    ended = job.run(operator("doctor"), **{**whole, "LYFTLEARN_CONFIDANT_SERVICE": "nosuch"})
    assert ended.code == 66, ended.out
    (line,) = [line for line in ended.out.splitlines() if line.startswith("FAILED")]
    assert re.match(r"FAILED   LL0609  confidant        Confidant at http://\S+ was asked for service nosuch: 404", line)
    assert "-> Create the service, or correct LYFTLEARN_CONFIDANT_SERVICE" in ended.out
    assert re.search(r"^1 failed, .* exit 66\. What a code means: lyftlearn doctor --explain CODE$", ended.out, re.MULTILINE)
    assert "hunter2" not in ended.out


@pytest.mark.parametrize(
    ("change", "check", "code", "exit_code"),
    [
        ({"LYFTLEARN_CONFIDANT_AUTH_KEY": "alias/nosuch"}, "kms", "LL0401", 66),
        ({"LYFTLEARN_CONFIDANT_AUTH_CONTEXT": "another"}, "confidant", "LL0606", 77),
        ({"LYFTLEARN_CONFIDANT_SERVICE": "nosuch"}, "confidant", "LL0609", 66),
        ({"LYFTLEARN_ENV_URI": "s3://nosuch-bucket/x"}, "environment", "LL0411", 66),
        ({"LYFTLEARN_DEADLINE": "soon"}, "settings", "LL0201", 78),
        ({"LYFTLEARN_USER": "nosuchuser"}, "user", "LL1001", 78),
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://example.com/x"}, "credentials", "LL0305", 78),
        ({"https_proxy": "socks5://proxy:1080", "AWS_ENDPOINT_URL_S3": "https://s3.example.com"}, "proxy", "LL0713", None),
    ],
)
def test_the_code_and_the_exit_are_those_of_a_start(
    job: Job, whole: "dict[str, str]", change: "dict[str, str]", check: str, code: str, exit_code: "int | None"
) -> None:
    environ = {**whole, **change}
    found = doctor(job, **environ)
    assert (check, code, "failed") in found.bad
    started = job.start("true", **environ)
    if exit_code is not None:
        assert started.code == found.code == exit_code
        assert f"[{code}] (exit {exit_code})" in started.line
        assert job.failure.endswith(f"[{code}]")
    else:
        assert f"[{code}]" in started.line
        assert started.code == found.code


def test_what_a_document_holds_is_checked_too(job: Job, whole: "dict[str, str]", bucket: Bucket) -> None:
    found = doctor(job, **{**whole, "LYFTLEARN_ENV_URI": bucket.put({"A": 1}), "LYFTLEARN_HYPERPARAMETERS_URI": bucket.put(None, raw=b"{")})
    assert [row for row in found.bad if row[0] != "relay"] == [
        ("hyperparameters", "LL0502", "failed"),
        ("environment", "LL0506", "failed"),
    ]
    assert found.code == 65
    uri = bucket.put({"A": "1"}) + "#sha256=" + hashlib.sha256(b"other").hexdigest()
    assert ("environment", "LL0501", "failed") in doctor(job, **{**whole, "LYFTLEARN_ENV_URI": uri}).bad


def test_network_isolation_is_said_at_once(job: Job, whole: "dict[str, str]") -> None:
    isolated: dict[str, str | None] = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": None, "AWS_ENDPOINT_URL": None}
    hole = {"LYFTLEARN_CONFIDANT_URL": "https://confidant.example.com", "LYFTLEARN_STATSD_GATEWAY": "gateway.example.com:8125"}
    found = doctor(job, **{**whole, **hole, **isolated})
    assert found.bad == [("isolation", "LL0715", "failed"), ("gateway", "LL0804", "warning")]
    assert found.code == 69
    assert found.facts["seconds"] < found.facts["deadline"] / 2
    assert {row["verdict"] for row in found.rows if row["check"] in ("credentials", "kms", "confidant", "environment", "dns", "reach")} == {
        "skipped"
    }


def test_isolation_with_the_channel_is_fine(job: Job) -> None:
    job.channel(environment={"STAGED": "yes"})
    job.path("/tmp").mkdir()
    job.path("/dev/shm").mkdir(parents=True)
    found = doctor(job, AWS_CONTAINER_CREDENTIALS_FULL_URI=None, AWS_ENDPOINT_URL=None, LYFTLEARN_STATSD_GATEWAY=None)
    assert found.bad == []
    assert found.of("environment")["evidence"].startswith("1 variable from /opt/ml/input/data/lyftlearn/environment.json")


def test_a_clock_that_is_wrong(job: Job, whole: "dict[str, str]", platform: Platform) -> None:
    with serve(lambda _: answer(200, b"", {"Date": "Sun, 06 Nov 1994 08:49:37 GMT"})) as server:
        found = doctor(job, **{**whole, "AWS_ENDPOINT_URL_S3": server.url})
    clock = found.of("clock")
    assert (clock["code"], clock["verdict"], clock["exit"]) == ("LL0431", "failed", 77)
    assert "ahead of S3" in clock["evidence"]


def test_sts_that_says_nothing_is_only_a_warning(job: Job, whole: "dict[str, str]") -> None:
    found = doctor(job, **{**whole, "AWS_ENDPOINT_URL_STS": f"http://127.0.0.1:{closed_port()}"})
    assert found.bad == [("credentials", "LL0318", "warning")]
    assert found.code == 1
    assert job.start("true", **whole).code == 0


def test_a_gateway_that_refuses(job: Job, whole: "dict[str, str]") -> None:
    found = doctor(job, **{**whole, "LYFTLEARN_STATSD_GATEWAY": f"127.0.0.1:{closed_port()}"})
    assert found.bad == [("gateway", "LL0802", "warning")]


def test_a_step_that_is_off_is_not_asked(job: Job, whole: "dict[str, str]", platform: Platform) -> None:
    with relay(platform.pointers("")["AWS_ENDPOINT_URL"]) as server:
        found = doctor(job, **{**whole, "LYFTLEARN_STEPS": "statsd", "AWS_ENDPOINT_URL": server.url})
        assert not [request.target for request in server.requests if "x-amz-target" in request.headers]
    assert found.of("kms")["verdict"] == found.of("environment")["verdict"] == "skipped"
    assert found.of("environment")["evidence"] == "LYFTLEARN_STEPS leaves out the step environment"


@pytest.mark.parametrize("platform_file", [False, True])
def test_after_a_start_only_the_platforms_file_is_left(job: Job, whole: "dict[str, str]", platform_file: bool) -> None:
    job.path("/tmp").mkdir(exist_ok=True)
    if platform_file:
        job.write("/etc/lyftlearn/platform.json", b'{"statsd_relay": "off", "_lines": {}}')
    words = operator("doctor", "--json")
    ended = job.start(*words, **{**whole, "LYFTLEARN_STATSD_GATEWAY": None})
    facts = json.loads(ended.out)
    (settings,) = [row for row in facts["findings"] if row["check"] == "settings"]
    assert settings["code"] == ("LL0200" if platform_file else "LL0212")
    assert "took its settings away" in settings["evidence"]
    assert facts["context"] == "sagemaker-training"
    assert ended.code == (0 if platform_file else 1)
