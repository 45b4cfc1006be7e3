"""The demo with --docker: one image, in containers as each platform starts them, and what the same program saw in each."""

import shutil
from pathlib import Path
from typing import Any

from lyftlearn_local.demo import compare, container_serving, container_training
from lyftlearn_local.demo.container_scene import Scene
from lyftlearn_local.demo.opening import opened
from lyftlearn_local.demo.telling import Telling

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
        """True when everything was the same in each container. Raises what `opened` raises; nothing is left in the engine then either."""
        with opened(self.say, self.telling.environ, self.tag, self._fill) as made:
            return self._compare(made.scene, made.staged, made.environment, made.hyperparameters)

    def _fill(self, code: Path) -> None:
        for name in ("train.py", "serve.py"):  # as a team's Dockerfile would copy them
            shutil.copyfile(self.examples / name, code / name)

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
