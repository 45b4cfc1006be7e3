"""S3 against servers that misbehave, and what all calls share."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import lyftlearn_entrypoint
from lyftlearn_entrypoint.deadline import Deadline
from lyftlearn_entrypoint.errors import BadDocument, BadSettings, Missing, Refused, StartError, Unavailable
from lyftlearn_entrypoint.fetch.aws import Aws
from lyftlearn_entrypoint.fetch.credentials import CredentialChain
from lyftlearn_entrypoint.fetch.http import Http
from tests.clients import KEYS, MIB, aws, error_xml, text_of
from tests.fake_http import Answer, Authority, Hang, Request, Reset, Script, answer, closed_port, in_turn, serve


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
    text = refusal(lambda _: Hang(), Unavailable, seconds=2)
    assert time.monotonic() - start < 9  # without a deadline, ten for each try
    assert "timed out after " in text
    assert "the deadline of 2 s leaves no time for another try" in text


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
    assert time.monotonic() - start < 30


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
        (answer(204), BadDocument, "status 204, not what was asked for. Something else than AWS"),
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


def test_a_whole_fetch_imports_nothing_slow() -> None:
    """KMS and S3 with container credentials over HTTP, as a SageMaker job's start makes them, in a process of its own."""
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from lyftlearn_entrypoint.deadline import Deadline
from lyftlearn_entrypoint.fetch.aws import Aws
from lyftlearn_entrypoint.fetch.credentials import CredentialChain
from lyftlearn_entrypoint.fetch.http import Http
environ = {"AWS_ENDPOINT_URL": sys.argv[2], "AWS_CONTAINER_CREDENTIALS_FULL_URI": sys.argv[2] + "/credentials", "AWS_REGION": "us-east-1"}
deadline = Deadline(20)
http = Http(environ, deadline)
aws = Aws(environ, http, deadline, CredentialChain(environ, http, deadline))
assert aws.kms_encrypt("alias/a", b"x", {}) == b"blob"
assert aws.s3_get("bucket", "key", limit=100) == b"object"
print(*sys.modules)
"""

    def script(request: Request) -> bytes:
        if request.target == "/credentials":
            return answer(200, b'{"AccessKeyId": "A", "SecretAccessKey": "s3cr3t", "Token": "t0k3n"}')
        return answer(200, b'{"CiphertextBlob": "YmxvYg=="}' if request.method == "POST" else b"object")

    package = str(Path(lyftlearn_entrypoint.__file__).parents[1])
    with serve(script) as server:
        command = [sys.executable, "-I", "-S", "-c", code, package, server.url]
        loaded = set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    slow = "re json logging typing ssl _ssl argparse dataclasses enum socket http urllib threading subprocess pathlib collections functools"
    slow += " contextlib tempfile random hashlib _hashlib hmac base64 datetime os encodings.idna stringprep botocore"
    rare = {f"lyftlearn_entrypoint.fetch.{name}" for name in ("answers", "instance", "proxy", "tls", "web_identity")}
    assert not loaded & (set(slow.split()) | rare)


def test_a_version_that_cannot_be_one() -> None:
    with serve(lambda _: answer(400, error_xml("InvalidArgument"))) as server:
        client = aws({**KEYS, "AWS_ENDPOINT_URL": server.url})
        with pytest.raises(Missing, match=r"version v1: status 400 \(InvalidArgument\)"):
            client.s3_get("b", "k", "v1", limit=MIB)
        with pytest.raises(Refused):
            client.s3_get("b", "k", limit=MIB)
