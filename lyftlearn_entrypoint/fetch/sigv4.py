"""AWS Signature Version 4 over the interpreter's own SHA-256.

Source: "Create a signed AWS API request" (IAM user guide); tests/unit/test_sigv4.py compares every part with botocore's signer.
`hmac` and `hashlib` load OpenSSL, 3 ms; the hash itself is the same.
"""

import time

from lyftlearn_entrypoint.fetch.digest import sha256
from lyftlearn_entrypoint.fetch.url import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.fetch.credentials import Credentials
    from lyftlearn_entrypoint.fetch.url import Url

_BLOCK = 64  # bytes, SHA-256's block (FIPS 180-4)
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """HMAC (RFC 2104) with SHA-256."""
    if len(key) > _BLOCK:
        key = sha256(key).digest()
    key = key.ljust(_BLOCK, b"\0")
    inner = sha256(key.translate(_INNER) + message).digest()
    return bytes(sha256(key.translate(_OUTER) + inner).digest())


def sign(
    method: str,
    url: "Url",
    headers: "dict[str, str]",
    body: bytes,
    credentials: "Credentials",
    region: str,
    service: str,
    now: float,
) -> "dict[str, str]":
    """`headers` with what a signed request needs besides. `now` is in seconds since the epoch.

    Every given header is signed, and the Host header is `url.authority`. The path of `url` stands as it goes on the wire: for S3
    it is signed so, for any other service it is normalised and encoded once more.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    body_hash = str(sha256(body).hexdigest())
    result = {**headers, "X-Amz-Date": stamp}
    if service == "s3":
        result["X-Amz-Content-SHA256"] = body_hash
    if credentials.token:
        result["X-Amz-Security-Token"] = credentials.token
    signed = {name.lower(): " ".join(value.split()) for name, value in result.items()}
    signed["host"] = url.authority
    names = sorted(signed)
    path, _, query = url.target.partition("?")
    canonical = "\n".join(
        (
            method,
            path if service == "s3" else quote(_normalize(path), b"/"),
            "&".join(name + "=" + value for name, value in sorted(_pairs(query))),
            *(name + ":" + signed[name] for name in names),
            "",
            ";".join(names),
            body_hash,
        )
    )
    scope = stamp[:8] + "/" + region + "/" + service + "/aws4_request"
    signature = _signature(canonical, stamp, scope, credentials)
    credential = "AWS4-HMAC-SHA256 Credential=" + credentials.access_key + "/" + scope
    result["Authorization"] = credential + ", SignedHeaders=" + ";".join(names) + ", Signature=" + signature
    return result


def presign(url: "Url", headers: "dict[str, str]", credentials: "Credentials", region: str, service: str, now: float, expires: int) -> str:
    """The URL of a GET that whoever holds it may send until `now` + `expires` seconds, with these headers. Not for S3."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    scope = stamp[:8] + "/" + region + "/" + service + "/aws4_request"
    signed = {"host": url.authority, **{name.lower(): " ".join(value.split()) for name, value in headers.items()}}
    names = ";".join(sorted(signed))
    path, _, query = url.target.partition("?")
    pairs = [
        *_pairs(query),
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Credential", quote(credentials.access_key + "/" + scope)),
        ("X-Amz-Date", stamp),
        ("X-Amz-Expires", str(expires)),
        ("X-Amz-SignedHeaders", quote(names)),
    ]
    if credentials.token:
        pairs.append(("X-Amz-Security-Token", quote(credentials.token)))
    query = "&".join(name + "=" + value for name, value in sorted(pairs))
    lines = [name + ":" + signed[name] for name in sorted(signed)]
    canonical = "\n".join(("GET", quote(_normalize(path), b"/"), query, *lines, "", names, str(sha256(b"").hexdigest())))
    signature = _signature(canonical, stamp, scope, credentials)
    return url.scheme + "://" + url.authority + path + "?" + query + "&X-Amz-Signature=" + signature


def _signature(canonical: str, stamp: str, scope: str, credentials: "Credentials") -> str:
    text = "AWS4-HMAC-SHA256\n" + stamp + "\n" + scope + "\n" + str(sha256(canonical.encode("utf-8")).hexdigest())
    key = ("AWS4" + credentials.secret_key).encode("utf-8")
    for part in scope.split("/"):
        key = hmac_sha256(key, part.encode("utf-8"))
    return hmac_sha256(key, text.encode("utf-8")).hex()


def _pairs(query: str) -> "list[tuple[str, str]]":
    pairs = []
    for pair in query.split("&") if query else ():
        name, _, value = pair.partition("=")
        pairs.append((name, value))
    return pairs


def _normalize(path: str) -> str:
    """Without empty and dot segments (RFC 3986, section 5.2.4, and duplicate slashes)."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            if kept:
                kept.pop()
        elif segment not in ("", "."):
            kept.append(segment)
    return "/" + "/".join(kept) + ("/" if kept and path.endswith("/") else "")
