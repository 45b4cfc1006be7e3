"""The demo without containers: the same program as a pod, a training job and a notebook's cell, on this machine's own files."""

import sys
from pathlib import Path
from typing import Any

from lyftlearn_local import limits
from lyftlearn_local.demo import compare, inputs, ways
from lyftlearn_local.demo.telling import Telling, stage
from lyftlearn_local.platform import Platform
from lyftlearn_local.run import launcher, text

SERVICE = "screening-training"


class OnThisMachine:
    """One run. `mounts` says whether /opt/ml can be made real for the program by a mount namespace of its own."""

    def __init__(self, telling: Telling, examples: Path, mounts: bool) -> None:
        self.telling = telling
        self.say = telling.say
        self.examples = examples
        self.mounts = mounts

    def limits(self, environment: "dict[str, str]", hyperparameters: "dict[str, Any]") -> None:
        """What the real APIs would have said to the same input."""
        strings = {name: text(value) for name, value in hyperparameters.items()}
        for kind in (limits.TRAINING, limits.TUNING, limits.PROCESSING, limits.TRANSFORM, limits.ENDPOINT, limits.STUDIO):
            refused = limits.check(kind, limits.ENVIRONMENT, environment) + limits.check(kind, limits.HYPERPARAMETERS, strings)
            print(f"  {kind}: refused, for {len(refused)} reasons")
            for one in refused:
                print("    " + f"{one.operation} {one.member} {one.entry}".rstrip() + f": {one.limit}")

    def run(self) -> bool:
        """True when everything was the same each way. Raises ways.Failed, run.Unusable and what a platform's start raises."""
        if not self.mounts:
            self.say("no private mount namespace here: /opt/ml and the ConfigMap are below a temporary directory, told by LYFTLEARN_ROOT")
        words = launcher()
        environment, hyperparameters = inputs.environment(), inputs.hyperparameters()
        with Platform(self.say) as platform:
            self.say(f"platform: moto, Confidant, StatsD gateway, credentials endpoint at {platform.link_local.url}")
            secrets = inputs.Secrets(platform.confidant, SERVICE)
            self.say(f"Confidant holds {len(secrets.injected)} secrets: a number, a boolean, an own prefix and a blind one among them")
            search = self.telling.environ.get("PATH", "/usr/bin:/bin")
            staged = stage(platform, {"environment": environment, "hyperparameters": hyperparameters}, search)
            self.say(f"staged {len(environment)} variables and {len(hyperparameters)} hyperparameters; passed directly")
            self.limits(environment, hyperparameters)
            base = {"PATH": f"{Path(sys.executable).parent}:{search}", "LANG": "C.UTF-8"}
            scene = ways.Scene(platform, secrets, SERVICE, base, words, self.mounts, self.examples, self.say)
            self.say("train.py as a pod")
            pod = ways.as_pod(scene, environment, hyperparameters)
            self.say("train.py as a SageMaker training job")
            job = ways.as_training_job(scene, staged)
            self.say("train.py in a notebook's cell")
            notebook = ways.as_notebook(scene, staged)
            names = ["pod", "training job", "notebook"]
            same = compare.training(names, [pod, job, notebook], len(secrets.injected), self.telling.colour)
            return self.serve(scene, job, environment) and same

    def serve(self, scene: ways.Scene, job: compare.Seen, environment: "dict[str, str]") -> bool:
        from sklearn.datasets import load_breast_cancer

        data = load_breast_cancer()
        model = next(place for place in job.artifacts if place.endswith("/model.tar.gz"))
        self.say(f"serve.py in a pod, with {model}")
        predictions, ending = ways.serve(scene, model, environment, data.data.tolist())
        right = sum((value > 0.5) == bool(target) for value, target in zip(predictions, data.target, strict=True))
        self.say(f"{len(predictions)} predictions over HTTP, {right / len(predictions):.1%} right; first {predictions[0]:.4f}; {ending}")
        return right / len(predictions) > 0.9
