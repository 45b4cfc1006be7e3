"""The embedded platform: each of its parts answers as the real one does, and all of it goes when its owner does."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import requests
from botocore.credentials import ContainerProvider

from lyftlearn_local.children import Child, DidNotStart
from lyftlearn_local.gateway import Gateway, Sidecar
from lyftlearn_local.link_local import LinkLocal
from lyftlearn_local.platform import ROLE, Platform


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with Platform(print) as running:
        yield running


def send(port: int, *lines: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for line in lines:
            sender.sendto(line.encode(), ("127.0.0.1", port))


def test_confidant_gives_a_service_its_credentials_and_no_other(platform: Platform) -> None:
    confidant = platform.confidant
    pairs: dict[str, str | int | bool | None] = {"Password": "p w", "port": 5432, "tls": True, "none": None}
    plain = confidant.credential(pairs, prefix="DB_")
    blind = confidant.blind_credential({"key": "k"}, {"group": "svc-a"})
    confidant.service("svc-a", [plain], [blind])

    answer = requests.get(confidant.url + "/v1/services/svc-a", auth=confidant.token("svc-a", "service"), timeout=60)
    [credential] = answer.json()["credentials"]
    assert credential["credential_pairs"] == {"password": "p w", "port": 5432, "tls": True, "none": None}
    assert credential["metadata"] == {"env_var_prefix": "DB_"}
    assert answer.json()["blind_credentials"][0]["cipher_type"] == "fernet"

    refused = requests.get(confidant.url + "/v1/services/svc-a", auth=confidant.token("svc-b", "service"), timeout=60)
    assert (refused.status_code, refused.headers["Content-Type"]) == (403, "application/json")


def test_the_credentials_endpoint_is_one_that_botocore_takes(platform: Platform) -> None:
    with urllib.request.urlopen(platform.link_local.full_uri, timeout=60) as reply:
        document = json.load(reply)
    assert set(document) == {"RoleArn", "AccessKeyId", "SecretAccessKey", "Token", "Expiration"}
    assert document["RoleArn"] == ROLE

    found = ContainerProvider({"AWS_CONTAINER_CREDENTIALS_FULL_URI": platform.link_local.full_uri}).load()
    keys = found.get_frozen_credentials()
    assert keys.access_key == document["AccessKeyId"]
    caller = boto3.client(
        "sts",
        endpoint_url=platform.aws_url,
        region_name=platform.region,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        aws_session_token=keys.token,
    ).get_caller_identity()
    assert "assumed-role/lyftlearn-execution" in caller["Arn"]


def test_another_id_gets_no_credentials(platform: Platform) -> None:
    assert requests.get(platform.link_local.full_uri[:-1] + "x", timeout=60).status_code == 404
    assert requests.get(platform.link_local.url + "/", timeout=60).status_code == 404


def test_credentials_rotate_before_they_expire() -> None:
    minted: list[int] = []

    def mint() -> "dict[str, str]":
        minted.append(1)
        return {"AccessKeyId": f"key{len(minted)}"}

    served = LinkLocal(mint, lifetime=8.0)
    try:
        first = [requests.get(served.full_uri, timeout=60).json()["AccessKeyId"] for _ in range(3)]
        time.sleep(4.1)
        assert first == ["key1"] * 3
        assert requests.get(served.full_uri, timeout=60).json() == {"AccessKeyId": "key2"}
    finally:
        served.stop()


def test_the_gateway_counts_lines_by_metric(platform: Platform) -> None:
    platform.gateway.take()
    send(platform.gateway.port, "a.b:1|c", "a.b:2|c\nother:3|ms|@0.1", "tagged,host=x:1|g")
    counts = platform.gateway.take()
    assert (counts.datagrams, counts.lines) == (3, 4)
    assert counts.metrics == {"a.b": 2, "other": 1, "tagged": 1}
    shown = requests.get(platform.link_local.url + "/statsd", timeout=60).json()
    assert shown == {"datagrams": 0, "lines": 0, "bytes": 0, "metrics": {}}


def test_a_sidecar_passes_on_all_it_was_sent() -> None:
    gateway = Gateway()
    sidecar = Sidecar(gateway.port, 0)
    send(sidecar.port, *["n:1|c"] * 200)
    sidecar.stop()
    counts = gateway.take()
    gateway.stop()
    assert (counts.datagrams, counts.metrics) == (200, {"n": 200})


def test_a_server_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "import sys; sys.exit('no such table')"]
    child = Child("thing", words, dict(os.environ), tmp_path / "log")
    with pytest.raises(DidNotStart, match=r"(?s)thing ended:.*no such table"):
        child.port(10)


def test_nothing_outlives_an_owner_that_is_killed(tmp_path: Path) -> None:
    owner = """
import os, time
from lyftlearn_local.platform import Platform
with Platform(print) as p:
    print(p.aws_url, p.confidant.url, flush=True)
    time.sleep(600)
"""
    environ = {**os.environ, "TMPDIR": str(tmp_path)}  # what a killed owner cannot remove: the servers' logs
    log = (tmp_path / "log").open("wb")
    with log, subprocess.Popen([sys.executable, "-c", owner], env=environ, stdout=subprocess.PIPE, stderr=log, text=True) as process:
        assert process.stdout is not None
        urls = process.stdout.readline().split()
        assert len(urls) == 2, (tmp_path / "log").read_text()
        process.kill()
    end = time.monotonic() + 60
    left = list(urls)
    while left and time.monotonic() < end:
        left = [url for url in left if answers(url)]
        time.sleep(0.05)
    assert left == []


def answers(url: str) -> bool:
    host, port = url.removeprefix("http://").split(":")
    try:
        socket.create_connection((host, int(port)), 1).close()
    except OSError:
        return False
    return True
