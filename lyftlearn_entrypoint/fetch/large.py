"""SHA-256 of what is large: OpenSSL's, which uses the processor's own instructions for it. For what is small, loading it costs more."""

try:
    from _hashlib import openssl_sha256 as sha256
except ImportError:
    from lyftlearn_entrypoint.fetch.digest import sha256

__all__ = ["sha256"]
