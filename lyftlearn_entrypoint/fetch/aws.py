"""The AWS calls of a start: KMS Encrypt and Decrypt, S3 GetObject, and PutObject for a snapshot."""

import binascii
import time

from lyftlearn_entrypoint.documents import NotJson, dump, parse
from lyftlearn_entrypoint.errors import BadDocument, BadSettings
from lyftlearn_entrypoint.fetch.endpoints import configured, endpoint, s3_url
from lyftlearn_entrypoint.fetch.retry import ask
from lyftlearn_entrypoint.fetch.sigv4 import sign
from lyftlearn_entrypoint.fetch.url import HttpError, TooLarge, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lyftlearn_entrypoint.deadline import Deadline
    from lyftlearn_entrypoint.fetch.credentials import CredentialChain
    from lyftlearn_entrypoint.fetch.http import Http
    from lyftlearn_entrypoint.fetch.message import Into, Response
    from lyftlearn_entrypoint.fetch.part import Part

_ANY = 1 << 60  # bytes: what goes to a file is bounded by the file system
_HOPS = 2  # redirects to another region that are followed for one object


class Aws:
    """Makes signed calls, each retried while its answer is a passing one. Safe to use from several threads at once.

    `now` gives seconds since the epoch. Every method raises StartError: 65 where an answer is not what it claims, 66 where
    what is named does not exist, 69 where there was no final answer in time, 77 refused, 78 settings that cannot work.
    """

    def __init__(
        self,
        environ: "dict[str, str]",
        http: "Http",
        deadline: "Deadline",
        chain: "CredentialChain",
        *,
        now: "Callable[[], float]" = time.time,
    ) -> None:
        self._environ = environ
        self.http = http
        self._deadline = deadline
        self._chain = chain
        self._now = now
        self._bucket_regions: dict[str, str] = {}
        self.region: str | None = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or None

    def kms_encrypt(self, key_id: str, plaintext: bytes, context: "dict[str, str]") -> bytes:
        """The ciphertext blob. `key_id` is a key id, an alias (`alias/name`) or the ARN of either; an ARN decides the region."""
        fields = {"KeyId": key_id, "Plaintext": _base64(plaintext), "EncryptionContext": context}
        return self._kms("Encrypt", region_of(key_id) or self.region, fields, "CiphertextBlob", key_id)

    def kms_decrypt(self, ciphertext: bytes, context: "dict[str, str]", region: "str | None" = None) -> bytes:
        """The plaintext of a ciphertext blob, which itself names its key."""
        fields = {"CiphertextBlob": _base64(ciphertext), "EncryptionContext": context}
        return self._kms("Decrypt", region or self.region, fields, "Plaintext", "")

    def s3_range(self, bucket: str, key: str, version_id: "str | None", part: "Part") -> "Response":
        """Bytes of an object into `part`, whose status is 416 where the object is empty. A try that breaks off goes on where it was.

        A bucket in another region is asked there. What `part` raises is let through."""
        name = "s3://" + bucket + "/" + key
        what = "s3:GetObject of " + name + (" version " + version_id if version_id else "")

        def send(url: str, region: str) -> "Response":
            return self._ask(what, "GET", url, part.headers, b"", region, "s3", _ANY, 15.0, part.into)

        return self._object(what, "GetObject", bucket, key, version_id, send, (200, 206, 412, 416), "Check the URI")

    def s3_get(self, bucket: str, key: str, version_id: "str | None" = None, *, limit: int) -> bytes:
        """The whole object, as it is stored; `limit` is in bytes. A bucket in another region is asked there."""
        name = "s3://" + bucket + "/" + key
        what = "s3:GetObject of " + name + (" version " + version_id if version_id else "")

        def send(url: str, region: str) -> "Response":
            return self._ask(what, "GET", url, dict, b"", region, "s3", limit, 10.0)

        try:
            return self._object(what, "GetObject", bucket, key, version_id, send, (200,), "Check the URI, or stage the document again").body
        except TooLarge as error:
            size = "over " + str(limit) if error.size is None else str(error.size)
            raise BadDocument(
                name + " is " + size + " bytes; at most " + str(limit),
                "Keep data in files or channels, not in this document",
                finding="LL0414",
            ) from None

    def _object(
        self,
        what: str,
        operation: str,
        bucket: str,
        key: str,
        version_id: "str | None",
        send: "Callable[[str, str], Response]",
        wanted: "tuple[int, ...]",
        missing: str,
    ) -> "Response":
        """The answer, of a status in `wanted`, of the region that has the bucket. `send` asks (URL, region)."""
        region = self._bucket_regions.get(bucket) or self.region or "us-east-1"
        for hop in range(_HOPS + 1):
            reply = send(s3_url(self._environ, region, bucket, key, version_id), region)
            if reply.status in wanted:
                return reply
            from lyftlearn_entrypoint.fetch.answers import bucket_region

            moved = bucket_region(reply)
            if hop == _HOPS or not moved or moved == region:
                break
            self._bucket_regions[bucket] = region = moved
        from lyftlearn_entrypoint.fetch.answers import failure

        action = "s3:" + operation + ("Version" if version_id else "")
        codes = ("InvalidArgument",) if version_id else ()  # "Invalid version id specified": it is malformed, so there is none
        name = "s3://" + bucket + "/" + key
        hint = " on " + name
        if operation == "GetObject":
            hint += "; without s3:ListBucket S3 answers the same for an object that does not exist"
        raise failure(what, action, reply, self._chain.get(), self._now(), missing, hint, codes)

    def s3_put(self, bucket: str, key: str, body: bytes) -> None:
        """Write an object. A bucket in another region is asked there."""
        what = "s3:PutObject to s3://" + bucket + "/" + key

        def send(url: str, region: str) -> "Response":
            return self._ask(what, "PUT", url, lambda: {"Content-Type": "application/json"}, body, region, "s3", 1 << 16, 10.0)

        self._object(what, "PutObject", bucket, key, None, send, (200, 201, 204), "Check the bucket")

    def _kms(self, operation: str, region: "str | None", fields: "Mapping[str, object]", wanted: str, key_id: str) -> bytes:
        if not region:
            if configured(self._environ, "kms") is None:
                raise BadSettings(
                    "kms:" + operation + " needs a region and none is set", "Set AWS_REGION, or name the key by its ARN", finding="LL0404"
                )
            region = "us-east-1"  # an endpoint that is not AWS's own takes any
        url = endpoint(self._environ, "kms", region)
        what = "kms:" + operation + (" with " + key_id if key_id else "") + " at " + split(url).where
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "TrentService." + operation}
        body = dump(fields).encode("utf-8")
        reply = self._ask(what, "POST", url, lambda: headers, body, region, "kms", 1 << 16, 5.0)
        if reply.status != 200:
            from lyftlearn_entrypoint.fetch.answers import failure

            missing = "Check LYFTLEARN_CONFIDANT_AUTH_KEY and the region (" + region + ")"
            hint = ", in its own policies and in the key's"
            raise failure(what, "kms:" + operation, reply, self._chain.get(), self._now(), missing, hint)
        try:
            value = parse(reply.body)
            return binascii.a2b_base64(value[wanted])
        except NotJson as error:
            problem = str(error)
        except (KeyError, TypeError, ValueError):
            problem = "there is no " + wanted + " in it"
        raise BadDocument(what + ": status 200, but " + problem, "Something else than KMS may answer there", finding="LL0405")

    def _ask(
        self,
        what: str,
        method: str,
        url: str,
        headers: "Callable[[], dict[str, str]]",
        body: bytes,
        region: str,
        service: str,
        limit: int,
        timeout: float,
        into: "Into | None" = None,
    ) -> "Response":
        """The final answer to one call. Each try has its own headers and is signed anew: the signature holds the time."""
        try:
            parts = split(url)
        except HttpError as error:
            raise BadSettings(what + ": the endpoint gives " + str(error), finding="LL0406") from None

        def send() -> "Response":
            signed = sign(method, parts, headers(), body, self._chain.get(), region, service, self._now())
            return self.http.request(method, url, signed, body, limit=limit, connect_timeout=3.0, read_timeout=timeout, into=into)

        return ask(what, self._deadline, send)


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def region_of(key_id: str) -> "str | None":
    """`us-east-1` in arn:aws:kms:us-east-1:123456789012:key/..."""
    parts = key_id.split(":")
    return parts[3] or None if len(parts) > 5 and parts[0] == "arn" and parts[2] == "kms" else None
