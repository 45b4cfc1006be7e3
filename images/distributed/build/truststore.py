# ruff: noqa: INP001
"""Writes a Java keystore (JKS) of certificate authorities: python truststore.py OUT PEM...

Java reads neither Debian's bundle nor a proxy's. keytool takes half a second for each certificate and writes the time of day into the file;
this takes none, so the same certificates give the same bytes. Each certificate is called `debian:` and its file's name, as
ca-certificates-java calls it, so that `update-ca-certificates` in a team's Dockerfile goes on from here.

The format, from JDK 17's sun.security.provider.JavaKeyStore: magic, version 2, number of entries; of each entry the tag 2 (a trusted
certificate), alias, time in ms, "X.509", certificate; at the end SHA-1 over the password in UTF-16, a fixed text, and all of that.
"""

import base64
import hashlib
import os
import re
import struct
import sys

PASSWORD = "changeit"  # every JDK's; it protects nothing, since the certificates are public
PEM = re.compile(rb"-----BEGIN (?:TRUSTED )?CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+)-----END")


def utf(text: str) -> bytes:
    """As java.io.DataOutput.writeUTF, for text without NUL and supplementary characters."""
    data = text.encode()
    return struct.pack(">H", len(data)) + data


def certificates(paths: "list[str]") -> "dict[str, bytes]":
    """Alias to DER, each certificate once. Several in one file are numbered."""
    found: dict[str, bytes] = {}
    seen: set[bytes] = set()
    for path in paths:
        with open(path, "rb") as stream:
            texts = PEM.findall(stream.read())
        for number, text in enumerate(texts):
            data = base64.b64decode(text)
            if data not in seen:
                seen.add(data)
                found["debian:" + os.path.basename(path).lower() + (f"-{number}" if len(texts) > 1 else "")] = data
    return found


def keystore(entries: "dict[str, bytes]", milliseconds: int) -> bytes:
    """The keystore's bytes, every entry made at that time (since 1970)."""
    body = struct.pack(">IiI", 0xFEEDFEED, 2, len(entries))
    for alias in sorted(entries):
        body += struct.pack(">I", 2) + utf(alias) + struct.pack(">q", milliseconds) + utf("X.509")
        body += struct.pack(">I", len(entries[alias])) + entries[alias]
    return body + hashlib.sha1(PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite" + body).digest()  # noqa: S324


def main(out: str, paths: "list[str]") -> None:
    entries = certificates(paths)
    if not entries:
        sys.exit(f"truststore: no certificate in {', '.join(paths)}")
    with open(out, "wb") as stream:
        stream.write(keystore(entries, 1000 * int(os.environ.get("SOURCE_DATE_EPOCH", "0"))))
    print(f"truststore: {len(entries)} certificates")


main(sys.argv[1], sys.argv[2:])
