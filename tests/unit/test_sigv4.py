"""Signatures, equal byte for byte to botocore's over generated requests. The seeds are fixed: a failure can be repeated."""

import calendar
import hashlib
import hmac
import random
import time
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.session import Session

from lyftlearn_entrypoint.fetch.credentials import Credentials
from lyftlearn_entrypoint.fetch.endpoints import endpoint, s3_url
from lyftlearn_entrypoint.fetch.sigv4 import hmac_sha256, sign
from lyftlearn_entrypoint.fetch.url import quote, split

# What keys are made of: plain, what must be encoded, what looks encoded, dot segments, empty segments, beyond ASCII.
PIECES = [
    "a",
    "Zz",
    "0",
    "-",
    "_",
    ".",
    "~",
    "/",
    "//",
    "..",
    " ",
    "+",
    "%",
    "%20",
    "&",
    "=",
    "?",
    "#",
    ";",
    ":",
    "@",
    "!",
    "*",
    "'",
    "(",
    ")",
    "$",
]
PIECES += [",", '"', "<", "\\", "^", "`", "|", "\u00e9", "\u20ac", "\U0001f600", "\u0301"]
ROUNDS = 60


def words(chance: random.Random, pieces: list[str], longest: int) -> str:
    return "".join(chance.choice(pieces) for _ in range(chance.randint(1, longest)))


def key_pair(chance: random.Random) -> Credentials:
    token = words(chance, ["a", "B", "9", "+", "/", "="], 300) if chance.random() < 0.7 else None
    return Credentials("AKIA" + words(chance, ["A", "7"], 16), words(chance, ["s", "/", "+", "9"], 80), token, "test")


class Captured(Exception):
    """Stops a client right before it would send."""


def capture(client: Any, operation: str, **arguments: object) -> Any:
    """The request that botocore would send."""
    seen: list[Any] = []

    def keep(request: Any, **_: object) -> AWSResponse:
        seen.append(request)
        raise Captured

    event = f"before-send.{client.meta.service_model.service_name}"
    client.meta.events.register(event, keep)
    try:
        with pytest.raises(Captured):
            getattr(client, operation)(**arguments)
    finally:
        client.meta.events.unregister(event, keep)
    return seen[0]


def text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def assert_same(theirs: Any, url: str, credentials: Credentials, region: str, service: str, extra: dict[str, str], body: bytes) -> None:
    """`theirs` is botocore's signed request; ours is signed for the same moment, with the headers that only botocore adds."""
    given = {name.lower(): text(value) for name, value in theirs.headers.items()}
    now = calendar.timegm(time.strptime(given["x-amz-date"], "%Y%m%dT%H%M%SZ"))
    names = given["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    ours_alone = ("host", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256")
    headers = {**extra, **{name: given[name] for name in names if name not in ours_alone and name not in {key.lower() for key in extra}}}
    mine = {
        name.lower(): value for name, value in sign(theirs.method, split(url), headers, body, credentials, region, service, now).items()
    }
    assert mine["authorization"] == given["authorization"]
    for name in ours_alone[1:]:
        assert mine.get(name) == given.get(name)


S3_PLACES = [
    ("us-east-1", None),
    ("eu-central-1", None),
    ("us-gov-west-1", None),
    ("cn-north-1", None),
    ("us-west-2", "http://127.0.0.1:5000"),
    ("us-west-2", "https://s3.internal.example:8443/with/path"),
]


@pytest.mark.parametrize(("region", "custom"), S3_PLACES)
def test_s3_get_object_is_what_botocore_sends(region: str, custom: str | None) -> None:
    """The URL (virtual host or path, encoding) and the signature."""
    chance = random.Random(f"s3 {region} {custom}")
    environ = {} if custom is None else {"AWS_ENDPOINT_URL_S3": custom}
    config = Config(
        s3={"us_east_1_regional_endpoint": "regional"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"total_max_attempts": 1},
    )
    for _ in range(3):
        pair = key_pair(chance)
        client = Session().create_client(
            "s3",
            region_name=region,
            endpoint_url=custom,
            config=config,
            aws_access_key_id=pair.access_key,
            aws_secret_access_key=pair.secret_key,
            aws_session_token=pair.token,
        )
        for _ in range(ROUNDS):
            bucket = chance.choice(["plain-bucket-1", "with.dots.example", "abc", "a" * 63])
            key = words(chance, PIECES, 12)
            version = words(chance, ["v", "9", "+", "/", "=", "&", " ", "_", "."], 20) if chance.random() < 0.4 else None
            arguments = {"Bucket": bucket, "Key": key, **({} if version is None else {"VersionId": version})}
            theirs = capture(client, "get_object", **arguments)
            url = s3_url(environ, region, bucket, key, version)
            assert url == theirs.url
            assert_same(theirs, url, pair, region, "s3", {}, b"")


@pytest.mark.parametrize(
    ("region", "custom"),
    [
        ("us-east-1", None),
        ("us-gov-east-1", None),
        ("cn-northwest-1", None),
        ("eu-west-1", "http://127.0.0.1:5000"),
        ("eu-west-1", "https://k.example/x/y"),
    ],
)
def test_kms_encrypt_is_what_botocore_sends(region: str, custom: str | None) -> None:
    chance = random.Random(f"kms {region} {custom}")
    environ = {} if custom is None else {"AWS_ENDPOINT_URL_KMS": custom}
    pair = key_pair(chance)
    client = Session().create_client(
        "kms",
        region_name=region,
        endpoint_url=custom,
        aws_access_key_id=pair.access_key,
        aws_secret_access_key=pair.secret_key,
        aws_session_token=pair.token,
    )
    for _ in range(ROUNDS):
        context = {words(chance, PIECES, 5): words(chance, PIECES, 9)}
        theirs = capture(client, "encrypt", KeyId="alias/" + words(chance, ["a", "b"], 9), Plaintext=b"x", EncryptionContext=context)
        url = endpoint(environ, "kms", region)
        assert url == theirs.url.removesuffix("/")  # both ask for /
        extra = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "TrentService.Encrypt"}
        assert_same(theirs, url, pair, region, "kms", extra, theirs.body)


def test_any_request_is_signed_as_botocores_signer_does() -> None:
    """Paths with dot segments, odd queries, headers with runs of spaces, empty and large bodies, odd ports."""
    chance = random.Random("any")
    for _ in range(400):
        service = chance.choice(["s3", "kms", "execute-api"])
        path = quote("/" + words(chance, chance.choice([PIECES, ["/", "/", "..", ".", "a", "b"]]), 12), b"/%")
        query = "&".join(
            quote(words(chance, PIECES, 3)) + chance.choice(["", "=" + quote(words(chance, PIECES, 3))])
            for _ in range(chance.randint(0, 4))
        )
        host = chance.choice(["kms.us-east-1.amazonaws.com", "KMS.Example:8443", "127.0.0.1:80", "[::1]:5000"])
        url = chance.choice(["http://", "https://"]) + host + path + ("?" + query if query else "")
        headers = {"Content-Type": words(chance, ["a", " ", "  ", ";"], 9), "X-Amz-Target": "  a   b "}
        body = chance.randbytes(chance.choice([0, 1, 200]))
        pair = key_pair(chance)
        theirs = AWSRequest(chance.choice(["GET", "POST"]), url, dict(headers), body)
        signer = (S3SigV4Auth if service == "s3" else SigV4Auth)(
            BotocoreCredentials(pair.access_key, pair.secret_key, pair.token), service, "eu-west-1"
        )
        signer.add_auth(theirs)
        assert_same(theirs, url, pair, "eu-west-1", service, headers, body)


def test_hmac_is_hmac() -> None:
    chance = random.Random("hmac")
    for size in [0, 1, 32, 63, 64, 65, 200]:
        key, message = chance.randbytes(size), chance.randbytes(size * 3)
        assert hmac_sha256(key, message) == hmac.new(key, message, hashlib.sha256).digest()
