"""A clock that is wrong, and buckets and keys in other regions."""

import base64
import calendar
import json
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from lyftlearn_entrypoint.deadline import Deadline
from lyftlearn_entrypoint.errors import BadSettings, Refused, StartError
from lyftlearn_entrypoint.fetch import dial
from lyftlearn_entrypoint.fetch.http import Http
from tests.clients import KEYS, MIB, aws, error_xml, text_of
from tests.fake_http import Authority, Request, Script, answer, serve


def get(script: Script, *, environ: dict[str, str] | None = None, seconds: float = 30, skew: float = 0) -> tuple[bytes, list[Request]]:
    with serve(script) as server:
        client = aws({**KEYS, "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL_S3": server.url, **(environ or {})}, seconds=seconds, skew=skew)
        return client.s3_get("bucket", "a key", limit=MIB), server.requests


def refusal(script: Script, kind: type[StartError], **options: Any) -> str:
    with pytest.raises(kind) as caught:
        get(script, **options)
    return text_of(caught)


@pytest.mark.parametrize(("skew", "text"), [(1000, "is 1000 s ahead of the server's"), (-1000, "is 1000 s behind the server's")])
def test_a_wrong_clock_is_called_so(skew: float, text: str) -> None:
    def script(_: Request) -> bytes:
        return answer(403, error_xml("RequestTimeTooSkewed"), {"Date": formatdate(usegmt=True)})

    said = refusal(script, Refused, skew=skew)
    # The header counts whole seconds, and a busy machine may take some to answer.
    allowed = [text.replace("1000", str(seconds)) for seconds in range(960, 1041)]
    assert any(f"the clock of this machine {each}" in said for each in allowed)


def test_a_wrong_clock_without_a_date() -> None:
    assert "differs from the server's" in refusal(lambda _: answer(403, error_xml("RequestTimeTooSkewed")), Refused)


@pytest.mark.parametrize("message", ["Signature expired: 20260101T000000Z is now earlier than", "Signature not yet current: 2026"])
def test_kms_words_for_a_wrong_clock(message: str) -> None:
    body = json.dumps({"__type": "InvalidSignatureException", "message": message + " t0k3n"}).encode()
    with serve(lambda _: answer(400, body, {"Date": formatdate(time.time() + 600, usegmt=True)})) as server:
        with pytest.raises(Refused, match=r"the clock of this machine is (5[6-9]\d|60[01]) s behind") as caught:
            aws({**KEYS, "AWS_ENDPOINT_URL": server.url}).kms_encrypt("alias/a", b"PLAIN", {})
        assert len(server.requests) == 1
    text_of(caught)


def test_a_wrong_signature_is_blamed_on_a_clock_that_is_far_off() -> None:
    def script(_: Request) -> bytes:
        return answer(403, error_xml("SignatureDoesNotMatch"), {"Date": formatdate(usegmt=True)})

    assert "ahead of the server's" in refusal(script, Refused, skew=1000)
    assert "clock" not in refusal(script, Refused, skew=100)


def test_a_request_is_signed_for_the_time_it_is_sent_at() -> None:
    _, requests = get(lambda _: answer(200, b"x"), skew=7200)
    sent = calendar.timegm(time.strptime(requests[0].headers["x-amz-date"], "%Y%m%dT%H%M%SZ"))
    assert abs(sent - time.time() - 7200) < 60


def test_a_wrong_signature_is_not_blamed_on_a_right_clock() -> None:
    def script(_: Request) -> bytes:
        return answer(403, error_xml("SignatureDoesNotMatch"), {"Date": formatdate(usegmt=True)})

    said = refusal(script, Refused)
    assert "clock" not in said
    assert "renew them" in said


def signed_for(request: Request) -> str:
    return request.headers["authorization"].split("/")[2]


REDIRECTS = {
    "301 header": answer(301, error_xml("PermanentRedirect"), {"x-amz-bucket-region": "eu-west-1"}),
    "301 endpoint": answer(301, error_xml("PermanentRedirect", "<Endpoint>bucket.s3-eu-west-1.amazonaws.com</Endpoint>")),
    "307 location": answer(307, b"", {"Location": "https://bucket.s3.eu-west-1.amazonaws.com/a%20key"}),
    "307 dual stack": answer(307, b"", {"Location": "https://bucket.s3.dualstack.eu-west-1.amazonaws.com/a%20key"}),
    "400 region": answer(400, error_xml("AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>")),
    "400 opt-in": answer(400, error_xml("IllegalLocationConstraintException"), {"x-amz-bucket-region": "eu-west-1"}),
}


@pytest.mark.parametrize("environ", [{}, {"AWS_REGION": ""}])
@pytest.mark.parametrize("name", REDIRECTS)
def test_a_bucket_elsewhere_is_asked_there(name: str, environ: dict[str, str]) -> None:
    body, requests = get(lambda request: answer(200, b"here") if signed_for(request) == "eu-west-1" else REDIRECTS[name], environ=environ)
    assert body == b"here"
    assert [signed_for(request) for request in requests] == ["us-east-1", "eu-west-1"]


def test_the_region_of_a_bucket_is_remembered() -> None:
    with serve(lambda request: answer(200) if signed_for(request) == "eu-west-1" else REDIRECTS["301 header"]) as server:
        client = aws({**KEYS, "AWS_ENDPOINT_URL": server.url})
        for _ in range(2):
            client.s3_get("bucket", "k", limit=MIB)
        assert [signed_for(request) for request in server.requests] == ["us-east-1", "eu-west-1", "eu-west-1"]


def test_regions_that_point_at_each_other_are_no_loop() -> None:
    with serve(
        lambda request: answer(301, b"", {"x-amz-bucket-region": "us-east-1" if "eu-west-1" in signed_for(request) else "eu-west-1"})
    ) as s:
        with pytest.raises(Refused, match="status 301"):
            aws({**KEYS, "AWS_ENDPOINT_URL": s.url}).s3_get("bucket", "k", limit=MIB)
        assert len(s.requests) == 3


def test_a_redirect_to_the_same_region_is_not_followed() -> None:
    with serve(lambda _: answer(301, b"", {"x-amz-bucket-region": "us-east-1"})) as server:
        with pytest.raises(Refused, match="status 301"):
            aws({**KEYS, "AWS_ENDPOINT_URL": server.url, "AWS_REGION": "us-east-1"}).s3_get("bucket", "k", limit=MIB)
        assert len(server.requests) == 1


@pytest.mark.parametrize("region", ["x.evil.example/", "evil.example#", "", "US-EAST-1", "a" * 50])
def test_a_region_that_would_leave_aws_is_not_followed(region: str) -> None:
    text = refusal(lambda _: answer(301, error_xml("PermanentRedirect"), {"x-amz-bucket-region": region}), Refused)
    assert "status 301 (PermanentRedirect)" in text


def test_on_awss_own_endpoints_the_host_changes_with_the_region(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = authority.server("*.s3.us-east-1.amazonaws.com", "*.s3.eu-west-1.amazonaws.com", "s3.us-east-1.amazonaws.com")

    def script(request: Request) -> bytes:
        if request.headers["host"] == "bucket.s3.us-east-1.amazonaws.com":
            return REDIRECTS["301 header"]
        return answer(200, request.headers["host"].encode() + request.target.encode())

    with serve(script, context) as server:
        environ = {**KEYS, "AWS_CA_BUNDLE": str(authority.bundle)}
        http = Http(environ, Deadline(20), dial=lambda _host, _port, wait: dial.dial("127.0.0.1", server.port, wait))
        client = aws(environ, http=http)
        assert client.s3_get("bucket", "a key", limit=MIB) == b"bucket.s3.eu-west-1.amazonaws.com/a%20key"
        assert client.s3_get("with.dots", "k", limit=MIB) == b"s3.us-east-1.amazonaws.com/with.dots/k"


def test_the_region_of_a_key_is_that_of_its_arn() -> None:
    with serve(lambda _: answer(200, json.dumps({"CiphertextBlob": base64.b64encode(b"blob").decode()}).encode())) as server:
        client = aws({**KEYS, "AWS_ENDPOINT_URL": server.url, "AWS_REGION": "us-east-1"})
        for key, region in (("arn:aws:kms:eu-west-1:123456789012:alias/a", "eu-west-1"), ("alias/a", "us-east-1")):
            assert client.kms_encrypt(key, b"PLAIN", {}) == b"blob"
            assert signed_for(server.requests[-1]) == region


def test_kms_without_a_region_is_a_bad_setting() -> None:
    with pytest.raises(BadSettings, match="needs a region"):
        aws(KEYS).kms_encrypt("alias/a", b"PLAIN", {})


def test_region_variables() -> None:
    assert aws({"AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"}).region == "a"
    assert aws({"AWS_REGION": "", "AWS_DEFAULT_REGION": "b"}).region == "b"
    assert aws({}).region is None
