"""The relay as a program and a gateway see it: what arrives on 127.0.0.1:8125 arrives at the gateway."""

import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.relay_world import PORT, Gateway, Network, free, said, send, until

if TYPE_CHECKING:
    from tests.integration.conftest import Starter

pytest_plugins = ["tests.integration.relay_fixture"]

# Sends each of its arguments as one datagram, to where the first says.
EACH = """
import socket, sys
to, words = sys.argv[1], sys.argv[2:]
s = socket.socket(socket.AF_UNIX if to[0] == "/" else socket.AF_INET, socket.SOCK_DGRAM)
for word in words:
    s.sendto(word.encode(), to if to[0] == "/" else (to, 8125))
"""


def each(*words: str, to: str = "127.0.0.1") -> list[str]:
    return [sys.executable, "-I", "-c", EACH, to, *words]


def test_a_program_that_counts_and_ends_loses_nothing(world: "Starter", gateway: Gateway) -> None:
    done = world.run(*send(3))
    assert (done.returncode, done.stdout) == (0, b""), done.stderr
    assert gateway.wait(3) == ["count.0:1|c", "count.1:1|c", "count.2:1|c"]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_both_meanings_of_localhost(world: "Starter", gateway: Gateway, address: str) -> None:
    assert world.run(*send(1, address=address)).returncode == 0
    assert gateway.wait(1) == ["count.0:1|c"]


def test_the_unix_socket_where_one_is_set(world: "Starter", gateway: Gateway, network: Network, tmp_path: Path) -> None:
    path = tmp_path / "run/datadog/dsd.socket"
    for number in (1, 2):  # the second start finds the first one's leftover, or none
        done = world.run(*each(f"by.unix:{number}|c", to=str(path)), env={"LYFTLEARN_STATSD_SOCKET": "/run/datadog/dsd.socket"})
        assert done.returncode == 0, done.stderr
        assert gateway.wait(number)[-1] == f"by.unix:{number}|c"
        until(lambda: free(network))  # a relay that is about to end would serve the next start, and not to its end


def test_a_leftover_of_a_unix_socket_is_replaced_and_a_live_one_left_alone(
    world: "Starter", gateway: Gateway, network: Network, tmp_path: Path
) -> None:
    path = tmp_path / "dsd.socket"
    env = {"LYFTLEARN_STATSD_SOCKET": "/dsd.socket"}
    with network.socket(str(path), family=socket.AF_UNIX) as live:
        done = world.run(*each("x:1|c", to=str(path)), env=env)
        assert b"somebody listens there already" in done.stderr
        assert live.recv(100) == b"x:1|c"
    until(lambda: free(network))
    done = world.run(*each("y:1|c", to=str(path)), env=env)
    assert (done.returncode, gateway.wait(1)) == (0, ["y:1|c"]), done.stderr


def test_a_file_in_the_place_of_the_unix_socket_stays(world: "Starter", gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "dsd.socket").write_text("mine")
    done = world.run(*send(1), env={"LYFTLEARN_STATSD_SOCKET": "/dsd.socket"})
    assert b"/dsd.socket" in done.stderr
    assert (tmp_path / "dsd.socket").read_text() == "mine"
    assert gateway.wait(1) == ["count.0:1|c"]  # the rest serves


FORMS = [
    "plain:1|c",
    "sampled:1|c|@0.1",
    "tagged:3.5|ms|@0.5|#env:prod,team:ml,path:/a b",
    "set:user é日本|s",
    "distribution:1:2:3|d|#a:b|c:ci-12|T1656581400",
    "_e{5,11}:title|line\\nsecond|h:host|p:low|t:warning|#a:b",
    "_sc|Redis connection|2|h:host|#env:dev|m:timed out after 10s",
    "two:1|c\nlines:2|g",
    "ends:1|c\n",
    "signed:-7|g",
]


def test_every_form_passes_untouched_and_in_order(world: "Starter", gateway: Gateway) -> None:
    assert world.run(*each(*FORMS)).returncode == 0
    wanted = "\n".join(form.rstrip("\n") for form in FORMS).split("\n")
    until(lambda: len([line for line in gateway.lines if line]) == len(wanted))
    assert [line for line in gateway.lines if line] == wanted


def test_one_datagram_alone_is_the_same_to_the_byte(world: "Starter", gateway: Gateway, network: Network) -> None:
    for data in (b"ends:1|c\n", b"blank:1|c\n\nline:1|c\n\n", b"not utf-8 \xff\xfe:1|c"):
        program = f"import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto({data!r}, ('127.0.0.1', 8125))"
        assert world.run(sys.executable, "-I", "-c", program).returncode == 0
        until(lambda data=data: data in gateway.datagrams)  # type: ignore[misc]
        until(lambda: free(network))


def test_a_line_that_is_too_long_goes_alone_and_whole(world: "Starter", gateway: Gateway) -> None:
    long = "long:" + "1" * 5000 + "|c"
    many = "\n".join(f"line.{number}:1|c" for number in range(300))  # one datagram of more than an Ethernet frame
    assert world.run(*each("before:1|c", long, many, "after:1|c")).returncode == 0
    lines = gateway.wait(303)
    assert lines == ["before:1|c", long, *many.split("\n"), "after:1|c"]
    assert long.encode() in gateway.datagrams
    assert all(len(data) <= 1432 for data in gateway.datagrams if data != long.encode())


def test_under_load_ten_times_fewer_packets_and_none_lost(world: "Starter", gateway: Gateway) -> None:
    count = 60_000
    pace = (
        "import socket, time\n"
        # A relay that has to wait for the processor, and not for metrics, is given time (proc(5), net/udp: tx_queue:rx_queue in bytes).
        "def wait():\n"
        "    while any(int(line.split()[4].split(':')[1], 16) > 4 << 20 for line in list(open('/proc/net/udp'))[1:]): time.sleep(0.01)\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('127.0.0.1', 8125)); began = time.perf_counter()\n"
        f"for n in range({count}):\n"
        "    s.send(b'some.metric.of.usual.length.%d:1|c' % n)\n"
        "    if n % 500 == 0: wait()\n"
        "    while time.perf_counter() - began < n / 30000: pass\n"
    )
    assert world.run(sys.executable, "-I", "-c", pace).returncode == 0
    lines = gateway.wait(count, 60)
    assert lines == [f"some.metric.of.usual.length.{number}:1|c" for number in range(count)]
    until(lambda: sum(gateway.own("received")) == count)
    assert sum(gateway.own("sent")) == count
    assert gateway.own("dropped") == []
    assert count / 10 > len(gateway.datagrams) >= sum(gateway.own("packets")) > count / 60


def test_what_arrives_is_sent_at_once(world: "Starter", gateway: Gateway) -> None:
    program = (
        "import socket, time\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "for n in range(10):\n    s.sendto(b'at:%d|g' % time.monotonic_ns(), ('127.0.0.1', 8125)); time.sleep(0.25)\n"
    )
    assert world.run(sys.executable, "-I", "-c", program).returncode == 0
    gateway.wait(10)
    arrived = list(zip(gateway.times, gateway.datagrams, strict=True))
    late = sorted(time - int(line[3:-2]) / 1e9 for time, data in arrived for line in data.split(b"\n") if line.startswith(b"at:"))
    assert late[2] < 0.05, late  # seconds; a flush timer would show in every one, a busy machine in some


def test_it_counts_and_the_start_tells_its_times(world: "Starter", gateway: Gateway) -> None:
    assert world.run(*send(5)).returncode == 0
    until(lambda: gateway.own("sent") == [5])
    assert gateway.own("received") == [5]
    assert gateway.own("dropped") == []
    assert 1 <= gateway.own("packets")[0] <= 5
    total = gateway.own("total")[0]
    assert 1 < total < 20_000  # milliseconds
    assert 0 < gateway.own("fetch")[0] < total
    assert 0 < gateway.own("relay")[0] < total
    own = [line for line in gateway.all if line.startswith("lyftlearn.")]
    assert {line.partition("|#")[2] for line in own} == {"context:sagemaker-training"}
    assert next(line for line in own if line.startswith("lyftlearn.entrypoint.total:")).endswith("|ms|#context:sagemaker-training")


@pytest.mark.parametrize(
    ("tags", "line"),
    [
        ("influx", "lyftlearn.statsd_relay.sent,context=sagemaker-training:1|c"),
        ("name", "lyftlearn.statsd_relay.sent.sagemaker-training:1|c"),
    ],
)
def test_tags_as_the_gateway_reads_them(world: "Starter", gateway: Gateway, tags: str, line: str) -> None:
    assert world.run(*send(1), env={"LYFTLEARN_STATSD_TAGS": tags}).returncode == 0
    until(lambda: line in gateway.all)
    assert not any("|#" in other for other in gateway.all)


# Where there is none --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_port_that_is_taken_is_a_sidecars(world: "Starter", gateway: Gateway, network: Network, family: int) -> None:
    address = "127.0.0.1" if family == socket.AF_INET else "::"  # a sidecar in Go listens on all addresses of both families
    with network.socket(address, PORT, family) as sidecar:
        done = world.run(*send(1))
        assert sidecar.recv(100) == b"count.0:1|c"
    assert b"statsd: no relay on 127.0.0.1:8125: somebody listens there already, and is left alone\n" in done.stderr
    assert network.relays() == []
    until(lambda: gateway.own("total"))  # the start tells its times by itself
    assert gateway.lines == []


@pytest.mark.parametrize(
    "env",
    [
        {"LYFTLEARN_STATSD_RELAY": "off"},
        {"LYFTLEARN_STATSD_GATEWAY": ""},
        {"LYFTLEARN_STEPS": "user"},
        {"KUBERNETES_SERVICE_HOST": "10.0.0.1"},
        {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "LYFTLEARN_STEPS": "statsd"},
        {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "LYFTLEARN_STATSD_RELAY": "on"},
        {"LYFTLEARN_CONTEXT": "local", "LYFTLEARN_STEPS": "statsd"},
        {"LYFTLEARN_STATSD_GATEWAY": "127.0.0.1:8125"},
        {"LYFTLEARN_STATSD_GATEWAY": "localhost:8125"},
        {"LYFTLEARN_STATSD_GATEWAY": "[::1]:8125"},
    ],
    ids=str,
)
def test_no_relay(world: "Starter", network: Network, env: dict[str, str]) -> None:
    with world.popen("sh", "-c", "echo ready; read wait", env=env, stdin=subprocess.PIPE) as process:
        assert said(process) == "ready"
        assert network.relays() == []
        assert free(network)
        process.communicate(b"\n")


@pytest.mark.parametrize("context", ["kubernetes", "local"])
def test_on_where_the_step_is_chosen(world: "Starter", gateway: Gateway, context: str) -> None:
    env = {"LYFTLEARN_CONTEXT": context, "LYFTLEARN_STEPS": "statsd", "LYFTLEARN_STATSD_RELAY": "on"}
    assert world.run(*send(1), env=env).returncode == 0
    assert gateway.wait(1) == ["count.0:1|c"]


@pytest.mark.parametrize("code", [127, 78])
def test_a_start_that_fails_leaves_none_behind(world: "Starter", network: Network, code: int) -> None:
    env = {"LYFTLEARN_CONFIDANT_URL": "https://confidant.example.com"} if code == 78 else {}
    done = world.run("no-such-program" if code == 127 else "true", env=env)
    assert done.returncode == code
    until(lambda: network.relays() == [] and free(network))


def test_the_program_may_not_become_executable_after_all(world: "Starter", network: Network, tmp_path: Path) -> None:
    """execve(2) itself fails, when the relay serves already."""
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF nonsense")
    program.chmod(0o755)
    assert world.run(str(program)).returncode == 126
    until(lambda: network.relays() == [])


def test_isolation_has_no_relay(world: "Starter", network: Network) -> None:
    del world.environ["AWS_ACCESS_KEY_ID"]
    with world.popen("sh", "-c", "echo ready; read wait", stdin=subprocess.PIPE) as process:
        assert said(process) == "ready"
        until(lambda: network.relays() == [] and free(network))
        _, err = process.communicate(b"\n")
    assert b"network isolation" in err


def test_a_plan_binds_nothing(world: "Starter", network: Network) -> None:
    words = [sys.executable, "-c", "from lyftlearn_entrypoint.cli import main; main()", "plan", "--", "true"]
    began = time.monotonic()
    done = subprocess.run([*network.words, *words], env=world.environ, capture_output=True, text=True, check=True)
    assert time.monotonic() - began < 60
    assert "relays     127.0.0.1:8125 to 127.0.0.1:" in done.stdout
    assert network.relays() == []
