"""The doctor where nothing answers: a real network that drops every packet, a DNS server that is silent, listeners that hang.

It must be over by its deadline, and say of each check what it was waiting for.
"""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fake_http import Hang, serve
from tests.integration.job import Job, operator

pytest_plugins = ["tests.integration.platform_fixture"]

DEADLINE = 8.0
# A network of its own whose only way out is a pair of interfaces that ask nobody for an address: what is sent there is gone, without a
# word (veth(4); ip-link(8), "arp off").
HOLE = """
ip link add hole type veth peer name far && ip address add 10.9.9.1/24 dev hole &&
ip link set hole arp off up && ip link set far arp off up && ip link set lo up &&
ip route add default dev hole && mount --bind "$1" /etc/resolv.conf && mount --bind "$2" /etc/hosts && shift 2 && exec "$@"
"""
NAMES = ("kms.us-east-1.amazonaws.com", "bucket.s3.us-east-1.amazonaws.com", "confidant.example.com", "gateway.example.com")
SETTINGS: "dict[str, str | None]" = {
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "made-up",
    "AWS_ENDPOINT_URL": None,
    "LYFTLEARN_CONFIDANT_URL": "https://confidant.example.com",
    "LYFTLEARN_CONFIDANT_SERVICE": "shop",
    "LYFTLEARN_CONFIDANT_AUTH_KEY": "alias/confidant",
    "LYFTLEARN_CONFIDANT_AUTH_CONTEXT": "confidant",
    "LYFTLEARN_ENV_URI": "s3://bucket/environment.json",
    "LYFTLEARN_STATSD_GATEWAY": "gateway.example.com:8125",
}
Row = dict[str, Any]
Hole = Callable[[bool], list[str]]


@pytest.fixture
def hole(tmp_path: Path, need: Callable[[object, str], None]) -> Hole:
    """`hole(names)`: the words that put a command into a black hole; with `names` the hosts' names have addresses in it."""
    resolv, hosts = tmp_path / "resolv.conf", tmp_path / "hosts"
    resolv.write_text("nameserver 10.9.9.53\noptions timeout:30 attempts:1\n")

    def words(names: bool) -> list[str]:
        lines = [f"10.9.9.{number} {name}" for number, name in enumerate(NAMES, 10)] if names else []
        hosts.write_text("\n".join(["127.0.0.1 localhost", *lines]) + "\n")
        made = ["unshare", "--net", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
        return [*made, "sh", "-euc", HOLE, "sh", str(resolv), str(hosts)]

    check = subprocess.run([*words(False), "true"], capture_output=True, check=False)
    need(check.returncode == 0, "this machine gives no network namespace whose packets can be dropped (unshare, iproute2)")
    return words


def examined(job: Job, words: "list[str]", **environ: "str | None") -> "dict[str, list[Row]]":
    """What the doctor found, by check; it was over in time, and ended with 69."""
    ended = job.run([*words, *operator("doctor", "--json", "--deadline", str(DEADLINE))], **{**SETTINGS, **environ})
    assert ended.err == ""
    facts = json.loads(ended.out)
    assert facts["seconds"] < DEADLINE + 10, "the machine may be slow, and the doctor may not wait for what hangs"
    assert (ended.code, facts["exit"]) == (69, 69)
    found: dict[str, list[Row]] = {}
    for row in facts["findings"]:
        found.setdefault(row["check"], []).append(row)
    return found


def test_packets_that_vanish(job: Job, hole: Hole) -> None:
    found = examined(job, hole(True))
    for check, host in (("environment", "bucket.s3.us-east-1.amazonaws.com"), ("kms", "kms.us-east-1.amazonaws.com")):
        (row,) = found[check]
        assert (row["code"], row["verdict"]) == ("LL0701", "failed")
        assert f"{host}:443: timed out after" in row["evidence"]
    assert {row["code"] for row in found["dns"]} == {"LL0720"}
    assert [row["code"] for row in found["reach"]] == ["LL0701"] * 3
    assert "confidant.example.com:443: timed out after" in str(found["reach"])
    # UDP cannot tell a hole from a gateway that counts, and the verdict says so.
    (gateway,) = found["gateway"]
    assert gateway["verdict"] == "ok"
    assert "UDP gives no receipt" in gateway["evidence"]
    assert found["clock"][0]["verdict"] == "skipped"
    assert found["disk"][0]["verdict"] == "ok"


def test_a_name_server_that_is_silent(job: Job, hole: Hole) -> None:
    found = examined(job, hole(False))
    late = [row for rows in found.values() for row in rows if row["code"] == "LL1090"]
    assert {row["check"] for row in late} == {"environment", "kms", "confidant", "dns", "reach", "gateway"}
    # What no start waits for fails none.
    optional = [row for row in late if row["check"] == "gateway" or row["about"] == "gateway.example.com"]
    assert [row["verdict"] for row in optional] == ["warning"] * 2
    assert (found["credentials"][0]["code"], found["credentials"][0]["verdict"]) == ("LL0318", "warning")
    assert all(row["evidence"].startswith(f"no answer within {DEADLINE:g} s: ") for row in late)
    for row in found["dns"]:
        assert f"looking up {row['about']} (" in row["evidence"]
    assert found["settings"][0]["verdict"] == "ok"


@pytest.mark.parametrize("check", ["reach", "credentials"])
def test_a_listener_that_never_answers(job: Job, check: str) -> None:
    with serve(lambda _: Hang()) as server:
        environ: dict[str, str | None] = {
            "AWS_ENDPOINT_URL": server.url,
            "LYFTLEARN_CONFIDANT_URL": server.url,
            "LYFTLEARN_STATSD_GATEWAY": None,
        }
        if check == "credentials":
            environ |= {"AWS_ACCESS_KEY_ID": None, "AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url}
        found = examined(job, [], **environ)
    where = server.url.removeprefix("http://")
    assert all(where in row["evidence"] for row in found[check]), found[check]
    if check == "credentials":
        assert found[check][0]["code"] in ("LL0701", "LL1090")
    assert {row["code"] for row in found["reach"]} <= {"LL0701", "LL1090"}
