"""Where credentials come from: static keys and containers; and how they are shared."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lyftlearn_entrypoint.errors import BadDocument, BadSettings, Refused, Unavailable
from lyftlearn_entrypoint.fetch.credentials import Credentials
from tests.clients import chain, failing
from tests.fake_http import Hang, Request, Script, answer, closed_port, in_turn, serve

EXPIRY = "2099-01-01T00:00:00Z"
SERVED = answer(
    200, json.dumps({"AccessKeyId": "AKIASERVED", "SecretAccessKey": "s3cr3t/+", "Token": "t0k3n==", "Expiration": EXPIRY}).encode()
)


def parts(found: Credentials) -> tuple[str, str, str | None, str]:
    return found.access_key, found.secret_key, found.token, found.source


def test_static_keys() -> None:
    environ = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s3cr3t"}
    assert parts(chain(environ).get()) == ("AKIA", "s3cr3t", None, "environment")
    assert chain({**environ, "AWS_SESSION_TOKEN": "t0k3n"}).get().token == "t0k3n"
    assert chain({**environ, "AWS_SESSION_TOKEN": ""}).get().token is None
    assert chain({**environ, "AWS_SESSION_TOKEN": "new", "AWS_SECURITY_TOKEN": "old"}).get().token == "old"  # as botocore


def test_half_a_key_pair() -> None:
    assert "AWS_SECRET_ACCESS_KEY is not" in failing({"AWS_ACCESS_KEY_ID": "AKIA"}, BadSettings)


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
def test_a_key_with_a_line_break_is_called_so(name: str) -> None:
    environ = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s3cr3t", "AWS_SESSION_TOKEN": "t0k3n"}
    environ[name] += "\n"
    assert failing(environ, BadSettings).startswith(f"{name} holds white space")


def test_credentials_never_show_themselves() -> None:
    found = Credentials("AKIA", "s3cr3t", "t0k3n", "environment")
    assert repr(found) == str(found) == "Credentials(****, from environment)"
    assert not hasattr(found, "__dict__")


def container(script: Script, environ: dict[str, str], **options: object) -> tuple[Credentials, list[Request]]:
    with serve(script) as server:
        environ = {name: value.replace("SERVER", server.url) for name, value in environ.items()}
        return chain(environ, container_host=f"127.0.0.1:{server.port}", **options).get(), server.requests  # type: ignore[arg-type]


def test_container_relative_uri() -> None:
    found, requests = container(lambda _: SERVED, {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/1?x=y"})
    assert parts(found) == ("AKIASERVED", "s3cr3t/+", "t0k3n==", "container")
    assert [(request.method, request.target) for request in requests] == [("GET", "/v2/credentials/1?x=y")]
    assert "authorization" not in requests[0].headers


def test_container_full_uri_with_the_token_of_a_file(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("b34r3r-from-file\n")
    environ = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "SERVER/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token),
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "not this one",
    }
    _, requests = container(lambda _: SERVED, environ)
    assert requests[0].headers["authorization"] == "b34r3r-from-file"


def test_container_full_uri_with_the_token_of_a_variable() -> None:
    environ = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "SERVER/c", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "Basic b34r3r"}
    _, requests = container(lambda _: SERVED, environ)
    assert requests[0].headers["authorization"] == "Basic b34r3r"


def test_the_relative_uri_wins_over_the_full_one() -> None:
    environ = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/relative", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "SERVER/full"}
    _, requests = container(lambda _: SERVED, environ)
    assert requests[0].target == "/relative"


def test_container_credentials_never_go_through_a_proxy() -> None:
    environ = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "SERVER/c", "http_proxy": f"http://127.0.0.1:{closed_port()}"}
    assert container(lambda _: SERVED, environ)[0].source == "container"


def test_a_container_endpoint_that_is_busy_is_asked_again() -> None:
    found, requests = container(in_turn(answer(503), b"", answer(429), SERVED), {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/c"})
    assert (found.access_key, len(requests)) == ("AKIASERVED", 4)


def test_a_container_endpoint_that_says_no() -> None:
    with serve(lambda _: answer(404, b'{"code": "NoRole", "message": "t0k3n"}')) as server:
        text = failing({"AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url}, Refused)
        assert len(server.requests) == 1
    assert f"container credentials at 127.0.0.1:{server.port}: status 404" in text
    assert "role" in text


def test_a_container_endpoint_that_is_not_there() -> None:
    port = closed_port()
    text = failing({"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{port}/c"}, Unavailable)
    assert f"127.0.0.1:{port}: connection refused (5 tries)" in text


def test_a_container_endpoint_that_never_answers_is_left_at_the_deadline() -> None:
    with serve(lambda _: Hang()) as server:
        text = failing({"AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url}, Unavailable, seconds=1.5)  # a try may take 2
    assert "timed out after " in text
    assert "the deadline of 1.5 s" in text


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"AccessKeyId": "A", "SecretAccessKey": "s3cr3t"}', b'{"AccessKeyId": 5}', b"{}"])
def test_a_container_endpoint_that_answers_nonsense(body: bytes) -> None:
    with serve(lambda _: answer(200, body)) as server:
        assert "status 200, but" in failing({"AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url}, BadDocument)


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("http://evil.example/c", "names evil.example over http"),
        ("http://169.254.169.254/c", "names 169.254.169.254 over http"),
        ("http://128.0.0.1/c", "names 128.0.0.1 over http"),
        ("http://user:s3cr3t@localhost/", "a user name or a password"),
        ("localhost:1/c", "does not start with http"),
    ],
)
def test_a_full_uri_that_may_not_be_asked(uri: str, text: str) -> None:
    assert text in failing({"AWS_CONTAINER_CREDENTIALS_FULL_URI": uri}, BadSettings)


def test_a_relative_uri_cannot_name_another_host() -> None:
    assert "does not start with /" in failing({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "0.evil.example/"}, BadSettings)


def test_a_container_token_that_cannot_be_used(tmp_path: Path) -> None:
    environ = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/"}
    name = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
    assert f"{name} names a file that cannot be read: no such file" in failing({**environ, name: str(tmp_path / "absent")}, BadSettings)
    (tmp_path / "two").write_text("b34r3r\nX-Other: 1\n")
    assert "not a legal header value" in failing({**environ, name: str(tmp_path / "two")}, BadSettings)
    assert "not a legal header value" in failing({**environ, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "b34r3r\r\nX: 1"}, BadSettings)


def in_threads(count: int, work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_many_threads_ask_once() -> None:
    with serve(lambda _: SERVED) as server:
        shared = chain({"AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url})
        found: list[Credentials] = []
        in_threads(10, lambda: found.append(shared.get()))
        assert len(server.requests) == 1
    assert len({id(item) for item in found}) == 1


def test_an_error_is_remembered() -> None:
    with serve(lambda _: answer(403)) as server:
        shared = chain({"AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url})
        texts = []

        def work() -> None:
            with pytest.raises(Refused) as caught:
                shared.get()
            texts.append(str(caught.value))

        in_threads(5, work)
        assert len(server.requests) == 1
    assert len(texts) == 5
    assert len(set(texts)) == 1
