"""A profile of the shared AWS files, where it holds a source of credentials: botocore reads it, imported only then.

Source: botocore 1.44, configprovider.py (which variables), configloader.py (the files) and credentials.py (the keys).
"""

from lyftlearn_entrypoint.errors import BadSettings, Refused, Unavailable
from lyftlearn_entrypoint.fetch.credentials import Credentials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lyftlearn_entrypoint.errors import StartError

_SOURCES = (
    "aws_access_key_id",
    "credential_process",
    "login_session",
    "role_arn",
    "sso_account_id",
    "sso_session",
    "sso_start_url",
    "web_identity_token_file",
)
_BAD_SETTINGS = (
    "ConfigNotFound",
    "ConfigParseError",
    "InfiniteLoopConfigError",
    "InvalidConfigError",
    "PartialCredentialsError",
    "ProfileNotFound",
)
_REFUSED = ("ClientError", "LoginRefreshRequired", "LoginTokenLoadError", "SSOTokenLoadError", "UnauthorizedSSOTokenError")


class Profile:
    """A profile that holds a source of credentials. `assumes_role`: it comes before web identity, as in botocore."""

    __slots__ = ("assumes_role", "name")

    def __init__(self, name: str, assumes_role: bool) -> None:
        self.name = name
        self.assumes_role = assumes_role


def find(environ: "dict[str, str]", read_file: "Callable[[str], bytes]") -> "Profile | None":
    """The profile in force, None where it holds no credentials. Raises `BadSettings` where one is named that does not exist."""
    chosen = environ.get("AWS_DEFAULT_PROFILE") or environ.get("AWS_PROFILE")
    name = chosen or "default"
    home = environ.get("HOME", "")
    keys: set[str] = set()
    known = False
    for variable, default, prefixed in (
        ("AWS_CONFIG_FILE", "~/.aws/config", True),
        ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials", False),
    ):
        path = environ.get(variable) or default
        if path.startswith("~/"):
            if not home:
                continue
            path = home + path[1:]
        try:
            text = read_file(path).decode("utf-8", "replace")
        except OSError:
            continue  # as botocore: a file that is not there, or is another user's, holds nothing
        sections = {"profile " + name, "default"} if prefixed and name == "default" else {"profile " + name} if prefixed else {name}
        found = _section(text, sections)
        if found is not None:
            known = True
            keys |= found
    if chosen and not known:
        raise BadSettings(
            "the AWS profile " + ascii(chosen) + " is in neither shared file", "Unset AWS_PROFILE, or add the profile", finding="LL0312"
        )
    if not keys.intersection(_SOURCES):
        return None
    return Profile(name, "role_arn" in keys and "web_identity_token_file" not in keys)


def _section(text: str, names: "set[str]") -> "set[str] | None":
    """The keys of a section of an INI file, None where there is no such section. Indented lines belong to the key above."""
    keys: set[str] | None = None
    inside = False
    for line in text.splitlines():
        if line.startswith("["):
            title = " ".join(line[1:].partition("]")[0].replace('"', " ").replace("'", " ").split())
            inside = title in names
            if inside and keys is None:
                keys = set()
        elif inside and keys is not None and line[:1] not in ("", " ", "\t", "#", ";"):
            keys.add(line.replace(":", "=").partition("=")[0].strip().lower())
    return keys


def load(profile: Profile, environ: "dict[str, str]", directory: "str | None") -> Credentials:
    """The credentials that botocore gets from a profile: it reads this process's own environment.

    `directory` holds botocore where sys.path does not; None is where this package lies. Raises StartError: 69, 77 or 78.
    """
    what = "the AWS profile " + ascii(profile.name)
    try:
        if directory is None:
            from lyftlearn_entrypoint.fetch import third_party

            third_party.reach()
        else:
            import sys

            if directory not in sys.path:
                sys.path.append(directory)
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.session import Session
    except ImportError:
        raise BadSettings(
            what + " needs botocore, which this image does not have",
            "Install boto3 in the image, or use a role (container, instance or web identity) instead of a profile",
            finding="LL0313",
        ) from None
    try:
        session = Session()
        if environ.get("AWS_REGION") and not environ.get("AWS_DEFAULT_REGION"):
            session.set_config_variable("region", environ["AWS_REGION"])  # botocore knows only the other name
        found = session.get_credentials()
        frozen = None if found is None else found.get_frozen_credentials()
    except (BotoCoreError, ClientError) as error:
        raise _failure(what, error) from None
    if frozen is None or not frozen.access_key or not frozen.secret_key:
        raise BadSettings(what + " gives no credentials", "Check it with `aws sts get-caller-identity`", finding="LL0314")
    return Credentials(frozen.access_key, frozen.secret_key, frozen.token, "profile " + profile.name + " (botocore)")


def _failure(what: str, error: Exception) -> "StartError":
    """By the error's class: its text may repeat what a credential process printed."""
    kind = type(error).__name__
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code", "") if isinstance(response, dict) else ""
    text = what + ": botocore says " + kind + (" (" + str(code)[:64] + ")" if code else "")
    remedy = "Check it with `aws sts get-caller-identity`, and log in again where it is an SSO profile"
    if kind in _BAD_SETTINGS:
        return BadSettings(text, remedy, finding="LL0314")
    if kind in _REFUSED:
        return Refused(text, remedy, finding="LL0315")
    return Unavailable(text, remedy, finding="LL0316")
