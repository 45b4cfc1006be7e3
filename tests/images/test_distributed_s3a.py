"""Spark on S3: nothing is missing in the small SDK, and reads, writes and commits are real."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.images.conftest import Start
from tests.images.platform_files import readable
from tests.images.spark.jobs import QUICK, RESTRICTED, facts, line_of, mounted, only
from tests.images.spark.storage import BUCKET, ROLE, Storage

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.image("distributed"), pytest.mark.slow]


@pytest.fixture(scope="module")
def line(client: Any, distributed: str) -> str:
    return line_of(client, distributed)


@pytest.fixture
def storage(line: str) -> "Iterator[Storage]":
    made = Storage(guarded=line == "4")
    yield made
    made.close()


# What may be missing: each belongs to a part that is off until somebody switches it on, and brings a library for it.
OPTIONAL = {
    "4": (
        r"com\.amazonaws\.",  # providers made for the AWS SDK 1
        r"software\.amazon\.encryption\.s3\.|software\.amazon\.awssdk\.services\.kms\.",  # client-side encryption
        r"software\.amazon\.awssdk\.(services\.s3\.internal\.|http\.auth\.aws\.)?crt\.",  # AWS's native client, which S3A does not use
        r"org\.(graalvm|jboss\.logging)\.|org\.wildfly\.common\.net\.Substitutions",  # wildfly as a native image, and its messages
    ),
    "3.5": (),
}


def test_every_class_that_s3a_refers_to_is_there(start: Start, distributed: str, line: str, tmp_path: Path) -> None:
    found = facts(start("python", "/code/classes.py", image=distributed, **mounted(readable(tmp_path))))
    assert found["classes"] > 4000
    assert {re.sub(r"[-_][\d.]+.*", "", jar) for jar in found["missing"]} >= {"hadoop-aws", "aws-sdk-s3a", "spark-hadoop-cloud"}
    allowed = re.compile("|".join(OPTIONAL[line]) or "nothing")
    unexpected = {jar: {name: by for name, by in missing.items() if not allowed.match(name)} for jar, missing in found["missing"].items()}
    assert not any(unexpected.values()), unexpected


# The magic committer is everybody's: Spark 4 takes it by itself, since the module for it is there, and a start tells 3.5 to.
COMMITTER = {
    "spark.sql.sources.commitProtocolClass": "org.apache.spark.internal.io.cloud.PathOutputCommitProtocol",
    "spark.sql.parquet.output.committer.class": "org.apache.spark.internal.io.cloud.BindingParquetOutputCommitter",
    "spark.hadoop.mapreduce.outputcommitter.factory.scheme.s3a": "org.apache.hadoop.fs.s3a.commit.S3ACommitterFactory",
    "spark.hadoop.fs.s3a.committer.magic.enabled": "true",
    "spark.hadoop.fs.s3a.committer.staging.tmp.path": "file:///tmp/staging",  # by default below the working directory
}


@pytest.mark.parametrize("committer", ["default", *(pytest.param(each, marks=pytest.mark.thorough) for each in ("magic", "directory"))])
def test_reading_and_writing(start: Start, distributed: str, line: str, storage: Storage, tmp_path: Path, committer: str) -> None:
    """A user's job, as any user on a read-only root; keys as variables, or from the endpoint that each container of AWS has."""
    properties = storage.hadoop | QUICK | ({} if committer == "default" else {**COMMITTER, "spark.hadoop.fs.s3a.committer.name": committer})
    options = mounted(readable(tmp_path), properties)
    options["environment"] |= storage.static if committer == "default" else storage.link_local.variables
    container = start("python", "/code/s3a.py", BUCKET, committer, image=distributed, **RESTRICTED, **options, network_mode="host")
    found = facts(container)
    assert found == {
        "spark": found["spark"],
        "rows": 100_000,
        "sum": sum(range(3, 100_000, 10)),
        "overwritten": 10,
        "moved": True,
        "intact": True,
        "listed": ["file", "moved", "table"],
        "deleted": True,
        "size": 17 << 20,
        "committer": {"default": "magic"}.get(committer, committer),
        "streamed_parts": "-4",
        "login": "user1000680000",
    }
    objects = storage.objects(committer + "/")
    assert [name for name in objects if "_temporary" in name or "__magic" in name] == []
    assert "file" not in objects
    # With its own keys, and with no others: those of `static` are this test's too.
    theirs = storage.callers() - {storage.keys[0]}
    assert {key[:4] for key in theirs} == (set() if committer == "default" else {"ASIA"})


PROVIDERS = {
    "4": [
        "software.amazon.awssdk.auth.credentials.WebIdentityTokenFileCredentialsProvider",
        "software.amazon.awssdk.auth.credentials.ContainerCredentialsProvider",
        "software.amazon.awssdk.auth.credentials.EnvironmentVariableCredentialsProvider",
        "software.amazon.awssdk.auth.credentials.InstanceProfileCredentialsProvider",
        "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider",
        "org.apache.hadoop.fs.s3a.auth.IAMInstanceCredentialsProvider",
        "org.apache.hadoop.fs.s3a.auth.ProfileAWSCredentialsProvider",
        "org.apache.hadoop.fs.s3a.TemporaryAWSCredentialsProvider",
        "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
        "org.apache.hadoop.fs.s3a.AnonymousAWSCredentialsProvider",
    ],
    "3.5": [
        "com.amazonaws.auth.DefaultAWSCredentialsProviderChain",
        "com.amazonaws.auth.WebIdentityTokenCredentialsProvider",
        "com.amazonaws.auth.EC2ContainerCredentialsProviderWrapper",
        "com.amazonaws.auth.EnvironmentVariableCredentialsProvider",
        "org.apache.hadoop.fs.s3a.auth.IAMInstanceCredentialsProvider",
        "org.apache.hadoop.fs.s3a.TemporaryAWSCredentialsProvider",
        "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
        "org.apache.hadoop.fs.s3a.AnonymousAWSCredentialsProvider",
    ],
}


def test_every_provider_of_credentials_can_be_made(start: Start, distributed: str, line: str, tmp_path: Path) -> None:
    """Made, not asked: what needs a network for that is left out (AssumedRoleCredentialProvider)."""
    options = mounted(readable(tmp_path), {"spark.hadoop.fs.s3a.access.key": "k", "spark.hadoop.fs.s3a.secret.key": "s"})
    (tmp_path / "conf/credentials").write_text("[default]\naws_access_key_id = k\naws_secret_access_key = s\n")
    options["environment"] |= {
        "AWS_ROLE_ARN": ROLE,
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/conf/token",
        "AWS_SHARED_CREDENTIALS_FILE": "/conf/credentials",
        "AWS_REGION": "us-east-1",
    }
    found = facts(start("python", "/code/providers.py", *PROVIDERS[line], image=distributed, **options))
    assert found == dict.fromkeys(PROVIDERS[line], "")


def test_a_pods_web_identity(start: Start, distributed: str, line: str, tmp_path: Path) -> None:
    """What EKS gives to a service account with a role: a token in a file, which STS changes for keys."""
    only(line, "4")  # the AWS SDK 1 asks the real STS, whatever it is told
    storage = Storage(guarded=False)
    try:
        provider = "software.amazon.awssdk.auth.credentials.WebIdentityTokenFileCredentialsProvider"
        options = mounted(readable(tmp_path), storage.hadoop | QUICK | {"spark.hadoop.fs.s3a.aws.credentials.provider": provider})
        (tmp_path / "conf/token").write_text("a token of the cluster")
        options["environment"] |= {
            "AWS_ROLE_ARN": ROLE,
            "AWS_WEB_IDENTITY_TOKEN_FILE": "/conf/token",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_STS": storage.url,
        }
        found = facts(start("python", "/code/s3a.py", BUCKET, "identity", image=distributed, **options, network_mode="host"))
        assert found["rows"] == 100_000
        assert {key[:4] for key in storage.callers() - {storage.keys[0]}} == {"-", "ASIA"}
    finally:
        storage.close()
