"""How Confidant is asked: what is final, what is asked again and until when, and where the token never goes."""

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from lyftlearn_local.platform import Platform
from tests.fake_http import Hang, Request, answer, serve
from tests.integration.job import Job, relay

pytest_plugins = ["tests.integration.platform_fixture"]

Need = Callable[[object, str], None]
Service = Callable[..., dict[str, str]]


def test_a_refused_token_is_renewed_each_time(job: Job, platform: Platform, service: Service) -> None:
    """HTML 403: the real server refuses a token made for another server's context."""
    settings = service({"a": "1"})
    with relay(platform.confidant.url) as server:
        ended = job.start(**{**settings, "LYFTLEARN_CONFIDANT_URL": server.url, "LYFTLEARN_CONFIDANT_AUTH_CONTEXT": "confidant-production"})
        tokens = [request.headers["x-auth-token"] for request in server.requests]
    assert ended.code == 77
    assert len(tokens) >= 2
    assert len(set(tokens)) == len(tokens)
    assert "403" in ended.line
    assert "LYFTLEARN_CONFIDANT_AUTH_CONTEXT" in ended.line
    assert not [token for token in tokens if token in ended.err + job.failure]


def test_html_403_then_good(job: Job, platform: Platform, service: Service) -> None:
    def change(number: int, request: Request) -> "bytes | None":
        return answer(403, b"<!doctype html><title>403 Forbidden</title>", {"Content-Type": "text/html"}) if number == 1 else None

    with relay(platform.confidant.url, change) as server:
        ended = job.start(**{**service({"a": "1"}), "LYFTLEARN_CONFIDANT_URL": server.url})
        tokens = [request.headers["x-auth-token"] for request in server.requests]
    assert ended.env["CREDENTIALS_A"] == "1"
    assert len(set(tokens)) == len(tokens) == 2


def test_500_then_good(job: Job, platform: Platform, service: Service) -> None:
    with relay(platform.confidant.url, lambda number, _: answer(500, b"<h1>Internal Server Error</h1>") if number < 3 else None) as server:
        ended = job.start(**{**service({"a": "1"}), "LYFTLEARN_CONFIDANT_URL": server.url})
        assert len(server.requests) == 3
    assert ended.env["CREDENTIALS_A"] == "1"


def test_success_that_calls_itself_html_counts(job: Job, service: Service) -> None:
    """Confidant 6.6.1 sends its JSON as text/html."""
    body = b'{"credentials": [{"id": "c", "metadata": {}, "credential_pairs": {"a": "1"}}], "blind_credentials": []}'
    with serve(lambda _: answer(200, body, {"Content-Type": "text/html; charset=utf-8"})) as server:
        assert job.start(**{**service({}), "LYFTLEARN_CONFIDANT_URL": server.url}).env["CREDENTIALS_A"] == "1"


JSON = {"Content-Type": "application/json"}
LATER = b'{"error": "Authenticated user is not authorized.", "reference": "secret-looking-body"}'


@pytest.mark.parametrize(
    ("reply", "code", "says"),
    [
        (answer(403, LATER, JSON), 77, "403"),
        (answer(401, LATER, JSON), 77, "401"),
        (answer(401, b"<html>secret-looking-body</html>"), 77, "401"),
        (answer(404, b"{}", JSON), 66, "404"),
        (answer(405, b"<html>secret-looking-body</html>"), 78, "405"),
        (answer(200, b"<html>secret-looking-body, please log in</html>"), 65, "not JSON"),
        (answer(200, b'["secret-looking-body"]', JSON), 65, "not a service"),
        (answer(200, b"null", JSON), 65, "not a service"),
        (answer(200, b"0", JSON), 65, "not a service"),
        (answer(204), 65, "204"),
        (answer(202, b'{"message": "secret-looking-body"}', JSON), 65, "202"),
        (answer(200, b'{"message": "secret-looking-body"}', JSON), 65, "not a service"),
        (answer(200, b'{"credentials": {}}', JSON), 65, "credentials is not a list"),
        (answer(200, b'{"credentials": [1]}', JSON), 65, "credentials is not a list"),
        (answer(200, b'{"credentials": [], "blind_credentials": null}', JSON), 65, "blind_credentials is not a list"),
        (answer(200, b'{"credentials": [{"id": "c", "metadata": [1], "credential_pairs": {}}]}', JSON), 65, "metadata of credential c"),
        (
            answer(200, b'{"credentials": [{"id": "c", "credential_pairs": {"a": {"secret-looking-body": 1}}}]}', JSON),
            65,
            "'a' of credential c",
        ),
    ],
)
def test_what_is_final_is_asked_once(job: Job, service: Service, reply: bytes, code: int, says: str) -> None:
    with serve(lambda _: reply) as server:
        ended = job.start(**{**service({}), "LYFTLEARN_CONFIDANT_URL": server.url})
        assert len(server.requests) == 1
        assert server.url in ended.line or "Confidant's reply: " in ended.line
    assert ended.code == code
    assert says in ended.line
    assert "secret-looking-body" not in ended.err + job.failure


def test_a_redirect_is_not_followed_since_it_would_carry_the_token(job: Job, service: Service) -> None:
    with serve(lambda _: answer(200, b"{}")) as other:
        with serve(lambda _: answer(302, b"", {"Location": other.url + "/v1/services/x"})) as server:
            ended = job.start(**{**service({}), "LYFTLEARN_CONFIDANT_URL": server.url})
        assert other.requests == []
    assert ended.code == 78
    assert "302" in ended.line
    assert "redirect" in ended.line


@pytest.mark.parametrize(
    "reply",
    [
        answer(200, b'{"credentials": [', {"Content-Length": "5000"}),
        answer(500, b""),
        answer(503, b"", {"Retry-After": "30"}),
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    ],
    ids=["truncated", "500", "503", "closed", "no-http"],
)
def test_what_does_not_answer_whole_is_asked_again_until_the_deadline(job: Job, service: Service, reply: bytes) -> None:
    with serve(lambda _: reply) as server:
        ended = job.start(**{**service({}), "LYFTLEARN_CONFIDANT_URL": server.url, "LYFTLEARN_DEADLINE": "2"})
    assert ended.code == 69
    assert server.url in ended.line
    assert ended.seconds < 20  # the 30 s that a server asks for are not waited for


def test_a_slow_server_meets_the_deadline(job: Job, service: Service) -> None:
    with serve(lambda _: Hang()) as server:
        ended = job.start(**{**service({}), "LYFTLEARN_CONFIDANT_URL": server.url, "LYFTLEARN_DEADLINE": "1.5"})
    assert ended.code == 69
    assert 1.5 <= ended.seconds < 13  # an answer is waited for 15 s
    assert "1.5 s" in ended.line
    assert "LYFTLEARN_DEADLINE" in ended.line
    assert server.url in ended.line


def test_the_token_never_goes_through_a_proxy(job: Job, service: Service) -> None:
    """KMS does go through it, so the proxy is really in force."""
    settings = service({"a": "1"})
    passed = urlsplit(job.environ["AWS_ENDPOINT_URL"]).netloc
    with serve(lambda _: answer(502, b"")) as proxy:
        proxies = {"http_proxy": proxy.url, "HTTP_PROXY": proxy.url, "NO_PROXY": passed}
        assert job.start(**settings, **proxies).env["CREDENTIALS_A"] == "1"
        assert proxy.requests == []
    with serve(lambda _: answer(502, b"")) as proxy:
        proxies = {"http_proxy": proxy.url, "HTTP_PROXY": proxy.url, "NO_PROXY": "nowhere.example.com"}
        assert job.start(**settings, **proxies, LYFTLEARN_DEADLINE="10").code == 69
        targets = [request.target for request in proxy.requests]
    assert targets
    assert all(target.startswith(f"http://{passed}/") for target in targets)  # KMS, and never Confidant
