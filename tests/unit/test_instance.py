"""Credentials from instance metadata, and what is said where nothing has any."""

import json

import pytest

from lyftlearn_entrypoint.errors import Unavailable
from lyftlearn_entrypoint.fetch.credentials import Credentials
from tests.clients import chain, failing
from tests.fake_http import Hang, Request, Script, answer, closed_port, serve

EXPIRY = "2099-01-01T00:00:00Z"
SERVED = answer(
    200, json.dumps({"AccessKeyId": "AKIASERVED", "SecretAccessKey": "s3cr3t/+", "Token": "t0k3n==", "Expiration": EXPIRY}).encode()
)


HEAD = Request(b"HEAD / HTTP/1.1\r\n\r\n")


def parts(found: Credentials) -> tuple[str, str, str | None, str]:
    return found.access_key, found.secret_key, found.token, found.source


def metadata(request: Request) -> bytes:
    """IMDSv2, and nothing for those who ask without its token."""
    if (request.method, request.target) == ("PUT", "/latest/api/token"):
        return answer(200, b"imds-t0k3n") if request.headers.get("x-aws-ec2-metadata-token-ttl-seconds", "").isdigit() else answer(400)
    if request.headers.get("x-aws-ec2-metadata-token") != "imds-t0k3n":
        return answer(401)
    base = "/latest/meta-data/iam/security-credentials/"
    return {base: answer(200, b"a-role\n"), base + "a-role": SERVED}.get(request.target, answer(404))


def test_instance_metadata() -> None:
    with serve(metadata) as server:
        environ = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url + "/", "http_proxy": f"http://127.0.0.1:{closed_port()}"}
        assert parts(chain(environ).get()) == ("AKIASERVED", "s3cr3t/+", "t0k3n==", "instance metadata")


def test_instance_metadata_tries_as_often_as_it_is_told() -> None:
    left = [answer(500), answer(503)]
    with serve(lambda request: left.pop() if left else metadata(request)) as server:
        environ = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url, "AWS_METADATA_SERVICE_NUM_ATTEMPTS": "3"}
        assert chain(environ).get().source == "instance metadata"


@pytest.mark.parametrize(
    ("script", "text"),
    [
        (lambda _: answer(403), "instance metadata: status 403"),
        (lambda _: answer(500), "instance metadata: status 500"),
        (lambda _: Hang(), "instance metadata: 127.0.0.1:"),
        (lambda request: answer(404) if request.method == "GET" else answer(200, b"t"), "instance metadata: status 404"),
        (lambda _: answer(200, b"<html>"), "instance metadata: status 200, but it is not JSON"),
    ],
)
def test_nothing_has_credentials(script: Script, text: str) -> None:
    """Every source that was looked at is named, with what it answered."""
    patience = "0.2" if isinstance(script(HEAD), Hang) else "20"
    with serve(script) as server:
        environ = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url, "AWS_METADATA_SERVICE_TIMEOUT": patience}
        said = failing(environ, Unavailable)
    for part in (
        text,
        "AWS_ACCESS_KEY_ID is not set",
        "AWS_WEB_IDENTITY_TOKEN_FILE is not set",
        "no profile",
        "RELATIVE_URI",
        "network isolation",
    ):
        assert part in said


def test_instance_metadata_is_not_asked_where_it_is_switched_off() -> None:
    with serve(metadata) as server:
        environ = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url}
        assert "AWS_EC2_METADATA_DISABLED is true" in failing({**environ, "AWS_EC2_METADATA_DISABLED": "True"}, Unavailable)
        assert "was not asked" in failing(environ, Unavailable, instance_metadata=False)
        assert not server.connections
