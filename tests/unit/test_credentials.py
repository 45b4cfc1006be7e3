"""Where credentials come from, in which order, and what is said where there are none."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import lyftlearn_entrypoint
from lyftlearn_entrypoint.deadline import Deadline
from lyftlearn_entrypoint.errors import BadDocument, BadSettings, Refused, StartError, Unavailable
from lyftlearn_entrypoint.fetch import profile
from lyftlearn_entrypoint.fetch.credentials import CredentialChain, Credentials, read_bytes
from lyftlearn_entrypoint.fetch.http import Http
from tests.fake_http import Hang, Request, Script, answer, closed_port, in_turn, serve

EXPIRY = "2099-01-01T00:00:00Z"
SERVED = answer(
    200, json.dumps({"AccessKeyId": "AKIASERVED", "SecretAccessKey": "s3cr3t/+", "Token": "t0k3n==", "Expiration": EXPIRY}).encode()
)
STS_REPLY = b"""<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
<AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/s</Arn></AssumedRoleUser><Credentials><SessionToken>t0k3n&amp;&#x3c;&#62;==</SessionToken>
<SecretAccessKey>s3cr3t/+</SecretAccessKey><Expiration>2099-01-01T00:00:00Z</Expiration><AccessKeyId>AKIASTS</AccessKeyId></Credentials>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""
NOWHERE = {"AWS_EC2_METADATA_DISABLED": "true"}


def chain(
    environ: dict[str, str], *, container_host: str = "127.0.0.1:1", seconds: float = 20, instance_metadata: bool = True
) -> CredentialChain:
    """Waits between tries are skipped, and no file of this machine is read unless `environ` names it."""
    deadline = Deadline(seconds, sleep=lambda _: None)
    return CredentialChain(environ, Http(environ, deadline), deadline, container_host=container_host, instance_metadata=instance_metadata)


def parts(found: Credentials) -> tuple[str, str, str | None, str]:
    return found.access_key, found.secret_key, found.token, found.source


def failing(environ: dict[str, str], kind: type[StartError], **options: object) -> str:
    """The text of the error, which never holds a secret."""
    with pytest.raises(kind) as caught:
        chain(environ, **options).get()  # type: ignore[arg-type]
    for secret in ("s3cr3t", "t0k3n", "b34r3r"):
        assert secret not in str(caught.value)
    return str(caught.value)


# Static keys ---------------------------------------------------------------------------------------------------------------


def test_static_keys() -> None:
    environ = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s3cr3t"}
    assert parts(chain(environ).get()) == ("AKIA", "s3cr3t", None, "environment")
    assert chain({**environ, "AWS_SESSION_TOKEN": "t0k3n"}).get().token == "t0k3n"
    assert chain({**environ, "AWS_SESSION_TOKEN": ""}).get().token is None
    assert chain({**environ, "AWS_SESSION_TOKEN": "new", "AWS_SECURITY_TOKEN": "old"}).get().token == "old"  # as botocore


def test_half_a_key_pair() -> None:
    assert "AWS_SECRET_ACCESS_KEY is not" in failing({"AWS_ACCESS_KEY_ID": "AKIA"}, BadSettings)


def test_credentials_never_show_themselves() -> None:
    found = Credentials("AKIA", "s3cr3t", "t0k3n", "environment")
    assert repr(found) == str(found) == "Credentials(****, from environment)"
    assert not hasattr(found, "__dict__")


# Container -----------------------------------------------------------------------------------------------------------------


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
        text = failing({"AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url}, Unavailable, seconds=0.4)
    assert "timed out after 0." in text
    assert "the deadline of 0.4 s" in text


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


# Web identity --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def identity(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "token").write_text("b34r3r.of&the+cluster\n")
    return {
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/a-role",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_REGION": "eu-west-1",
    }


def test_web_identity(identity: dict[str, str]) -> None:
    with serve(lambda _: answer(200, STS_REPLY)) as server:
        found = chain({**identity, "AWS_ENDPOINT_URL_STS": server.url, "AWS_ROLE_SESSION_NAME": "mine"}).get()
        (request,) = server.requests
    assert parts(found) == ("AKIASTS", "s3cr3t/+", "t0k3n&<>==", "web identity")
    assert (request.method, request.target) == ("POST", "/")
    assert "authorization" not in request.headers
    assert request.headers["content-type"].startswith("application/x-www-form-urlencoded")
    assert request.body.decode() == (
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fa-role"
        "&RoleSessionName=mine&WebIdentityToken=b34r3r.of%26the%2Bcluster"
    )


def test_sts_asks_to_try_again(identity: dict[str, str]) -> None:
    busy = answer(400, b"<ErrorResponse><Error><Code>IDPCommunicationError</Code></Error></ErrorResponse>")
    with serve(in_turn(busy, answer(500), answer(200, STS_REPLY))) as server:
        assert chain({**identity, "AWS_ENDPOINT_URL": server.url}).get().access_key == "AKIASTS"
        assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"),
        ("ExpiredTokenException", "renew them"),
        ("InvalidIdentityToken", "status 403 (InvalidIdentityToken)"),
    ],
)
def test_sts_refuses(identity: dict[str, str], code: str, text: str) -> None:
    message = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
    reply = answer(403, f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>".encode())
    with serve(lambda _: reply) as server:
        found = failing({**identity, "AWS_ENDPOINT_URL_STS": server.url}, Refused)
        assert len(server.requests) == 1
    assert text in found
    assert "sts:AssumeRoleWithWebIdentity of arn:aws:iam::123456789012:role/a-role" in found


def test_sts_answers_nonsense(identity: dict[str, str]) -> None:
    with serve(lambda _: answer(200, b"<html><AccessKeyId>s3cr3t</AccessKeyId></html>")) as server:
        assert "no credentials in it" in failing({**identity, "AWS_ENDPOINT_URL_STS": server.url}, BadDocument)


def test_web_identity_that_is_half_set(identity: dict[str, str], tmp_path: Path) -> None:
    assert "AWS_ROLE_ARN is not" in failing({"AWS_WEB_IDENTITY_TOKEN_FILE": "x"}, BadSettings)
    absent = {**identity, "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "absent"), "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    assert "AWS_WEB_IDENTITY_TOKEN_FILE names a file that cannot be read" in failing(absent, BadSettings)


# Instance metadata ---------------------------------------------------------------------------------------------------------


def metadata(request: Request) -> bytes:
    """IMDSv2, and nothing for those who ask without its token."""
    if (request.method, request.target) == ("PUT", "/latest/api/token"):
        return answer(200, b"imds-t0k3n") if request.headers.get("x-aws-ec2-metadata-token-ttl-seconds", "").isdigit() else answer(400)
    if request.headers.get("x-aws-ec2-metadata-token") != "imds-t0k3n":
        return answer(401)
    base = "/latest/meta-data/iam/security-credentials/"
    return {base: answer(200, b"a-role\n"), base + "a-role": SERVED}.get(request.target, answer(404))


def test_instance_metadata() -> None:
    with serve(metadata) as server:
        environ = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url + "/", "http_proxy": f"http://127.0.0.1:{closed_port()}"}
        assert parts(chain(environ).get()) == ("AKIASERVED", "s3cr3t/+", "t0k3n==", "instance metadata")


def test_instance_metadata_tries_as_often_as_it_is_told() -> None:
    left = [answer(500), answer(503)]
    with serve(lambda request: left.pop() if left else metadata(request)) as server:
        environ = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url, "AWS_METADATA_SERVICE_NUM_ATTEMPTS": "3"}
        assert chain(environ).get().source == "instance metadata"


@pytest.mark.parametrize(
    ("script", "text"),
    [
        (lambda _: answer(403), "instance metadata: status 403"),
        (lambda _: answer(500), "instance metadata: status 500"),
        (lambda _: Hang(), "instance metadata: 127.0.0.1:"),
        (lambda request: answer(404) if request.method == "GET" else answer(200, b"t"), "instance metadata: status 404"),
        (lambda _: answer(200, b"<html>"), "instance metadata: status 200, but it is not JSON"),
    ],
)
def test_nothing_has_credentials(script: Script, text: str) -> None:
    """Every source that was looked at is named, with what it answered."""
    with serve(script) as server:
        environ = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url, "AWS_METADATA_SERVICE_TIMEOUT": "0.2"}
        said = failing(environ, Unavailable)
    for part in (
        text,
        "AWS_ACCESS_KEY_ID is not set",
        "AWS_WEB_IDENTITY_TOKEN_FILE is not set",
        "no profile",
        "RELATIVE_URI",
        "network isolation",
    ):
        assert part in said


def test_instance_metadata_is_not_asked_where_it_is_switched_off() -> None:
    with serve(metadata) as server:
        environ = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url}
        assert "AWS_EC2_METADATA_DISABLED is true" in failing({**environ, "AWS_EC2_METADATA_DISABLED": "True"}, Unavailable)
        assert "was not asked" in failing(environ, Unavailable, instance_metadata=False)
        assert not server.connections


# Profiles ------------------------------------------------------------------------------------------------------------------

STATIC_PROFILE = "[default]\naws_access_key_id = AKIAFILE\naws_secret_access_key = s3cr3t\n"


def files(tmp_path: Path, config: str = "", credentials: str = "") -> dict[str, str]:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text(config)
    (tmp_path / ".aws/credentials").write_text(credentials)
    return {"HOME": str(tmp_path), **NOWHERE}


@pytest.mark.parametrize(
    ("config", "credentials", "named", "found", "assumes_role"),
    [
        ("", STATIC_PROFILE, None, "default", False),
        ("[default]\nregion = eu-west-1\noutput=json\n", "", None, None, False),
        ("[profile work]\ncredential_process = /bin/true\n", "", "work", "work", False),
        ('[profile "my work"]\nsso_session = x\n', "", "my work", "my work", False),
        ("[work]\ncredential_process = /bin/true\n", "[work]\n", "work", None, False),  # config wants the word profile
        ("[profile work]\nrole_arn = arn\nsource_profile = base\n", "", "work", "work", True),
        ("[profile work]\nrole_arn = arn\nweb_identity_token_file = f\n", "", "work", "work", False),
        ("[default]\ns3 =\n  aws_access_key_id = nested\n# role_arn = x\n;role_arn = x\n", "", None, None, False),
        ("", "[work]\naws_access_key_id: A\n", "work", "work", False),
        ("\ufeffbinary\0 nonsense", "", None, None, False),
    ],
)
def test_whether_a_profile_holds_credentials(
    tmp_path: Path, config: str, credentials: str, named: str | None, found: str | None, assumes_role: bool
) -> None:
    environ = files(tmp_path, config, credentials)
    if named is not None:
        environ["AWS_PROFILE"] = named
    result = profile.find(environ, read_bytes)
    if found is None:
        assert result is None
    else:
        assert result is not None
        assert (result.name, result.assumes_role) == (found, assumes_role)


def test_a_profile_that_is_named_and_does_not_exist(tmp_path: Path) -> None:
    assert "profile 'nobody' is in neither shared file" in failing({**files(tmp_path), "AWS_PROFILE": "nobody"}, BadSettings)


def test_files_without_credentials_are_passed_over(tmp_path: Path) -> None:
    environ = files(tmp_path, "[default]\nregion = eu-west-1\n")
    with serve(lambda _: SERVED) as server:
        assert chain({**environ, "AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url}).get().source == "container"


def run_isolated(code: str, environ: dict[str, str], *arguments: str) -> str:
    """Run `code` as the start path runs: alone, without site-packages."""
    package = str(Path(lyftlearn_entrypoint.__file__).parents[1])
    prelude = """
import sys
sys.path.insert(0, sys.argv[1])
import posix
from lyftlearn_entrypoint.deadline import Deadline
from lyftlearn_entrypoint.errors import StartError
from lyftlearn_entrypoint.fetch.credentials import CredentialChain
from lyftlearn_entrypoint.fetch.http import Http
environ = {k.decode(): v.decode() for k, v in posix.environ.items()}
deadline = Deadline(60)
"""
    command = [sys.executable, "-I", "-S", "-c", prelude + code, package, *arguments]
    return subprocess.run(command, env=environ, check=True, capture_output=True, text=True).stdout


GET = """
try:
    found = CredentialChain(environ, Http(environ, deadline), deadline, botocore_path=sys.argv[2]).get()
    print(found.access_key, found.secret_key, found.token, found.source, "botocore" in sys.modules)
except StartError as error:
    print(error.code, error)
"""


def site_packages() -> str:
    import botocore

    return str(Path(botocore.__file__).parents[1])


def test_a_static_profile_is_botocores_to_read(tmp_path: Path) -> None:
    said = run_isolated(GET, files(tmp_path, "", STATIC_PROFILE), site_packages())
    assert said == "AKIAFILE s3cr3t None profile default (botocore) True\n"


def test_a_credential_process_is_botocores_to_run(tmp_path: Path) -> None:
    script = tmp_path / "process"
    output = json.dumps({"Version": 1, "AccessKeyId": "AKIAPROC", "SecretAccessKey": "s3cr3t", "SessionToken": "t0k3n"})
    script.write_text(f"#!/bin/sh\necho '{output}'\n")
    script.chmod(0o755)
    environ = {**files(tmp_path, f"[profile p]\ncredential_process = {script}\n"), "AWS_PROFILE": "p"}
    assert run_isolated(GET, environ, site_packages()) == "AKIAPROC s3cr3t t0k3n profile p (botocore) True\n"


def test_a_credential_process_that_fails_is_not_quoted(tmp_path: Path) -> None:
    script = tmp_path / "process"
    script.write_text("#!/bin/sh\necho s3cr3t >&2\nexit 1\n")
    script.chmod(0o755)
    environ = {**files(tmp_path, f"[profile p]\ncredential_process = {script}\n"), "AWS_PROFILE": "p"}
    said = run_isolated(GET, environ, site_packages())
    assert said.startswith("69 the AWS profile 'p': botocore says CredentialRetrievalError")
    assert "s3cr3t" not in said


def test_a_profile_without_botocore(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    said = run_isolated(GET, files(tmp_path, "", STATIC_PROFILE), str(empty))
    assert said.startswith("78 the AWS profile 'default' needs botocore, which this image does not have. Install boto3")


# The chain -----------------------------------------------------------------------------------------------------------------


def test_the_order_is_botocores(tmp_path: Path, identity: dict[str, str]) -> None:
    """Every source is there. The first one is taken away, then the next: botocore and we find the same each time."""
    environ = {
        **identity,
        **files(tmp_path, "[profile role]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = default\n", STATIC_PROFILE),
        "AWS_ACCESS_KEY_ID": "AKIAENV",
        "AWS_SECRET_ACCESS_KEY": "s3cr3t",
    }
    with serve(lambda request: answer(200, STS_REPLY) if request.method == "POST" else SERVED) as server:
        environ["AWS_ENDPOINT_URL_STS"] = server.url
        environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = server.url
        expected = ["AKIAENV", "AKIASTS", "AKIAFILE", "AKIASERVED"]
        for key, absent in zip(expected, ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "HOME", ""], strict=True):
            ours = run_isolated(GET, environ, site_packages()).split()[0]
            reference = run_isolated(BOTOCORE, environ, site_packages()).split()[0]
            assert ours == reference == key
            environ.pop(absent, None)
            if absent == "HOME":
                environ["HOME"] = str(tmp_path / "nobody")


BOTOCORE = """
sys.path.append(sys.argv[2])
import botocore.session
print(botocore.session.Session().get_credentials().get_frozen_credentials().access_key)
"""


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
