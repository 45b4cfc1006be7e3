"""`python -m lyftlearn_local.demo [--examples DIR]`: runs it all, prints what was seen; exit code 1 when anything differs."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from lyftlearn_local import limits
from lyftlearn_local.children import DidNotStart
from lyftlearn_local.confidant.venv import CannotBuild
from lyftlearn_local.demo import inputs, table, ways
from lyftlearn_local.job import private_mounts
from lyftlearn_local.platform import Platform
from lyftlearn_local.run import Unusable, launcher, text

_SERVICE = "screening-training"


class Demo:
    """One run, told line by line."""

    def __init__(self, examples: Path, environ: "dict[str, str]", mounts: bool) -> None:
        self.examples = examples
        self.mounts = mounts
        self.environ = environ
        self.began = time.monotonic()
        self.colour = table.colour(environ)

    def say(self, line: str) -> None:
        print(f"{time.monotonic() - self.began:6.1f} s  {line}", flush=True)

    def stage(self, platform: Platform, documents: "dict[str, dict[str, Any]]") -> "dict[str, str]":
        """Through the real command. Gives the variables that it says to pass. Raises ways.Failed."""
        command = [str(Path(sys.executable).parent / "lyftlearn"), "stage", "--to", f"s3://{platform.bucket}/staged", "--print", "json"]
        with tempfile.TemporaryDirectory() as directory:
            for name, document in documents.items():
                place = Path(directory) / f"{name}.json"
                place.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
                command += [f"--{name}", str(place)]
            pointers = {
                **platform.pointers(),
                "AWS_DEFAULT_REGION": platform.region,
                "PATH": self.environ.get("PATH", ""),
                "HOME": directory,
            }
            done = subprocess.run(command, env=pointers, stdout=subprocess.PIPE, check=False)
        if done.returncode:
            raise ways.Failed(f"lyftlearn stage: exit code {done.returncode}")
        variables: dict[str, str] = json.loads(done.stdout)
        return variables

    def limits(self, environment: "dict[str, str]", hyperparameters: "dict[str, Any]") -> None:
        """What the real APIs would have said to the same input."""
        strings = {name: text(value) for name, value in hyperparameters.items()}
        for kind in (limits.TRAINING, limits.TUNING, limits.PROCESSING, limits.TRANSFORM, limits.ENDPOINT, limits.STUDIO):
            refused = limits.check(kind, limits.ENVIRONMENT, environment) + limits.check(kind, limits.HYPERPARAMETERS, strings)
            print(f"  {kind}: refused, for {len(refused)} reasons")
            for one in refused:
                print("    " + f"{one.operation} {one.member} {one.entry}".rstrip() + f": {one.limit}")

    def run(self) -> bool:
        """True when everything was the same each way. Raises ways.Failed and what a platform's start raises."""
        if not self.mounts:
            self.say("no private mount namespace here: /opt/ml and the ConfigMap are below a temporary directory, told by LYFTLEARN_ROOT")
        words = launcher()
        environment, hyperparameters = inputs.environment(), inputs.hyperparameters()
        with Platform(self.say) as platform:
            self.say(f"platform: moto, Confidant, StatsD gateway, credentials endpoint at {platform.link_local.url}")
            secrets = inputs.Secrets(platform.confidant, _SERVICE)
            self.say(f"Confidant holds {len(secrets.injected)} secrets: a number, a boolean, an own prefix and a blind one among them")
            staged = self.stage(platform, {"environment": environment, "hyperparameters": hyperparameters})
            self.say(f"staged {len(environment)} variables and {len(hyperparameters)} hyperparameters; passed directly")
            self.limits(environment, hyperparameters)
            path = f"{Path(sys.executable).parent}:{self.environ.get('PATH', '/usr/bin:/bin')}"
            base = {"PATH": path, "LANG": "C.UTF-8"}
            scene = ways.Scene(platform, secrets, _SERVICE, base, words, self.mounts, self.examples, self.say)
            self.say("train.py as a pod")
            pod = ways.as_pod(scene, environment, hyperparameters)
            self.say("train.py as a SageMaker training job")
            job = ways.as_training_job(scene, staged)
            self.say("train.py in a notebook's cell")
            notebook = ways.as_notebook(scene, staged)
            same = self.compare([pod, job, notebook], len(secrets.injected))
            return self.serve(scene, job, environment) and same

    def compare(self, seen: "list[ways.Seen]", secrets: int) -> bool:
        made = table.Table(["pod", "training job", "notebook"], self.colour)
        for name in ("secrets", "variables", "hyperparameters"):
            found = [one.report[name] for one in seen]
            made.add(name, [f"{one['count']}, sha256 {one['sha256'][:12]}" for one in found])
        for name in sorted(seen[0].report["read"]):
            made.add(f"read: {name}", [str(one.report["read"].get(name)) for one in seen])
        made.add("10 kB hyperparameter", [f"{one.report['notes']} characters" for one in seen])
        made.add("AUC of the model", [str(one.report["auc"]) for one in seen])
        made.add("scores", ["sha256 " + one.report["scores"][:12] for one in seen])
        made.add("printed", [one.printed.strip() for one in seen])
        for name in sorted({name for one in seen for name in one.counts.metrics}):
            made.add(f"statsd {name}", [str(one.counts.metrics.get(name, 0)) for one in seen])
        made.add("statsd in all", [str(one.counts.lines) for one in seen])
        made.add("start, entrypoint to exec", [f"{one.start * 1000:.0f} ms" if one.start else "not seen" for one in seen], compared=False)
        print(made.render())
        expected = {"secrets": secrets, "variables": inputs.VARIABLES, "hyperparameters": inputs.HYPERPARAMETERS}
        complete = True
        for name, count in expected.items():
            if seen[0].report[name]["count"] != count:
                complete = False
                print(made.paint(f"the pod saw {seen[0].report[name]['count']} {name}, and {count} were given", False))
        if not seen[0].counts.lines:
            complete = False
            print(made.paint("nothing was counted at the gateway", False))
        return made.same and complete

    def serve(self, scene: ways.Scene, job: ways.Seen, environment: "dict[str, str]") -> bool:
        from sklearn.datasets import load_breast_cancer

        data = load_breast_cancer()
        model = next(place for place in job.artifacts if place.endswith("/model.tar.gz"))
        self.say(f"serve.py in a pod, with {model}")
        predictions, ending = ways.serve(scene, model, environment, data.data.tolist())
        right = sum((value > 0.5) == bool(target) for value, target in zip(predictions, data.target, strict=True))
        self.say(f"{len(predictions)} predictions over HTTP, {right / len(predictions):.1%} right; first {predictions[0]:.4f}; {ending}")
        return right / len(predictions) > 0.9


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo", description="One unchanged program: as a pod, a training job, a notebook.")
    parser.add_argument("--examples", type=Path, default=Path("examples"), help="directory of train.py and serve.py")
    parser.add_argument("--no-mounts", action="store_true", help="as where the kernel allows no private mount namespace")
    options = parser.parse_args()
    demo = Demo(options.examples.resolve(), dict(os.environ), not options.no_mounts and private_mounts())
    try:
        same = demo.run()
    except (ways.Failed, Unusable, DidNotStart, CannotBuild) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    demo.say("the same each way" if same else "DIFFERENT: see the lines so marked")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
