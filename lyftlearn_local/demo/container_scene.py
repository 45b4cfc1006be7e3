"""What all runs in containers share: the engine, the image, the platform, the documents; and a pod with its sidecar."""

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lyftlearn_local import container, gateway
from lyftlearn_local.container import Container, Passed, contain
from lyftlearn_local.containers.engine import Engine
from lyftlearn_local.containers.running import CannotRun, Program, Running
from lyftlearn_local.containers.surroundings import Surroundings
from lyftlearn_local.demo import ways
from lyftlearn_local.demo.compare import Environ
from lyftlearn_local.demo.inputs import Secrets
from lyftlearn_local.gateway import Counts
from lyftlearn_local.platform import Platform

PORT = 8080  # of a server, for SageMaker and here for a pod
TRAIN_SECONDS, HEALTHY_SECONDS = 300.0, 240.0  # SageMaker gives a server 4 minutes ("How containers serve inference requests")
_FLUSH_SECONDS = 60.0
# Of every job: nobody needs to be root, and the files that the cluster mounted are there again.
_JOB = {"LYFTLEARN_USER": "1000:100", "LYFTLEARN_CREDENTIALS_DIR": ways.SECRETS}


class Scene:
    """One demo's surroundings. `image` is the engine's id, `tag` the name that containers are started by."""

    def __init__(
        self,
        engine: Engine,
        platform: Platform,
        secrets: Secrets,
        service: str,
        directory: Path,
        code: Path,
        tag: str,
        image: str,
        say: Callable[[str], None],
    ) -> None:
        self.engine = engine
        self.platform = platform
        self.secrets = secrets
        self.service = service
        self.directory = directory
        self.code = code
        self.tag = tag
        self.image = image
        self.say = say
        self._sidecars: list[Running] = []

    def passed(self, staged: "dict[str, str]", command: "list[str]", **more: str) -> Passed:
        """What is passed to SageMaker's API: addresses, never a document. `more` are variables."""
        return Passed({**staged, **_JOB, **more}, {}, command)

    def describe(self, context: str, name: str, passed: Passed) -> Container:
        """The container of a SageMaker context. Raises CannotRun where the real API would refuse what is passed."""
        refused = container.violations(context, passed)
        if refused:
            raise CannotRun(f"{name}: the API would refuse: {refused[0].line}")
        return contain(context, "screening-" + name.replace(" ", "-"), passed, self.platform.pointers(self.service), "", PORT)

    def start(self, name: str, around: Surroundings, options: "dict[str, Any] | None" = None) -> Running:
        """Starts it, and says how. Raises CannotRun where its image is another one than the demo's."""
        made = around.made
        self.say(f"{name}: docker run {' '.join([*around.words(), 'IMAGE', *made.argv])}")
        started = self.engine.start(name, self.tag, made.argv, {**around.options, **(options or {})})
        if started.image != self.image:
            raise CannotRun(f"{name}: {self.tag} was {self.image}, and the container is made from {started.image}")
        return started

    def warnings(self, running: Running) -> None:
        """Says what the entrypoint warned of: where it goes on without something (Studio), nothing else would show it."""
        for line in running.log(stdout=False).splitlines():
            if "lyftlearn-entrypoint: warning" in line:
                self.say(f"{running.name}: {line}")

    def own(self, made: Container) -> "set[str]":
        """The names that the context's platform gives by itself."""
        return set(contain(made.context, made.job, Passed({}, {}, ["true"]), self.platform.pointers(), "", PORT).environ)

    def environ(self, made: Container, program: "Program | None") -> "Environ | None":
        return None if program is None else Environ(program.variables, self.own(made))

    def counts(self) -> Counts:
        """What the gateway counted of the program's metrics since the last time, once nothing more arrives."""
        for sidecar in self._sidecars:
            self._flush(sidecar)
        before = -1
        while (now := self.platform.gateway.counts().lines) != before:
            before = now
            time.sleep(0.3)
        return self.platform.gateway.take().only(ways.METRICS)[0]

    def _flush(self, sidecar: Running) -> None:
        """Waits for a metric of our own, sent through it: a sidecar keeps the order, so all that came before has been passed on."""
        name = f"lyftlearn.demo.{uuid.uuid4().hex}"
        send = f"import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'{name}:1|c', ('127.0.0.1', 8125))"
        end = time.monotonic() + _FLUSH_SECONDS
        while name not in self.platform.gateway.counts().metrics:
            if time.monotonic() > end:
                raise sidecar.failed("it passes no metric on")
            sidecar.handle.exec_run(["/usr/bin/python3", "-I", "-S", "-c", send])
            time.sleep(0.05)

    def surround(self, made: Container, name: str, writable: "tuple[str, ...]" = ()) -> Surroundings:
        return Surroundings(made, self.directory / name.replace(" ", "-"), self.code, writable)

    @contextlib.contextmanager
    def sidecar(self, name: str) -> "Iterator[tuple[Running, dict[str, Any]]]":
        """The first container of a pod, which holds its network, and is its StatsD sidecar; and the options that put others beside it."""
        script = str(Path(gateway.__file__).resolve())
        to = self.platform.gateway
        options = {
            "entrypoint": ["/usr/bin/python3", "-I", "-S", "/sidecar.py", to.host, str(to.port)],
            "volumes": {script: {"bind": "/sidecar.py", "mode": "ro"}},
            "hostname": name.replace(" ", "-"),
            "user": "65534:65534",
            "read_only": True,
            "cap_drop": ["ALL"],
        }
        first = self.engine.start(f"{name} sidecar", self.tag, [], options)
        first.says("listening", HEALTHY_SECONDS)
        self._sidecars.append(first)
        try:
            yield first, {"network_mode": f"container:{first.handle.id}"}
        finally:
            self._sidecars.remove(first)
            self.engine.remove(first)
