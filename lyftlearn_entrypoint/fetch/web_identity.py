"""Credentials for a Kubernetes service account's token (IRSA): one unsigned call to STS.

Source: botocore 1.44, credentials.py (AssumeRoleWithWebIdentityProvider) and the STS service model, 2011-06-15.
"""

import time

from lyftlearn_entrypoint.errors import BadDocument, BadSettings
from lyftlearn_entrypoint.fetch.answers import failure, xml_text
from lyftlearn_entrypoint.fetch.credentials import Credentials
from lyftlearn_entrypoint.fetch.endpoints import configured, endpoint
from lyftlearn_entrypoint.fetch.retry import ask
from lyftlearn_entrypoint.fetch.url import quote, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lyftlearn_entrypoint.deadline import Deadline
    from lyftlearn_entrypoint.fetch.http import Http
    from lyftlearn_entrypoint.fetch.message import Response


def assume(
    environ: "dict[str, str]",
    http: "Http",
    deadline: "Deadline",
    read_file: "Callable[[str], bytes]",
    now: "Callable[[], float]" = time.time,
) -> Credentials:
    """Trade the token in AWS_WEB_IDENTITY_TOKEN_FILE for credentials of AWS_ROLE_ARN. Raises StartError: 65, 69, 77 or 78."""
    role = environ.get("AWS_ROLE_ARN")
    if not role:
        raise BadSettings("AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is not", "Set both or neither", finding="LL0309")
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    # Without a region there is only the global endpoint, which is us-east-1's.
    base = endpoint(environ, "sts", region) if region else configured(environ, "sts") or "https://sts.amazonaws.com"
    what = "sts:AssumeRoleWithWebIdentity of " + role + " at " + split(base).where
    session = environ.get("AWS_ROLE_SESSION_NAME") or "lyftlearn-" + str(int(now()))

    def send() -> "Response":
        fields = {
            "Action": "AssumeRoleWithWebIdentity",
            "Version": "2011-06-15",
            "RoleArn": role,
            "RoleSessionName": session,
            "WebIdentityToken": _token(environ["AWS_WEB_IDENTITY_TOKEN_FILE"], read_file),
        }
        body = "&".join(name + "=" + quote(value) for name, value in fields.items()).encode("ascii")
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "Accept": "application/xml"}
        return http.request("POST", base, headers, body, limit=1 << 16, read_timeout=5.0)

    reply = ask(what, deadline, send)
    if reply.status != 200:
        hint = "; its trust policy must name this cluster's identity provider and this service account"
        raise failure(what, "sts:AssumeRoleWithWebIdentity", reply, None, now(), "Check AWS_ROLE_ARN", hint)
    text = reply.body.decode("utf-8", "replace")
    found = [xml_text(text, name) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
    if not all(found):
        raise BadDocument(what + ": status 200, but no credentials in it", "Something else than STS may answer there", finding="LL0311")
    return Credentials(found[0], found[1], found[2], "web identity")


def _token(path: str, read_file: "Callable[[str], bytes]") -> str:
    """The token, read anew for each try: the kubelet rotates it."""
    try:
        return read_file(path).decode("utf-8").strip()
    except OSError as error:
        raise BadSettings(
            "AWS_WEB_IDENTITY_TOKEN_FILE names a file that cannot be read: " + (error.strerror or "error").lower(), finding="LL0310"
        ) from None
    except UnicodeDecodeError:
        raise BadSettings("AWS_WEB_IDENTITY_TOKEN_FILE names a file that is not text", finding="LL0310") from None
