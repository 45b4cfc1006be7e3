"""The three ways to run the program, and the pod that serves the model. Each gives what the observer saw."""

import http.client
import json
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lyftlearn_local import artifacts, container
from lyftlearn_local.container import Container, Passed, contain
from lyftlearn_local.demo.clock import start_seconds
from lyftlearn_local.demo.inputs import Secrets
from lyftlearn_local.gateway import Counts
from lyftlearn_local.job import Job
from lyftlearn_local.platform import Platform
from lyftlearn_local.relayed import relayed
from lyftlearn_local.run import free_port, pod_sidecar, text

_CONFIGMAP = "/etc/hyperparameters"
_POD_MODEL = "/opt/model"
_METRICS = "screening."  # what the program's metrics begin with


class Failed(Exception):
    """A way that did not come to its end; the text says how it ended."""


class Seen:
    """What was seen of one run: its report, what it printed, what it counted, how long its start took (seconds, or None)."""

    def __init__(self, report: "dict[str, Any]", printed: str, counts: Counts, start: "float | None", artifacts: "list[str]") -> None:
        self.report = report
        self.printed = printed
        self.counts = counts
        self.start = start
        self.artifacts = artifacts


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
        """A pod of the old cluster: values injected, ConfigMap mounted. Its image has an entrypoint that finds nothing to do."""
        injected = {**environment, **self.secrets.injected, "MODEL_DIR": _POD_MODEL}
        passed = Passed(injected, {name: text(value) for name, value in hyperparameters.items()}, command)
        made = contain(container.KUBERNETES, "screening-7d9c5", passed, dict(self.base), _CONFIGMAP, 0)
        made.private.append(_POD_MODEL)
        return made

    def pointers(self) -> "dict[str, str]":
        return {**self.base, **self.platform.pointers(self.service)}

    def job(self, made: Container, launcher: "list[str] | None" = None) -> Job:
        job = Job(made, self.launcher if launcher is None else launcher, self.mounts, self.say)
        if not self.mounts:  # the program cannot see /opt/ml: tell it by the variables that its authors gave it
            model = _POD_MODEL if made.context == container.KUBERNETES else "/opt/ml/model"
            made.environ["MODEL_DIR"] = str(job.real(model))
            made.environ["HYPERPARAMETERS_PATH"] = str(job.real(_CONFIGMAP))
        return job

    def finish(self, job: Job, log: Path) -> "tuple[str, float | None]":
        """Start, time the start, wait. Gives what the program printed. Raises Failed."""
        with log.open("wb") as sink:
            job.start(stdout=sink)
        assert job.process is not None
        start = start_seconds(job.process.pid, self.launcher[-1], lambda: job.process is None or job.process.poll() is not None)
        ended = job.wait(120)
        if ended.code:
            raise Failed(f"{job.container.context}: exit code {ended.code} {ended.reason}".rstrip())
        return log.read_text(), start


def as_pod(scene: Scene, environment: "dict[str, str]", hyperparameters: "dict[str, Any]") -> Seen:
    """(a) As a Kubernetes pod would have it."""
    made = scene.pod(["python", str(scene.examples / "train.py")], environment, hyperparameters)
    with pod_sidecar(scene.platform, scene.say) as told, scene.job(made) as job:
        made.environ.update(told)
        printed, start = scene.finish(job, job.root / "stdout")
        report = json.loads((job.real(_POD_MODEL) / "report.json").read_text())
    counts, others = scene.platform.gateway.take().only(_METRICS)
    if others:  # 8125 is where any program of this machine may send
        scene.say(f"{others} lines at 127.0.0.1:8125 came from other programs on this machine, and are left out")
    return Seen(report, printed, counts, start, [])


def as_training_job(scene: Scene, staged: "dict[str, str]") -> Seen:
    """(b) As a SageMaker training job: nothing passed but the addresses of the staged documents."""
    passed = Passed(dict(staged), {}, ["python", str(scene.examples / "train.py")])
    refused = container.violations(container.TRAINING, passed)
    if refused:
        raise Failed("the API would refuse: " + refused[0].line)
    made = contain(container.TRAINING, "screening-train", passed, scene.pointers(), _CONFIGMAP, 0)
    with scene.job(made) as job:
        with relayed():
            printed, start = scene.finish(job, job.root / "stdout")
        report = json.loads((job.real("/opt/ml/model") / "report.json").read_text())
        left = artifacts.upload(scene.platform.client("s3"), scene.platform.bucket, made.job, job.root)
    return Seen(report, printed, scene.platform.gateway.take().only(_METRICS)[0], start, left)


def as_notebook(scene: Scene, staged: "dict[str, str]") -> Seen:
    """(c) From a cell. The notebook server is Studio's own and does not pass through the entrypoint; the kernel does."""
    passed = Passed({}, {}, ["python", "-m", "lyftlearn_local.demo.notebook"])
    made = contain(container.STUDIO, "screening-notebook", passed, scene.pointers(), _CONFIGMAP, 0)
    with scene.job(made, []) as job:
        # Studio leaves hyperparameters off by itself; this team's notebooks want them.
        kernel = {**staged, "LYFTLEARN_STEPS": "credentials,environment,hyperparameters,statsd"}
        result, order = job.root / "result.json", job.root / "order.json"
        program = str(scene.examples / "train.py")
        order.write_text(json.dumps({"launcher": scene.launcher, "program": program, "kernel_environ": kernel, "result": str(result)}))
        made.argv.append(str(order))
        made.environ["JUPYTER_RUNTIME_DIR"] = str(job.root / "run")  # short: a socket's path has at most 107 bytes (unix(7))
        with relayed():
            with (job.root / "stdout").open("wb") as sink:
                job.start(stdout=sink)
            ended = job.wait(120)
        if ended.code:
            raise Failed(f"notebook: exit code {ended.code}")
        seen = json.loads(result.read_text())
        if seen["stderr"]:
            scene.say("the kernel wrote to stderr: " + seen["stderr"].strip()[:500])
        report = json.loads((job.real("/opt/ml/model") / "report.json").read_text())
    return Seen(report, seen["stdout"], scene.platform.gateway.take().only(_METRICS)[0], seen["start"], [])


def serve(scene: Scene, model: str, environment: "dict[str, str]", rows: "list[list[float]]") -> "tuple[list[float], str]":
    """The model that the job wrote, from S3, served in a pod. Gives its predictions and how the server ended. Raises Failed."""
    port = free_port()
    made = scene.pod(["python", str(scene.examples / "serve.py")], {**environment, "PORT": str(port)}, {})
    with scene.job(made) as job:
        archive = job.root / "model.tar.gz"
        bucket, _, key = model.removeprefix("s3://").partition("/")
        scene.platform.client("s3").download_file(bucket, key, str(archive))
        with tarfile.open(archive) as packed:
            # The safe filter, where this Python has it (3.10.12, 3.11.4 and later); the archive is our own either way.
            packed.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
            packed.extractall(job.real(_POD_MODEL))  # noqa: S202
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
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if job.process is None or job.process.poll() is not None:
            raise Failed("serve: it ended before it answered /ping")
        try:
            if _call(port, "GET", "/ping", None)[0] == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise Failed("serve: no answer to /ping within 60 s")


def _call(port: int, method: str, path: str, body: "dict[str, Any] | None") -> "tuple[int, dict[str, Any]]":
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
        reply = connection.getresponse()
        answer: dict[str, Any] = json.loads(reply.read())
        return reply.status, answer
    finally:
        connection.close()
