"""SHA-256 from the interpreter's own module: `hashlib` loads OpenSSL, 3 ms; the hash is the same."""

import sys

try:
    # The module's name; asking for the wrong one first costs a search of sys.path at every start.
    if sys.version_info >= (3, 12):
        from _sha2 import sha256
    else:
        from _sha256 import sha256  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    from hashlib import sha256  # a build without its own hashes

__all__ = ["sha256", "sha256_hex"]


def sha256_hex(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return str(sha256(data).hexdigest())
