"""S3 and STS by moto, and a container's credentials endpoint, on one address of this machine. Signatures are checked."""

import re
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from lyftlearn_local.children import Child
from lyftlearn_local.link_local import LinkLocal

REGION = "us-east-1"
BUCKET = "spark-tests"
ROLE = "arn:aws:iam::123456789012:role/spark-tests"
_POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
_TRUST = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}'


class Storage:
    """A bucket, a user's `keys` (id and secret) and a role's, by `link_local`. From the end of __init__ on nobody else gets in, unless
    `guarded` is False: moto cannot check a request without a signature (sts:AssumeRoleWithWebIdentity), nor one of the AWS SDK for Java 1,
    which signs its User-Agent too."""

    def __init__(self, address: str = "127.0.0.1", guarded: bool = True) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="lyftlearn-storage-")
        self._log = Path(self._directory.name, "moto.log")
        self.minted: set[str] = set()  # ids of the keys that `mint` gave
        environ = {"AWS_ACCESS_KEY_ID": "server", "AWS_SECRET_ACCESS_KEY": "server", "AWS_DEFAULT_REGION": REGION, "PATH": "/usr/bin:/bin"}
        server = Path(__file__).with_name("moto_server.py")
        self._moto = Child("moto", [sys.executable, str(server), address], environ, self._log)
        try:
            self.url = f"http://{address}:{self._moto.port()}"
            self.keys = ("setup", "setup")
            self.client("s3").create_bucket(Bucket=BUCKET)
            self.client("iam").create_role(RoleName=ROLE.rpartition("/")[2], AssumeRolePolicyDocument=_TRUST)
            self.client("iam").put_role_policy(RoleName=ROLE.rpartition("/")[2], PolicyName="all", PolicyDocument=_POLICY)
            self.client("iam").create_user(UserName="tester")
            self.client("iam").put_user_policy(UserName="tester", PolicyName="all", PolicyDocument=_POLICY)
            made = self.client("iam").create_access_key(UserName="tester")["AccessKey"]
            self.keys = (made["AccessKeyId"], made["SecretAccessKey"])
            # moto's documentation, "IAM-like Access Control": from now on keys, signatures and policies count.
            request = urllib.request.Request(self.url + "/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"})
            if guarded:
                urllib.request.urlopen(request, timeout=120).close()
            self._settled = self._log.stat().st_size
            self.link_local = LinkLocal(self.mint, 3600, host=address)
        except BaseException:
            self._moto.stop()
            raise

    def client(self, service: str) -> Any:
        """A boto3 client with the user's keys."""
        key, secret = self.keys
        options = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, proxies={})
        return boto3.client(  # type: ignore[call-overload]
            service, endpoint_url=self.url, region_name=REGION, aws_access_key_id=key, aws_secret_access_key=secret, config=options
        )

    @property
    def static(self) -> "dict[str, str]":
        """The user's keys as variables."""
        return {"AWS_ACCESS_KEY_ID": self.keys[0], "AWS_SECRET_ACCESS_KEY": self.keys[1]}

    @property
    def hadoop(self) -> "dict[str, str]":
        """What S3A is told of this S3, as Spark's properties. Parts are small, so that there are some."""
        settings = {
            "endpoint": self.url,
            "endpoint.region": REGION,
            "path.style.access": "true",
            "connection.ssl.enabled": "false",
            "multipart.size": "5M",
            "multipart.threshold": "6M",
        }
        return {"spark.hadoop.fs.s3a." + name: value for name, value in settings.items()}

    def objects(self, prefix: str) -> "dict[str, str]":
        """ETag of each object below a prefix, by its name."""
        found = self.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return {entry["Key"].removeprefix(prefix): entry["ETag"].strip('"') for entry in found}

    def callers(self) -> "set[str]":
        """Ids of all keys that requests were signed with since, and `-` where one was not. Temporary keys begin with ASIA."""
        found = re.findall(rb"^caller (\S+)$", self._log.read_bytes()[self._settled :], re.MULTILINE)
        return {key.decode() for key in found}

    def close(self) -> None:
        self.link_local.stop()
        self._moto.stop()
        self._directory.cleanup()

    def mint(self) -> "dict[str, str]":
        """Temporary keys of the role, as a container's credentials endpoint says them."""
        made = self.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="spark")["Credentials"]
        self.minted.add(made["AccessKeyId"])
        return {
            "RoleArn": ROLE,
            "AccessKeyId": made["AccessKeyId"],
            "SecretAccessKey": made["SecretAccessKey"],
            "Token": made["SessionToken"],
            "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(made["Expiration"].timestamp())),
        }
