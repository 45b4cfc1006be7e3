"""Staged documents: their URIs, and what is accepted as a document."""

import gzip
import hashlib
import json
import tracemalloc
import zlib
from pathlib import Path

import pytest

from lyftlearn_entrypoint.context import CHANNEL
from lyftlearn_entrypoint.errors import BadDocument
from lyftlearn_entrypoint.fetch.digest import sha256_hex
from lyftlearn_entrypoint.fetch.staged import ENVIRONMENT, LIMIT, decode, from_channel, from_s3, parse_uri
from tests.unit.helpers import refused, short, tree

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("s3://bucket/key", ("bucket", "key", "", "")),
        ("s3://my.bucket-1/a/b/c.json", ("my.bucket-1", "a/b/c.json", "", "")),
        ("s3://b/k?versionId=3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY", ("b", "k", "3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY", "")),
        ("s3://b/k#sha256=" + HEX, ("b", "k", "", HEX)),
        ("s3://b/k#sha256=" + HEX.upper(), ("b", "k", "", HEX)),
        ("s3://b/k?versionId=v#sha256=" + HEX, ("b", "k", "v", HEX)),
        ("s3://b/a key+with ünïcode%20", ("b", "a key+with ünïcode%20", "", "")),
        ("s3://b/what?is=this", ("b", "what?is=this", "", "")),
        ("s3://b//double//slash/", ("b", "/double//slash/", "", "")),
    ],
)
def test_uri(text: str, parts: tuple[str, str, str, str]) -> None:
    uri = parse_uri(text)
    assert (uri.bucket, uri.key, uri.version, uri.sha256) == parts
    assert str(uri) == f"s3://{parts[0]}/{parts[1]}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bucket/key",
        "S3://bucket/key",
        "s3://",
        "s3://bucket",
        "s3://bucket/",
        "s3:///key",
        "s3://buc ket/key",
        "s3://user@bucket/key",
        "s3://bucket/key?versionId=",
        "s3://bucket/key#",
        "s3://bucket/key#sha256",
        "s3://bucket/key#sha256=",
        "s3://bucket/key#sha256=" + HEX[1:],
        "s3://bucket/key#sha256=" + HEX[1:] + "g",
        "s3://bucket/key#md5=" + HEX,
        "s3://bucket/key#sha256=" + HEX + "?versionId=v",
        "s3://bucket/line\nbreak",
        "s3://bucket/key?versionId=a\x00b",
    ],
)
def test_uri_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"s3://bucket/key|versionId|sha256|control"):
        parse_uri(text)


DOCUMENT = {"A": "1", "ä": "€\n", "empty": ""}
PLAIN = json.dumps(DOCUMENT, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "data",
    [
        PLAIN,
        b"\xef\xbb\xbf" + PLAIN,
        b"\n\t " + PLAIN + b"\r\n",
        json.dumps(DOCUMENT).encode(),
        gzip.compress(PLAIN, mtime=0),
        gzip.compress(PLAIN, 0, mtime=0),
        gzip.compress(b"\xef\xbb\xbf" + PLAIN, mtime=0),
    ],
    ids=short,
)
def test_document(data: bytes) -> None:
    assert decode(data, "here") == DOCUMENT


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "it is empty"),
        (b"   ", "it is empty"),
        (b"A=1\nB=2\n", "it is not JSON at line 1"),
        (PLAIN[:-1], "it ends too early"),
        (PLAIN + PLAIN, "something follows"),
        ('{"A": "\xe4"}'.encode("latin-1"), "not UTF-8"),
        (json.dumps(DOCUMENT).encode("utf-16"), "not UTF-8"),
        (b'{"A": "1", "A": "2"}', "'A' stands twice"),
        (b"[]", "an array, not a JSON object"),
        (b'"text"', "a string, not a JSON object"),
        (b"null", "null, not a JSON object"),
        (b"7", "a number, not a JSON object"),
        (b"[" * 100_000, "nested too deeply"),
        (gzip.compress(PLAIN, mtime=0)[:-9], "gzip that ends too early"),
        (gzip.compress(PLAIN, mtime=0)[:2], "gzip that ends too early"),
        (gzip.compress(PLAIN, mtime=0)[:-8] + b"\0" * 8, "gzip that cannot be unpacked"),
        (b"\x1f\x8b" + PLAIN, "gzip that cannot be unpacked"),
        (gzip.compress(PLAIN, mtime=0) + b"more", "gzip with something behind it"),
        (gzip.compress(b"[]", mtime=0), "an array"),
        (gzip.compress(gzip.compress(PLAIN, mtime=0), mtime=0), "is not a JSON document"),
        (zlib.compress(PLAIN), "is not a JSON document"),
        (b" " * (LIMIT + 1), f"at most {LIMIT}"),
        (gzip.compress(b" " * (LIMIT + 1), mtime=0), "unpacked"),
    ],
    ids=short,
)
def test_document_that_is_none(data: bytes, says: str) -> None:
    error = refused(BadDocument, lambda: decode(data, "s3://bucket/key"))
    assert error.what.startswith("s3://bucket/key")
    assert says in error.what
    assert error.remedy


def test_largest_document() -> None:
    data = b'{"A":"' + b"x" * (LIMIT - 8) + b'"}'
    assert len(data) == LIMIT
    assert len(decode(data, "here")["A"]) == LIMIT - 8
    assert len(decode(gzip.compress(data, 1, mtime=0), "here")["A"]) == LIMIT - 8


def test_gzip_bomb_is_not_unpacked() -> None:
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = b"".join([bomb.compress(bytes(1 << 20)) for _ in range(128)] + [bomb.flush()])
    assert len(data) < LIMIT
    tracemalloc.start()
    try:
        error = refused(BadDocument, lambda: decode(data, "here"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "unpacked" in error.what
    assert peak < 4 * LIMIT  # all of it would be 8 times that


@pytest.mark.parametrize(
    "data",
    [b'{"A": "hunter2"', b'{"A": hunter2}', b'["hunter2"]', b'"hunter2"', b'{"A": "hunter2\xff"}', b'{"hunter2\x01": ""}'],
    ids=short,
)
def test_error_never_quotes_the_document(data: bytes) -> None:
    assert "hunter2" not in str(refused(BadDocument, lambda: decode(data, "here")))
    assert "hunter2" not in str(refused(BadDocument, lambda: decode(gzip.compress(data, mtime=0), "here")))


# The two routes --------------------------------------------------------------------------------------------------------------------


def test_channel(tmp_path: Path) -> None:
    files = tree(tmp_path, {CHANNEL + "/" + ENVIRONMENT: gzip.compress(PLAIN, mtime=0)})
    document = from_channel(files, ENVIRONMENT)
    assert document is not None
    assert (document.value, document.origin, document.size) == (
        DOCUMENT,
        "/opt/ml/input/data/lyftlearn/environment.json",
        len(gzip.compress(PLAIN, mtime=0)),
    )
    assert from_channel(files, "hyperparameters.json") is None


def test_channel_with_a_document_that_is_too_large(tmp_path: Path) -> None:
    files = tree(tmp_path, {CHANNEL + "/" + ENVIRONMENT: b" " * (LIMIT + 1)})
    assert "at most" in refused(BadDocument, lambda: from_channel(files, ENVIRONMENT)).what


def test_channel_that_cannot_be_read(tmp_path: Path) -> None:
    files = tree(tmp_path, {CHANNEL + "/" + ENVIRONMENT + "/": ""})
    assert "cannot be read: Is a directory" in refused(BadDocument, lambda: from_channel(files, ENVIRONMENT)).what


class Bucket:
    """The one call of the S3 client that is used here."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.asked: list[object] = []

    def get(self, bucket: str, key: str, version: "str | None", limit: int) -> bytes:
        self.asked += [bucket, key, version, limit]
        return self.data


@pytest.mark.parametrize("data", [PLAIN, gzip.compress(PLAIN, mtime=0)], ids=short)
def test_s3_checks_the_sum_of_the_bytes_as_stored(data: bytes) -> None:
    bucket = Bucket(data)
    document = from_s3("s3://b/k?versionId=v#sha256=" + hashlib.sha256(data).hexdigest(), bucket.get)
    assert bucket.asked == ["b", "k", "v", LIMIT]
    assert (document.value, document.origin, document.size) == (DOCUMENT, "s3://b/k", len(data))


def test_s3_without_version_and_sum() -> None:
    bucket = Bucket(PLAIN)
    assert from_s3("s3://b/k", bucket.get).value == DOCUMENT
    assert bucket.asked == ["b", "k", None, LIMIT]


@pytest.mark.parametrize("data", [PLAIN + b" ", gzip.compress(PLAIN, mtime=0), b"<html>"], ids=short)
def test_s3_sum_that_does_not_match_is_an_error(data: bytes) -> None:
    error = refused(BadDocument, lambda: from_s3("s3://b/k#sha256=" + hashlib.sha256(PLAIN).hexdigest(), Bucket(data).get))
    assert "sha256" in error.what
    assert "stage again" in error.remedy


@pytest.mark.parametrize("data", [b"", b"abc", bytes(range(256)) * 999], ids=short)
def test_sum_is_sha256(data: bytes) -> None:
    assert sha256_hex(data) == hashlib.sha256(data).hexdigest()
