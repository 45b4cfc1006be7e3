"""Credentials for a service account's token, from STS."""

from pathlib import Path

import pytest

from lyftlearn_entrypoint.errors import BadDocument, BadSettings, Refused
from lyftlearn_entrypoint.fetch.credentials import Credentials
from tests.clients import chain, failing
from tests.fake_http import answer, in_turn, serve

STS_REPLY = b"""<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
<AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/s</Arn></AssumedRoleUser><Credentials><SessionToken>t0k3n&amp;&#x3c;&#62;==</SessionToken>
<SecretAccessKey>s3cr3t/+</SecretAccessKey><Expiration>2099-01-01T00:00:00Z</Expiration><AccessKeyId>AKIASTS</AccessKeyId></Credentials>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""


def parts(found: Credentials) -> tuple[str, str, str | None, str]:
    return found.access_key, found.secret_key, found.token, found.source


@pytest.fixture
def identity(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "token").write_text("b34r3r.of&the+cluster\n")
    return {
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/a-role",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_REGION": "eu-west-1",
    }


def test_web_identity(identity: dict[str, str]) -> None:
    with serve(lambda _: answer(200, STS_REPLY)) as server:
        found = chain({**identity, "AWS_ENDPOINT_URL_STS": server.url, "AWS_ROLE_SESSION_NAME": "mine"}).get()
        (request,) = server.requests
    assert parts(found) == ("AKIASTS", "s3cr3t/+", "t0k3n&<>==", "web identity")
    assert (request.method, request.target) == ("POST", "/")
    assert "authorization" not in request.headers
    assert request.headers["content-type"].startswith("application/x-www-form-urlencoded")
    assert request.body.decode() == (
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fa-role"
        "&RoleSessionName=mine&WebIdentityToken=b34r3r.of%26the%2Bcluster"
    )


def test_sts_asks_to_try_again(identity: dict[str, str]) -> None:
    busy = answer(400, b"<ErrorResponse><Error><Code>IDPCommunicationError</Code></Error></ErrorResponse>")
    with serve(in_turn(busy, answer(500), answer(200, STS_REPLY))) as server:
        assert chain({**identity, "AWS_ENDPOINT_URL": server.url}).get().access_key == "AKIASTS"
        assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"),
        ("ExpiredTokenException", "renew them"),
        ("InvalidIdentityToken", "status 403 (InvalidIdentityToken)"),
    ],
)
def test_sts_refuses(identity: dict[str, str], code: str, text: str) -> None:
    message = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
    reply = answer(403, f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>".encode())
    with serve(lambda _: reply) as server:
        found = failing({**identity, "AWS_ENDPOINT_URL_STS": server.url}, Refused)
        assert len(server.requests) == 1
    assert text in found
    assert "sts:AssumeRoleWithWebIdentity of arn:aws:iam::123456789012:role/a-role" in found


def test_sts_answers_nonsense(identity: dict[str, str]) -> None:
    with serve(lambda _: answer(200, b"<html><AccessKeyId>s3cr3t</AccessKeyId></html>")) as server:
        assert "no credentials in it" in failing({**identity, "AWS_ENDPOINT_URL_STS": server.url}, BadDocument)


def test_web_identity_that_is_half_set(identity: dict[str, str], tmp_path: Path) -> None:
    assert "AWS_ROLE_ARN is not" in failing({"AWS_WEB_IDENTITY_TOKEN_FILE": "x"}, BadSettings)
    absent = {**identity, "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "absent"), "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    assert "AWS_WEB_IDENTITY_TOKEN_FILE names a file that cannot be read" in failing(absent, BadSettings)
