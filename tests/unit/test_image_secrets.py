"""What a secret looks like, and what only looks like one. All values here are made up."""

import base64
import random
import string
from urllib.parse import quote

import pytest

from lyftlearn_entrypoint.cli.image.secrets import in_bytes, in_path, in_settings, is_secret_name, named_values, own_values

LETTERS = string.ascii_letters + string.digits


def made_up(length: int, alphabet: str = LETTERS) -> str:
    """Put together when the test runs: the text of this file is no secret for any scanner."""
    return "".join(random.Random(length).choices(alphabet, k=length))


def key(kind: str = "RSA ", line: str = "\n") -> str:
    return f"-----BEGIN {kind}PRIVATE KEY-----{line}" + line.join([made_up(64)] * 4) + f"{line}-----END {kind}PRIVATE KEY-----"


TOKENS = {
    "private-key": [key(), key(""), key("OPENSSH "), key("ENCRYPTED "), key("EC ", "\\n"), key("PGP ").replace("KEY-", "KEY BLOCK-")],
    "aws-key": [
        "AKIA" + made_up(16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
        "ASIA" + made_up(16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
        "aws_secret_access_key = " + made_up(40),
        '"SecretAccessKey": "' + made_up(40) + '"',
        "AWS_SECRET_ACCESS_KEY=" + made_up(40),
    ],
    "github-token": ["ghp_" + made_up(36), "ghs_" + made_up(36), "github_pat_" + made_up(22) + "_" + made_up(59)],
    "gitlab-token": ["glpat-" + made_up(20)],
    "slack-token": ["xoxb-1234567890-" + made_up(24)],
    "npm-token": ["npm_" + made_up(36)],
    "pypi-token": ["pypi-AgE" + made_up(80)],
    "hugging-face-token": ["hf_" + made_up(34, string.ascii_letters)],
    "google-key": ["AIza" + made_up(35)],
    "stripe-key": ["sk_live_" + made_up(24), "rk_live_" + made_up(24)],
    "databricks-token": ["dapi" + made_up(32, "0123456789abcdef")],
    "anthropic-key": ["sk-ant-" + made_up(40)],
    "jwt": [".".join(["eyJ" + made_up(20), "eyJ" + made_up(30), made_up(43)])],
    "authorization": ["Authorization: Bearer " + made_up(30), '"authorization": "Basic ' + made_up(20) + '=="'],
    "url-password": [f"https://me:{made_up(9)}@host/simple", f"http://:{made_up(9)}@10.0.0.1:3128", f"redis://u:{made_up(9)}@[::1]/0"],
}


@pytest.mark.parametrize("around", ["{}", "x = '{}'\n", "\0\1{}\0", "PATH=/x {} y"])
@pytest.mark.parametrize(
    ("rule", "text"),
    [pytest.param(rule, text, id=f"{rule}-{number}") for rule, texts in TOKENS.items() for number, text in enumerate(texts)],
)
def test_found_in_any_file(rule: str, text: str, around: str) -> None:
    assert [each.name for each in in_bytes(around.format(text).encode())] == [rule]


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN PRIVATE KEY-----",  # a program that reads keys
        "-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN CERTIFICATE-----\n" + made_up(64) * 4,
        "AKIAIOSFODNN7EXAMPLE",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "XAKIA" + "A" * 16,
        "AKIA" + "A" * 17,
        "my_ghp_" + made_up(36),
        "ghp_" + made_up(37),
        "hf_" + "hidden_states_of_the_model_that_is_loaded",
        "Authorization: Bearer ${TOKEN_FROM_VAULT_1}",
        "https://user:password@host",
        "https://user:${PASSWORD}@host",
        "https://user:%s@host",
        "https://user:<password>@host",
        "https://user:***@host",
        "https://user:[secret]@host",
        "https://user:your-token@host",
        "https://host:8080/a@b",
        "https://host/a:b@c",
        "git@host:user/repo.git",
        "see: me@host",
    ],
)
def test_what_only_shows_where_a_secret_goes(text: str) -> None:
    assert [each.name for each in in_bytes(text.encode())] == []


SETTINGS = [
    ("etc/pip.conf", "[global]\nindex-url = https://{}@pypi.example.com/simple\n"),
    ("root/.config/pip/pip.conf", "extra-index-url=https://{}@x/simple"),
    ("srv/requirements.txt", "--extra-index-url https://{}@x/simple\n"),
    ("opt/venv/lib/python3.11/site-packages/a-1.dist-info/direct_url.json", '{{"url": "git+https://{}@x/a.git"}}'),
    ("root/.netrc", "machine x\nlogin me\npassword {}\n"),
    ("root/.npmrc", "//registry.example.com/:_authToken={}\n"),
    ("home/me/.yarnrc.yml", 'npmAuthToken: "{}"\n'),
    ("root/.m2/settings.xml", "<server><id>x</id><password>{}</password></server>"),
    ("root/.pypirc", "[pypi]\nusername = me\npassword = {}\n"),
    ("root/.gradle/gradle.properties", "artifactoryPassword={}\n"),
    ("root/.docker/config.json", '{{"auths": {{"x": {{"auth": "{}"}}}}}}'),
    ("root/.config/containers/auth.json", '{{"auths": {{"x": {{"identitytoken": "{}"}}}}}}'),
    ("root/.aws/credentials", "[default]\naws_session_token = {}\n"),
    ("root/.kube/config", "users:\n- user:\n    token: {}\n"),
    ("root/.config/gcloud/application_default_credentials.json", '{{"refresh_token": "{}"}}'),
    ("root/.git-credentials", "https://{}@github.com\n"),
    ("srv/.env", "DB_PASSWORD={}\n"),
]


@pytest.mark.parametrize(("path", "form"), SETTINGS)
def test_found_in_settings(path: str, form: str) -> None:
    assert [each.name for each in in_settings(path, form.format(made_up(20)).encode())] == ["settings"]


@pytest.mark.parametrize(("path", "form"), SETTINGS)
@pytest.mark.parametrize("value", ["${env.TOKEN}", "$TOKEN_OF_MINE"])
def test_settings_that_take_it_from_elsewhere(path: str, form: str, value: str) -> None:
    assert list(in_settings(path, form.format(value).encode())) == []


@pytest.mark.parametrize(("path", "form"), SETTINGS)
def test_such_words_in_another_file_are_nothing(path: str, form: str) -> None:
    assert list(in_settings("srv/notes.md", form.format(made_up(20)).encode())) == []
    assert list(in_settings(path + ".md", form.format(made_up(20)).encode())) == []


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("root/.ssh/id_ed25519", "key-store left-behind"),
        ("srv/id_rsa", "key-store"),
        ("etc/tls/server.p12", "key-store"),
        ("opt/app/trust.jks", "key-store"),
        ("run/secrets/ca", "left-behind"),
        ("tmp/x/y", "left-behind"),
        ("root/.cache/pip/x", "left-behind"),
        ("root/.m2/repository/x.jar", "left-behind"),
        ("home/me/.bash_history", "left-behind"),
        ("root/.ssh/id_ed25519.pub", "left-behind"),
        ("usr/share/id_rsa.md", ""),
        ("opt/tmp/x", ""),
        ("tmp", ""),
        ("usr/lib/build/x", ""),
    ],
)
def test_found_by_the_path(path: str, rule: str) -> None:
    assert " ".join(name for name, _ in in_path(path)) == rule


def test_secret_names() -> None:
    secret = [
        "TOKEN",
        "GITHUB_TOKEN",
        "db_password",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "API_KEY",
        "apikey",
        "SIGNING_KEY",
        "KEY_PASSPHRASE",
    ]
    others = [
        "PATH",
        "TOKENIZERS_PARALLELISM",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "SECRET_NAME",
        "TOKEN_URL",
        "KEYBOARD",
        "GPG_KEY",
        "MONKEY",
        "CREDENTIALS_PREFIX",
    ]
    assert [name for name in [*secret, *others] if is_secret_name(name)] == secret


def test_values_given_in_a_command() -> None:
    text = "RUN |2 TOKEN=abc VERSION=1 /bin/sh -c export PIP_PASSWORD='a b' A_TOKEN=$(cat /run/t) "
    text += 'B_TOKEN="${T}" USE_TOKEN=true; x --api_key=9f8e'
    assert list(named_values(text)) == ["TOKEN", "PIP_PASSWORD", "api_key"]


def test_own_values_in_every_spelling() -> None:
    """As it is, quoted for a URL, and in base64 wherever it starts in what was encoded."""
    value = "s3cr%t/välue+1"
    (own,) = own_values({"MY_TOKEN": value, "HOME": "/root/long/enough"})
    assert own.name == "MY_TOKEN"
    assert own.spellings[0] == value.encode()
    texts = [value, f"https://me:{quote(value, safe='')}@x"]
    texts += [
        base64.b64encode(f"{before}{value}{after}".encode()).decode() for before in ("", "a", "ab", "abc") for after in ("", "y", "yz")
    ]
    for text in texts:
        assert any(spelling in text.encode() for spelling in own.spellings), text
    other = base64.b64encode(b"some other thing that is as long").decode()
    assert not any(spelling in other.encode() for spelling in own.spellings)


def test_own_values_in_urls() -> None:
    """A proxy with a login, an index in a variable, and pip's settings."""
    environ = {"HTTPS_PROXY": "http://me:long%2Fenough@proxy:3128", "INDEX": "https://u:another-one@x/simple", "OTHER": "http://proxy:3128"}
    found = {own.name: own.spellings[0] for own in own_values(environ, "[global]\nindex-url = https://w:in-the-file@y/simple\n")}
    assert {own.spellings[0] for own in own_values(environ)} >= {b"long%2Fenough", b"long/enough", b"me:long/enough", b"another-one"}
    assert set(found) == {"HTTPS_PROXY", "INDEX", "pip's settings"}


def test_own_values_that_are_too_short_to_look_for() -> None:
    assert own_values({"TOKEN": "1234567", "A_PASSWORD": ""}) == []
    assert [own.name for own in own_values({"TOKEN": "12345678"})] == ["TOKEN"]
