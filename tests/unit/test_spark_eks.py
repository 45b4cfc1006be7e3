"""Tokens for EKS, equal byte for byte to those that botocore's signer makes for aws-cli."""

import base64
import json
import random
import time
from typing import Any

import pytest
import yaml
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.model import ServiceId
from botocore.session import Session
from botocore.signers import RequestSigner

from lyftlearn_entrypoint.fetch.credentials import Credentials
from lyftlearn_entrypoint.fetch.endpoints import endpoint
from lyftlearn_entrypoint.spark import eks


def theirs(cluster: str, region: str, access: str, secret: str, session: "str | None", monkeypatch: Any, now: float) -> str:
    """As aws-cli's get_token.py does it: the clock is botocore's own, so that one is stopped."""
    import datetime as dt

    from botocore import auth, compat

    class Stopped(dt.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Stopped":
            return cls.fromtimestamp(now, tz)

        @classmethod
        def utcnow(cls) -> "Stopped":
            return cls.fromtimestamp(now, dt.timezone.utc).replace(tzinfo=None)

    stopped = lambda: Stopped.fromtimestamp(now, dt.timezone.utc).replace(tzinfo=None)  # noqa: E731
    for module in (auth, compat):
        if hasattr(module, "get_current_datetime"):
            monkeypatch.setattr(module, "get_current_datetime", stopped)
    signer = RequestSigner(
        ServiceId("sts"), region, "sts", "v4", BotocoreCredentials(access, secret, session), Session().get_component("event_emitter")
    )
    parameters = {
        "method": "GET",
        "url": endpoint({}, "sts", region) + "/?Action=GetCallerIdentity&Version=2011-06-15",
        "body": {},
        "headers": {"x-k8s-aws-id": cluster},
        "context": {},
    }
    url = signer.generate_presigned_url(parameters, region_name=region, expires_in=60, operation_name="")
    return "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def parts(token: str) -> "tuple[str, dict[str, str]]":
    text = token.removeprefix("k8s-aws-v1.")
    url = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    place, _, query = url.partition("?")
    return place, dict(pair.split("=", 1) for pair in query.split("&"))


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1"])
@pytest.mark.parametrize("seed", range(5))
def test_equal_to_botocore(region: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    secret = "".join(chance.choices("abcDEF019/+", k=40))
    session = "".join(chance.choices("abcDEF019/+=", k=300)) if seed % 2 else None
    cluster = "".join(chance.choices("abc-DEF_0", k=chance.randrange(1, 60)))
    now = float(chance.randrange(1_700_000_000, 1_900_000_000))
    expected = theirs(cluster, region, "AKIAEXAMPLE", secret, session, monkeypatch, now)
    mine = eks.token(cluster, region, endpoint({}, "sts", region), Credentials("AKIAEXAMPLE", secret, session, "test"), now)
    assert parts(mine) == parts(expected)  # the order of a query's parts says nothing


def test_what_a_client_reads() -> None:
    text = eks.credential("ml", "eu-west-1", "https://sts.eu-west-1.amazonaws.com", Credentials("A", "b", None, "test"), 1_800_000_000.0)
    told = json.loads(text)
    assert told["kind"] == "ExecCredential"
    assert told["apiVersion"] == "client.authentication.k8s.io/v1beta1"
    assert told["status"]["token"].startswith("k8s-aws-v1.")
    assert "=" not in told["status"]["token"]
    assert told["status"]["expirationTimestamp"] == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_800_000_000 + 14 * 60))


def test_a_kubeconfig_is_yaml_and_names_the_plugin() -> None:
    made = yaml.safe_load(eks.kubeconfig("https://0123.eks.example:443", "Q0E=", ["/opt/bin/token", "--cluster", 'ml "x"']))
    assert made["clusters"][0]["cluster"] == {"server": "https://0123.eks.example:443", "certificate-authority-data": "Q0E="}
    plugin = made["users"][0]["user"]["exec"]
    assert plugin["command"] == "/opt/bin/token"
    assert plugin["args"] == ["--cluster", 'ml "x"']
    assert plugin["interactiveMode"] == "Never"
    assert made["current-context"] == made["contexts"][0]["name"]
    assert "certificate-authority-data" not in yaml.safe_load(eks.kubeconfig("https://a", "", ["/x"]))["clusters"][0]["cluster"]
