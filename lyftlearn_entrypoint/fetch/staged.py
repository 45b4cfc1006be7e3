"""Staged documents: what `lyftlearn stage` wrote, read back from an input channel or by a signed GET."""

from lyftlearn_entrypoint.context import CHANNEL
from lyftlearn_entrypoint.documents import NotJson, kind, parse
from lyftlearn_entrypoint.errors import BadDocument
from lyftlearn_entrypoint.fetch.digest import sha256_hex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from lyftlearn_entrypoint.files import Files

ENVIRONMENT = "environment.json"
HYPERPARAMETERS = "hyperparameters.json"

# A document above this is a mistake: the kernel takes about 2 MiB of environment, a Kubernetes ConfigMap holds 1 MiB.
LIMIT = 16 << 20  # bytes, as stored and again after gunzip
_GZIP = b"\x1f\x8b"  # RFC 1952, 2.3.1


class Uri:
    """s3://bucket/key?versionId=V#sha256=HEX, taken apart. `version` and `sha256` are '' where absent."""

    __slots__ = ("bucket", "key", "sha256", "version")

    def __init__(self, bucket: str, key: str, version: str, sha256: str) -> None:
        self.bucket = bucket
        self.key = key
        self.version = version
        self.sha256 = sha256

    def __str__(self) -> str:
        return "s3://" + self.bucket + "/" + self.key


def parse_uri(text: str) -> Uri:
    """Take an S3 URI apart. Keys are taken as they are, not percent-decoded. Raises ValueError saying what is wrong."""
    if not text.startswith("s3://"):
        raise ValueError("it is not an S3 URI: s3://bucket/key")
    rest, mark, fragment = text[5:].partition("#")
    sha256 = ""
    if mark:
        name, _, sha256 = fragment.partition("=")
        sha256 = sha256.lower()
        if name != "sha256" or len(sha256) != 64 or sha256.strip("0123456789abcdef"):
            raise ValueError("after # only sha256= and 64 hexadecimal digits may stand")
    rest, mark, version = rest.rpartition("?versionId=") if "?versionId=" in rest else (rest, "", "")
    if mark and not version:
        raise ValueError("versionId is empty")
    bucket, _, key = rest.partition("/")
    if not bucket or not key or bucket.strip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"):
        raise ValueError("it is not an S3 URI: s3://bucket/key")
    if any(ord(character) < 32 or ord(character) == 127 for character in rest + version):
        raise ValueError("it holds a control character")
    return Uri(bucket, key, version, sha256)


def parse_model(text: str) -> Uri:
    """The URI of a model, which has a digest and a name for its file. Raises ValueError saying what is wrong."""
    uri = parse_uri(text)
    if not uri.sha256:
        raise ValueError("it has no #sha256=HEX: a model is taken by its digest alone")
    name = uri.key.rpartition("/")[2]
    if name in ("", ".", "..") or len(name.encode()) > 255:
        raise ValueError("its key ends in nothing that can name a file")
    return uri


def parse_digest(text: str) -> str:
    """The hexadecimal digits of `sha256:HEX`. Raises ValueError."""
    name, _, digits = text.partition(":")
    if name != "sha256" or len(digits) != 64 or digits.strip("0123456789abcdef"):
        raise ValueError("it is not sha256: and 64 hexadecimal digits")
    return digits


class Document:
    """A document that was read: its object, where from, and its size in bytes as stored."""

    __slots__ = ("origin", "size", "value")

    def __init__(self, value: "dict[str, Any]", origin: str, size: int) -> None:
        self.value = value
        self.origin = origin
        self.size = size


def from_channel(files: "Files", name: str) -> "Document | None":
    """The document of this name in the channel, None where the channel does not hold it. Raises BadDocument (65)."""
    path = CHANNEL + "/" + name
    try:
        data = files.read(path, LIMIT)
    except OSError as error:
        raise BadDocument(path + " in the channel cannot be read: " + (error.strerror or "error"), finding="LL0505") from None
    if data is None:
        return None
    return Document(decode(data, path), path, len(data))


def from_s3(text: str, get: "Callable[..., bytes]") -> Document:
    """The document behind an S3 URI. `get` is Aws.s3_get. Raises StartError: 65, 66, 69 or 77."""
    uri = parse_uri(text)
    data = get(uri.bucket, uri.key, uri.version or None, limit=LIMIT)
    if uri.sha256:
        found = sha256_hex(data)
        if found != uri.sha256:
            raise BadDocument(
                str(uri) + " has sha256 " + found[:12] + "..., but " + uri.sha256[:12] + "... was asked for",
                "Someone wrote to the object after it was staged, or the URI is of another one: stage again and pass the new URI",
                finding="LL0501",
            )
    return Document(decode(data, str(uri)), str(uri), len(data))


def decode(data: bytes, origin: str) -> "dict[str, Any]":
    """The JSON object in a document's bytes, gzip accepted. Raises BadDocument (65), never quoting the document."""
    if len(data) > LIMIT:
        raise _too_large(origin, "over " + str(LIMIT))
    if data[:2] == _GZIP:
        data = _gunzip(data, origin)
    try:
        value = parse(data)
    except NotJson as error:
        raise BadDocument(origin + " is not a JSON document: " + str(error), "Write it with `lyftlearn stage`", finding="LL0502") from None
    if not isinstance(value, dict):
        raise BadDocument(origin + " holds " + kind(value) + ", not a JSON object", "Write it with `lyftlearn stage`", finding="LL0503")
    return value


def _too_large(origin: str, size: str) -> BadDocument:
    return BadDocument(
        origin + " has " + size + " bytes; a document has at most " + str(LIMIT),
        "Keep data in files or channels, not in this document",
        finding="LL0414",
    )


def _gunzip(data: bytes, origin: str) -> bytes:
    import zlib

    try:
        stream = zlib.decompressobj(31)  # 31: a gzip header and trailer, checked
        plain = stream.decompress(data, LIMIT + 1)
        if len(plain) > LIMIT:
            raise _too_large(origin + ", unpacked,", "over " + str(LIMIT))
        if not stream.eof:
            raise BadDocument(origin + " is gzip that ends too early", "Stage it again", finding="LL0504")
        if stream.unused_data:
            raise BadDocument(origin + " is gzip with something behind it", "Stage it again", finding="LL0504")
    except zlib.error:
        raise BadDocument(origin + " is gzip that cannot be unpacked", "Stage it again", finding="LL0504") from None
    return plain
