"""KMS and S3: against moto with its signature check and IAM policies switched on, and against servers that misbehave."""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from lyftlearn_entrypoint.deadline import Deadline
from lyftlearn_entrypoint.errors import BadDocument, BadSettings, Missing, Refused, StartError, Unavailable
from lyftlearn_entrypoint.fetch import dial
from lyftlearn_entrypoint.fetch.aws import Aws
from lyftlearn_entrypoint.fetch.credentials import CredentialChain
from lyftlearn_entrypoint.fetch.http import Http
from tests.fake_http import Answer, Authority, Hang, Request, Reset, Script, answer, closed_port, in_turn, serve

KEYS = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "s3cr3t", "AWS_SESSION_TOKEN": "t0k3n"}
MIB = 1 << 20


def aws(environ: dict[str, str], *, seconds: float = 30, http: Http | None = None, skew: float = 0) -> Aws:
    """Waits between tries are skipped; the clock is `skew` seconds ahead."""
    deadline = Deadline(seconds, sleep=lambda _: None)
    http = http or Http(environ, deadline)
    return Aws(environ, http, deadline, CredentialChain(environ, http, deadline), now=lambda: time.time() + skew)


def text_of(error: pytest.ExceptionInfo[StartError]) -> str:
    """Its text, which never holds a secret."""
    for secret in ("s3cr3t", "t0k3n", "PLAIN"):
        assert secret not in str(error.value)
    return str(error.value)


# moto ----------------------------------------------------------------------------------------------------------------------

MOTO = """
import logging, sys
from moto.server import ThreadedMotoServer
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


class Cloud:
    """A moto in a process of its own, and two identities in it: one that may read one bucket and use KMS, one that may nothing."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        admin: Any = {"endpoint_url": self.url, "region_name": "us-west-2", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
        s3: Any = boto3.client("s3", **admin, config=Config(s3={"addressing_style": "path"}))
        s3.create_bucket(Bucket="docs", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
        s3.put_bucket_versioning(Bucket="docs", VersioningConfiguration={"Status": "Enabled"})
        self.keys = ["plain", "a b/c+d", "\u00e9\u20ac/~x", "x//y", "q?a=1&b=2", "h#1", "per%20cent", "quote'(1)!*"]
        for key in self.keys:
            s3.put_object(Bucket="docs", Key=key, Body=key.encode() * 3)
        self.first = s3.put_object(Bucket="docs", Key="versioned", Body=b"first")["VersionId"]
        self.second = s3.put_object(Bucket="docs", Key="versioned", Body=b"second")["VersionId"]
        s3.put_object(Bucket="docs", Key="large", Body=b"x" * 5000)
        s3.put_object(Bucket="docs", Key="gone", Body=b"x")
        self.marker = s3.delete_object(Bucket="docs", Key="gone")["VersionId"]
        kms: Any = boto3.client("kms", **admin)
        self.key_arn = kms.create_key()["KeyMetadata"]["Arn"]
        kms.create_alias(AliasName="alias/auth", TargetKeyId=self.key_arn)
        iam: Any = boto3.client("iam", **admin)
        actions = ["s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "kms:Encrypt", "kms:Decrypt"]
        self.reader = self._user(iam, "reader", actions)
        self.nobody = self._user(iam, "nobody", ["sqs:SendMessage"])

    def _user(self, iam: Any, name: str, actions: list[str]) -> dict[str, str]:
        iam.create_user(UserName=name)
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "us-west-2",
        }

    def check_signatures(self) -> None:
        """From now on every signature and policy is checked."""
        reply = Http({}, Deadline(20)).request("POST", self.url + "/moto-api/reset-auth", {}, b"0")
        assert reply.status == 200


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with subprocess.Popen([sys.executable, "-c", MOTO], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            found = Cloud(int(process.stdout.readline()))
            found.check_signatures()
            yield found
        finally:
            process.kill()


def test_moto_accepts_the_signature_of_every_kind_of_key(cloud: Cloud) -> None:
    client = aws(cloud.reader)
    for key in cloud.keys:
        assert client.s3_get("docs", key, limit=MIB) == key.encode() * 3


def test_moto_gives_the_version_that_is_asked_for(cloud: Cloud) -> None:
    client = aws(cloud.reader)
    assert client.s3_get("docs", "versioned", cloud.first, limit=MIB) == b"first"
    assert client.s3_get("docs", "versioned", cloud.second, limit=MIB) == b"second"
    assert client.s3_get("docs", "versioned", limit=MIB) == b"second"


@pytest.mark.parametrize("key", ["alias/auth", "ARN"])
def test_moto_encrypts_and_decrypts(cloud: Cloud, key: str) -> None:
    client = aws(cloud.reader)
    context = {"from": "a", "to": '\u00e9\u20ac "quoted"', "user_type": "service"}
    blob = client.kms_encrypt(cloud.key_arn if key == "ARN" else key, b"\0PLAIN\xff", context)
    assert client.kms_decrypt(blob, context) == b"\0PLAIN\xff"
    with pytest.raises(Refused, match="InvalidCiphertextException") as caught:
        client.kms_decrypt(blob, {"from": "b"})
    assert "kms:Decrypt" in text_of(caught)


def test_a_wrong_secret_is_refused(cloud: Cloud) -> None:
    client = aws({**cloud.reader, "AWS_SECRET_ACCESS_KEY": "s3cr3t"})
    with pytest.raises(Refused, match="SignatureDoesNotMatch") as caught:
        client.s3_get("docs", "plain", limit=MIB)
    assert "with the credentials from environment" in text_of(caught)
    with pytest.raises(Refused):
        client.kms_encrypt("alias/auth", b"PLAIN", {})


def test_an_action_that_is_not_allowed_is_refused_and_named(cloud: Cloud) -> None:
    client = aws(cloud.nobody)
    with pytest.raises(Refused, match=r"AccessDenied.*Allow s3:GetObject .* on s3://docs/plain; without s3:ListBucket") as caught:
        client.s3_get("docs", "plain", limit=MIB)
    text_of(caught)
    with pytest.raises(Refused, match=r"AccessDenied.* is not authorized to perform: kms:Encrypt.*Allow kms:Encrypt for that identity"):
        client.kms_encrypt("alias/auth", b"PLAIN", {})


@pytest.mark.parametrize(
    ("bucket", "key", "version", "text"),
    [
        ("docs", "absent", None, "s3:GetObject of s3://docs/absent: status 404 (NoSuchKey)"),
        ("no-such-bucket", "k", None, "s3:GetObject of s3://no-such-bucket/k: status 404 (NoSuchBucket)"),
        ("docs", "gone", None, "s3://docs/gone: status 404"),
        ("docs", "versioned", "MISSING", "s3://docs/versioned version"),
    ],
)
def test_what_does_not_exist_is_missing(cloud: Cloud, bucket: str, key: str, version: str | None, text: str) -> None:
    version = cloud.marker if version == "MISSING" else version
    with pytest.raises(Missing) as caught:
        aws(cloud.reader).s3_get(bucket, key, version, limit=MIB)
    assert text in text_of(caught)


def test_a_kms_key_that_does_not_exist_is_missing(cloud: Cloud) -> None:
    with pytest.raises(Missing, match=r"kms:Encrypt with alias/none at 127\.0\.0\.1:\d+: status 400 \(NotFoundException\)"):
        aws(cloud.reader).kms_encrypt("alias/none", b"PLAIN", {})


def test_an_object_over_the_limit(cloud: Cloud) -> None:
    with pytest.raises(BadDocument, match="s3://docs/large is 5000 bytes; at most 4999"):
        aws(cloud.reader).s3_get("docs", "large", limit=4999)
    assert len(aws(cloud.reader).s3_get("docs", "large", limit=5000)) == 5000


# S3 that misbehaves --------------------------------------------------------------------------------------------------------


def error_xml(code: str, more: str = "") -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>t0k3n</Message>{more}</Error>'.encode()


def get(script: Script, *, environ: dict[str, str] | None = None, seconds: float = 30, skew: float = 0) -> tuple[bytes, list[Request]]:
    with serve(script) as server:
        client = aws({**KEYS, "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL_S3": server.url, **(environ or {})}, seconds=seconds, skew=skew)
        return client.s3_get("bucket", "a key", limit=MIB), server.requests


def refusal(script: Script, kind: type[StartError], **options: Any) -> str:
    with pytest.raises(kind) as caught:
        get(script, **options)
    return text_of(caught)


@pytest.mark.parametrize(
    "trouble",
    [
        answer(503, error_xml("SlowDown")),
        answer(500),
        answer(429),
        answer(400, error_xml("RequestTimeout")),
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n" + b"x" * 100,
        Reset(),
    ],
)
def test_what_passes_is_asked_again(trouble: Answer) -> None:
    body, requests = get(in_turn(trouble, trouble, answer(200, b"at last")))
    assert (body, len(requests)) == (b"at last", 3)


def test_a_chunked_object() -> None:
    assert get(lambda _: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")[0] == b"abc"


def test_what_does_not_pass_ends_as_unavailable() -> None:
    text = refusal(lambda _: answer(503, error_xml("SlowDown")), Unavailable)
    assert "s3:GetObject of s3://bucket/a key: status 503 (SlowDown) (5 tries)" in text


def test_a_server_that_sends_half_each_time() -> None:
    text = refusal(lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n" + b"x" * 120, Unavailable)
    assert "closed after 120 of 4000 bytes (5 tries)" in text


def test_a_black_hole_ends_with_the_deadline() -> None:
    start = time.monotonic()
    text = refusal(lambda _: Hang(), Unavailable, seconds=0.5)
    assert time.monotonic() - start < 5
    assert "timed out after 0." in text
    assert "the deadline of 0.5 s leaves no time for another try" in text


def test_nothing_listens() -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    with pytest.raises(Unavailable, match="connection refused") as caught:
        aws({**KEYS, "AWS_ENDPOINT_URL": url}).s3_get("bucket", "k", limit=MIB)
    assert "VPC endpoints" in text_of(caught)


def test_retry_after_is_honoured() -> None:
    waits: list[float] = []
    with serve(in_turn(answer(503, b"", {"Retry-After": "2"}), answer(200, b"x"))) as server:
        environ = {**KEYS, "AWS_ENDPOINT_URL": server.url}
        deadline = Deadline(30, sleep=waits.append)
        http = Http(environ, deadline)
        assert Aws(environ, http, deadline, CredentialChain(environ, http, deadline)).s3_get("b", "k", limit=MIB) == b"x"
    assert waits == [2.0]


def test_retry_after_that_is_over_the_deadline_is_not_waited_for() -> None:
    start = time.monotonic()
    assert "status 503" in refusal(lambda _: answer(503, b"", {"Retry-After": "900"}), Unavailable)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("reply", "kind", "text"),
    [
        (
            answer(403, error_xml("ExpiredToken")),
            Refused,
            "(ExpiredToken) with the credentials from environment. The credentials are wrong, expired",
        ),
        (answer(403, error_xml("InvalidAccessKeyId")), Refused, "(InvalidAccessKeyId) with the credentials from environment"),
        (answer(403), Refused, "status 403 with the credentials from environment. Allow s3:GetObject"),
        (answer(400, error_xml("InvalidRequest")), Refused, "status 400 (InvalidRequest)"),
        (answer(403, error_xml("InvalidObjectState")), Refused, "(InvalidObjectState)"),
        (answer(404), Missing, "s3://bucket/a key: status 404. Check the URI"),
        (answer(405, b"", {"x-amz-delete-marker": "true"}), Missing, "it was deleted and a delete marker stands in its place"),
        (answer(302, b"", {"Location": "http://captive.example/login"}), Refused, "status 302"),
        (answer(200, b"x" * (MIB + 1)), BadDocument, f"s3://bucket/a key is {MIB + 1} bytes; at most {MIB}"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MIB + 1), BadDocument, f"is over {MIB} bytes; at most {MIB}"),
        (answer(403, b"<Error><Code>&#x3c;script>t0k3n</Code></Error>"), Refused, "status 403 with"),
    ],
)
def test_a_final_answer_is_not_asked_for_twice(reply: bytes, kind: type[StartError], text: str) -> None:
    with serve(lambda _: reply) as server:
        with pytest.raises(kind) as caught:
            aws({**KEYS, "AWS_ENDPOINT_URL": server.url}).s3_get("bucket", "a key", limit=MIB)
        assert len(server.requests) == 1
    assert text in text_of(caught)


# The clock -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("skew", "text"), [(1000, "is 1000 s ahead of the server's"), (-1000, "is 1000 s behind the server's")])
def test_a_wrong_clock_is_called_so(skew: float, text: str) -> None:
    def script(_: Request) -> bytes:
        return answer(403, error_xml("RequestTimeTooSkewed"), {"Date": formatdate(usegmt=True)})

    said = refusal(script, Refused, skew=skew)
    allowed = [text.replace("1000", str(seconds)) for seconds in (999, 1000, 1001)]  # the header counts whole seconds
    assert any(f"the clock of this machine {each}" in said for each in allowed)


def test_a_wrong_clock_without_a_date() -> None:
    assert "differs from the server's" in refusal(lambda _: answer(403, error_xml("RequestTimeTooSkewed")), Refused)


@pytest.mark.parametrize("message", ["Signature expired: 20260101T000000Z is now earlier than", "Signature not yet current: 2026"])
def test_kms_words_for_a_wrong_clock(message: str) -> None:
    body = json.dumps({"__type": "InvalidSignatureException", "message": message + " t0k3n"}).encode()
    with serve(lambda _: answer(400, body, {"Date": formatdate(time.time() + 600, usegmt=True)})) as server:
        with pytest.raises(Refused, match=r"the clock of this machine is (599|600|601) s behind") as caught:
            aws({**KEYS, "AWS_ENDPOINT_URL": server.url}).kms_encrypt("alias/a", b"PLAIN", {})
        assert len(server.requests) == 1
    text_of(caught)


def test_a_wrong_signature_is_not_blamed_on_a_right_clock() -> None:
    def script(_: Request) -> bytes:
        return answer(403, error_xml("SignatureDoesNotMatch"), {"Date": formatdate(usegmt=True)})

    said = refusal(script, Refused)
    assert "clock" not in said
    assert "renew them" in said


# Regions -------------------------------------------------------------------------------------------------------------------


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


# KMS that misbehaves -------------------------------------------------------------------------------------------------------


def kms_error(code: str, status: int = 400) -> bytes:
    return answer(status, json.dumps({"__type": "com.amazonaws.kms#" + code, "message": "who may not"}).encode())


@pytest.mark.parametrize(
    "trouble", [kms_error("ThrottlingException"), kms_error("KMSInternalException", 500), kms_error("DependencyTimeoutException", 503)]
)
def test_kms_trouble_that_passes(trouble: bytes) -> None:
    done = answer(200, json.dumps({"Plaintext": base64.b64encode(b"x").decode()}).encode())
    with serve(in_turn(trouble, done)) as server:
        assert aws({**KEYS, "AWS_ENDPOINT_URL": server.url, "AWS_REGION": "eu-west-1"}).kms_decrypt(b"blob", {}) == b"x"
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("reply", "kind", "text"),
    [
        (kms_error("NotFoundException"), Missing, "(NotFoundException). Check LYFTLEARN_CONFIDANT_AUTH_KEY and the region (eu-west-1)"),
        (
            kms_error("AccessDeniedException"),
            Refused,
            "(AccessDeniedException) with the credentials from environment: who may not. Allow kms:Encrypt",
        ),
        (kms_error("DisabledException"), Refused, "(DisabledException)"),
        (kms_error("KMSInvalidStateException"), Refused, "(KMSInvalidStateException)"),
        (kms_error("ExpiredTokenException"), Refused, "renew them"),
        (kms_error("UnrecognizedClientException"), Refused, "renew them"),
        (answer(400, b"", {"x-amzn-ErrorType": "AccessDeniedException:http://x"}), Refused, "(AccessDeniedException)"),
        (answer(200, b"<html>PLAIN</html>"), BadDocument, "status 200, but it is not JSON at line 1, column 1"),
        (answer(200, b"{}"), BadDocument, "status 200, but there is no CiphertextBlob in it"),
        (answer(200, b'{"CiphertextBlob": 5}'), BadDocument, "no CiphertextBlob"),
        (answer(200, b'{"CiphertextBlob": "a"}'), BadDocument, "no CiphertextBlob"),
        (answer(200, b'{"CiphertextBlob": "\xc3\xa9"}'), BadDocument, "no CiphertextBlob"),
        (answer(200, b"[1]"), BadDocument, "no CiphertextBlob"),
    ],
)
def test_a_final_answer_of_kms(reply: bytes, kind: type[StartError], text: str) -> None:
    with serve(lambda _: reply) as server:
        with pytest.raises(kind) as caught:
            aws({**KEYS, "AWS_ENDPOINT_URL": server.url, "AWS_REGION": "eu-west-1"}).kms_encrypt("alias/a", b"PLAIN", {})
        assert len(server.requests) == 1
    assert text in text_of(caught)


def test_an_endpoint_that_is_no_url() -> None:
    with pytest.raises(BadSettings, match="AWS_ENDPOINT_URL is a URL"):
        aws({**KEYS, "AWS_ENDPOINT_URL": "localhost:4566"}).s3_get("b", "k", limit=MIB)


def test_a_bad_certificate_is_not_asked_again(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with serve(lambda _: answer(), authority.server("other.example")) as server:
        environ = {**KEYS, "AWS_ENDPOINT_URL": server.url, "AWS_CA_BUNDLE": str(authority.bundle)}
        with pytest.raises(Unavailable, match="certificate does not match"):
            aws(environ).s3_get("b", "k", limit=MIB)
        assert server.connections == 1
