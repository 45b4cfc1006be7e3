"""KMS answers: those that pass and those that are final."""

import base64
import json

import pytest

from lyftlearn_entrypoint.errors import BadDocument, Missing, Refused, StartError
from tests.clients import KEYS, aws, text_of
from tests.fake_http import answer, in_turn, serve


def kms_error(code: str, status: int = 400) -> bytes:
    return answer(status, json.dumps({"__type": "com.amazonaws.kms#" + code, "message": "who may not"}).encode())


@pytest.mark.parametrize(
    "trouble", [kms_error("ThrottlingException"), kms_error("KMSInternalException", 500), kms_error("DependencyTimeoutException", 503)]
)
def test_kms_trouble_that_passes(trouble: bytes) -> None:
    done = answer(200, json.dumps({"Plaintext": base64.b64encode(b"x").decode()}).encode())
    with serve(in_turn(trouble, done)) as server:
        assert aws({**KEYS, "AWS_ENDPOINT_URL": server.url, "AWS_REGION": "eu-west-1"}).kms_decrypt(b"blob", {}) == b"x"
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("reply", "kind", "text"),
    [
        (kms_error("NotFoundException"), Missing, "(NotFoundException). Check LYFTLEARN_CONFIDANT_AUTH_KEY and the region (eu-west-1)"),
        (
            kms_error("AccessDeniedException"),
            Refused,
            "(AccessDeniedException) with the credentials from environment: who may not. Allow kms:Encrypt",
        ),
        (answer(404, b"<html>PLAIN"), Refused, "status 404 with the credentials"),
        (kms_error("DisabledException"), Refused, "(DisabledException)"),
        (kms_error("KMSInvalidStateException"), Refused, "(KMSInvalidStateException)"),
        (kms_error("ExpiredTokenException"), Refused, "renew them"),
        (kms_error("UnrecognizedClientException"), Refused, "renew them"),
        (answer(400, b"", {"x-amzn-ErrorType": "AccessDeniedException:http://x"}), Refused, "(AccessDeniedException)"),
        (answer(200, b"<html>PLAIN</html>"), BadDocument, "status 200, but it is not JSON at line 1, column 1"),
        (answer(200, b"{}"), BadDocument, "status 200, but there is no CiphertextBlob in it"),
        (answer(200, b'{"CiphertextBlob": 5}'), BadDocument, "no CiphertextBlob"),
        (answer(200, b'{"CiphertextBlob": "a"}'), BadDocument, "no CiphertextBlob"),
        (answer(200, b'{"CiphertextBlob": "\xc3\xa9"}'), BadDocument, "no CiphertextBlob"),
        (answer(200, b"[1]"), BadDocument, "no CiphertextBlob"),
    ],
)
def test_a_final_answer_of_kms(reply: bytes, kind: type[StartError], text: str) -> None:
    with serve(lambda _: reply) as server:
        with pytest.raises(kind) as caught:
            aws({**KEYS, "AWS_ENDPOINT_URL": server.url, "AWS_REGION": "eu-west-1"}).kms_encrypt("alias/a", b"PLAIN", {})
        assert len(server.requests) == 1
    assert text in text_of(caught)
