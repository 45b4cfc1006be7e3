"""Which proxy is used for what, and what goes over the wire to it."""

import binascii
from pathlib import Path

import pytest

from lyftlearn_entrypoint.deadline import Deadline
from lyftlearn_entrypoint.fetch.dial import Connection
from lyftlearn_entrypoint.fetch.http import LINK_LOCAL, Http, HttpError
from lyftlearn_entrypoint.fetch.proxy import choose
from lyftlearn_entrypoint.fetch.url import split
from tests.fake_http import Authority, Hang, Request, Tunnel, answer, closed_port, serve


def chosen(environ: dict[str, str], url: str) -> str | None:
    proxy = choose(environ, split(url))
    return None if proxy is None else proxy.where


@pytest.mark.parametrize(
    ("environ", "url", "expected"),
    [
        ({}, "https://kms.example/", None),
        ({"HTTPS_PROXY": "http://p:3128"}, "https://kms.example/", "p:3128"),
        ({"HTTPS_PROXY": "http://p:3128"}, "http://kms.example/", None),
        ({"HTTP_PROXY": "http://p:3128"}, "https://kms.example/", None),
        ({"HTTP_PROXY": "http://p:3128"}, "http://kms.example/", "p:3128"),
        ({"HTTP_PROXY": "http://p:3128", "REQUEST_METHOD": "GET"}, "http://kms.example/", None),
        ({"http_proxy": "http://p:3128", "REQUEST_METHOD": "GET"}, "http://kms.example/", "p:3128"),
        ({"https_proxy": "http://lower:1", "HTTPS_PROXY": "http://upper:1"}, "https://kms.example/", "lower:1"),
        ({"https_proxy": "", "HTTPS_PROXY": "http://upper:1"}, "https://kms.example/", None),
        ({"ALL_PROXY": "http://all:1"}, "https://kms.example/", "all:1"),
        ({"ALL_PROXY": "http://all:1", "https_proxy": "http://p:2"}, "https://kms.example/", "p:2"),
        ({"https_proxy": "p:3128"}, "https://kms.example/", "p:3128"),
        ({"https_proxy": "//p:3128/"}, "https://kms.example/", "p:3128"),
        ({"https_proxy": "http://p"}, "https://kms.example/", "p:80"),
        ({"https_proxy": "http://[::1]:3128"}, "https://kms.example/", "[::1]:3128"),
    ],
)
def test_variables(environ: dict[str, str], url: str, expected: str | None) -> None:
    assert chosen(environ, url) == expected


@pytest.mark.parametrize(
    ("no_proxy", "host", "direct"),
    [
        ("*", "kms.example", True),
        ("kms.example", "kms.example", True),
        ("KMS.Example", "kms.example", True),
        ("example", "kms.example", True),
        (".example", "kms.example", True),
        (".kms.example", "kms.example", True),
        ("ample", "kms.example", False),
        ("other, kms.example", "kms.example", True),
        ("other kms.example", "kms.example", True),
        ("kms.example:443", "kms.example", True),
        ("kms.example:444", "kms.example", False),
        ("kms.example:443", "kms.example:8443", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("2.3", "10.1.2.3", False),
        ("10.0.0.0/8", "ten.example", False),
        ("10.0.0.0/33", "10.0.0.0", False),
        ("fd00::/8", "[fd12::1]", True),
        ("fd00::/8", "10.0.0.1", False),
        ("::1", "[::1]", True),
        ("[::1]:443", "[0:0:0:0:0:0:0:1]", True),
        ("", "kms.example", False),
        (",,", "kms.example", False),
        ("not a:port:x", "kms.example", False),
    ],
)
def test_no_proxy(no_proxy: str, host: str, direct: bool) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        assert (chosen({"https_proxy": "http://p:1", name: no_proxy}, f"https://{host}/") is None) == direct


@pytest.mark.parametrize(
    "value",
    [
        "socks5://user:s3cr3t@p:1",
        "https://user:s3cr3t@p:1",
        "http://user:s3cr3t@:1",
        "http://user:s3cr3t@p:x",
        "http://user:s3cr3t\udcff@pr\xf6xy:1",
        "http://user:s3cr3t@\udcff:1",
        "s3cr3t and blanks",
    ],
)
def test_a_proxy_that_cannot_be_used_is_an_error_without_its_password(value: str) -> None:
    with pytest.raises(HttpError) as caught:
        Http({"https_proxy": value}, Deadline(5)).request("GET", "https://kms.example/", {})
    assert caught.value.final
    assert "s3cr3t" not in str(caught.value)


def test_an_http_url_goes_to_the_proxy_whole() -> None:
    with serve(lambda _: answer(200, b"by proxy")) as proxy:
        http = Http({"http_proxy": f"http://us%20er:p%40ss@127.0.0.1:{proxy.port}"}, Deadline(20))
        assert http.request("GET", "http://s3.example:81/a?b", {}).body == b"by proxy"
        seen = proxy.requests[0]
    assert seen.target == "http://s3.example:81/a?b"
    assert seen.headers["host"] == "s3.example:81"
    assert binascii.a2b_base64(seen.headers["proxy-authorization"].removeprefix("Basic ")) == b"us er:p@ss"


def test_an_https_url_asks_for_a_tunnel() -> None:
    with serve(lambda _: answer(407)) as proxy:
        http = Http({"https_proxy": f"http://user:s3cr3t@127.0.0.1:{proxy.port}"}, Deadline(20))
        with pytest.raises(HttpError, match=rf"kms\.example:443 through the proxy 127\.0\.0\.1:{proxy.port}: .*status 407") as caught:
            http.request("GET", "https://kms.example/", {"X-Auth-Token": "t0ken"})
        seen = proxy.requests[0]
    assert caught.value.final
    assert "s3cr3t" not in str(caught.value)
    assert (seen.method, seen.target) == ("CONNECT", "kms.example:443")
    assert seen.headers["proxy-authorization"] == "Basic " + binascii.b2a_base64(b"user:s3cr3t", newline=False).decode()
    assert "x-auth-token" not in seen.headers  # that is the origin's, not the proxy's


def test_a_proxy_that_is_busy_may_be_asked_again() -> None:
    with serve(lambda _: answer(503)) as proxy:
        with pytest.raises(HttpError, match="status 503") as caught:
            Http({"https_proxy": proxy.url}, Deadline(20)).request("GET", "https://kms.example/", {})
        assert not caught.value.final


def test_a_proxy_that_is_down_or_silent() -> None:
    port = closed_port()
    with pytest.raises(HttpError, match=f"127.0.0.1:{port}: connection refused"):
        Http({"https_proxy": f"http://127.0.0.1:{port}"}, Deadline(20)).request("GET", "https://kms.example/", {})
    with serve(lambda _: Hang()) as proxy, pytest.raises(HttpError, match="did not answer CONNECT in time"):
        Http({"https_proxy": proxy.url}, Deadline(20)).request("GET", "https://kms.example/", {}, connect_timeout=1.0)


@pytest.mark.parametrize("host", LINK_LOCAL)
def test_credential_endpoints_never_go_through_a_proxy(host: str) -> None:
    dialled: list[str] = []

    def record(where: str, _port: int, _wait: float) -> Connection:
        dialled.append(where)
        raise OSError("not in this test")

    bracketed = f"[{host}]" if ":" in host else host
    with pytest.raises(HttpError):
        Http({"http_proxy": "http://p:1", "all_proxy": "http://p:1"}, Deadline(5), record).request("GET", f"http://{bracketed}/", {})
    assert dialled == [host]


def test_a_request_may_forbid_the_proxy() -> None:
    def target(request: Request) -> bytes:
        return answer(200, request.target.encode())

    with serve(target) as origin, serve(target) as proxy:
        http = Http({"http_proxy": proxy.url}, Deadline(20))
        http.dial_early(origin.url, proxy=False)
        assert http.request("GET", origin.url + "/x", {}, proxy=False).body == b"/x"
        assert http.request("GET", origin.url + "/x", {}).body == f"{origin.url}/x".encode()
        assert (origin.connections, len(proxy.requests)) == (1, 1)


def test_an_early_connection_through_the_proxy_is_not_taken_for_a_direct_one() -> None:
    with serve(lambda _: answer(200, b"origin")) as origin, serve(lambda _: answer(200, b"proxy")) as proxy:
        http = Http({"http_proxy": proxy.url}, Deadline(20))
        http.dial_early(origin.url)
        assert http.request("GET", origin.url, {}, proxy=False).body == b"origin"
        assert http.request("GET", origin.url, {}).body == b"proxy"
        assert proxy.connections == 1
        http.close()


def test_a_tunnel_carries_tls_to_the_origin(tmp_path: Path) -> None:
    """The proxy here is a real one: it copies bytes between the client and the origin."""
    authority = Authority(tmp_path)
    with (
        serve(lambda request: answer(200, request.target.encode()), authority.server("kms.example")) as origin,
        serve(lambda _: Tunnel(origin.port)) as proxy,
    ):
        http = Http({"https_proxy": proxy.url, "AWS_CA_BUNDLE": str(authority.bundle)}, Deadline(20))
        http.dial_early("https://kms.example/")
        for path in ("/first", "/second"):
            assert http.request("GET", "https://kms.example" + path, {}).body == path.encode()
        assert proxy.connections == 2
