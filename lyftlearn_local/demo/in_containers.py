"""The demo with --docker: one image, in containers as each platform starts them, and what the same program saw in each."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from lyftlearn_local.containers.engine import PREFIX, CannotRun, Engine
from lyftlearn_local.demo import compare, container_serving, container_training, inputs
from lyftlearn_local.demo.container_scene import Scene
from lyftlearn_local.demo.telling import Telling, stage
from lyftlearn_local.platform import Platform

_SERVICE = "screening-training"
_TRAINED = ["training pod", "training job", "training entrypoint", "processing job", "notebook"]
_SERVED = ["serving pod", "endpoint", "batch transform"]


class InContainers:
    """One run with the image of that tag."""

    def __init__(self, telling: Telling, examples: Path, tag: str) -> None:
        self.telling = telling
        self.say = telling.say
        self.examples = examples
        self.tag = tag

    def run(self) -> bool:
        """True when everything was the same in each container.

        Raises CannotRun, ways.Failed and what a platform's start raises; nothing is left in the engine then either.
        """
        if os.geteuid():
            raise CannotRun("--docker needs root: it looks into the containers' programs, and gives them files as each platform does")
        if "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" in self.telling.environ:
            raise CannotRun(
                "this machine is a container with credentials at 169.254.170.2 itself; the demo would take that address from it"
            )
        os.umask(0o022)  # what is mounted is read by other users; the directory around it is ours alone
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # a Secret volume's files are never on a disk
        with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-", dir=memory, ignore_cleanup_errors=True) as place:
            directory = Path(place)
            with Engine(self.say, directory) as engine:
                return self._on(engine, directory)

    def _on(self, engine: Engine, directory: Path) -> bool:
        image = engine.image(self.tag)
        labels = image.labels or {}
        version = labels.get("org.opencontainers.image.version", "unknown")
        revision = labels.get("org.opencontainers.image.revision", "unknown")
        self.say(f"image {self.tag}: {image.id}, {image.attrs['Size'] / 1e6:.0f} MB, version {version}, revision {revision[:12]}")
        code = directory / "code"
        code.mkdir()
        for name in ("train.py", "serve.py"):  # as a team's Dockerfile would copy them
            shutil.copyfile(self.examples / name, code / name)
        environment, hyperparameters = inputs.environment(), inputs.hyperparameters()
        try:
            platform = Platform(self.say, host=engine.host)
            platform.start()
        except OSError as error:
            raise CannotRun(
                f"{engine.host}, the network's gateway, is no address of this machine ({error}): the engine runs elsewhere"
            ) from None
        try:
            self.say(f"platform: moto, Confidant, StatsD gateway, credentials endpoint, on {engine.host} of the demo's own network alone")
            secrets = inputs.Secrets(platform.confidant, _SERVICE)
            search = self.telling.environ.get("PATH", "/usr/bin:/bin")
            staged = stage(platform, {"environment": environment, "hyperparameters": hyperparameters}, search)
            self.say(
                f"{len(secrets.injected)} secrets in Confidant; {len(environment)} variables, {len(hyperparameters)} hyperparameters staged"
            )
            scene = Scene(engine, platform, secrets, _SERVICE, directory, code, self.tag, image.id, self.say)
            return self._compare(scene, staged, environment, hyperparameters)
        finally:
            platform.stop()

    def _compare(self, scene: Scene, staged: "dict[str, str]", environment: "dict[str, str]", hyperparameters: "dict[str, Any]") -> bool:
        from sklearn.datasets import load_breast_cancer

        pod = container_training.as_pod(scene, environment, hyperparameters)
        job = container_training.as_training_job(scene, staged)
        others = [
            container_training.as_training_job_with_entrypoint(scene, staged),
            container_training.as_processing_job(scene, staged),
            container_training.as_notebook(scene, staged),
        ]
        model = next(place for place in job.artifacts if place.endswith("/model.tar.gz"))
        data = load_breast_cancer()
        lines = container_serving.records(data.data.tolist())
        no_hyperparameters = {name: value for name, value in staged.items() if "HYPERPARAMETERS" not in name}
        served = [
            container_serving.as_pod(scene, model, environment, lines),
            container_serving.as_endpoint(scene, model, no_hyperparameters, lines),
            container_serving.as_transform(scene, model, no_hyperparameters, lines),
        ]
        self.say(f"train.py, unchanged; {pod.printed.strip()}")
        same = compare.training(_TRAINED, [pod, job, *others], len(scene.secrets.injected), self.telling.colour)
        self.say(f"serve.py, unchanged, with {model}")
        return compare.serving(_SERVED, served, [bool(target) for target in data.target], self.telling.colour) and same
