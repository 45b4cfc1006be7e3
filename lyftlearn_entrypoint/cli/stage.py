"""`lyftlearn stage`: put an environment and hyperparameters where a job of any size can fetch them.

Keys are content-addressed, so staging twice writes once, and no job's document can be overwritten by another's.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml

from lyftlearn_entrypoint.adapt import hyperparameters as hyper
from lyftlearn_entrypoint.adapt.environment import staged_variables
from lyftlearn_entrypoint.errors import BadDocument, BadSettings, Missing, Refused, StartError, Unavailable
from lyftlearn_entrypoint.fetch.staged import ENVIRONMENT, HYPERPARAMETERS, LIMIT, decode, parse_uri

if TYPE_CHECKING:
    from collections.abc import Mapping

CHANNEL = "lyftlearn"
SHORTEST_VALUE = 256  # botocore 1.44 service model: ProcessingEnvironmentValue and Studio's NonEmptyString256
VARIABLES = {ENVIRONMENT: "LYFTLEARN_ENV_URI", HYPERPARAMETERS: "LYFTLEARN_HYPERPARAMETERS_URI"}


class Staged:
    """What staging came to: the variables to pass, the prefix for a channel, and what was written or was there."""

    def __init__(self) -> None:
        self.variables: dict[str, str] = {}
        self.channel = ""
        self.written: list[str] = []
        self.present: list[str] = []


class _Loader(yaml.SafeLoader):
    """YAML as documents.parse reads JSON: a name that stands twice is an error, since either value would be lost in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in seen:
                    place = f"line {key.start_mark.line + 1}"
                    raise BadDocument(
                        f"the name {key.value!r} stands twice in one mapping, the second time at {place}", "Take one of them away"
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_document(path: str, name: str) -> dict[str, Any]:
    """A document from a JSON or YAML file, or `-` for standard input. Raises BadDocument (65)."""
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise Missing(f"{path} cannot be read: {error.strerror}") from None
    origin = "standard input" if path == "-" else path
    if Path(path).suffix in (".yaml", ".yml"):
        try:
            value = yaml.load(data, Loader=_Loader)  # noqa: S506  (it is a SafeLoader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            raise BadDocument(f"{origin} is not YAML" + (f" at line {mark.line + 1}" if mark else "")) from None
        except BadDocument as error:
            raise BadDocument(f"{origin}: {error.what}", error.remedy) from None
        # Dates and the like have no JSON form; say so rather than guess one.
        try:
            value = decode(json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass"), origin)
        except (TypeError, ValueError) as error:
            raise BadDocument(f"{origin} holds what JSON cannot: {error}", "Quote dates and times") from None
    else:
        value = decode(data, origin)
    if name == ENVIRONMENT:
        _, warnings = staged_variables(value, origin)
        for warning in warnings:
            click.echo(f"lyftlearn: warning: {warning}", err=True)
    else:
        hyper.merge(value, {}, origin)
    return value


def compact(document: Mapping[str, Any]) -> bytes:
    """The bytes of a document: compact, UTF-8. Names keep their order: a program may see that of a nested value."""
    data = json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    if len(data) > LIMIT:
        raise BadDocument(
            f"the document has {len(data)} bytes; at most {LIMIT} are taken", "Keep data in files or channels, not in this document"
        )
    return data


def stage_documents(
    s3: Any, to: str, documents: Mapping[str, Mapping[str, Any]], channel: bool = False, kms_key_id: str | None = None
) -> Staged:
    """Upload documents (file name to object) below `to`, s3://BUCKET[/PREFIX], with a boto3 S3 client.

    A key is PREFIX/<sha256 of the bytes>/<file name>; for a channel, which takes one prefix, the digest is that of all documents.
    Raises StartError: 65, 66, 69, 77 or 78.
    """
    bucket, prefix = _target(to)
    bodies = {name: compact(document) for name, document in documents.items()}
    together = hashlib.sha256(b"".join(name.encode() + b"\0" + hashlib.sha256(body).digest() for name, body in sorted(bodies.items())))
    staged = Staged()
    for name, body in bodies.items():
        digest = hashlib.sha256(body).hexdigest()
        key = prefix + (together.hexdigest() if channel else digest) + "/" + name
        _put(s3, bucket, key, body, kms_key_id, staged)
        staged.variables[VARIABLES[name]] = f"s3://{bucket}/{key}#sha256={digest}"
    if channel:
        staged.channel = f"s3://{bucket}/{prefix}{together.hexdigest()}/"
    return staged


def _target(to: str) -> tuple[str, str]:
    try:
        uri = parse_uri(to.rstrip("/") + "/x")
    except ValueError:
        raise BadSettings(f"--to {to}: it is not s3://BUCKET/PREFIX") from None
    if uri.sha256 or uri.version:
        raise BadSettings(f"--to {to}: a prefix has neither a version nor a digest")
    return uri.bucket, uri.key[:-1]


def _put(s3: Any, bucket: str, key: str, body: bytes, kms_key_id: str | None, staged: Staged, again: int = 3) -> None:
    """Write an object unless it is there. The key names its content, so what is there is it."""
    from botocore.exceptions import BotoCoreError, ClientError

    more = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key_id} if kms_key_id else {}
    place = f"s3://{bucket}/{key}"
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json", IfNoneMatch="*", **more)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "ConditionalRequestConflict" and again:
            _put(s3, bucket, key, body, kms_key_id, staged, again - 1)  # somebody stages the same at this moment
            return
        code = str(error.response.get("Error", {}).get("Code", "?"))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status == 412:
            staged.present.append(place)
            return
        kind: type[StartError] = {403: Refused, 404: Missing}.get(status, Unavailable)
        raise kind(
            f"{place} cannot be written: S3 answered {status} {code}", "Check the bucket's name, and s3:PutObject for this identity"
        ) from None
    except BotoCoreError as error:
        raise Unavailable(
            f"{place} cannot be written: {type(error).__name__}", "Check the network, AWS_REGION and the credentials"
        ) from None
    staged.written.append(place)


def render(staged: Staged, form: str) -> str:
    """What --print prints."""
    if form == "shell":
        return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in staged.variables.items())
    if form == "json":
        return json.dumps(staged.variables, indent=2)
    if form == "request":
        return json.dumps({"Environment": staged.variables}, indent=2)
    source = {"S3DataType": "S3Prefix", "S3Uri": staged.channel, "S3DataDistributionType": "FullyReplicated"}
    channel = {"ChannelName": CHANNEL, "InputMode": "File", "DataSource": {"S3DataSource": source}}
    return json.dumps({"InputDataConfig": [channel]}, indent=2)


@click.command()
@click.option("--to", required=True, metavar="s3://BUCKET/PREFIX", help="Where the documents go.")
@click.option("--environment", metavar="FILE", help="Variables: an object of strings, JSON or YAML; - for standard input.")
@click.option("--hyperparameters", metavar="FILE", help="Hyperparameters: an object of any values, JSON or YAML.")
@click.option(
    "--print",
    "form",
    type=click.Choice(["shell", "json", "request", "channel"]),
    default="shell",
    show_default=True,
    help="export lines; an object of variables; a CreateTrainingJob fragment; or an InputDataConfig channel, which needs no network.",
)
@click.option("--kms-key-id", help="Encrypt with this KMS key instead of the bucket's default.")
def stage(to: str, environment: str | None, hyperparameters: str | None, form: str, kms_key_id: str | None) -> None:
    """Upload documents, content-addressed, and print what to pass to the API."""
    import boto3
    from botocore.exceptions import BotoCoreError

    files = {name: path for name, path in ((ENVIRONMENT, environment), (HYPERPARAMETERS, hyperparameters)) if path}
    if not files:
        raise click.UsageError("Give --environment, --hyperparameters or both.")
    documents = {name: read_document(path, name) for name, path in files.items()}
    try:
        s3 = boto3.client("s3")
    except (BotoCoreError, ValueError) as error:
        raise BadSettings(f"no S3 client can be made: {type(error).__name__}: {error}") from None
    staged = stage_documents(s3, to, documents, channel=form == "channel", kms_key_id=kms_key_id)
    for place in staged.written:
        click.echo(f"staged {place}", err=True)
    for place in staged.present:
        click.echo(f"was there {place}", err=True)
    for name, value in staged.variables.items():
        if form != "channel" and len(value) > SHORTEST_VALUE:
            click.echo(
                f"lyftlearn: warning: {name} has {len(value)} characters; processing jobs and Studio take {SHORTEST_VALUE},"
                " training jobs 512: choose a shorter prefix",
                err=True,
            )
    click.echo(render(staged, form))
