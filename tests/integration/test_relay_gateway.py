"""Gateways that go away, come back, change their address, or are not known yet."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.relay_world import Gateway, Inside, Network, free, said, until

if TYPE_CHECKING:
    from tests.integration.conftest import Need, Words

pytest_plugins = ["tests.integration.relay_fixture"]

# Sends each line of its stdin as one datagram, and says so.
TALK = """
import socket, sys
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print("ready", flush=True)
for line in sys.stdin:
    out.sendto(line.strip().encode(), ("127.0.0.1", 8125))
    print("sent", flush=True)
"""
Say = Callable[[str], None]


@contextmanager
def talking(world: Inside, before: "Words | None" = None, **env: str) -> Iterator[Say]:
    """A program that sends what it is told to."""
    with world.popen(sys.executable, "-I", "-c", TALK, env=env, before=before, stdin=subprocess.PIPE) as process:
        assert said(process) == "ready"

        def say(line: str) -> None:
            assert process.stdin is not None
            process.stdin.write(line.encode() + b"\n")
            process.stdin.flush()
            assert said(process) == "sent"

        yield say
        process.communicate(timeout=120)


def say_until(say: Say, line: str, gateway: Gateway) -> None:
    """Say it again and again until it arrives."""

    def arrived() -> bool:
        if line in gateway.lines:
            return True
        say(line)
        return False

    until(arrived, 60)


@pytest.fixture
def hosts(root: None, need: "Need", tmp_path: Path) -> "tuple[Path, Words]":
    """A file in the place of /etc/hosts, and the words before a command line that put it there."""
    file = tmp_path / "hosts"
    file.write_text("")
    words: Words = ["unshare", "--mount", "sh", "-c", f'mount --bind {file} /etc/hosts && exec "$@"', "sh"]
    need(subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0, "no private mount namespace (unshare --mount)")
    return file, words


def test_a_gateway_that_goes_away_and_comes_back(world: Inside, network: Network) -> None:
    first = Gateway(network)
    with talking(world, LYFTLEARN_STATSD_GATEWAY=f"127.0.0.1:{first.port}") as say:
        say("before:1|c")
        assert first.wait(1) == ["before:1|c"]
        first.close()
        for number in range(5):
            say(f"lost.{number}:1|c")
            until(network.rests)
        again = Gateway(network, first.port)
        say_until(say, "after:1|c", again)
        until(lambda: sum(again.own("dropped")) >= 1)
    again.close()
    # One payload is on its way when the refusal comes; none is sent twice.
    assert len([line for line in again.lines if line.startswith("lost")]) <= 1
    counted = {name: sum(first.own(name)) + sum(again.own(name)) for name in ("received", "sent", "dropped")}
    assert counted["received"] == counted["sent"] + counted["dropped"]


def test_a_gateway_that_moves(world: Inside, network: Network, hosts: "tuple[Path, Words]") -> None:
    file, words = hosts
    file.write_text("127.0.0.5 gateway.test\n")
    old = Gateway(network, 9125, "127.0.0.5")
    new = Gateway(network, 9125, "127.0.0.6")
    with talking(world, words, LYFTLEARN_STATSD_GATEWAY="gateway.test:9125") as say:
        say("before:1|c")
        assert old.wait(1) == ["before:1|c"]
        file.write_text("127.0.0.6 gateway.test\n")
        old.close()
        say_until(say, "after:1|c", new)
    new.close()


def test_a_gateway_that_moves_to_the_other_family(world: Inside, network: Network, hosts: "tuple[Path, Words]") -> None:
    file, words = hosts
    file.write_text("127.0.0.5 gateway.test\n")
    new = Gateway(network, 9125, "::1", socket.AF_INET6)
    with talking(world, words, LYFTLEARN_STATSD_GATEWAY="gateway.test:9125") as say:
        say("lost:1|c")
        file.write_text("::1 gateway.test\n")
        say_until(say, "after:1|c", new)
    new.close()


def test_a_gateway_that_nobody_knows_yet(world: Inside, network: Network, hosts: "tuple[Path, Words]") -> None:
    """The start goes on with one warning; what it counts of itself is told when somebody can be told."""
    file, words = hosts
    gateway = Gateway(network, 9125)
    with world.popen("sh", "-c", "echo $STATSD_HOST-", before=words, env={"LYFTLEARN_STATSD_GATEWAY": "gateway.test:9125"}) as process:
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, b"-\n")
    warnings = [line for line in err.decode().splitlines() if "warning" in line]
    assert len(warnings) == 1
    assert "gateway.test does not resolve" in warnings[0]
    assert "Metrics are dropped until it does" in warnings[0]
    until(lambda: free(network))  # that start's relay would serve the next one too
    with talking(world, words, LYFTLEARN_STATSD_GATEWAY="gateway.test:9125") as say:
        say("lost:1|c")
        until(network.rests)  # a relay that begins late would find the name, and lose nothing
        file.write_text("127.0.0.1 gateway.test\n")
        say_until(say, "after:1|c", gateway)
        until(lambda: gateway.own("total") and gateway.own("dropped"), 60)
    gateway.close()


def test_a_gateway_with_an_ipv6_address(world: Inside, network: Network) -> None:
    gateway = Gateway(network, 0, "::1", socket.AF_INET6)
    with talking(world, LYFTLEARN_STATSD_GATEWAY=f"[::1]:{gateway.port}") as say:
        say("count:1|c")
        assert gateway.wait(1) == ["count:1|c"]
        until(lambda: gateway.own("total"))
    gateway.close()


def test_a_name_that_is_the_relay_itself_makes_no_circle(world: Inside, network: Network, hosts: "tuple[Path, Words]") -> None:
    file, words = hosts
    file.write_text("127.0.0.1 gateway.test\n")
    with talking(world, words, LYFTLEARN_STATSD_GATEWAY="gateway.test:8125") as say:
        say("count:1|c")
        until(lambda: len(network.relays()) == 1)
        relay = network.relays()[0]
        before = int(Path(f"/proc/{relay}/schedstat").read_text().split()[0])
        until(lambda: os.path.exists(f"/proc/{relay}"))
        for _ in range(20):
            say("count:1|c")
        assert int(Path(f"/proc/{relay}/schedstat").read_text().split()[0]) - before < 500_000_000


def test_a_name_server_that_is_silent_holds_nothing_up(
    world: Inside, network: Network, hosts: "tuple[Path, Words]", tmp_path: Path
) -> None:
    """The relay looks the name up in a thread: what it can send meanwhile, it sends."""
    file, words = hosts
    file.write_text("127.0.0.5 gateway.test\n")
    resolver = tmp_path / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.9\noptions timeout:20 attempts:1\n")
    silent = network.socket("127.0.0.9", 53)
    words = ["unshare", "--mount", "sh", "-c", f'mount --bind {resolver} /etc/resolv.conf && exec "$@"', "sh", *words]
    gateway = Gateway(network, 9125, "127.0.0.5")
    with talking(world, words, LYFTLEARN_STATSD_GATEWAY="gateway.test:9125") as say:
        say("before:1|c")
        gateway.wait(1)
        file.write_text("")  # from now on the name server is asked
        gateway.close()
        silent.settimeout(0.01)

        def asked() -> bool:
            say("lost:1|c")
            try:
                return bool(silent.recv(512))
            except TimeoutError:
                return False

        until(asked, 60)
        again = Gateway(network, 9125, "127.0.0.5")
        say("after:1|c")
        until(lambda: "after:1|c" in again.lines, 15)  # the name server is waited for 20 s
    again.close()
    silent.close()
