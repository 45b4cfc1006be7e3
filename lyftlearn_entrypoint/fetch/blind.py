"""Blind credentials: Confidant keeps what only the services' own KMS key opens. Loaded only where a service has one.

Source: lyft/confidant 7.0.0, confidant/models/blind_credential.py.
"""

from binascii import Error, a2b_base64

from lyftlearn_entrypoint.documents import kind, parse
from lyftlearn_entrypoint.errors import BadDocument, BadSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def pairs(
    credential: "dict[str, Any]", name: str, region: str, decrypt: "Callable[[bytes, dict[str, str], str], bytes]"
) -> "dict[str, Any]":
    """Decrypt it: a Fernet key from KMS, then the pairs. `name` is for messages. Raises StartError: 65 or 78, and those of `decrypt`."""
    cipher = (credential.get("cipher_type"), str(credential.get("cipher_version")))
    if cipher != ("fernet", "2"):
        raise BadDocument(
            name + " is encrypted as " + ascii(cipher[0])[:20] + " " + ascii(cipher[1])[:20] + "; fernet 2 is what is known",
            finding="LL0613",
        )
    keys, stored = credential.get("data_key"), credential.get("credential_pairs")
    metadata = credential.get("metadata")
    context = metadata.get("context") if isinstance(metadata, dict) else None
    for part in (keys, stored, context):
        if not isinstance(part, dict) or region not in part:
            raise BadDocument(
                name + " was not encrypted for region " + (region or "(none is set)"),
                "It is there for: " + (", ".join(sorted(keys)) if isinstance(keys, dict) else "none") + ". Store it for this region too",
                finding="LL0614",
            )
    try:
        ciphertext = a2b_base64(keys[region])  # type: ignore[index]
    except (Error, ValueError, TypeError):
        raise BadDocument(name + ": its data key is not base64", finding="LL0615") from None
    fernet_key = decrypt(ciphertext, context[region], region)  # type: ignore[index]
    try:
        from lyftlearn_entrypoint.fetch import third_party

        third_party.reach()
        from cryptography.fernet import Fernet, InvalidToken
    except ImportError:
        raise BadSettings(
            name + " needs the package cryptography, which this image does not have",
            "Install lyftlearn-entrypoint[blind] in the image",
            finding="LL0616",
        ) from None
    try:
        value = parse(Fernet(fernet_key).decrypt(stored[region].encode()))  # type: ignore[index]
    except (InvalidToken, ValueError, AttributeError):
        raise BadDocument(name + " cannot be decrypted with its data key", finding="LL0615") from None
    if not isinstance(value, dict):
        raise BadDocument(name + " holds " + kind(value) + ", not a JSON object", finding="LL0615")
    return value
