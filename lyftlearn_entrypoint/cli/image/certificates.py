"""Certificates that only the building machine trusts: a proxy's own authority, say. They must not come into an image.

The machine's bundle holds the public ones too. A certificate is public when a file that came with a package of Debian's or a Python
distribution holds it, and that file is as it came: its digest is in the package's md5sums, or in the distribution's RECORD.
"""

from __future__ import annotations

import base64
import hashlib
import re
from binascii import Error as BinasciiError

_PEM = re.compile(rb"-----BEGIN (?:TRUSTED )?CERTIFICATE-----([A-Za-z0-9+/=\s\\]+?)-----END (?:TRUSTED )?CERTIFICATE-----")
# How an X.509 certificate begins in DER (RFC 5280, 4.1), as Java's key stores hold it: two SEQUENCEs, whose lengths take one to three
# bytes, and in them [0] version 3, with the serial number behind it.
_VERSION = re.compile(rb"\xa0\x03\x02\x01\x02\x02")
_SEQUENCES = re.compile(rb"\x30(?:\x82(..)|\x81(.))\x30(?:\x82..|\x81.|[\x00-\x7f])", re.DOTALL)
_MD5SUMS = re.compile(r"^var/lib/dpkg/info/[^/]+\.md5sums$")
_RECORDED = re.compile(r"^([^,\n]+\.(?:pem|crt)),sha256=([\w-]+)", re.MULTILINE)
# Of a certificate: SHA-256 of its DER.
Fingerprint = bytes


def fingerprints(data: bytes) -> set[Fingerprint]:
    """The certificates in a file's bytes, as PEM (line ends may be written `\\n`, as in JSON) or as DER."""
    found = set()
    if b"CERTIFICATE-----" in data:
        for text in _PEM.findall(data):
            try:
                found.add(hashlib.sha256(base64.b64decode(b"".join(re.sub(rb"\\[nr]", b"", text).split()), validate=True)).digest())
            except BinasciiError:
                continue
    for version in _VERSION.finditer(data):
        for start in range(max(0, version.start() - 8), version.start() - 4):
            if head := _SEQUENCES.fullmatch(data, start, version.start()):
                length = head[1] or head[2]
                found.add(hashlib.sha256(data[start : start + 2 + len(length) + int.from_bytes(length, "big")]).digest())
    return found


class Certificates:
    """Looks through an image's files for what is in `bundle` (PEM; empty: nothing to look for) and is not public."""

    def __init__(self, bundle: bytes) -> None:
        self._ours = fingerprints(bundle)
        self._found: list[tuple[str, str, set[Fingerprint]]] = []
        # (path, digest) of what packages brought, and of each file with certificates, with these.
        self._shipped: set[tuple[str, str]] = set()
        self._holders: list[tuple[str, tuple[str, str], set[Fingerprint]]] = []

    def look(self, key: str, path: str, data: bytes) -> None:
        """Look at one file of a layer."""
        if not self._ours:
            return
        if _MD5SUMS.match(path):
            for line in data.decode(errors="replace").splitlines():
                digest, _, name = line.partition("  ")
                self._shipped.add((name, digest))
        elif path.endswith(".dist-info/RECORD"):
            site = path.rpartition("/")[0].rpartition("/")[0]
            for name, digest in _RECORDED.findall(data.decode(errors="replace")):
                self._shipped.add((f"{site}/{name}", base64.urlsafe_b64decode(digest + "=").hex()))
        if has := fingerprints(data):
            self._holders.append((path, (hashlib.md5(data, usedforsecurity=False).hexdigest(), hashlib.sha256(data).hexdigest()), has))
            if has & self._ours:
                self._found.append((key, path, has & self._ours))

    def private(self) -> list[tuple[str, str]]:
        """(layer's key, path) of each file that holds a certificate of the bundle which is not public."""
        public: set[Fingerprint] = set()
        for path, digests, has in self._holders:
            # A package made before /usr was merged names /lib what lies in /usr/lib.
            if any((name, digest) in self._shipped for name in (path, path.removeprefix("usr/")) for digest in digests):
                public |= has
        return [(key, path) for key, path, has in self._found if has - public]
