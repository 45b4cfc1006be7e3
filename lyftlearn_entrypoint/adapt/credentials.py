"""Credentials as variables and as files, the way a pod had them."""

from lyftlearn_entrypoint.adapt.environment import illegal, loader_name, lone_surrogate, show
from lyftlearn_entrypoint.errors import BadDocument
from lyftlearn_entrypoint.settings_table import PREFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.fetch.confidant import Secret

_NAME_MAX = 255  # bytes of a file name (limits.h)


def variables(secrets: "list[Secret]") -> "tuple[dict[str, Secret], list[str]]":
    """(secrets by variable, warnings). The order in which Confidant lists credentials decides nothing.

    Raises BadDocument (65) for a name that exec or the loader must not get, and for two credentials that give one variable
    different values: both ids and the variable are named.
    """
    chosen: dict[str, Secret] = {}
    warnings: list[str] = []
    for secret in sorted(secrets, key=lambda s: (s.origin, s.key)):
        name = secret.name
        who = "credential " + secret.origin
        if secret.value is None:
            warnings.append(who + ": " + show(secret.key) + " is null in Confidant and is left out [LL0623]")
            continue
        if name.startswith(PREFIX):
            warnings.append(who + ": " + show(name) + " is ignored: a credential does not set the entrypoint's own variables [LL0624]")
            continue
        problem = lone_surrogate(name) or lone_surrogate(secret.value) or illegal(name, secret.value)
        if problem:
            raise BadDocument(
                who + ", key " + show(secret.key) + ", variable " + show(name) + ": " + problem, "Correct it in Confidant", finding="LL0619"
            )
        if loader_name(name):
            raise BadDocument(
                who + " claims the variable " + name + ", which tells the loader or an interpreter what to run",
                "Rename the key, or correct the credential's env_var_prefix, in Confidant",
                finding="LL0620",
            )
        other = chosen.get(name)
        if other is not None and other.value != secret.value:
            raise BadDocument(
                "credentials "
                + other.origin
                + " and "
                + secret.origin
                + " both claim the variable "
                + show(name)
                + ", with different values",
                "Rename one key, or give one of them an env_var_prefix, in Confidant",
                finding="LL0618",
            )
        chosen.setdefault(name, secret)
    return chosen, warnings


def files(secrets: "list[Secret]") -> "dict[str, bytes]":
    """File name to content: named by the stored key, the value's bytes and nothing else. Raises BadDocument (65)."""
    result: dict[str, bytes] = {}
    origins: dict[str, str] = {}
    for secret in sorted(secrets, key=lambda s: (s.origin, s.key)):
        if secret.value is None:
            continue
        key = secret.key
        problem = file_name_problem(key)
        if problem:
            raise BadDocument(
                "credential " + secret.origin + ": key " + show(key) + " cannot be a file: " + problem,
                "Rename it in Confidant",
                finding="LL0621",
            )
        data = secret.value.encode("utf-8")
        if result.setdefault(key, data) != data:
            raise BadDocument(
                "credentials " + origins[key] + " and " + secret.origin + " both claim the file " + show(key) + ", with different values",
                "Rename one of the keys in Confidant",
                finding="LL0622",
            )
        origins.setdefault(key, secret.origin)
    return result


def file_name_problem(name: str) -> str:
    """Why a key cannot be a file of a Kubernetes volume, or '' (AtomicWriter's validatePath: no /, no leading .., 255 bytes)."""
    if not name or name == ".":
        return "it names no file"
    if "/" in name or "\0" in name:
        return "it holds a / or a NUL"
    if name.startswith(".."):
        return "names that start with .. are the volume's own"
    if len(name.encode("utf-8", "surrogatepass")) > _NAME_MAX:
        return "it is longer than " + str(_NAME_MAX) + " bytes"
    return lone_surrogate(name)
