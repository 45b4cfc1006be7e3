"""What a secret looks like: in any file's bytes, in the settings files of tools that keep credentials, and the building machine's own.

Every rule has a name, which the allow list and the report use. Nothing here ever gives a value away: a match is told by its rule.
Forms of tokens: GitHub, GitLab, Slack, npm, PyPI, Hugging Face, Google, Stripe, Databricks and Anthropic document their prefixes; AWS's key
ids are in the IAM user guide, "IAM identifiers".
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True)
class Rule:
    """One kind of secret. In CONTENT each pattern begins with plain bytes: `re` finds these twenty times as fast as anything else.

    A group `value` that only stands for a secret (`${TOKEN}`, `EXAMPLE`) is none.
    """

    name: str
    what: str
    patterns: tuple[re.Pattern[bytes], ...]


def _rule(name: str, what: str, *patterns: str) -> Rule:
    return Rule(name, what, tuple(re.compile(pattern.encode(), re.DOTALL) for pattern in patterns))


# What only shows where a value goes. A match on any of these is no finding.
_STANDS_FOR = re.compile(
    rb"(?i)^(?:[$%{<\[(].*|[*x.]+|.*example.*"
    rb"|(?:your|my|some|the|a)?[-_ %0-9]*(?:pass(?:word|wd|phrase)?|pwd?|secret|token|key|user(?:name)?)[-_0-9]*)$"
)
# Behind a token: no character that would make it a longer word.
_END = r"(?![A-Za-z0-9_-])"


def _token(start: str, rest: str) -> str:
    """A pattern for a token that begins with the plain characters `start`, and not in the middle of a word."""
    return rf"{start}(?<![A-Za-z0-9_]{start}){rest}{_END}"


_AWS_SECRET = r"[\"']?\s*[=:]\s*[\"']?(?P<value>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"
_HEADER = r"[\"']?\s*[:=]\s*[\"']?(?:[bB]earer|[bB]asic|BASIC|BEARER)\s+(?P<value>[A-Za-z0-9+/=._-]{16,})"
CONTENT = (
    # A marker alone is in many programs that read keys.
    _rule(
        "private-key",
        "a private key (PEM)",
        r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:\\[rn]|\s)+(?:[A-Za-z-]+: [^\n]{0,200}(?:\\[rn]|\s)+){0,4}"
        r"[A-Za-z0-9+/=\\\s]{100,}",
    ),
    _rule("aws-key", "an AWS access key id", *(_token(start, "(?P<value>[A-Z2-7]{16})") for start in ("AKIA", "ASIA"))),
    _rule(
        "aws-key",
        "an AWS secret access key",
        *(start + _AWS_SECRET for start in ("ecret_access_key", "ecretAccessKey", "ECRET_ACCESS_KEY")),
    ),
    _rule("github-token", "a token of GitHub", r"gh[pousr]_(?<![A-Za-z0-9_]gh[pousr]_)[A-Za-z0-9]{36}" + _END),
    _rule("github-token", "a token of GitHub", _token("github_pat_", "[A-Za-z0-9]{22}_[A-Za-z0-9]{59}")),
    _rule("gitlab-token", "a token of GitLab", _token("glpat-", "(?P<value>[A-Za-z0-9_-]{20,})")),
    _rule("slack-token", "a token of Slack", r"xox[abprs]-[0-9]{6,}[A-Za-z0-9-]{10,}"),
    _rule("npm-token", "a token of npm", _token("npm_", "[A-Za-z0-9]{36}")),
    _rule("pypi-token", "a token of PyPI", _token("pypi-AgE", "[A-Za-z0-9_-]{50,}")),
    _rule("hugging-face-token", "a token of Hugging Face", _token("hf_", "[A-Za-z]{34}")),
    _rule("google-key", "an API key of Google", _token("AIza", "[A-Za-z0-9_-]{35}")),
    _rule("stripe-key", "a key of Stripe", r"k_live_(?<=[rs]k_live_)[A-Za-z0-9]{20,}"),
    _rule("databricks-token", "a token of Databricks", _token("dapi", "[0-9a-f]{32}")),
    _rule("anthropic-key", "an API key of Anthropic", _token("sk-ant-", "[A-Za-z0-9_-]{20,}")),
    _rule("jwt", "a signed JSON Web Token", _token("eyJ", r"[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}")),
    _rule("authorization", "an Authorization header", "uthorization" + _HEADER, "UTHORIZATION" + _HEADER),
    _rule(
        "url-password",
        "a URL with a password",
        r"://[^\s/:@\"'<>`\\\x00-\x1f\x7f-\xff]{0,64}:(?P<value>[^\s/@\"'<>`\\\x00-\x1f\x7f-\xff]{1,256})@[A-Za-z0-9\[]",
    ),
)

# A file's path, its end by shell pattern -> what in it is a credential.
_URL_USER = _rule("settings", "a credential in a URL", r"://(?P<value>[^\s/@\"']{8,})@")
_PASSWORD = _rule(
    "settings",
    "a password or token",
    r"(?im)^\s*[\w.-]*(?:password|passwd|token|secret)[\w.-]*[ \t]*[=:][ \t]*[\"']?(?P<value>[^\s\"']{4,})",
)
SETTINGS: tuple[tuple[str, Rule], ...] = (
    ("pip.conf pip.ini uv.toml .condarc condarc .git-credentials requirements*.txt direct_url.json sources.list *.sources", _URL_USER),
    (".netrc _netrc auth.conf.d/*", _rule("settings", "a login's password", r"\bpassword\s+[\"']?(?P<value>[^\s\"']+)")),
    (
        ".npmrc .yarnrc .yarnrc.yml",
        _rule(
            "settings",
            "a token or password",
            r"(?:_authToken|_auth|_password|npmAuthToken|npmAuthIdent)\"?\s*[=:]\s*[\"']?(?P<value>[^\s\"']+)",
        ),
    ),
    (
        "settings.xml settings-security.xml",
        _rule("settings", "a password", r"<(?:password|passphrase|privateKeyPassphrase|master)>\s*(?P<value>[^<\s][^<]*?)\s*</"),
    ),
    (".pypirc gradle.properties .credentials .env *.env .pgpass .my.cnf", _PASSWORD),
    (
        ".docker/config.json .dockercfg .dockerconfigjson auth.json",
        _rule("settings", "a registry's login", r"\"(?:auth|identitytoken|registrytoken|password)\"\s*:\s*\"(?P<value>[^\"]{4,})\""),
    ),
    (
        ".aws/credentials .aws/config",
        _rule("settings", "a secret of AWS", r"(?i)(?:secret_access_key|session_token)\s*=\s*(?P<value>\S{8,})"),
    ),
    (
        ".kube/config kubeconfig *.kubeconfig",
        _rule("settings", "a login to a cluster", r"(?:token|password|client-key-data)\"?\s*:\s*\"?(?P<value>[^\s\"]{4,})"),
    ),
    (
        "application_default_credentials.json",
        _rule("settings", "a login to Google Cloud", r"\"(?:refresh_token|private_key|client_secret)\"\s*:\s*\"(?P<value>[^\"]{8,})"),
    ),
)
# Files that are a secret whatever is in them, and what a build or a shell leaves behind.
_STORES = re.compile(r"(?:^|/)(?:id_(?:rsa|dsa|ecdsa|ed25519)|[^/]+\.(?:p12|pfx|jks|keystore|kdbx|ppk))$")
_LEFT = re.compile(
    r"^(?:run/secrets|tmp|var/tmp|build|root/\.(?:cache|m2|npm|ivy2|gradle|aws|docker|kube|ssh|config/pip|netrc))/."
    r"|(?:^|/)\.(?:bash|ash|python|node_repl|psql|mysql|sqlite)_history$"
)

# Variables whose value is a secret by their name, unless the name says that it only points to one.
_SECRET_NAME = re.compile(
    r"(?i)token(?!iz)|secret|passw|passphrase|credential|(?:api|access|private|account|storage|signing|encryption)_?key"
)
_SWITCH = re.compile(r"(?i)^(?:true|false|yes|no|on|off|none|\d{1,3})$")
_POINTS = re.compile(r"(?i)_(?:file|path|dir|url|uri|host|name|id|prefix|type|endpoint|arn|ttl|expir\w*)$")


def in_bytes(data: bytes) -> Iterator[Rule]:
    """The rules that a file's bytes match, each once."""
    return (rule for rule in CONTENT if _matches(rule, data))


def in_settings(path: str, data: bytes) -> Iterator[Rule]:
    """The rules that a settings file, maybe one in an archive (ARCHIVE!PATH), matches by its name and its bytes."""
    path = path.rpartition("!")[2]
    for names, rule in SETTINGS:
        if any(fnmatch("/" + path, "*/" + name) for name in names.split()) and _matches(rule, data):
            yield rule


def in_path(path: str) -> Iterator[tuple[str, str]]:
    """(rule, what) of a file by its path alone."""
    if _STORES.search(path):
        yield "key-store", "a store of keys"
    if _LEFT.search(path):
        yield "left-behind", "a file that a build or a shell left behind"


def _matches(rule: Rule, data: bytes) -> bool:
    for pattern in rule.patterns:
        for match in pattern.finditer(data):
            value = match.groupdict().get("value")
            if value is None or not _STANDS_FOR.match(value):
                return True
    return False


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name holds a secret."""
    return bool(_SECRET_NAME.search(name)) and not _POINTS.search(name)


def named_values(text: str) -> Iterator[str]:
    """Names with a secret's name that a text gives a value to, as in NAME=VALUE; not those that are given a variable or a command."""
    for name, value in re.findall(r"(?<![\w$])([A-Za-z_]\w*)=([\"']?[^\s\"';|&]+)", text):
        plain = value.lstrip("\"'")
        if is_secret_name(name) and not _SWITCH.match(plain) and not _STANDS_FOR.match(plain.encode(errors="surrogateescape")):
            yield name


@dataclass(frozen=True)
class Own:
    """A secret of the building machine: the variable it is in, and its spellings, of which the first is how it stands there."""

    name: str
    spellings: tuple[bytes, ...]


def own_values(environ: Mapping[str, str], settings: str = "") -> list[Own]:
    """The building machine's secrets: values of variables with a secret's name, and logins in URLs of any variable and of `settings` (a
    pip.conf): proxies, package indices. 8 characters or more: as they are, quoted for a URL, and in base64.
    """
    found: dict[str, str] = {}
    for name, value in environ.items():
        if is_secret_name(name):
            found.setdefault(value.strip(), name)
        for login in _logins(value):
            found.setdefault(login, name)
    for login in _logins(settings):
        found.setdefault(login, "pip's settings")
    return [Own(name, tuple(dict.fromkeys(_spellings(text)))) for text, name in found.items() if len(text) >= 8]


def _logins(text: str) -> Iterator[str]:
    """Passwords of URLs in a text, and user:password as a Proxy-Authorization header has them."""
    for user, password in re.findall(r"://([^\s/:@]*):([^\s/@]+)@", text):
        yield password
        yield unquote(password)
        yield f"{unquote(user)}:{unquote(password)}"


def _spellings(text: str) -> Iterator[bytes]:
    plain = text.encode(errors="surrogateescape")
    yield plain
    yield quote(text, safe="", errors="surrogateescape").encode()
    for shift in range(3):
        # Base64 of the value wherever it starts in what was encoded: without the characters that its neighbours take part in.
        encoded = base64.b64encode(b"\0" * shift + plain).rstrip(b"=")
        whole = encoded[(0, 2, 3)[shift] : (shift + len(plain)) * 8 // 6]
        if len(whole) >= 10:
            yield whole
