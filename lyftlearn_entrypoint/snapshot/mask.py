"""How a snapshot speaks of values without telling them: an HMAC under a key that the caller holds, and a last look over every string.

A plain hash of a short value is found by trying all of them; a keyed one is not, as long as the key is not known. The key is stretched
(PBKDF2), so that a key with less in it than its length promises costs 0.1 s a guess.
"""

import hashlib
import hmac

KEY_LEAST, KEY_DISTINCT = 32, 8  # characters of a key, and different ones among them
_ROUNDS = 200_000
_DIGITS = 32  # hexadecimal: 128 bits, more than enough against chance
_SHORT, _LONG = 4, 8  # characters of a secret: from here on it is looked for as a whole part of a path, or inside of any text
MARK = "hmac:"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


def weak(key: str) -> str:
    """What is wrong with a key, or ''. Never quotes it."""
    if len(key) < KEY_LEAST:
        return f"a key has at least {KEY_LEAST} characters, this one has {len(key)}: take `openssl rand -hex 32`"
    if len(set(key)) < KEY_DISTINCT:
        return f"a key has at least {KEY_DISTINCT} different characters: take `openssl rand -hex 32`"
    return ""


class Mask:
    """`key` is the caller's, '' for none: then every value is null, and only names can be compared. `words` are the document's own, which
    stay whatever a secret is."""

    def __init__(self, key: str, words: "frozenset[str]" = frozenset()) -> None:
        self._key = hashlib.pbkdf2_hmac("sha256", key.encode(), b"lyftlearn-snapshot/1", _ROUNDS) if key else b""
        self._words = words
        self._secrets: set[str] = set()

    @property
    def key_id(self) -> "str | None":
        """Tells two keys apart, and nothing else."""
        return self._hmac(b"key")[:16] if self._key else None

    def of(self, kind: str, name: str, value: "str | bytes") -> "str | None":
        """The keyed hash of a value. The name is in it: that two variables hold one value does not show."""
        if not self._key:
            return None
        data = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
        head = f"{kind}\x00{name}".encode("utf-8", "surrogateescape")
        return MARK + self._hmac(len(head).to_bytes(8, "big") + head + data)

    def hide(self, values: "Iterable[str]") -> None:
        """From now on no string of the document may hold one of these."""
        self._secrets.update(value for value in values if len(value) >= _SHORT)

    def text(self, text: str) -> str:
        """The string, or what stands for it where it holds something hidden."""
        if text.startswith(MARK) or text in self._words or not self._secrets:
            return text
        parts = set(text.split("/")) | {text}
        for secret in self._secrets:
            if secret in parts or (len(secret) >= _LONG and secret in text):
                return self.of("text", "", text) or "(hidden)"
        return text

    def over(self, value: "Any") -> "Any":
        """A whole document, names and texts, without anything hidden."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.over(item) for item in value]
        if isinstance(value, dict):
            return {self.text(name): self.over(item) for name, item in value.items()}
        return value

    def _hmac(self, data: bytes) -> str:
        return hmac.new(self._key, data, hashlib.sha256).hexdigest()[:_DIGITS]


# Set by platforms and by the image, never secrets, and said of the surroundings elsewhere in a document.
# fmt: off
_PLAIN = (
    "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TERM", "TZ", "HOSTNAME", "PAGER", "GIT_PAGER", "CLICOLOR", "MPLBACKEND", "SPARK_USER",
    "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_EXECUTION_ENV", "LYFTLEARN_CONTEXT", "TRAINING_JOB_NAME", "DD_AGENT_HOST",
)
# fmt: on
_PLAIN_BEGINNINGS = ("LC_", "SAGEMAKER_", "KUBERNETES_", "DMLC_", "NVIDIA_", "STATSD_", "DD_DOGSTATSD_", "JPY_", "PYTHON")


def suspects(variables: "dict[str, str]") -> "list[str]":
    """The values that may stand nowhere else: of any variable, but for those of platforms and for paths. Not only of credentials: a pod
    does not know which of its variables those are, and what is hidden in one place has to be hidden in all, or snapshots differ by that."""
    return [
        value
        for name, value in variables.items()
        if name not in _PLAIN and not name.startswith(_PLAIN_BEGINNINGS) and not value.startswith("/") and ":/" not in value
    ]
