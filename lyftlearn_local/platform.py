"""The embedded platform: AWS by moto, the real Confidant, a StatsD gateway and a credentials endpoint, all on one address."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from lyftlearn_local.children import Child
from lyftlearn_local.confidant import venv
from lyftlearn_local.confidant.admin import Confidant
from lyftlearn_local.gateway import Gateway
from lyftlearn_local.link_local import Document, LinkLocal

if TYPE_CHECKING:
    from types import TracebackType

REGION = "us-east-1"
ACCOUNT = "123456789012"  # moto's
ROLE = f"arn:aws:iam::{ACCOUNT}:role/lyftlearn-execution"
BUCKET = "lyftlearn-local"
SERVICE = "lyftlearn-local"
AUTH_CONTEXT = "confidant-local"
AUTH_KEY, AT_REST_KEY, BLIND_KEY = "alias/confidant-auth", "alias/confidant-at-rest", "alias/confidant-blind"
_LIFETIME = 3600  # seconds: sts:AssumeRole's default; its least is 900
# moto takes any key; these are only for our own administration of it.
_OPERATOR = {"aws_access_key_id": "operator", "aws_secret_access_key": "operator"}


class Platform:
    """Started by `with Platform() as platform` (or start and stop). Nothing outlives it, also when this process is killed.

    `confidant` False leaves Confidant out (a second less, and no virtual environment to build). `say` gets a line where it takes time.
    `host` is the address, one of this machine's, on which all of it listens, and on no other.
    Raises children.DidNotStart and confidant.venv.CannotBuild; OSError where this machine does not have the address.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        confidant: bool = True,
        cache: "Path | None" = None,
        gateway_port: int = 0,
        host: str = "127.0.0.1",
    ) -> None:
        self.host = host
        self._say = say
        self._wants_confidant = confidant
        self._cache = cache
        self._gateway_port = gateway_port
        self._stops: list[Callable[[], None]] = []
        self.region = REGION
        self.bucket = BUCKET

    def __enter__(self) -> "Platform":
        self.start()
        return self

    def __exit__(self, kind: "type[BaseException] | None", error: "BaseException | None", trace: "TracebackType | None") -> None:
        self.stop()

    def start(self) -> None:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stops everything, last started first. Safe to call twice."""
        while self._stops:
            self._stops.pop()()

    def _start(self) -> None:
        environ = dict(os.environ)
        python = venv.python(environ, self._say, self._cache) if self._wants_confidant else None
        self.directory = Path(tempfile.mkdtemp(prefix="lyftlearn-platform-"))
        self._stops.append(lambda: shutil.rmtree(self.directory, ignore_errors=True))
        plain = {name: value for name, value in environ.items() if not name.startswith(("AWS_", "PYTHON", "LYFTLEARN_"))}
        plain.update(AWS_ACCESS_KEY_ID="server", AWS_SECRET_ACCESS_KEY="server", AWS_DEFAULT_REGION=REGION)
        plain.update(NO_PROXY=self.host, no_proxy=self.host)
        self.gateway = Gateway(self._gateway_port, self.host)  # the first to listen: it says at once when that cannot be
        self._stops.append(self.gateway.stop)
        serve = str(Path(__file__).resolve().parent / "moto_process.py")
        moto = Child("moto", [sys.executable, "-I", serve, self.host], plain, self.log("moto"))
        self._stops.append(moto.stop)
        self.aws_url = f"http://{self.host}:{moto.port()}"
        self.client("s3").create_bucket(Bucket=BUCKET)
        self._role()
        pages: dict[str, Callable[[], object]] = {"/statsd": lambda: self.gateway.counts().facts()}
        self.link_local = LinkLocal(self._mint, _LIFETIME, pages, self.host)
        self._stops.append(self.link_local.stop)
        if python is not None:
            self._confidant(python, plain)

    def log(self, name: str) -> Path:
        """The log file of one of the servers."""
        return self.directory / f"{name}.log"

    def client(self, service: str) -> Any:
        """A boto3 client of one of moto's services, as an operator."""
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.aws_url,
            region_name=REGION,
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, proxies={}),
            **_OPERATOR,
        )

    def key(self, alias: str) -> str:
        """Makes a KMS key with an alias (`alias/NAME`), gives its id."""
        kms = self.client("kms")
        key_id = str(kms.create_key()["KeyMetadata"]["KeyId"])
        kms.create_alias(AliasName=alias, TargetKeyId=key_id)
        return key_id

    def _role(self) -> None:
        trust = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, '
        trust += '"Action": "sts:AssumeRole"}]}'
        self.client("iam").create_role(RoleName=ROLE.rsplit("/", 1)[1], AssumeRolePolicyDocument=trust)

    def _mint(self) -> Document:
        reply = self.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="SageMaker", DurationSeconds=_LIFETIME)["Credentials"]
        return {
            "RoleArn": ROLE,
            "AccessKeyId": reply["AccessKeyId"],
            "SecretAccessKey": reply["SecretAccessKey"],
            "Token": reply["SessionToken"],
            "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(reply["Expiration"].timestamp())),
        }

    def _confidant(self, python: Path, environ: "dict[str, str]") -> None:
        for alias in (AUTH_KEY, AT_REST_KEY, BLIND_KEY):  # before the server starts: it looks its key up once
            self.key(alias)
        settings = {
            "AUTH_CONTEXT": AUTH_CONTEXT,
            "AUTH_KEY": AUTH_KEY,
            "USER_AUTH_KEY": AUTH_KEY,
            "KMS_MASTER_KEY": AT_REST_KEY,
            "KMS_AUTH_USER_TYPES": "user,service",
            "KMS_AUTH_MANAGE_GRANTS": "false",
            "BACKGROUND_CACHE_IAM_ROLES": "false",
            "DYNAMODB_TABLE": "confidant",
            "DYNAMODB_CREATE_TABLE": "true",
            "DYNAMODB_URL": self.aws_url,
            "KMS_URL": self.aws_url,
            "AWS_ENDPOINT_URL": self.aws_url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "SESSION_SECRET": os.urandom(16).hex(),
            "SSLIFY": "false",
            "STATSD_HOST": "127.0.0.1",
            "STATSD_PORT": "9",  # discard (RFC 863): its own metrics would land at whoever listens on 8125, a pod's sidecar for one
        }
        serve = str(Path(venv.__file__).resolve().parent / "serve.py")
        server = Child("Confidant", [str(python), "-I", serve, self.host], {**environ, **settings}, self.log("confidant"))
        self._stops.append(server.stop)
        url = f"http://{self.host}:{server.port()}"
        self.confidant = Confidant(url, self.client("kms"), REGION, AUTH_KEY, AUTH_CONTEXT, BLIND_KEY)
        self._stops.append(self.confidant.close)

    def pointers(self, service: str = "") -> "dict[str, str]":
        """The variables that point a container at this platform. With `service`, its credentials are fetched from Confidant."""
        names = {
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.aws_url,
            **self.link_local.variables,
            "LYFTLEARN_STATSD_GATEWAY": f"{self.host}:{self.gateway.port}",
        }
        if service:
            names["LYFTLEARN_CONFIDANT_URL"] = self.confidant.url
            names["LYFTLEARN_CONFIDANT_SERVICE"] = service
            names["LYFTLEARN_CONFIDANT_AUTH_KEY"] = AUTH_KEY
            names["LYFTLEARN_CONFIDANT_AUTH_CONTEXT"] = AUTH_CONTEXT
        return names
