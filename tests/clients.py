"""Clients for tests that neither wait between tries nor look outside what the test gives them."""

import time

import pytest

from lyftlearn_entrypoint.deadline import Deadline
from lyftlearn_entrypoint.errors import StartError
from lyftlearn_entrypoint.fetch.aws import Aws
from lyftlearn_entrypoint.fetch.credentials import CredentialChain
from lyftlearn_entrypoint.fetch.http import Http

KEYS = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "s3cr3t", "AWS_SESSION_TOKEN": "t0k3n"}
MIB = 1 << 20


def aws(environ: dict[str, str], *, seconds: float = 30, http: Http | None = None, skew: float = 0) -> Aws:
    """The clock is `skew` seconds ahead."""
    deadline = Deadline(seconds, sleep=lambda _: None)
    http = http or Http(environ, deadline)
    return Aws(environ, http, deadline, CredentialChain(environ, http, deadline), now=lambda: time.time() + skew)


def chain(
    environ: dict[str, str], *, container_host: str = "127.0.0.1:1", seconds: float = 20, instance_metadata: bool = True
) -> CredentialChain:
    deadline = Deadline(seconds, sleep=lambda _: None)
    return CredentialChain(environ, Http(environ, deadline), deadline, container_host=container_host, instance_metadata=instance_metadata)


def text_of(error: pytest.ExceptionInfo[StartError]) -> str:
    """Its text, which never holds one of the secrets that the tests use."""
    for secret in ("s3cr3t", "t0k3n", "b34r3r", "PLAIN"):
        assert secret not in str(error.value)
    return str(error.value)


def failing(environ: dict[str, str], kind: type[StartError], **options: object) -> str:
    """The text of the error that looking for credentials ends with."""
    with pytest.raises(kind) as caught:
        chain(environ, **options).get()  # type: ignore[arg-type]
    return text_of(caught)


def error_xml(code: str, more: str = "") -> bytes:
    """An S3 error, with a message that must not be shown."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>t0k3n</Message>{more}</Error>'.encode()
