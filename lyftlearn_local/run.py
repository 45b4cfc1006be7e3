"""`lyftlearn local run`: anybody's command as a context would run it, through the real entrypoint."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from lyftlearn_entrypoint.cli.stage import read_document, stage_documents
from lyftlearn_entrypoint.fetch.staged import ENVIRONMENT, HYPERPARAMETERS
from lyftlearn_local import artifacts, container, limits
from lyftlearn_local.gateway import Sidecar
from lyftlearn_local.job import Ended, Job, private_mounts
from lyftlearn_local.platform import BUCKET, SERVICE, Platform
from lyftlearn_local.relayed import relayed

Say = Callable[[str], None]

# Of a developer's environment a container sees nothing but these.
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ")
# Without the embedded platform the developer's own pointers to AWS are passed on too.
_POINTERS = ("AWS_", "LYFTLEARN_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_OURS = "LYFTLEARN_LOCAL_"  # read here, no setting of the entrypoint's
_USAGE = 2


class Unusable(Exception):
    """What was asked for cannot be done; the text says why. Exit code 2."""


@dataclass
class Request:
    """What `lyftlearn local run` was asked for. Files hold JSON objects. `entrypoint` is the launcher's path, '' for the installed one."""

    context: str
    command: list[str]
    environment_file: "Path | None" = None
    hyperparameters_file: "Path | None" = None
    credentials_file: "Path | None" = None
    environment: dict[str, str] = field(default_factory=dict)
    hyperparameters: dict[str, str] = field(default_factory=dict)
    tuning: bool = False
    entrypoint: str = ""
    platform: bool = True
    stop_after: "float | None" = None
    name: str = "local-job"
    user: str = ""
    hyperparameters_dir: str = "/etc/hyperparameters"
    output: "Path | None" = None


@dataclass
class Report:
    """What came of it; `facts` is the --json form."""

    ended: Ended
    refused: list[limits.Violation]
    artifacts: list[str]
    metrics: dict[str, object]
    difference: str
    request: Request

    def facts(self) -> "dict[str, object]":
        ended = self.ended
        key = "ExitMessage" if self.request.context == container.PROCESSING else "FailureReason"
        return {
            "context": self.request.context,
            "job": self.request.name,
            "status": ended.status,
            "exit_code": ended.code,
            "stopped": ended.stopped,
            "killed": ended.killed,
            "seconds": round(ended.seconds, 3),
            key: ended.reason or None,
            "artifacts": self.artifacts,
            "statsd": self.metrics,
            "difference": self.difference or None,
        }


def launcher(path: str = "") -> "list[str]":
    """The words before the user's command: this interpreter, isolated, on the installed `lyftlearn-entrypoint`. Raises Unusable."""
    place = Path(path) if path else Path(sysconfig.get_path("scripts")) / "lyftlearn-entrypoint"
    if not place.is_file():
        place = Path(sys.executable).parent / "lyftlearn-entrypoint" if not path else place
    if not place.is_file():
        raise Unusable(f"{place} is not there: install lyftlearn-entrypoint, or name the launcher with --entrypoint")
    return [sys.executable, "-I", "-S", "-X", "utf8", str(place.resolve())]


def document(path: Path) -> "dict[str, Any]":
    """The JSON object in a file. Raises Unusable."""
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from None
    except ValueError:
        raise Unusable(f"{path}: no JSON document in UTF-8") from None
    if not isinstance(value, dict):
        raise Unusable(f"{path}: the document is no JSON object")
    return value


def text(value: object) -> str:
    """A value as SageMaker and a ConfigMap hold it: strings as they are, anything else as compact JSON."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def base_environment(environ: "dict[str, str]", pointers: "dict[str, str] | None") -> "dict[str, str]":
    """What every container has: PATH and such, and where its AWS is. `pointers` None takes the developer's own."""
    kept = {name: environ[name] for name in _KEPT if name in environ}
    if pointers is None:
        pointers = {name: value for name, value in environ.items() if name.startswith(_POINTERS) and not name.startswith(_OURS)}
    return {**kept, **pointers}


@contextlib.contextmanager
def _platform(request: Request, say: Say) -> "Iterator[Platform | None]":
    if not request.platform:
        yield None
        return
    with Platform(say, confidant=request.credentials_file is not None and request.context != container.KUBERNETES) as platform:
        yield platform


@contextlib.contextmanager
def _sidecar(request: Request, platform: "Platform | None", say: Say) -> "Iterator[dict[str, str]]":
    """A pod's StatsD sidecar, and what the pod must be told where 8125 is somebody else's."""
    if platform is None or request.context != container.KUBERNETES:
        yield {}
        return
    with pod_sidecar(platform, say) as told:
        yield told


@contextlib.contextmanager
def pod_sidecar(platform: Platform, say: Say) -> "Iterator[dict[str, str]]":
    """A sidecar on 8125, or, where somebody else has it, on another port: then gives the variables that say so."""
    try:
        sidecar = Sidecar(platform.gateway.port)
        told: dict[str, str] = {}
    except OSError:
        sidecar = Sidecar(platform.gateway.port, 0)
        told = {"STATSD_HOST": "127.0.0.1", "STATSD_PORT": str(sidecar.port)}
        say(f"port 8125 is taken: the sidecar listens on {sidecar.port}, told by STATSD_HOST and STATSD_PORT; clients with 8125 miss it")
    try:
        yield told
    finally:
        sidecar.stop()


def run(request: Request, environ: "dict[str, str]", say: Say, stdout: "int | None" = None) -> Report:
    """Runs the command to its end. Raises Unusable, StartError, children.DidNotStart, confidant.venv.CannotBuild, OSError."""
    words = launcher(request.entrypoint)
    passed = container.Passed(dict(request.environment), dict(request.hyperparameters), list(request.command), request.tuning)
    if request.user:
        passed.environment["LYFTLEARN_USER"] = request.user
    refused = container.violations(request.context, passed)  # before anything is started
    if refused:
        return _refusal(request, refused)
    mounts = private_mounts()
    with _platform(request, say) as platform:
        with _sidecar(request, platform, say) as told:
            pointers = _pointers(request, platform)
            stage(request, passed, platform, environ)
            refused = container.violations(request.context, passed)  # what staging added counts too
            if refused:
                return _refusal(request, refused)
            base = {**base_environment(environ, pointers), **told}
            made = container.contain(request.context, request.name, passed, base, request.hyperparameters_dir, free_port())
            for note in made.notes:
                say(note)
            with Job(made, words, mounts, say) as job:
                difference = job.difference()
                if difference:
                    say(difference)
                with _signals(job), relayed():
                    job.start(subprocess.DEVNULL if job.is_job else None, stdout)
                    ended = job.wait(request.stop_after)
                left = _leave(request, job, ended, platform, say)
        # Only now has a sidecar passed on all that the program sent; and the gateway reads all before it counts.
        metrics = platform.gateway.take().facts() if platform else {}
    return Report(ended, [], left, metrics, difference, request)


def _refusal(request: Request, refused: "list[limits.Violation]") -> Report:
    return Report(Ended(_USAGE, False, False, 0.0, ""), refused, [], {}, "", request)


def _pointers(request: Request, platform: "Platform | None") -> "dict[str, str] | None":
    if platform is None:
        return None
    service = ""
    if request.credentials_file is not None and request.context != container.KUBERNETES:
        service = SERVICE
        platform.confidant.service(service, [platform.confidant.credential(document(request.credentials_file))])
    pointers = platform.pointers(service)
    if request.context == container.KUBERNETES:
        pointers.pop("LYFTLEARN_STATSD_GATEWAY")  # a pod has a sidecar
    return pointers


def stage(request: Request, passed: container.Passed, platform: "Platform | None", environ: "dict[str, str]") -> None:
    """The documents: staged, and passed by their addresses; in a pod, put where the cluster would put them."""
    files = {ENVIRONMENT: request.environment_file, HYPERPARAMETERS: request.hyperparameters_file}
    documents = {name: read_document(str(path), name) for name, path in files.items() if path is not None}
    if request.context in (container.KUBERNETES, container.LOCAL):
        injected = {name: text(value) for name, value in documents.get(ENVIRONMENT, {}).items()}
        if request.credentials_file is not None:
            found = document(request.credentials_file)
            injected.update({f"CREDENTIALS_{name}".upper(): text(value) for name, value in found.items() if value is not None})
        passed.environment = {**injected, **passed.environment}
        passed.hyperparameters = {**{k: text(v) for k, v in documents.get(HYPERPARAMETERS, {}).items()}, **passed.hyperparameters}
        return
    if not documents:
        return
    bucket = environ.get("LYFTLEARN_LOCAL_BUCKET", "") if platform is None else BUCKET
    if not bucket:
        raise Unusable("documents are staged in S3: without the embedded platform, set LYFTLEARN_LOCAL_BUCKET to a bucket of yours")
    passed.environment.update(stage_documents(_s3(platform), f"s3://{bucket}/staged", documents).variables)


def _s3(platform: "Platform | None") -> Any:
    """S3 of the embedded platform, or the developer's own."""
    if platform is not None:
        return platform.client("s3")
    import boto3

    return boto3.client("s3")


@contextlib.contextmanager
def _signals(job: Job) -> "Iterator[None]":
    """Ctrl-C and SIGTERM start the stop sequence; a second one goes on with it."""
    names = (signal.SIGINT, signal.SIGTERM)
    before = {n: signal.signal(n, lambda number, _: job.ask_to_stop(signal.Signals(number).name)) for n in names}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(request: Request, job: Job, ended: Ended, platform: "Platform | None", say: Say) -> "list[str]":
    """Uploads what a training job leaves, and copies it to --output."""
    if request.context != container.TRAINING or ended.status == "Failed":
        return []
    left: list[str] = []
    bucket = BUCKET if platform is not None else os.environ.get("LYFTLEARN_LOCAL_BUCKET", "")
    if bucket:
        try:
            left = artifacts.upload(_s3(platform), bucket, request.name, job.root)
        except (BotoCoreError, ClientError, Boto3Error) as error:
            say(f"the model could not be uploaded to {bucket}: {type(error).__name__}; the program itself ended as said below")
    if request.output is not None:
        request.output.mkdir(parents=True, exist_ok=True)
        for name in ("model.tar.gz", "output.tar.gz"):
            if (job.root / name).exists():
                left.append(str(shutil.copy(job.root / name, request.output)))
    for place in left:
        say(f"uploaded {place}" if place.startswith("s3://") else f"kept {place}")
    return left
