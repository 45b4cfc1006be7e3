"""The starts that `lyftlearn image footprint` runs: a table. Each is a real start of the image, as its platform does it, without a network.

What a platform sets and writes is the least that the entrypoint takes for evidence (docs/contexts.md). Only one start fetches anything: no
setting of the others asks for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from lyftlearn_entrypoint.cli.footprint import peer as footprint_peer
from lyftlearn_entrypoint.cli.footprint import programs

_TRAINING = {
    "TRAINING_JOB_NAME": "footprint",
    "TRAINING_JOB_ARN": "arn:aws:sagemaker:us-east-1:123456789012:training-job/footprint",
    "AWS_REGION": "us-east-1",
}
_TRAINING_FILES = {
    "/opt/ml/input/config/resourceconfig.json": '{"current_host":"algo-1","hosts":["algo-1"],"network_interface_name":"eth0"}',
    "/opt/ml/input/config/hyperparameters.json": "{}",
    "/opt/ml/input/config/inputdataconfig.json": "{}",
}
# Spark looks up the machine's own name otherwise.
LOCAL = {"SPARKLOCAL_IP": "127.0.0.1"}
CODE = "/opt/ml/code/program.py"
_STUDIO = {"AWS_REGION": "us-east-1"}
_STUDIO_FILES = {
    "/opt/ml/metadata/resource-metadata.json": '{"AppType":"JupyterLab","DomainId":"d-1","SpaceName":"s","ResourceName":"default"}'
}
STUDIO_USER = "1000:100"
# A pod under the restricted profile, with a uid that the image does not know (Kubernetes 1.32, Pod Security Standards).
POD_USER = "1000680000:0"

# These print the time (seconds since 1970) at which the start is over. They run beside it and are not traced.
_ANSWERS = """\
import time, urllib.error, urllib.request
for place in {}:
    while True:
        try:
            urllib.request.urlopen("http://127.0.0.1:" + place, timeout=20).read()
            break
        except urllib.error.HTTPError:
            raise
        except OSError:
            time.sleep(0.02)
print(time.time())
"""
_KERNEL_FILE = "/tmp/footprint-kernel.json"
_KERNEL = f"""\
import os, time
from jupyter_client import BlockingKernelClient
client = BlockingKernelClient(connection_file="{_KERNEL_FILE}")
while True:
    try:
        client.load_connection_file()
        break
    except (OSError, ValueError):
        time.sleep(0.02)
client.start_channels()
client.wait_for_ready(timeout=800)
{{}}print(time.time())
os._exit(0)
"""
_KERNEL_ANSWERS = _KERNEL.format("")
_CELL_ANSWERS = _KERNEL.format(f"assert client.execute_interactive({programs.CELL!r}, timeout=800)['content']['status'] == 'ok'\n")
_SERVE = """\
import http.server, joblib, sklearn.linear_model
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/ping" else 404)
        self.end_headers()
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""
# What a browser asks for when a user opens JupyterLab.
_PAGE = ("lab", "lab/api/settings", "lab/api/translations/", "api/contents", "api/kernelspecs")
_FIT = (
    "import numpy as np; from sklearn.linear_model import LogisticRegression as C; "
    "from sklearn.model_selection import cross_val_score as s; x = np.random.default_rng(0).normal(size=(200, 5)); "
    "print(s(C(), x, x[:, 0] > 0))"
)


def answers(*places: str) -> str:
    """A program that waits until each PORT/PATH of the container has answered, one after the other."""
    return _ANSWERS.format(places)


@dataclass(frozen=True)
class Start:
    """One start. `words` go to the image's entrypoint, or to `entrypoint` where that is given.

    `until` is a Python program that waits for what ends the start, and prints when; '' where the start ends by itself. `files` are what the
    platform writes, path to text; `pod`: no capabilities, a read-only root. `image` is the one that has what it needs. `user` is '' for
    the image's own. `peer` is a Python program that runs beside it in the same network, and first prints more `files` as JSON.
    `held`: the hot list is not made from it; it is held to the budget of the start of that name.
    """

    name: str
    title: str
    words: tuple[str, ...]
    image: str = "base"
    entrypoint: tuple[str, ...] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    user: str = ""
    until: str = ""
    pod: bool = False
    peer: str = ""
    held: str = ""


def training(name: str, title: str, command: str, image: str = "base") -> Start:
    """A SageMaker training job that runs that command."""
    return Start(name, title, ("train",), image, None, {**_TRAINING, "LYFTLEARN_TRAIN_COMMAND": command}, _TRAINING_FILES)


def script(name: str, title: str, program: str, image: str, by: str = "python") -> Start:
    """A SageMaker training job that runs that program, a file among its code."""
    made = training(name, title, f"{by} {CODE}", image)
    return replace(made, files={**made.files, CODE: program}, environment={**made.environment, **(LOCAL if image == "distributed" else {})})


_FETCH = training("fetch", "a training job that fetches credentials and documents over TLS, until its program runs", "true")
_KERNEL_START = Start(
    "kernel",
    "a notebook's kernel in Studio, until it answers",
    ("python", "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", _KERNEL_FILE),
    environment=_STUDIO,
    files=_STUDIO_FILES,
    user=STUDIO_USER,
    until=_KERNEL_ANSWERS,
)
STARTS = (
    Start("python", "the system's Python, `python3 -c pass`, without the entrypoint", ("-c", "pass"), entrypoint=("/usr/bin/python3",)),
    Start("entrypoint", "the entrypoint, until `true` has run", ("true",)),
    training("train", "a training job, until its program runs", "true"),
    replace(_FETCH, environment={**_FETCH.environment, **footprint_peer.ENVIRONMENT}, peer=footprint_peer.PROGRAM),
    training("sklearn", "a training job, until `import sklearn` is done", "python -c 'import sklearn'"),
    training("fit", "a training job that fits a linear model", f"python -c '{_FIT}'"),
    training(
        "job",
        "a training job with numpy, pandas, scikit-learn and boto3",
        "python -c 'import numpy, pandas, sklearn.linear_model, sklearn.model_selection, boto3'",
    ),
    _KERNEL_START,
    Start(
        "jupyterlab",
        "JupyterLab in Studio, until its health check answers",
        (),
        environment=_STUDIO,
        files=_STUDIO_FILES,
        user=STUDIO_USER,
        until=answers("8888/jupyterlab/default/api/status"),
    ),
    Start(
        "lab",
        "JupyterLab in Studio, until a browser has its first page",
        (),
        environment=_STUDIO,
        files=_STUDIO_FILES,
        user=STUDIO_USER,
        until=answers(*(f"8888/jupyterlab/default/{path}" for path in _PAGE)),
    ),
    Start(
        "serve",
        "a pod that serves with scikit-learn, until /ping answers",
        ("python", "-c", _SERVE),
        environment={"KUBERNETES_SERVICE_HOST": "10.100.0.1"},
        user=POD_USER,
        until=answers("8080/ping"),
        pod=True,
    ),
    Start("spark", "a Spark session, until its first result", ("python", "-c", programs.SPARK), "distributed", environment=LOCAL),
    script("frame", "a training job on Spark's data frames, with a UDF", programs.FRAME, "distributed"),
    replace(
        _KERNEL_START,
        name="session",
        title="a notebook's kernel in Studio, until a Spark session in it has its first result",
        image="distributed",
        environment=_STUDIO | LOCAL,
        until=_CELL_ANSWERS,
    ),
    Start(
        "executor",
        "an executor of Spark's in a pod, for a job with a UDF",
        ("executor",),
        "distributed",
        environment=programs.EXECUTOR,
        user=POD_USER,
        peer=programs.DRIVER,
    ),
    training("torch", "a training job, until `import torch` is done", "python -c 'import torch'", "dl"),
    script("step", "a training job that trains a small network with torch", programs.STEP, "dl"),
    script("vision", "a training job that prepares and scores a picture with torchvision", programs.VISION, "dl"),
)


def of(images: list[str], names: tuple[str, ...] = ()) -> list[Start]:
    """The starts for an image and those it is built on, or those of these names. Raises ValueError for a name that is none of them."""
    from lyftlearn_entrypoint.cli.footprint.held import HELD

    known = [start for start in (*STARTS, *HELD) if start.image in images]
    if wrong := sorted(set(names) - {start.name for start in known}):
        raise ValueError(f"no start {', '.join(wrong)}; there are {', '.join(start.name for start in known)}")
    return [start for start in known if not names or start.name in names]
