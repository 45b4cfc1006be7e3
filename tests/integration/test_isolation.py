"""A job without a network, and one that only looks like it."""

import json
import sys

import pytest

from tests.fake_http import Request, answer, serve
from tests.integration.job import SEE, Bucket, Job

pytest_plugins = ["tests.integration.platform_fixture"]

ISOLATED: "dict[str, str | None]" = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": None, "AWS_ENDPOINT_URL": None}
ROLES = "/latest/meta-data/iam/security-credentials/"


def metadata(request: Request) -> bytes:
    """Instance metadata, version 2."""
    if request.method == "PUT":
        return answer(200, b"a-t0k3n")
    keys = {"AccessKeyId": "AKIASERVED", "SecretAccessKey": "made-up", "Token": "made-up"}
    return {ROLES: answer(200, b"a-role"), ROLES + "a-role": answer(200, json.dumps(keys).encode())}.get(request.target, answer(404))


def test_an_endpoint_for_instance_metadata_is_asked(job: Job, bucket: Bucket) -> None:
    uri = bucket.put({"STAGED": "yes"})
    environ: dict[str, str | None] = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": None, "AWS_EC2_METADATA_DISABLED": None}
    with serve(metadata) as server:
        ended = job.start(LYFTLEARN_ENV_URI=uri, AWS_EC2_METADATA_SERVICE_ENDPOINT=server.url, **environ)
        assert [request.target for request in server.requests] == ["/latest/api/token", ROLES, ROLES + "a-role"]
    assert ended.env["STAGED"] == "yes"


def test_a_metrics_gateway_is_not_looked_up_where_there_is_no_network(job: Job) -> None:
    job.channel(environment={"STAGED": "yes"})
    ended = job.start(sys.executable, "-I", "-c", SEE, **ISOLATED, LYFTLEARN_STATSD_GATEWAY="gateway.example.com:8125")
    assert ended.env["STAGED"] == "yes"
    assert not {name for name in ended.env if name.startswith(("STATSD_", "DD_"))}
    assert ended.seconds < 10  # the deadline is 60
    warnings = [line for line in ended.err.splitlines() if "warning" in line]
    assert len(warnings) == 1
    assert "no network" in warnings[0]
    assert "resolve" not in ended.err


@pytest.mark.parametrize("name", ["LYFTLEARN_ENV_URI", "LYFTLEARN_HYPERPARAMETERS_URI"])
def test_what_needs_it_is_refused_at_once_gateway_or_not(job: Job, name: str) -> None:
    gateway = {"LYFTLEARN_STATSD_GATEWAY": "gateway.example.com:8125", name: "s3://bucket/key"}
    ended = job.start(**ISOLATED, **gateway)
    assert ended.code == 69
    assert "no network" in ended.line
    assert "gateway" not in ended.line
    assert ended.seconds < 10  # the deadline is 60
