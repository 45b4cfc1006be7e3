"""Whether a job has no network, told from what it was not given."""

from lyftlearn_entrypoint.files import Files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from lyftlearn_entrypoint.context import Context

# Any of these says that there are credentials to look for. A SageMaker job has the first, unless its network is isolated:
# then it has none (SageMaker developer guide, "Run training and inference containers in internet-free mode").
_CREDENTIAL_VARIABLES = (
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
)


def isolated(context: "Context", environ: "Mapping[str, str]") -> bool:
    """Whether this is a job without any source of AWS credentials, as SageMaker leaves it under network isolation."""
    if not context.job or context.emulated:
        return False
    if any(environ.get(name) for name in _CREDENTIAL_VARIABLES):
        return False
    if environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT"):
        return False
    home = environ.get("HOME", "")
    # The user's own files, which LYFTLEARN_ROOT does not move: profile.py reads them there too.
    return not any(Files().stat(home + "/.aws/" + name) for name in ("credentials", "config"))
