"""The places in which users' programs run, each as its platform starts it: lyftlearn_local's description, nothing of our own."""

import shlex
from collections.abc import Callable

from lyftlearn_local import container
from lyftlearn_local.container import Container
from lyftlearn_local.containers.surroundings import STUDIO_HOME, Surroundings
from lyftlearn_local.demo import ways
from lyftlearn_local.demo.opening import Opened
from lyftlearn_local.platform import REGION, ROLE

POD = "pod"
KERNEL, TERMINAL, STUDIO = "kernel", "terminal", "studio"
_JOBS = {
    "training": container.TRAINING,
    "processing": container.PROCESSING,
    "transform": container.TRANSFORM,
    "endpoint": container.ENDPOINT,
}
# A program with a start of its own is Studio's ContainerArguments; the others run in a notebook's kernel, and in a terminal beside it.
OWN = (POD, *_JOBS, STUDIO)
TOGETHER = (POD, *_JOBS, KERNEL, TERMINAL)
PLACES = (POD, *_JOBS, STUDIO, KERNEL, TERMINAL)

# Where MODEL_DIR is told to be, and where results are read.
_OUTPUT = "/opt/ml/processing/model"
_MODELS = {POD: ways.POD_MODEL, "processing": _OUTPUT, STUDIO: f"{STUDIO_HOME}/model"}
_TOKEN = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
# Steps that some contexts do not run by themselves. A team whose programs read hyperparameters there asks for them.
_STEPS = "credentials,environment,hyperparameters,statsd,spark,user"


def model(place: str) -> str:
    """MODEL_DIR of a place."""
    return _MODELS.get(place, "/opt/ml/model")


class Places:
    """Describes containers. `alter(place, made)` may break one on purpose, before its files are laid out."""

    def __init__(self, opened: Opened, alter: Callable[[str, Container], None] = lambda place, made: None) -> None:
        self.scene = opened.scene
        self._opened = opened
        self._alter = alter

    def surround(self, place: str, name: str, words: "list[str]") -> Surroundings:
        """The container of a place, that runs these words (in Studio none: JupyterLab). `name` is one of its kind."""
        made = self._pod(words) if place == POD else self._studio(name, words) if place == STUDIO else self._job(place, name, words)
        self._alter(place, made)
        around = self.scene.surround(made, name, writable=(ways.POD_MODEL,))
        around.options.setdefault("shm_size", "256m")  # of the machine (a pod: an emptyDir of medium Memory); Docker's own is 64 MiB
        return around

    def _pod(self, words: "list[str]") -> Container:
        """With IAM roles for service accounts, as EKS injects them."""
        pointers = {
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.scene.platform.aws_url,
            "AWS_ROLE_ARN": ROLE,
            "AWS_WEB_IDENTITY_TOKEN_FILE": f"{_TOKEN}/token",
        }
        made = ways.pod(self.scene.secrets, pointers, words, self._opened.environment, self._opened.hyperparameters)
        made.files[f"{_TOKEN}/token"] = b"token-of-the-service-account"
        made.private.append(_TOKEN)
        return made

    def _job(self, place: str, name: str, words: "list[str]") -> Container:
        more = {"LYFTLEARN_STEPS": _STEPS, "LYFTLEARN_HYPERPARAMETERS_DIR": ways.CONFIGMAP, "MODEL_DIR": model(place)}
        word = {"training": "train", "processing": ""}.get(place, "serve")
        if word:
            more[f"LYFTLEARN_{word.upper()}_COMMAND"] = shlex.join(words)
        elif not all(words) or "\n" in "".join(words):  # ContainerArguments take no such word, a variable does
            more["LYFTLEARN_COMMAND"], words = shlex.join(words), []
        passed = self.scene.passed(self._opened.staged, [word] if word else words, **more)
        if not word:
            passed.entrypoint, passed.outputs = ["lyftlearn-entrypoint"], [_OUTPUT]
        return self.scene.describe(_JOBS[place], name, passed)

    def _studio(self, name: str, words: "list[str]") -> Container:
        """Studio's user cannot write below /etc, so what the cluster mounted there is elsewhere, as the team's own variables say."""
        files = {"HYPERPARAMETERS_PATH": "/opt/ml/input/hyperparameters", "SECRETS_PATH": "/opt/ml/input/credentials"}
        passed = self.scene.passed(self._opened.staged, words, LYFTLEARN_STEPS=_STEPS, MODEL_DIR=model(STUDIO), **files)
        passed.environment["LYFTLEARN_HYPERPARAMETERS_DIR"] = files["HYPERPARAMETERS_PATH"]
        passed.environment["LYFTLEARN_CREDENTIALS_DIR"] = files["SECRETS_PATH"]
        passed.environment.pop("LYFTLEARN_USER")
        return self.scene.describe(container.STUDIO, name, passed)
