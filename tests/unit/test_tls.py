"""TLS without the `ssl` module: whom it trusts, and what it says of the others."""

import subprocess
import sys
from pathlib import Path

import pytest

from lyftlearn_entrypoint.deadline import Deadline
from lyftlearn_entrypoint.fetch import dial
from lyftlearn_entrypoint.fetch.http import Http, HttpError
from tests.fake_http import Authority, Hang, answer, serve


def client(environ: dict[str, str]) -> Http:
    """Every name is 127.0.0.1, as a hosts file would have it."""
    return Http(environ, Deadline(20), dial=lambda _host, port, wait: dial.dial("127.0.0.1", port, wait))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.mark.parametrize(
    ("name", "host"), [("kms.example", "kms.example"), ("*.aws.example", "kms.aws.example"), ("127.0.0.1", "127.0.0.1")]
)
def test_a_good_certificate(authority: Authority, name: str, host: str) -> None:
    body = bytes(range(256)) * 2000
    with serve(lambda request: answer(200, request.body), authority.server(name)) as server:
        http = client({"AWS_CA_BUNDLE": str(authority.bundle)})
        assert http.request("POST", f"https://{host}:{server.port}/", {}, body).body == body


def test_the_host_name_is_sent(authority: Authority) -> None:
    names: list[str] = []
    context = authority.server("kms.example")
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    with serve(lambda _: answer(), context) as server:
        client({"AWS_CA_BUNDLE": str(authority.bundle)}).request("GET", f"https://KMS.example.:{server.port}/", {})
    assert names == ["kms.example"]


@pytest.mark.parametrize(
    ("names", "options", "host", "text"),
    [
        (["other.example"], {}, "kms.example", "does not match the host name .*kms.example"),
        (["*.aws.example"], {}, "a.kms.aws.example", "does not match the host name"),
        (["127.0.0.2"], {}, "127.0.0.1", "does not match the host name .*127.0.0.1"),
        (["127.0.0.1"], {"san": False, "common_name": "kms.example"}, "kms.example", "does not match the host name"),
        (["kms.example"], {"days": (-20, -10)}, "kms.example", "not valid at this machine's time .*expired"),
        (["kms.example"], {"days": (10, 20)}, "kms.example", "not valid at this machine's time .*not yet valid"),
    ],
)
def test_a_bad_certificate_is_final_and_says_why(
    authority: Authority, names: list[str], options: dict[str, object], host: str, text: str
) -> None:
    with serve(lambda _: answer(), authority.server(*names, **options)) as server:  # type: ignore[arg-type]
        with pytest.raises(HttpError, match=text) as caught:
            client({"AWS_CA_BUNDLE": str(authority.bundle)}).request("GET", f"https://{host}:{server.port}/", {})
        assert caught.value.final
        assert str(caught.value).startswith(f"{host}:{server.port}: ")
        assert not server.requests


def test_an_unknown_authority(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path, "another CA")
    with serve(lambda _: answer(), authority.server("kms.example")) as server:
        for environ in ({"AWS_CA_BUNDLE": str(other.bundle)}, {"SSL_CERT_FILE": str(other.bundle)}):
            with pytest.raises(HttpError, match=r"not trusted .*AWS_CA_BUNDLE") as caught:
                client(environ).request("GET", f"https://kms.example:{server.port}/", {})
            assert caught.value.final


def test_the_systems_authorities_do_not_know_the_tests(authority: Authority) -> None:
    with (
        serve(lambda _: answer(), authority.server("kms.example")) as server,
        pytest.raises(HttpError, match=r"not trusted|no certificate auth"),
    ):
        client({}).request("GET", f"https://kms.example:{server.port}/", {})


def test_where_authorities_are_read_from(authority: Authority, tmp_path: Path) -> None:
    hashed = tmp_path / "hashed"
    hashed.mkdir()
    (hashed / f"{subject_hash(authority.bundle)}.0").write_bytes(authority.bundle.read_bytes())
    with serve(lambda _: answer(200, b"x"), authority.server("kms.example")) as server:
        url = f"https://kms.example:{server.port}/"
        for environ in (
            {"AWS_CA_BUNDLE": str(hashed)},
            {"SSL_CERT_FILE": str(authority.bundle)},
            {"SSL_CERT_DIR": f"/nonexistent:{hashed}"},
            {"AWS_CA_BUNDLE": str(authority.bundle), "SSL_CERT_FILE": "/nonexistent"},
        ):
            assert client(environ).request("GET", url, {}).body == b"x", environ


def subject_hash(bundle: Path) -> str:
    """The name that OpenSSL looks a certificate up by in a directory (c_rehash)."""
    found = subprocess.run(["openssl", "x509", "-noout", "-hash", "-in", bundle], check=True, capture_output=True, text=True)
    return found.stdout.strip()


@pytest.mark.parametrize("content", [None, b"this is no certificate"])
@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_bundle_that_cannot_be_read_is_named_by_its_variable(tmp_path: Path, variable: str, content: bytes | None) -> None:
    path = tmp_path / "bundle.pem"
    if content is not None:
        path.write_bytes(content)
    with serve(lambda _: answer()) as server:
        with pytest.raises(HttpError, match=f"certificate authorities in {variable} cannot be read") as caught:
            client({variable: str(path)}).request("GET", f"https://127.0.0.1:{server.port}/", {})
        assert caught.value.final


def test_a_server_that_does_not_speak_tls(authority: Authority) -> None:
    with serve(lambda _: b"") as server:
        http = client({"AWS_CA_BUNDLE": str(authority.bundle)})
        server_url = f"https://127.0.0.1:{server.port}/"
        with pytest.raises(HttpError, match="TLS handshake"):
            http.request("GET", server_url, {}, connect_timeout=1.0)


def test_an_old_protocol_is_refused(authority: Authority) -> None:
    import ssl
    import warnings

    context = authority.server("kms.example")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that TLS 1.1 is old is the point
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with serve(lambda _: answer(), context) as server, pytest.raises(HttpError, match=r"TLS handshake failed .*protocol version"):
        client({"AWS_CA_BUNDLE": str(authority.bundle)}).request("GET", f"https://kms.example:{server.port}/", {})


def test_an_end_without_farewell_is_no_end_of_a_body(authority: Authority) -> None:
    """A body without a length ends where the connection does: an attacker must not be the one who ends it."""

    context = authority.server("kms.example")
    raw = b"HTTP/1.1 200 OK\r\n\r\nhalf of the secr"
    with serve(lambda _: raw, context) as server:
        http = client({"AWS_CA_BUNDLE": str(authority.bundle)})
        assert http.request("GET", f"https://kms.example:{server.port}/", {}).body == b"half of the secr"
        server.farewell = False
        with pytest.raises(HttpError, match=r"eof|closed|reset"):
            http.request("GET", f"https://kms.example:{server.port}/", {})


def test_a_silent_server_after_the_handshake(authority: Authority) -> None:
    with serve(lambda _: Hang(), authority.server("kms.example")) as server, pytest.raises(HttpError, match=r"timed out after 0\.2 s"):
        client({"AWS_CA_BUNDLE": str(authority.bundle)}).request("GET", f"https://kms.example:{server.port}/", {}, read_timeout=0.2)


def test_the_ssl_module_is_not_imported(authority: Authority) -> None:
    """In a process of its own, as the start path runs."""
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from lyftlearn_entrypoint.deadline import Deadline
from lyftlearn_entrypoint.fetch.http import Http
assert "_ssl" not in sys.modules
body = Http({"AWS_CA_BUNDLE": sys.argv[2]}, Deadline(20)).request("GET", sys.argv[3], {}).body
assert body == b"x", body
assert "_ssl" in sys.modules
print(*sorted({"ssl", "socket", "re", "enum", "encodings.idna", "stringprep"} & set(sys.modules)))
"""
    import lyftlearn_entrypoint

    package = Path(lyftlearn_entrypoint.__file__).parents[1]
    with serve(lambda _: answer(200, b"x"), authority.server("localhost")) as server:
        command = [sys.executable, "-I", "-S", "-c", code, str(package), str(authority.bundle), f"https://localhost:{server.port}/"]
        assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "\n"
