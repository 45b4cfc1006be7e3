"""Amazon ECR's API: a token for its registry, which registry and repository an image goes to, and a repository where one is asked for.

The registry's host is what ECR's API names, or stands in --to. The token goes to that host, to loopback, and nowhere else.
Source: Amazon ECR API reference, GetAuthorizationToken, CreateRepository; Amazon ECR user guide, "Private registry authentication".
"""

from __future__ import annotations

import base64
import ipaddress
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lyftlearn_entrypoint.errors import BadDocument, BadSettings, Missing, Refused, StartError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

# ECR's names of repositories. Source: API reference, CreateRepository, repositoryName.
_REPOSITORY = re.compile(r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*")
_ACCOUNT = re.compile(r"[0-9]{12}")
# Error codes that mean: these AWS credentials, whoever they are, may not.
_REFUSED = {
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "InvalidIdentityToken",
    "InvalidSignatureException",
    "IncompleteSignature",
    "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
# botocore's errors that mean: what it was told does not suffice, and no call was made.
_INCOMPLETE = {
    "ConfigNotFound",
    "ConfigParseError",
    "InvalidConfigError",
    "InvalidRegionError",
    "NoCredentialsError",
    "NoRegionError",
    "PartialCredentialsError",
    "ProfileNotFound",
}


@dataclass(frozen=True)
class Login:
    """What a registry takes as HTTP Basic authentication. The password is in no text of it."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Destination:
    """A repository of a registry. `account` is the registry's where the host says it, else ''."""

    host: str
    repository: str
    account: str = ""

    @property
    def name(self) -> str:
        """HOST/REPOSITORY, as Docker writes it."""
        return f"{self.host}/{self.repository}"

    @property
    def url(self) -> str:
        """Where its Registry HTTP API is. Plain HTTP on loopback alone, as Docker's engine allows it."""
        return f"{'http' if is_loopback(self.host) else 'https'}://{self.host}"


class Tokens:
    """ECR's authorization token. It holds for 12 hours, or as long as the credentials that got it. Raises StartError.

    `client` is boto3's for ECR. Source: API reference, GetAuthorizationToken.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._login: Login | None = None
        self.endpoint = ""

    def get(self) -> Login:
        """The token that is there, or a first one."""
        return self._login or self.renew()

    def renew(self) -> Login:
        """A new one."""
        answer = call("GetAuthorizationToken", self._client.get_authorization_token)
        try:
            data = answer["authorizationData"][0]
            user, colon, password = base64.b64decode(data["authorizationToken"], validate=True).decode().partition(":")
            self.endpoint = urlsplit(data["proxyEndpoint"]).netloc
            if not (colon and password and self.endpoint):
                raise ValueError
        except (LookupError, ValueError):
            # The answer holds the token, so it is not shown.
            raise BadDocument("ECR's GetAuthorizationToken answered something else than a token") from None
        self._login = Login(user, password)
        return self._login


def connect() -> Any:
    """boto3's client for ECR, with the standard chain of credentials. Raises BadSettings (78)."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    try:
        # boto3 reads AWS_DEFAULT_REGION; every other SDK, and a job in SageMaker, has AWS_REGION.
        made: Any = boto3.client(
            "ecr",
            region_name=os.environ.get("AWS_REGION") or None,
            config=Config(connect_timeout=10, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 3}),
        )
    except (BotoCoreError, ValueError) as error:
        raise _explained("an ECR client", error) from None
    return made


def call(action: str, method: Callable[..., Any], **arguments: Any) -> Any:
    """One call of ECR's API. Raises Missing (66), Unavailable (69), Refused (77) or BadSettings (78)."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return method(**arguments)
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "?"))
        said = str(error.response.get("Error", {}).get("Message", "")) or "without a message"
        if code in _REFUSED:
            raise Refused(
                f"ECR refused {action}: {code}: {said}", "Check the credentials, and that their policy has ecr:" + action
            ) from None
        if code == "RepositoryNotFoundException":
            raise Missing(f"{said} ({action})", "Make it, or give --create-repository") from None
        raise Unavailable(f"ECR did not do {action}: {code}: {said}") from None
    except BotoCoreError as error:
        raise _explained(action, error) from None


def _explained(action: str, error: Exception) -> StartError:
    kind = type(error).__name__
    told = str(error).rstrip(".")
    if kind in _INCOMPLETE or isinstance(error, ValueError):
        return BadSettings(
            f"AWS's settings do not suffice for {action}: {told}", "Set AWS_REGION, and credentials that boto3 finds (a role, a profile)"
        )
    if "Token" in kind or "SSO" in kind or "Credential" in kind:
        return Refused(f"no credentials for {action}: {told}", "Log in again, or choose another AWS_PROFILE")
    return Unavailable(f"ECR did not answer {action}: {told}", "Check the network, the proxy variables and AWS_REGION")


def is_loopback(host: str) -> bool:
    """Whether a host, maybe with a port, is this machine's own: localhost, 127.0.0.0/8 or ::1."""
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def destination(to: str, endpoint: str, trust: bool = False) -> Destination:
    """Where --to points: [HOST/]REPOSITORY, the host from ECR's `endpoint` where it is left out.

    The first part is a host when it has a dot or a colon or is `localhost`, as in any image's name. A token is for the host that ECR named
    and for other accounts' registries beside it; another one gets it only with `trust`. Raises BadSettings (78).
    """
    first, slash, rest = to.partition("/")
    has_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    host, repository = (first, rest) if has_host else (endpoint, to)
    if not _REPOSITORY.fullmatch(repository) or not 2 <= len(repository) <= 256:
        raise BadSettings(f"--to {to}: {repository!r} is no repository's name", "It is [HOST/]REPOSITORY in lower case; tags go to --tag")
    account, _, domain = host.partition(".")
    own_account, _, own_domain = endpoint.partition(".")
    beside = domain == own_domain and bool(_ACCOUNT.fullmatch(account)) and bool(_ACCOUNT.fullmatch(own_account))
    if not (host == endpoint or beside or is_loopback(host) or trust):
        raise BadSettings(
            f"--to names {host}, but ECR's token is for {endpoint}",
            "Set AWS_REGION to that registry's, leave the host out, or say --trust-host to send it the token",
        )
    return Destination(host, repository, account if _ACCOUNT.fullmatch(account) else "")


def create_repository(client: Any, where: Destination) -> bool:
    """Make the repository, with tags that cannot be moved and a scan of each push. False, and nothing is changed, where it is there.

    Raises StartError. Source: API reference, CreateRepository.
    """
    try:
        call(
            "CreateRepository",
            client.create_repository,
            repositoryName=where.repository,
            imageTagMutability="IMMUTABLE",
            imageScanningConfiguration={"scanOnPush": True},
            **({"registryId": where.account} if where.account else {}),
        )
    except Unavailable as error:
        if "RepositoryAlreadyExistsException" in error.what:
            return False
        raise
    return True
