"""Where an image's StatsD clients count: a gateway on a network, a pod with a sidecar on it, and a SageMaker job without one."""

import json
import socket
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lyftlearn_local.gateway
from lyftlearn_local.container import TRAINING, Passed
from tests.images.conftest import PATIENCE, Container, Start
from tests.images.platform_files import Mounted, readable
from tests.images.spark.jobs import RESTRICTED

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAMS = Path(__file__).parent / "statsd"
OWN = ("lyftlearn.statsd_relay.", "lyftlearn.entrypoint.")
PYTHON = ["/usr/bin/python3", "-I", "-S"]
SIDECAR = Path(lyftlearn_local.gateway.__file__)


def bound(path: Path, to: str) -> "dict[str, dict[str, str]]":
    return {str(path): {"bind": to, "mode": "ro"}}


CODE = bound(PROGRAMS, "/code")
MARK = "test.mark."  # what our own words begin with
SEND = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto({!r}, ('127.0.0.1', 8125))"


class World:
    """A network of one test's own, without a way out, with a gateway in it; `image` is what everything is started from."""

    def __init__(self, start: Start, client: Any, network: str, image: str, directory: Path) -> None:
        self._start, self._network, self._image = start, network, image
        self.directory = readable(directory)
        alias = {network: client.api.create_endpoint_config(aliases=["gateway"])}
        program = bound(PROGRAMS / "gateway.py", "/gateway.py")
        options: dict[str, Any] = {"entrypoint": [*PYTHON, "/gateway.py"], "network": network, "networking_config": alias}
        self._gateway = start(image=image, volumes=program, **options)
        self._gateway.until("listening")
        self._gateway.handle.reload()
        self._address = self._gateway.handle.attrs["NetworkSettings"]["Networks"][network]["IPAddress"]

    def seen(self) -> "list[str]":
        """All lines of metrics that were sent to the gateway so far, in the order in which they came."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
            self._mark(lambda word: ours.sendto(word, (self._address, 9125)))
        lines = [line for datagram in self._datagrams()[1:] for line in datagram.split("\n")]
        return [line for line in lines if line and not line.startswith(MARK)]

    def _mark(self, send: "Callable[[bytes], object]") -> None:
        """Send a word of our own the way that metrics go, until it has come: what went before has come too, as every hop keeps the order.

        A silence would prove nothing on a machine that has much else to do.
        """
        word, end = f"{MARK}{uuid.uuid4().hex}:1|c", time.monotonic() + PATIENCE
        while not any(word in datagram for datagram in self._datagrams()):
            assert time.monotonic() < end, f"a metric does not come to the gateway:\n{self._gateway.log}"
            send(word.encode())
            time.sleep(0.1)

    def _datagrams(self) -> "list[str]":
        return [json.loads(line) for line in self._gateway.stdout.splitlines(keepends=True) if line.endswith("\n")]

    def during(self, run: "Callable[[], object]") -> "list[str]":
        """The metrics that come while this runs, and right after."""
        before = len(self.seen())
        run()
        return self.seen()[before:]

    def pod(self, *command: str, seconds: int = PATIENCE, **more: Any) -> Container:
        """Run it in a pod with a sidecar, under the restricted profile, to its good end."""
        options = {"entrypoint": [*PYTHON, "/sidecar.py", self._address, "9125"], "network": self._network}
        sidecar = self._start(image=self._image, volumes=bound(SIDECAR, "/sidecar.py"), **options, user="65534:65534")
        sidecar.until("listening")
        environment = {"KUBERNETES_SERVICE_HOST": "10.100.0.1", **more.pop("environment", {})}
        where = {"network_mode": f"container:{sidecar.handle.id}", "environment": environment, "volumes": CODE, **RESTRICTED, **more}
        made = self._start(*command, image=self._image, **where)
        assert made.wait(seconds) == 0, made.log
        # A pod ends when its program has ended, and what the sidecar has received is on its way.
        self._mark(lambda word: sidecar.exec(*PYTHON, "-c", SEND.format(word)))
        sidecar.handle.kill()
        return made

    def job(self, *command: str, seconds: int = PATIENCE, **more: Any) -> Container:
        """Run it as a training job, which is started as root and given to a user, to its good end."""
        given = {
            "LYFTLEARN_USER": "lyftlearn",
            "LYFTLEARN_STATSD_GATEWAY": "gateway:9125",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/made-up",  # without it a job is taken for one without network
            **more.pop("environment", {}),
        }
        job = Mounted(readable(self.directory / uuid.uuid4().hex[:8]), TRAINING, Passed(given, {}, list(command)))
        volumes = {str(job.ml): {"bind": "/opt/ml", "mode": "rw"}, **more.pop("volumes", CODE)}
        options = {**job.options(PROGRAMS, **more), "volumes": volumes, "network": self._network}
        made = self._start(*command, image=self._image, **options)
        assert made.wait(seconds) == 0, made.log
        return made


def of_programs(lines: "list[str]") -> "Counter[str]":
    """The metrics of programs, not those of the relay and the start themselves."""
    return Counter(line for line in lines if not line.startswith(OWN))
