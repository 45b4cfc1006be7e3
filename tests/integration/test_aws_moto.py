"""KMS and S3 against moto, with its signature check and IAM policies switched on."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from lyftlearn_entrypoint.deadline import Deadline
from lyftlearn_entrypoint.errors import BadDocument, Missing, Refused
from lyftlearn_entrypoint.fetch.http import Http
from tests.clients import MIB, aws, text_of

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
