"""What a staged document can be instead of one, and what S3 can say instead of giving it."""

import gzip
import json
from contextlib import closing

import pytest

from lyftlearn_local.platform import Platform
from tests.fake_http import answer, serve
from tests.integration.job import Bucket, Job, Pouring, relay

pytest_plugins = ["tests.integration.platform_fixture"]

LIMIT = 16 << 20


BAD = {
    "not JSON": (b"A=hidden-value\n", "not a JSON document"),
    "cut short": (b'{"A": "hidden-value', "too early"),
    "empty": (b"", "empty"),
    "array": (b'["hidden-value"]', "an array"),
    "not UTF-8": (b'{"A": "hidden-value\xff"}', "UTF-8"),
    "twice": (b'{"A": "hidden-value", "A": "x"}', "'A' stands twice"),
    "number": (b'{"A": "hidden-value", "B": 5}', "B is a number"),
    "null": (b'{"A": "hidden-value", "B": null}', "B is null"),
    "object": (b'{"B": {"x": "hidden-value"}}', "B is an object"),
    "no name": (b'{"": "hidden-value"}', "name is empty"),
    "equals": (b'{"A=B": "hidden-value"}', "A=B"),
    "NUL": (b'{"A": "hidden-value\\u0000"}', "NUL"),
    "surrogate": (b'{"A": "hidden-value\\ud800"}', "surrogate"),
    "128 KiB": (b'{"BIG": "' + b"hidden-value" * 11000 + b'"}', "BIG"),
    "2 MiB": (json.dumps({f"N{number}": "hidden-value" * 5000 for number in range(110)}).encode(), "kernel"),
    "gzip cut": (gzip.compress(b'{"A": "hidden-value"}' * 50)[:40], "gzip"),
    "gzip bomb": (gzip.compress(b'{"A": "' + b"0" * (LIMIT + 100) + b'"}'), "unpacked"),
    "gzip and more": (gzip.compress(b'{"A": "hidden-value"}') + b"x", "gzip"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_document_is_65_and_changes_nothing(job: Job, bucket: Bucket, name: str) -> None:
    data, says = BAD[name]
    before = job.left_behind()
    uri = bucket.put(None, raw=data)
    ended = job.start(LYFTLEARN_ENV_URI=uri, LYFTLEARN_HYPERPARAMETERS_URI=bucket.put({"epochs": 1}))
    assert ended.code == 65, ended.err
    assert says in ended.line
    assert "hidden-value" not in ended.err + job.failure
    assert job.left_behind() - before == {"opt/ml/output/failure"}
    job.write("/opt/ml/input/data/lyftlearn/environment.json", data)
    assert job.start().code == 65


def test_a_directory_in_the_place_of_a_document(job: Job) -> None:
    job.path("/opt/ml/input/data/lyftlearn/environment.json").mkdir(parents=True)
    ended = job.start()
    assert ended.code == 65
    assert "/opt/ml/input/data/lyftlearn/environment.json" in ended.line
    assert "directory" in ended.line


def test_a_byte_order_mark_is_no_error(job: Job, bucket: Bucket) -> None:
    assert job.start(LYFTLEARN_ENV_URI=bucket.put(None, raw=b'\xef\xbb\xbf{"A": "1"}')).env["A"] == "1"


def test_a_digest_that_does_not_match(job: Job, bucket: Bucket) -> None:
    uri = bucket.put({"A": "hidden-value"})
    digest = "0" * 64
    ended = job.start(LYFTLEARN_ENV_URI=f"{uri}#sha256={digest}")
    assert ended.code == 65
    for word in (uri, "sha256", "000000", "stage again"):
        assert word in ended.line
    assert "hidden-value" not in ended.err


@pytest.mark.parametrize("form", ["length", "chunked", "until it closes"])
def test_20_mb_are_refused_before_they_are_read(job: Job, form: str) -> None:
    """By the header where there is one, at the limit where not: the server is not drained."""
    size = 20_000_000
    head = (
        b"HTTP/1.1 200 OK\r\n"
        + {
            "length": b"Content-Length: %d\r\n\r\n" % size,
            "chunked": b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % size,
            "until it closes": b"\r\n",
        }[form]
    )
    most = 200 << 20
    with closing(Pouring(head, most)) as server:
        ended = job.start(LYFTLEARN_ENV_URI="s3://bucket/large.json", AWS_ENDPOINT_URL_S3=server.url)
        poured = server.poured
    assert ended.code == 65
    assert "s3://bucket/large.json" in ended.line
    assert str(LIMIT) in ended.line
    if form == "length":
        assert str(size) in ended.line
    assert ended.seconds < 20  # the deadline is 60
    room = 8 << 20  # socket buffers of both sides
    assert poured <= room + (LIMIT if form == "until it closes" else 0)


def test_20_mb_in_s3_and_in_the_channel(job: Job, bucket: Bucket) -> None:
    data = json.dumps({"A": "hidden-value" * 1_700_000}).encode()
    ended = job.start(LYFTLEARN_ENV_URI=bucket.put(None, raw=data))
    assert ended.code == 65
    assert str(len(data)) in ended.line
    job.write("/opt/ml/input/data/lyftlearn/environment.json", data)
    ended = job.start()
    assert ended.code == 65
    assert "/opt/ml/input/data/lyftlearn/environment.json" in ended.line


@pytest.mark.parametrize("uri", ["s3://lyftlearn-local/no/such/key.json", "s3://no-such-bucket-here/key.json"])
def test_what_is_not_there_is_66(job: Job, uri: str) -> None:
    ended = job.start(LYFTLEARN_ENV_URI=uri)
    assert ended.code == 66
    assert uri in ended.line
    assert "404" in ended.line


def xml(code: str, message: str = "") -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


def test_access_refused_is_77_and_names_the_action(job: Job) -> None:
    message = "User: arn:aws:sts::123456789012:assumed-role/night/SageMaker is not authorized to perform: s3:GetObject"
    with serve(lambda _: answer(403, xml("AccessDenied", message))) as server:
        ended = job.start(LYFTLEARN_ENV_URI="s3://bucket/key.json", AWS_ENDPOINT_URL_S3=server.url)
        assert len(server.requests) == 1
    assert ended.code == 77
    for word in ("s3://bucket/key.json", "AccessDenied", "s3:GetObject", "assumed-role/night"):
        assert word in ended.line


def test_s3_that_is_not_well_is_asked_again(job: Job, platform: Platform, bucket: Bucket) -> None:
    uri = bucket.put({"A": "1"})
    with relay(platform.aws_url, lambda number, _: answer(503, xml("SlowDown")) if number == 1 else None) as server:
        assert job.start(LYFTLEARN_ENV_URI=uri, AWS_ENDPOINT_URL_S3=server.url).env["A"] == "1"
        assert len(server.requests) == 2


def test_s3_that_never_is_well_is_69_in_time(job: Job) -> None:
    with serve(lambda _: answer(503, xml("SlowDown"))) as server:
        ended = job.start(LYFTLEARN_ENV_URI="s3://bucket/key.json", AWS_ENDPOINT_URL_S3=server.url, LYFTLEARN_DEADLINE="2")
    assert ended.code == 69
    assert "503 (SlowDown)" in ended.line
