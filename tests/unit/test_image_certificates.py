"""Certificates that only the building machine trusts are found however they are written, and the public ones are not."""

import base64
import datetime as dt
import hashlib
import json
from functools import cache
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from lyftlearn_entrypoint.cli.image.certificates import Certificates, fingerprints

if TYPE_CHECKING:
    from collections.abc import Callable


@cache
def certificate(name: str) -> x509.Certificate:
    """A certificate authority's own."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key()).serial_number(7)
    made = made.not_valid_before(start).not_valid_after(start + dt.timedelta(days=9))
    return made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())


def pem(name: str) -> bytes:
    return certificate(name).public_bytes(serialization.Encoding.PEM)


def der(name: str) -> bytes:
    return certificate(name).public_bytes(serialization.Encoding.DER)


WRITTEN: "dict[str, Callable[[str], bytes]]" = {
    "pem": pem,
    "der": der,
    "in a bundle": lambda name: b"# one\n" + pem("other") + b"# two\n" + pem(name) + pem("third"),
    "with Windows line ends": lambda name: pem(name).replace(b"\n", b"\r\n"),
    "wrapped at 76": lambda name: (
        b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der(name)) + b"-----END CERTIFICATE-----\n"  # 76 to a line
    ),
    "in JSON": lambda name: json.dumps({"ca": pem(name).decode()}).encode(),
    "in a Java key store": lambda name: (
        b"\xfe\xed\xfe\xed\0\0\0\2\0\0\0\1\0\2ca\0\5X.509" + len(der(name)).to_bytes(4, "big") + der(name) + bytes(20)
    ),
}


@pytest.mark.parametrize("written", WRITTEN)
def test_found_however_it_is_written(written: str) -> None:
    data = WRITTEN[written]("ours")
    assert hashlib.sha256(der("ours")).digest() in fingerprints(data)
    looked = Certificates(pem("public") + pem("ours"))
    looked.look("key", "srv/ca", data)
    looked.look("key", "srv/none", b"nothing")
    assert looked.private() == [("key", "srv/ca")]


def test_a_certificate_of_less_than_256_bytes() -> None:
    """Its lengths are one byte each."""
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
    small = (
        made.not_valid_before(start).not_valid_after(start + dt.timedelta(days=9)).sign(key, None).public_bytes(serialization.Encoding.DER)
    )
    assert len(small) < 256
    assert fingerprints(b"x" + small + b"y") == {hashlib.sha256(small).digest()}


def test_what_debian_ships_is_public() -> None:
    """The file is as its package's md5sums say, wherever else the certificate is too."""
    looked = Certificates(pem("public") + pem("ours"))
    digest = hashlib.md5(pem("public"), usedforsecurity=False).hexdigest()
    looked.look("low", "etc/ssl/certs/ca-certificates.crt", pem("public"))
    looked.look("low", "usr/share/ca-certificates/mozilla/P.crt", pem("public"))
    looked.look("low", "var/lib/dpkg/info/ca-certificates.md5sums", f"{digest}  usr/share/ca-certificates/mozilla/P.crt\n".encode())
    assert looked.private() == []


def test_a_library_from_before_the_merge_of_usr() -> None:
    looked = Certificates(pem("public"))
    library = b"ELF" + der("public")
    digest = hashlib.md5(library, usedforsecurity=False).hexdigest()
    looked.look("low", "usr/lib/x/libnssckbi.so", library)
    looked.look("low", "var/lib/dpkg/info/libnss3:amd64.md5sums", f"{digest}  lib/x/libnssckbi.so\n".encode())
    assert looked.private() == []


@pytest.mark.parametrize("changed", [False, True])
def test_what_a_distribution_ships_is_public_while_it_is_as_it_came(changed: bool) -> None:
    """A build step that appends its own authority to certifi's bundle makes it ours."""
    site = "opt/venv/lib/python3.11/site-packages"
    shipped = pem("public")
    digest = base64.urlsafe_b64encode(hashlib.sha256(shipped).digest()).rstrip(b"=").decode()
    looked = Certificates(pem("public") + pem("ours"))
    looked.look("low", f"{site}/certifi-1.dist-info/RECORD", f"certifi/cacert.pem,sha256={digest},9\ncertifi/x.py,sha256=x,1\n".encode())
    looked.look("low", f"{site}/certifi/cacert.pem", shipped + (pem("ours") if changed else b""))
    assert looked.private() == ([("low", f"{site}/certifi/cacert.pem")] if changed else [])


def test_a_file_that_claims_a_package_is_not_believed() -> None:
    """Another path, or other bytes, than the package's."""
    digest = hashlib.md5(pem("ours"), usedforsecurity=False).hexdigest()
    for path, data in (("usr/share/ca-certificates/Q.crt", pem("ours")), ("usr/share/ca-certificates/P.crt", pem("ours") + b"#")):
        looked = Certificates(pem("ours"))
        looked.look("low", "var/lib/dpkg/info/x.md5sums", f"{digest}  usr/share/ca-certificates/P.crt\n".encode())
        looked.look("low", path, data)
        assert looked.private() == [("low", path)]


def test_without_a_bundle_nothing_is_looked_for() -> None:
    looked = Certificates(b"")
    looked.look("low", "etc/x.pem", pem("ours"))
    assert looked.private() == []


def test_what_is_no_certificate() -> None:
    assert fingerprints(b"-----BEGIN CERTIFICATE-----\nnot=base64=\n-----END CERTIFICATE-----") == set()
    assert fingerprints(b"-----BEGIN CERTIFICATE-----\n") == set()
