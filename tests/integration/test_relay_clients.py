"""Real clients, unchanged: in a SageMaker job they count at the gateway what they count in a pod with a sidecar."""

import shutil
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.relay_world import PORT, Gateway, Inside, Network, until
from tests.java_clients import CLIENTS, prepare

pytest_plugins = ["tests.integration.relay_fixture"]

PYTHON = {
    "statsd, default client": """
import statsd
client = statsd.StatsClient()
for number in range(500):
    client.incr("orders")
client.gauge("depth", 7)
client.set("users", "u1")
client.timing("took", 25)
with client.pipeline() as pipe:
    for number in range(100):
        pipe.incr("piped", number)
""",
    "statsd, defaults.env": """
from statsd.defaults.env import statsd
for number in range(500):
    statsd.incr("orders", 2, rate=1)
statsd.timing("took", 25)
""",
    "datadog, default client": """
from datadog import statsd
for number in range(500):
    statsd.increment("orders", tags=["shop:one", "kind:b c"])
statsd.distribution("spread", 1.5)
statsd.event("Title, with\\nlines", "Text | of it", alert_type="warning", tags=["a:b"])
statsd.service_check("checked", statsd.WARNING, message="m:s|x\\ny")
statsd.flush()
""",
    "datadog, localhost in the code": """
from datadog import initialize, statsd
initialize(statsd_host="localhost", statsd_port=8125, statsd_disable_buffering=False)
for number in range(500):
    statsd.increment("orders")
    statsd.histogram("size", number)
statsd.flush()
""",
    "datadog, Unix socket": """
from datadog.dogstatsd import DogStatsd
client = DogStatsd(socket_path={socket!r}, disable_buffering=False)
for number in range(200):
    client.gauge("depth", number)
client.flush()
""",
}


class Sidecar:
    """A pod's: passes on what comes to 8125, on IPv4 and on the Unix socket; all that came before it is closed."""

    def __init__(self, network: Network, path: Path, port: int) -> None:
        self._out = network.socket("127.0.0.1", 0)
        self._to = ("127.0.0.1", port)
        self._sockets = [network.socket("127.0.0.1", PORT), network.socket(str(path), family=socket.AF_UNIX)]
        self._stop = False
        self._threads = [threading.Thread(target=self._pass, args=(one,), daemon=True) for one in self._sockets]
        for thread in self._threads:
            thread.start()

    def _pass(self, one: socket.socket) -> None:
        one.settimeout(0.05)
        while True:
            try:
                self._out.sendto(one.recv(1 << 16), self._to)
            except TimeoutError:
                if self._stop:
                    return

    def close(self) -> None:
        self._stop = True
        for thread in self._threads:
            thread.join()
        for one in (*self._sockets, self._out):
            one.close()


@contextmanager
def sidecar(network: Network, path: Path, port: int) -> Iterator[None]:
    made = Sidecar(network, path, port)
    yield
    made.close()


def lines(gateway: Gateway) -> "Counter[str]":
    """What programs counted. A datadog client also counts itself, by time."""
    return Counter(line for line in gateway.lines if line and not line.startswith("datadog.dogstatsd.client."))


def compare(world: Inside, gateway: Gateway, network: Network, tmp_path: Path, words: list[str], metrics: int) -> None:
    """Run the words as a pod and as a job: the gateway gets the same, and at least so many metrics."""
    path = tmp_path / "run/statsd"
    path.parent.mkdir(exist_ok=True)
    pod_gateway = Gateway(network)
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "LYFTLEARN_STATSD_GATEWAY": ""}
    with sidecar(network, path, pod_gateway.port):
        done = world.run(*words, env=pod)
        assert (done.returncode, done.stderr) == (0, b"")
    done = world.run(*words, env={"LYFTLEARN_STATSD_SOCKET": "/run/statsd"})
    assert done.returncode == 0, done.stderr
    until(lambda: network.relays() == [])
    gateway.settle()
    pod_gateway.close()  # what the sidecar has passed on is read before
    wanted, found = lines(pod_gateway), lines(gateway)
    assert sum(wanted.values()) >= metrics
    assert found == wanted


@pytest.mark.parametrize("client", PYTHON)
def test_a_client_for_python(world: Inside, gateway: Gateway, network: Network, tmp_path: Path, client: str) -> None:
    program = PYTHON[client].replace("{socket!r}", repr(str(tmp_path / "run/statsd")))
    compare(world, gateway, network, tmp_path, [sys.executable, "-I", "-c", program], 200)


# Java ------------------------------------------------------------------------------------------------------------------------------------

# Only where there are both: the workflow's machines have them, and the image with Spark has its own test.
JAVA_HERE = shutil.which("javac") and shutil.which("mvn")


@pytest.mark.parametrize("client", CLIENTS if JAVA_HERE else [])
def test_a_client_for_java(
    world: Inside, gateway: Gateway, network: Network, tmp_path: Path, client: str, need: Callable[[object, str], None]
) -> None:
    lacking = prepare(client, tmp_path)
    need(not lacking, lacking)
    java = shutil.which("java")
    assert java is not None
    compare(world, gateway, network, tmp_path, [java, "-cp", f"{tmp_path}/jars/*:{tmp_path}", "Count"], 500)
