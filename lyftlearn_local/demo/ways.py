"""The three ways to run the program, and the pod that serves the model. Each gives what the observer saw."""

import http.client
import json
import socket
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lyftlearn_local import artifacts, container
from lyftlearn_local.container import Container, Passed, contain
from lyftlearn_local.demo.clock import start_seconds
from lyftlearn_local.demo.compare import Seen, sha256
from lyftlearn_local.demo.inputs import Secrets
from lyftlearn_local.job import Job
from lyftlearn_local.platform import Platform
from lyftlearn_local.relayed import relayed
from lyftlearn_local.run import pod_sidecar, text

CONFIGMAP, SECRETS = "/etc/hyperparameters", "/etc/credentials"
POD_MODEL = "/opt/model"
_READY, _END = 240.0, 600.0  # seconds, of a machine that may have much else to do
METRICS = "screening."  # what the program's metrics begin with


class Failed(Exception):
    """A way that did not come to its end; the text says how it ended."""


class Scene:
    """What all the ways share: the platform, the secrets, the documents, the program, and how a container is started."""

    def __init__(
        self,
        platform: Platform,
        secrets: Secrets,
        service: str,
        base: "dict[str, str]",
        launcher: "list[str]",
        mounts: bool,
        examples: Path,
        say: Callable[[str], None],
    ) -> None:
        self.platform = platform
        self.secrets = secrets
        self.service = service
        self.base = base
        self.launcher = launcher
        self.mounts = mounts
        self.examples = examples
        self.say = say

    def pod(self, command: "list[str]", environment: "dict[str, str]", hyperparameters: "dict[str, Any]") -> Container:
        """See `pod`."""
        return pod(self.secrets, self.base, command, environment, hyperparameters)

    def pointers(self) -> "dict[str, str]":
        return {**self.base, **self.platform.pointers(self.service)}

    def job(self, made: Container, launcher: "list[str] | None" = None) -> Job:
        job = Job(made, self.launcher if launcher is None else launcher, self.mounts, self.say)
        if not self.mounts:  # the program cannot see /opt/ml: tell it by the variables that its authors gave it
            model = POD_MODEL if made.context == container.KUBERNETES else "/opt/ml/model"
            made.environ["MODEL_DIR"] = str(job.real(model))
            made.environ["HYPERPARAMETERS_PATH"] = str(job.real(CONFIGMAP))
            made.environ["SECRETS_PATH"] = str(job.real(SECRETS))
        return job

    def finish(self, job: Job, log: Path) -> "tuple[str, float | None]":
        """Start, time the start, wait. Gives what the program printed. Raises Failed."""
        with log.open("wb") as sink:
            job.start(stdout=sink)
        assert job.process is not None
        start = start_seconds(job.process.pid, self.launcher[-1], lambda: job.process is None or job.process.poll() is not None)
        ended = job.wait(_END)
        if ended.code:
            raise Failed(f"{job.container.context}: exit code {ended.code} {ended.reason}".rstrip())
        return log.read_text(), start


def pod(
    secrets: Secrets, base: "dict[str, str]", command: "list[str]", environment: "dict[str, str]", hyperparameters: "dict[str, Any]"
) -> Container:
    """A pod of the old cluster: values injected, ConfigMap and Secret mounted. Its image's entrypoint finds nothing to do."""
    injected = {**environment, **secrets.injected, "MODEL_DIR": POD_MODEL}
    strings = {name: text(value) for name, value in hyperparameters.items()}
    passed = Passed(injected, strings, command, secrets=secrets.files, secrets_dir=SECRETS)
    made = contain(container.KUBERNETES, "screening-7d9c5", passed, dict(base), CONFIGMAP, 0)
    made.private.append(POD_MODEL)
    return made


def left(directory: Path) -> "tuple[dict[str, Any], str]":
    """What train.py leaves: its report, and the digest of its model."""
    return json.loads((directory / "report.json").read_text()), sha256((directory / "model.joblib").read_bytes())


def fetch_model(platform: Platform, address: str, directory: Path) -> None:
    """Unpacks the model.tar.gz at `address` (s3://...) into `directory`, as SageMaker does before it starts a server."""
    bucket, _, key = address.removeprefix("s3://").partition("/")
    with tempfile.TemporaryFile() as archive:
        platform.client("s3").download_fileobj(bucket, key, archive)
        archive.seek(0)
        with tarfile.open(fileobj=archive) as packed:
            # The safe filter, where this Python has it (3.10.12, 3.11.4 and later); the archive is our own either way.
            packed.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
            packed.extractall(directory)  # noqa: S202


def as_pod(scene: Scene, environment: "dict[str, str]", hyperparameters: "dict[str, Any]") -> Seen:
    """(a) As a Kubernetes pod would have it."""
    made = scene.pod(["python", str(scene.examples / "train.py")], environment, hyperparameters)
    with pod_sidecar(scene.platform, scene.say) as told, scene.job(made) as job:
        made.environ.update(told)
        printed, start = scene.finish(job, job.root / "stdout")
        report, model = left(job.real(POD_MODEL))
    counts, others = scene.platform.gateway.take().only(METRICS)
    if others:  # 8125 is where any program of this machine may send
        scene.say(f"{others} lines at 127.0.0.1:8125 came from other programs on this machine, and are left out")
    return Seen(report, printed, counts, start, model)


def as_training_job(scene: Scene, staged: "dict[str, str]") -> Seen:
    """(b) As a SageMaker training job: nothing passed but the addresses of the staged documents."""
    passed = Passed({**staged, "LYFTLEARN_CREDENTIALS_DIR": SECRETS}, {}, ["python", str(scene.examples / "train.py")])
    refused = container.violations(container.TRAINING, passed)
    if refused:
        raise Failed("the API would refuse: " + refused[0].line)
    made = contain(container.TRAINING, "screening-train", passed, scene.pointers(), CONFIGMAP, 0)
    with scene.job(made) as job:
        with relayed(_END):
            printed, start = scene.finish(job, job.root / "stdout")
        report, model = left(job.real("/opt/ml/model"))
        uploaded = artifacts.upload(scene.platform.client("s3"), scene.platform.bucket, made.job, job.root)
    return Seen(report, printed, scene.platform.gateway.take().only(METRICS)[0], start, model, uploaded)


def as_notebook(scene: Scene, staged: "dict[str, str]") -> Seen:
    """(c) From a cell. The notebook server is Studio's own and does not pass through the entrypoint; the kernel does."""
    passed = Passed({"LYFTLEARN_CREDENTIALS_DIR": SECRETS}, {}, ["python", "-m", "lyftlearn_local.demo.notebook"])
    made = contain(container.STUDIO, "screening-notebook", passed, scene.pointers(), CONFIGMAP, 0)
    with scene.job(made, []) as job:
        # Studio leaves hyperparameters off by itself; this team's notebooks want them.
        kernel = {**staged, "LYFTLEARN_STEPS": "credentials,environment,hyperparameters,statsd"}
        result, order = job.root / "result.json", job.root / "order.json"
        program = str(scene.examples / "train.py")
        order.write_text(json.dumps({"launcher": scene.launcher, "program": program, "kernel_environ": kernel, "result": str(result)}))
        made.argv.append(str(order))
        made.environ["JUPYTER_RUNTIME_DIR"] = str(job.root / "run")  # short: a socket's path has at most 107 bytes (unix(7))
        with relayed(_END):
            with (job.root / "stdout").open("wb") as sink:
                job.start(stdout=sink)
            ended = job.wait(_END)
        if ended.code:
            raise Failed(f"notebook: exit code {ended.code}")
        seen = json.loads(result.read_text())
        if seen["stderr"]:
            scene.say("the kernel wrote to stderr: " + seen["stderr"].strip()[:500])
        report, model = left(job.real("/opt/ml/model"))
    return Seen(report, seen["stdout"], scene.platform.gateway.take().only(METRICS)[0], seen["start"], model)


def serve(scene: Scene, model: str, environment: "dict[str, str]", rows: "list[list[float]]") -> "tuple[list[float], str]":
    """The model that the job wrote, from S3, served in a pod. Gives its predictions and how the server ended. Raises Failed."""
    with socket.socket() as keeps, pod_sidecar(scene.platform, scene.say) as told:
        # Until the server, which reuses addresses, listens there the kernel gives the port to nobody else.
        keeps.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeps.bind(("127.0.0.1", 0))
        return _serve(scene, model, environment, rows, keeps.getsockname()[1], told)


def _serve(
    scene: Scene, model: str, environment: "dict[str, str]", rows: "list[list[float]]", port: int, told: "dict[str, str]"
) -> "tuple[list[float], str]":
    made = scene.pod(["python", str(scene.examples / "serve.py")], {**environment, "HOST": "127.0.0.1", "PORT": str(port)}, {})
    with scene.job(made) as job:
        made.environ.update(told)
        fetch_model(scene.platform, model, job.real(POD_MODEL))
        with (job.root / "stdout").open("wb") as sink:
            job.start(stdout=sink)
        _ready(job, port)
        status, answer = _call(port, "POST", "/invocations", {"instances": rows})
        if status != 200:
            raise Failed(f"serve: POST /invocations answered {status}")
        job.ask_to_stop("predictions are in")
        ended = job.wait()
        said = (job.root / "stdout").read_text().split("\n")
    if ended.code or ended.killed or "stopped" not in said:
        raise Failed(f"serve: SIGTERM did not end it cleanly: exit code {ended.code}")
    return [float(value) for value in answer["predictions"]], f"exit code 0 after SIGTERM, {ended.seconds * 1000:.0f} ms"


def _ready(job: Job, port: int) -> None:
    end = time.monotonic() + _READY
    while time.monotonic() < end:
        if job.process is None or job.process.poll() is not None:
            raise Failed("serve: it ended before it answered /ping")
        try:
            if _call(port, "GET", "/ping", None)[0] == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise Failed(f"serve: no answer to /ping within {_READY:g} s")


def _call(port: int, method: str, path: str, body: "dict[str, Any] | None") -> "tuple[int, dict[str, Any]]":
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_READY)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
        reply = connection.getresponse()
        answer: dict[str, Any] = json.loads(reply.read())
        return reply.status, answer
    finally:
        connection.close()
