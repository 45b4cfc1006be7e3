"""TLS through the interpreter's own `_ssl`: the same OpenSSL, without the 14 ms that the `ssl` module takes to import."""

import _ssl
import posix

from lyftlearn_entrypoint.fetch.url import HttpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lyftlearn_entrypoint.fetch.dial import Connection

# Where the distributions keep their certificate authorities: a directory hashed by OpenSSL is read lazily (16 ms, not 33).
HASHED = "/etc/ssl/certs"
BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Amazon Linux, Fedora, RHEL
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",
)
_MISMATCH = (62, 63, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, _EMAIL_MISMATCH, _IP_ADDRESS_MISMATCH (openssl/x509_vfy.h)
_DATES = (9, 10)  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED


class TlsStream:
    """A connection that encrypts. Its errors are OSError, as a socket's are."""

    __slots__ = ("_raw", "_tls")

    def __init__(self, raw: "Connection", tls: "Any") -> None:
        self._raw = raw
        self._tls = tls

    def settimeout(self, seconds: float) -> None:
        self._raw.settimeout(seconds)

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._tls.write(view) :]

    def recv(self, size: int) -> bytes:
        """The next bytes; none only where the peer has said that it is done (an end without that is an OSError)."""
        try:
            return self._tls.read(size)  # type: ignore[no-any-return]
        except _ssl.SSLZeroReturnError:
            return b""

    def certificate(self) -> "dict[str, Any]":
        """The peer's certificate, verified, as ssl.SSLSocket.getpeercert() gives it."""
        return self._tls.getpeercert(False) or {}

    def close(self) -> None:
        self._raw.close()


class Tls:
    """Verifies certificate and host name, TLS 1.2 or later. Certificate authorities: `AWS_CA_BUNDLE` (a file or a hashed
    directory), else `SSL_CERT_FILE` and `SSL_CERT_DIR`, else the system's.
    """

    def __init__(self, environ: "dict[str, str]") -> None:
        context: Any = _ssl._SSLContext(_ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = _ssl.PROTO_TLSv1_2
        # A name in the certificate's subject proves nothing where it has no subjectAltName (RFC 9110, section 4.3.4).
        context._host_flags |= _ssl.HOSTFLAG_NEVER_CHECK_SUBJECT
        # CPython sets it for old habits: an end without farewell would look like the end of a body.
        context.options &= ~getattr(_ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
        self._context = context
        for file, folder, origin in authorities(environ):
            try:
                context.load_verify_locations(file, folder)
            except OSError as error:
                text = error.strerror or "it holds no certificate"
                raise HttpError(
                    "the certificate authorities in " + origin + " cannot be read: " + text.lower(), True, finding="LL0710"
                ) from None

    def wrap(self, raw: "Connection", host: str, where: str, wait: float) -> TlsStream:
        """Shake hands on `raw`, whose timeout is `wait` seconds. Raises `HttpError`, final where the certificate is bad."""
        try:
            tls = self._context._wrap_socket(raw, False, host.rstrip("."))
            tls.do_handshake()
            return TlsStream(raw, tls)
        except TimeoutError:
            raise HttpError(where + ": the TLS handshake timed out after " + format(wait, ".1f") + " s", finding="LL0709") from None
        except _ssl.SSLCertVerificationError as error:
            reason = str(getattr(error, "verify_message", "")) or "certificate verify failed"
            number = getattr(error, "verify_code", 0)
            code = "LL0708"
            if number in _MISMATCH:
                code = "LL0706"
                text = "its certificate does not match the host name (" + reason + ")"
            elif number in _DATES:
                code = "LL0707"
                text = "its certificate is not valid at this machine's time (" + reason + ")"
            else:
                text = "its certificate is not trusted (" + reason + "); AWS_CA_BUNDLE names other certificate authorities"
            raise HttpError(where + ": " + text, True, finding=code) from None
        except _ssl.SSLError as error:
            reason = str(getattr(error, "reason", None) or "connection closed").replace("_", " ").lower()
            raise HttpError(where + ": the TLS handshake failed (" + reason + ")", finding="LL0709") from None
        except OSError as error:
            raise HttpError(
                where + ": the TLS handshake failed (" + (error.strerror or "connection closed").lower() + ")", finding="LL0709"
            ) from None
        except ValueError:  # a host name that is no name: a leading dot, an embedded NUL
            raise HttpError(where + ": not a host name that TLS can verify", True) from None


def authorities(environ: "dict[str, str]") -> "list[tuple[str | None, str | None, str]]":
    """(file, directory, where that came from): what to load, in this order."""
    bundle = environ.get("AWS_CA_BUNDLE")
    if bundle:
        return [(None, bundle, "AWS_CA_BUNDLE") if _is_directory(bundle) else (bundle, None, "AWS_CA_BUNDLE")]
    file, folder = environ.get("SSL_CERT_FILE"), environ.get("SSL_CERT_DIR")
    if file or folder:
        named: list[tuple[str | None, str | None, str]] = [(file, None, "SSL_CERT_FILE")] if file else []
        return named + [(None, part, "SSL_CERT_DIR") for part in (folder or "").split(":") if part]
    if any(len(name) == 10 and name.endswith(".0") for name in _names(HASHED)):
        return [(None, HASHED, HASHED)]
    for path in BUNDLES:
        try:
            posix.stat(path)
        except OSError:
            continue
        return [(path, None, path)]
    raise HttpError("this image has no certificate authorities: install ca-certificates, or set AWS_CA_BUNDLE", True, finding="LL0711")


def _is_directory(path: str) -> bool:
    try:
        return posix.stat(path).st_mode & 0o170000 == 0o040000
    except OSError:
        return False


def _names(path: str) -> "list[str]":
    try:
        return posix.listdir(path)
    except OSError:
        return []
