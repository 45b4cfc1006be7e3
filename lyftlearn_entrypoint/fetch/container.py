"""Credentials of a container: ECS, SageMaker and EKS Pod Identity serve them over HTTP.

Source: botocore 1.44, credentials.py (ContainerProvider) and utils.py (ContainerMetadataFetcher).
"""

from lyftlearn_entrypoint.documents import NotJson, parse
from lyftlearn_entrypoint.errors import BadDocument, BadSettings, Refused
from lyftlearn_entrypoint.fetch.credentials import Credentials
from lyftlearn_entrypoint.fetch.retry import ask
from lyftlearn_entrypoint.fetch.url import HttpError, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lyftlearn_entrypoint.deadline import Deadline
    from lyftlearn_entrypoint.fetch.http import Http
    from lyftlearn_entrypoint.fetch.message import Response

_PLAIN_HTTP_HOSTS = ("169.254.170.2", "169.254.170.23", "fd00:ec2::23", "localhost")
_TIMEOUT = 2.0  # seconds, botocore's


def fetch(
    environ: "dict[str, str]", http: "Http", deadline: "Deadline", read_file: "Callable[[str], bytes]", container_host: str
) -> Credentials:
    """Ask the endpoint that the environment names; the relative URI wins. Raises StartError: 65, 69, 77 or 78."""
    relative = environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    name = "AWS_CONTAINER_CREDENTIALS_FULL_URI" if relative is None else "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
    url = environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"] if relative is None else "http://" + container_host + relative
    if relative is not None and not relative.startswith("/"):
        raise BadSettings(name + " does not start with /", finding="LL0305")
    try:
        parts = split(url)
    except HttpError as error:
        raise BadSettings(name + " is " + str(error), finding="LL0305") from None
    trusted = relative is not None or parts.scheme == "https" or parts.host in _PLAIN_HTTP_HOSTS or _is_loopback(parts.host)
    if not trusted:
        remedy = "Use https: plain http is only for loopback and " + ", ".join(_PLAIN_HTTP_HOSTS)
        raise BadSettings(name + " names " + parts.host + " over http", remedy, finding="LL0305")
    what = "container credentials at " + parts.where

    def send() -> "Response":
        headers = {"Accept": "application/json"}
        token = _token(environ, read_file)
        if token:
            headers["Authorization"] = token
        return http.request("GET", url, headers, limit=1 << 16, connect_timeout=_TIMEOUT, read_timeout=_TIMEOUT, proxy=False)

    reply = ask(what, deadline, send)
    if reply.status != 200:
        text = what + ": status " + str(reply.status)
        raise Refused(
            text, "Check that the job or task has a role, and that " + name + " and its token are this container's own", finding="LL0306"
        )
    return from_json(reply.body, what, "container")


def from_json(body: bytes, what: str, source: str) -> Credentials:
    """Credentials in the form that ECS and EC2 serve. Raises `BadDocument`, which names a field and quotes nothing."""
    try:
        value = parse(body)
    except NotJson as error:
        raise BadDocument(what + ": status 200, but " + str(error), finding="LL0307") from None
    fields = []
    for name in ("AccessKeyId", "SecretAccessKey", "Token"):
        field = value.get(name) if isinstance(value, dict) else None
        if not isinstance(field, str) or not field:
            raise BadDocument(what + ": status 200, but there is no " + name + " in it", finding="LL0307")
        fields.append(field)
    return Credentials(fields[0], fields[1], fields[2], source)


def _token(environ: "dict[str, str]", read_file: "Callable[[str], bytes]") -> str:
    """The Authorization value: read anew for each try, since EKS rotates the file."""
    name = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
    path = environ.get(name)
    if path:
        try:
            token = read_file(path).decode("utf-8").rstrip("\r\n")
        except OSError as error:
            raise BadSettings(
                name + " names a file that cannot be read: " + (error.strerror or "error").lower(), finding="LL0308"
            ) from None
        except UnicodeDecodeError:
            raise BadSettings(name + " names a file that is not text", finding="LL0308") from None
    else:
        name = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
        token = environ.get(name, "")
    if not token.isprintable() or not token.isascii():
        raise BadSettings("the token of " + name + " is not a legal header value", finding="LL0308")
    return token


def _is_loopback(host: str) -> bool:
    import _socket

    try:
        return _socket.inet_pton(_socket.AF_INET, host)[0] == 127
    except OSError:
        return host == "::1"
