"""The HTTP client against servers that do what servers do: well, slowly, by halves, or not at all."""

import threading
import time

import pytest

from lyftlearn_entrypoint.deadline import Deadline
from lyftlearn_entrypoint.fetch.http import Http, HttpError, TooLarge
from tests.fake_http import Hang, Request, Reset, answer, closed_port, in_turn, serve

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def client(seconds: float = 20, **environ: str) -> Http:
    return Http(environ, Deadline(seconds))


def get(url: str, **options: object) -> tuple[int, bytes]:
    response = client().request("GET", url, {}, **options)  # type: ignore[arg-type]
    return response.status, response.body


def test_request_and_answer_arrive_whole() -> None:
    body = bytes(range(256)) * 300
    with serve(lambda request: answer(201, request.body, {"X-Twice": "one", "ETag": '"e"'})) as server:
        response = client().request("POST", server.url + "/a%20b?x=1#never", {"X-Mine": "yes"}, body)
        seen = server.requests[0]
    assert (response.status, response.body) == (201, body)
    assert response.headers["etag"] == '"e"'
    assert (seen.method, seen.target) == ("POST", "/a%20b?x=1")
    assert seen.headers["host"] == f"127.0.0.1:{server.port}"
    assert seen.headers["x-mine"] == "yes"
    assert seen.headers["content-length"] == str(len(body))
    assert seen.headers["connection"] == "close"
    assert seen.headers["accept-encoding"] == "identity"


def test_a_header_that_comes_twice_is_joined() -> None:
    with serve(lambda _: b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a:2\r\nContent-Length: 0\r\n\r\n") as server:
        assert client().request("GET", server.url, {}).headers["x-a"] == "1, 2"


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcIGNORED", b"abc"),
        (b"HTTP/1.1 200\r\nContent-Length: 3, 3\r\n\r\nabc", b"abc"),
        (b"HTTP/1.0 200 OK\r\n\r\nto the end", b"to the end"),
        (
            CHUNKED + b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n",
            b"abc0123456789",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Length: 99\r\n\r\n0\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nX: 1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", b"x"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 700\r\n\r\n", b""),
    ],
)
def test_forms_of_a_body(raw: bytes, body: bytes) -> None:
    with serve(lambda _: raw) as server:
        assert get(server.url)[1] == body


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n" + b"x" * 120, "closed after 120 of 4000 bytes"),
        (CHUNKED + b"ff\r\nabc", "closed in the middle of a chunk, after 3 bytes"),
        (CHUNKED + b"3\r\nabc\r\n", "closed in the middle of a chunk's size"),
        (CHUNKED + b"3\r\nabcdef\r\n0\r\n\r\n", "a chunk of over 0 bytes"),
        (CHUNKED + b"-3\r\n", "malformed chunk size"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "transfer coding"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4x\r\n\r\n", "malformed Content-Length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde", "malformed Content-Length"),
        (b"HTTP/1.1 200 OK\r\nContent", "closed in the middle of the header block"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "malformed header"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70000 + b"\r\n\r\n", "the header block of over 65536 bytes"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "not HTTP/1.1"),
        (b"", "closed without an answer"),
        (Reset(), "connection reset by peer"),
    ],
)
def test_an_answer_that_is_not_whole_is_an_error(raw: bytes | Reset, text: str) -> None:
    with serve(lambda _: raw) as server, pytest.raises(HttpError, match=rf"127\.0\.0\.1:{server.port}: .*{text}"):
        get(server.url)


def test_too_large_by_its_length_is_refused_before_the_body_is_read() -> None:
    with serve(lambda _: answer(200, b"x" * 500)) as server:
        with pytest.raises(TooLarge, match="a body of 500 bytes, at most 499") as caught:
            get(server.url, limit=499)
        assert caught.value.size == 500
        assert caught.value.final
        assert get(server.url, limit=500) == (200, b"x" * 500)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 500,
        CHUNKED + b"" + b"a\r\n0123456789\r\n" * 50 + b"0\r\n\r\n",
    ],
)
def test_too_large_without_a_length_is_refused_as_soon_as_it_is(raw: bytes) -> None:
    with serve(lambda _: raw) as server:
        with pytest.raises(TooLarge) as caught:
            get(server.url, limit=499)
        assert caught.value.size is None
        assert len(get(server.url, limit=500)[1]) == 500


@pytest.mark.parametrize("head", [b"Content-Length: 500\r\n\r\n", b"\r\n"])
def test_the_body_of_an_error_is_cut_at_the_limit(head: bytes) -> None:
    with serve(lambda _: b"HTTP/1.1 503 Busy\r\n" + head + b"x" * 500) as server:
        assert get(server.url, limit=100) == (503, b"x" * 100)


def test_a_silent_server_costs_the_read_timeout_and_no_more() -> None:
    with serve(lambda _: Hang()) as server:
        start = time.monotonic()
        with pytest.raises(HttpError, match=r"timed out after 0\.3 s") as caught:
            get(server.url, read_timeout=0.3)
        assert 0.25 < time.monotonic() - start < 15  # the deadline is 20
        assert not caught.value.final


def test_who_was_waited_for_when_the_deadline_passed() -> None:
    with serve(lambda _: Hang()) as silent, serve(lambda _: answer(200, b"")) as quick:
        http = client(2)
        http.request("GET", quick.url, {})
        with pytest.raises(HttpError):
            http.request("GET", silent.url, {})
        assert http.waiting() == [f"127.0.0.1:{silent.port}"]


def test_the_deadline_is_shorter_than_any_timeout() -> None:
    with serve(lambda _: Hang()) as server:
        http = client(2)
        with pytest.raises(HttpError, match=r"timed out after [0-2]\.\d s"):
            http.request("GET", server.url, {}, read_timeout=60)
        with pytest.raises(HttpError, match=r"the deadline of 2 s has passed") as caught:
            http.request("GET", server.url, {})
        assert caught.value.final


def test_connection_refused_names_the_place() -> None:
    port = closed_port()
    with pytest.raises(HttpError, match=rf"127\.0\.0\.1:{port}: connection refused") as caught:
        get(f"http://127.0.0.1:{port}/")
    assert not caught.value.final


def test_a_name_that_does_not_resolve() -> None:
    with pytest.raises(HttpError, match=r"nowhere\.invalid:80: .*(name|resolution|no address)"):
        get("http://nowhere.invalid/")


def test_redirects_are_the_callers_matter() -> None:
    with serve(lambda _: answer(301, b"", {"Location": "http://nowhere.invalid/"})) as server:
        assert get(server.url)[0] == 301


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/",
        "http:/host/",
        "http:///path",
        "http://host/a b",
        "http://host/a\r\nX: y",
        "http://host/é",
        "http://user:s3cr3t@host/",
        "http://host:70000/",
        "http://host:x/",
        "http://[::1]x/",
    ],
)
def test_a_url_that_is_none_is_final(url: str) -> None:
    with pytest.raises(HttpError) as caught:
        get(url)
    assert caught.value.final
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    "headers", [{"X": "a\r\nY: b"}, {"X": "a\0"}, {"X": "\u20ac"}, {"X\r\nY": "b"}, {"X:Y": "b"}, {"": "b"}, {"X Y": "b"}, {"X\n": "b"}]
)
def test_no_header_can_become_two(headers: dict[str, str]) -> None:
    with serve(lambda _: answer()) as server:
        with pytest.raises(HttpError) as caught:
            client().request("GET", server.url, headers)
        assert caught.value.final
        assert not server.connections


def test_a_header_of_ours_can_be_replaced_but_not_doubled() -> None:
    with serve(lambda _: answer()) as server:
        client().request("GET", server.url, {"user-agent": "other", "HOST": "virtual.example"})
        assert server.requests[0].headers["user-agent"] == "other"
        assert server.requests[0].headers["host"] == "virtual.example"


def test_many_threads_share_one_client() -> None:
    def echo(request: Request) -> bytes:
        return answer(200, request.target.encode())

    with serve(echo) as server:
        http = client()
        got: list[bytes] = []
        threads = [threading.Thread(target=lambda n=n: got.append(http.request("GET", f"{server.url}/{n}", {}).body)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(got) == sorted(f"/{n}".encode() for n in range(20))


def test_the_fakes_answer_in_turn() -> None:
    with serve(in_turn(answer(500), answer(200))) as server:
        assert [get(server.url)[0] for _ in range(3)] == [500, 200, 200]
