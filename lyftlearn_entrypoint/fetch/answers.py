"""What an AWS service meant by an answer that is not the one hoped for. Loaded only when there is one."""

from lyftlearn_entrypoint.documents import NotJson, parse
from lyftlearn_entrypoint.errors import BadDocument, Missing, Refused
from lyftlearn_entrypoint.fetch.endpoints import is_region

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.errors import StartError
    from lyftlearn_entrypoint.fetch.credentials import Credentials
    from lyftlearn_entrypoint.fetch.message import Response

_CODE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SKEW_CODES = ("RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture")
_SIGNATURE_CODES = ("InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature", "AuthFailure")
_SKEW_LIMIT = 300  # seconds: what AWS allows (S3: 900)
# A token that is not yet valid or no longer, seen from the server: also what a wrong key pair gives.
_CREDENTIAL_CODES = (
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidToken",
    "UnrecognizedClientException",
)
# What the finding is by service (docs/troubleshooting.md).
_MISSING = {"kms": "LL0401", "s3": "LL0411"}
_DENIED = {"kms": "LL0402", "s3": "LL0412"}
_MISSING_CODES = ("NoSuchKey", "NoSuchBucket", "NoSuchVersion", "NotFoundException", "NotFound")


def aws_error(reply: "Response") -> "tuple[str, str]":
    """(code, message) of an error answer, each perhaps empty, in any of AWS's forms: header, JSON, XML.

    Only the message of an access refusal may be shown: that of a wrong signature repeats the session token.
    """
    code = reply.headers.get("x-amzn-errortype", "").partition(":")[0]
    message = ""
    body = reply.body[: 1 << 16]
    if body.lstrip()[:1] == b"{":
        try:
            value = parse(body)
        except NotJson:
            value = {}
        if isinstance(value, dict):
            code = code or str(value.get("__type") or value.get("code") or "")
            message = str(value.get("message") or value.get("Message") or "")
    else:
        text = body.decode("utf-8", "replace")
        code = code or xml_text(text, "Code")
        message = xml_text(text, "Message")
    code = code.rpartition("#")[2]
    return (code if len(code) < 65 and _CODE.issuperset(code) else ""), message


def xml_text(text: str, name: str) -> str:
    """The text of the first element `name`, or nothing. AWS's answers have no attributes there, no comments and no CDATA."""
    start = text.find("<" + name + ">")
    end = text.find("</" + name + ">", start)
    if start < 0 or end < 0:
        return ""
    inner = text[start + len(name) + 2 : end]
    if "<" in inner:
        return ""
    first, *rest = inner.split("&")
    parts = [first]
    for piece in rest:
        entity, mark, tail = piece.partition(";")
        parts.append(_character(entity) + tail if mark else "&" + piece)
    return "".join(parts).strip()


def _character(entity: str) -> str:
    if entity in _ENTITIES:
        return _ENTITIES[entity]
    try:
        if entity[:1] == "#":
            return chr(int("0" + entity[1:], 16) if entity[1:2] in ("x", "X") else int(entity[1:]))
    except (ValueError, OverflowError):
        pass
    return "&" + entity + ";"


def bucket_region(reply: "Response") -> str:
    """The region that S3 says a bucket is in: by header, in the XML, or in the host that Location names; else nothing."""
    if reply.status not in (301, 302, 307, 308, 400, 403):
        return ""
    location = reply.headers.get("location", "").partition("://")[2].partition("/")[0].partition(":")[0]
    host = location or xml_text(reply.body.decode("utf-8", "replace"), "Endpoint")
    found = reply.headers.get("x-amz-bucket-region", "")
    if not found and reply.status != 403:
        found = xml_text(reply.body.decode("utf-8", "replace"), "Region") or _region_in(host)
    return found if is_region(found) else ""


def _region_in(host: str) -> str:
    """`us-west-2` in bucket.s3.us-west-2.amazonaws.com, and in the older bucket.s3-us-west-2.amazonaws.com."""
    labels = host.lower().split(".")
    for at, label in enumerate(labels):
        if label in ("s3", "s3-fips"):
            rest = [part for part in labels[at + 1 :] if part != "dualstack"]
            return rest[0] if rest and rest[0] != "amazonaws" else ""
        if label.startswith("s3-") and label.count("-") > 2:
            return label[3:]
    return ""


def failure(
    what: str,
    action: str,
    reply: "Response",
    credentials: "Credentials | None",
    now: float,
    missing: str,
    hint: str = "",
    missing_codes: "tuple[str, ...]" = (),
) -> "StartError":
    """The error for a final answer.

    `what` says what was tried, `action` is the IAM action, `now` this machine's time (seconds since the epoch), `missing`
    what to do where the thing does not exist, `hint` what else a 403 can mean. `missing_codes` are further codes that say so here.
    """
    code, message = aws_error(reply)
    said = what + ": status " + str(reply.status) + (" (" + code + ")" if code else "")
    deleted = reply.headers.get("x-amz-delete-marker") == "true"
    # Only S3 says 404: from another service's endpoint it means that something else answers there.
    if code in _MISSING_CODES or code in missing_codes or deleted or (reply.status == 404 and not code and action.startswith("s3:")):
        if deleted:
            said += ", it was deleted and a delete marker stands in its place"
        return Missing(said, missing, finding=_MISSING.get(action.partition(":")[0], "LL0422"))
    if 200 <= reply.status < 300 and not code:
        return BadDocument(said + ", not what was asked for", "Something else than AWS may answer there", finding="LL0434")
    source = "" if credentials is None else " with the credentials from " + credentials.source
    skew = clock_skew(reply, now)
    stale = code in _SIGNATURE_CODES and ("expired" in message.lower() or "not yet current" in message.lower())
    if code in _SKEW_CODES or stale or (code in _SIGNATURE_CODES and skew is not None and abs(skew) > _SKEW_LIMIT):
        if skew is None:
            by = "differs from the server's by more than it accepts"
        else:
            by = "is " + str(abs(round(skew))) + " s " + ("ahead of" if skew > 0 else "behind") + " the server's"
        return Refused(
            said + ": the clock of this machine " + by, "Correct the clock (NTP) of the host; a container has the host's", finding="LL0431"
        )
    if code in _CREDENTIAL_CODES or code in _SIGNATURE_CODES:
        return Refused(said + source, "The credentials are wrong, expired or of another account or partition: renew them", finding="LL0432")
    if code.startswith("AccessDenied") or reply.status in (401, 403):
        said += source
        if code.startswith("AccessDenied") and message.lower().strip(".") not in ("", "access denied"):
            said += ": " + _printable(message)
        return Refused(said, "Allow " + action + " for that identity" + hint, finding=_DENIED.get(action.partition(":")[0], "LL0421"))
    if code == "InvalidObjectState":
        return Refused(said + source, "The object lies in an archive: restore it, or stage the document again", finding="LL0413")
    if code in ("DisabledException", "KMSInvalidStateException", "InvalidKeyUsageException", "KeyUnavailableException"):
        return Refused(said + source, "The KMS key cannot be used in its present state: enable it, or name another", finding="LL0403")
    return Refused(
        said + source, "AWS does not take the request as it is: check the names and the region in the settings", finding="LL0433"
    )


def _printable(message: str) -> str:
    """At most 300 characters of an access refusal's own words: who may not do what, on which resource."""
    text = "".join(mark if mark.isprintable() else " " for mark in message).strip().rstrip(".")
    return text if len(text) <= 300 else text[:297] + "..."


def clock_skew(reply: "Response", now: float) -> "float | None":
    """Seconds by which this machine's clock is ahead of the server's, by the answer's Date header; None without one."""
    parts = reply.headers.get("date", "").split()  # Sun, 06 Nov 1994 08:49:37 GMT (RFC 9110, section 5.6.7)
    try:
        _, day, month, year, clock, zone = parts
        hour, minute, second = (int(part) for part in clock.split(":"))
        number = _MONTHS.index(month) + 1
        if zone != "GMT":
            return None
        # Days since 1970-01-01 in the proleptic Gregorian calendar, the year starting in March so that a leap day ends it.
        years = int(year) - (number <= 2)
        days = years * 365 + years // 4 - years // 100 + years // 400 + (153 * ((number + 9) % 12) + 2) // 5 + int(day) - 1 - 719468
    except ValueError:
        return None
    return now - (days * 86400 + hour * 3600 + minute * 60 + second)
