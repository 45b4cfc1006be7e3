"""Profiles, which botocore reads, and the order of all sources, which is its own."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import lyftlearn_entrypoint
from lyftlearn_entrypoint.errors import BadSettings
from lyftlearn_entrypoint.fetch import profile
from lyftlearn_entrypoint.fetch.credentials import read_bytes
from tests.clients import chain, failing
from tests.fake_http import Request, answer, serve

EXPIRY = "2099-01-01T00:00:00Z"
SERVED = answer(
    200, json.dumps({"AccessKeyId": "AKIASERVED", "SecretAccessKey": "s3cr3t/+", "Token": "t0k3n==", "Expiration": EXPIRY}).encode()
)


STS_REPLY = b"""<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
<AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/s</Arn></AssumedRoleUser><Credentials><SessionToken>t0k3n&amp;&#x3c;&#62;==</SessionToken>
<SecretAccessKey>s3cr3t/+</SecretAccessKey><Expiration>2099-01-01T00:00:00Z</Expiration><AccessKeyId>AKIASTS</AccessKeyId></Credentials>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""


NOWHERE = {"AWS_EC2_METADATA_DISABLED": "true"}


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
    """Run `code` as the start path runs: alone, without site-packages, and with nothing beside the package."""
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
    with tempfile.TemporaryDirectory() as alone:
        (Path(alone) / "lyftlearn_entrypoint").symlink_to(Path(lyftlearn_entrypoint.__file__).parent)
        command = [sys.executable, "-I", "-S", "-c", prelude + code, alone, *arguments]
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


@pytest.fixture
def web_identity(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "token").write_text("b34r3r.of&the+cluster\n")
    return {
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/a-role",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_REGION": "eu-west-1",
    }


def test_the_order_is_botocores(tmp_path: Path, web_identity: dict[str, str]) -> None:
    """Every source is there. The first one is taken away, then the next: botocore and we find the same each time."""
    environ = {
        **web_identity,
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


def test_a_profile_that_assumes_a_role_comes_before_web_identity(tmp_path: Path, web_identity: dict[str, str]) -> None:
    """As in botocore, which makes the call."""
    config = "[default]\nrole_arn = arn:aws:iam::123456789012:role/other\nsource_profile = base\n"
    base = STATIC_PROFILE.replace("default", "base")
    reply = STS_REPLY.replace(b"AssumeRoleWithWebIdentity", b"AssumeRole").replace(b"AKIASTS", b"AKIAROLE")

    def script(request: Request) -> bytes:
        return answer(200, reply if b"Action=AssumeRole&" in request.body else STS_REPLY)

    with serve(script) as server:
        environ = {**web_identity, **files(tmp_path, config, base), "AWS_ENDPOINT_URL_STS": server.url}
        assert run_isolated(GET, environ, site_packages()).split()[0] == "AKIAROLE"
        environ["AWS_DEFAULT_REGION"] = environ.pop("AWS_REGION")  # the only name that botocore knows
        assert run_isolated(BOTOCORE, environ, site_packages()).split()[0] == "AKIAROLE"
