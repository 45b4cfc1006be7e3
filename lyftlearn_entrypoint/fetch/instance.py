"""Credentials of an EC2 instance's role: instance metadata, version 2 only (version 1 can be asked by anything that makes a GET).

Source: botocore 1.44, utils.py (IMDSFetcher, InstanceMetadataFetcher).
"""

from lyftlearn_entrypoint.errors import BadDocument
from lyftlearn_entrypoint.fetch.container import from_json
from lyftlearn_entrypoint.fetch.url import HttpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.fetch.credentials import Credentials
    from lyftlearn_entrypoint.fetch.http import Http
    from lyftlearn_entrypoint.fetch.message import Response

_ROLES = "/latest/meta-data/iam/security-credentials/"


def fetch(environ: "dict[str, str]", http: "Http") -> "Credentials | str":
    """The credentials, or in words why there are none. This source is a guess, so nothing that it answers is an error."""
    base = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "").rstrip("/")
    if not base:
        ipv6 = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "").lower() == "ipv6"
        base = "http://[fd00:ec2::254]" if ipv6 else "http://169.254.169.254"
    timeout = _positive(environ.get("AWS_METADATA_SERVICE_TIMEOUT", ""), 1.0)  # seconds
    tries = int(_positive(environ.get("AWS_METADATA_SERVICE_NUM_ATTEMPTS", ""), 1.0))

    def request(method: str, path: str, headers: "dict[str, str]") -> "Response":
        for left in range(tries - 1, -1, -1):
            try:
                reply = http.request(
                    method, base + path, headers, limit=1 << 16, connect_timeout=timeout, read_timeout=timeout, proxy=False
                )
            except HttpError as error:
                if error.final or not left:
                    raise
                continue
            if reply.status == 200 and reply.body:
                return reply
            if reply.status < 500 or not left:
                raise HttpError("status " + str(reply.status), True)
        raise HttpError("no try was allowed", True)

    try:
        token = request("PUT", "/latest/api/token", {"x-aws-ec2-metadata-token-ttl-seconds": "300"}).body.decode("latin-1")
        given = {"x-aws-ec2-metadata-token": token}
        role = request("GET", _ROLES, given).body.decode("latin-1").split("\n")[0].strip()
        reply = request("GET", _ROLES + role, given)
        return from_json(reply.body, "instance metadata", "instance metadata")
    except HttpError as error:
        return "instance metadata: " + str(error)
    except BadDocument as error:
        return error.what


def _positive(text: str, default: float) -> float:
    try:
        value = float(text)
    except ValueError:
        return default
    return value if 0 < value <= 60 else default
