"""train.py in containers: as a pod, as SageMaker's training and processing jobs, and in a notebook of Studio's JupyterLab."""

import json
from typing import Any

from lyftlearn_local import artifacts, container
from lyftlearn_local.containers.running import CannotRun, Watch
from lyftlearn_local.containers.surroundings import CODE, STUDIO_HOME, STUDIO_USER, Surroundings
from lyftlearn_local.demo import ways
from lyftlearn_local.demo.compare import Seen, sha256
from lyftlearn_local.demo.container_scene import HEALTHY_SECONDS, TRAIN_SECONDS, Scene
from lyftlearn_local.demo.jupyter import Jupyter

_PROGRAM = f"{CODE}/train.py"
_COMMAND = ["python", _PROGRAM]
_ENTRYPOINT = ["lyftlearn-entrypoint"]  # without arguments of its own: Studio takes one word, and a job's are ContainerArguments
# Steps that a processing job and Studio do not run by themselves, and that this team wants there.
_WITH_HYPERPARAMETERS = "credentials,environment,hyperparameters,statsd,user"


def as_pod(scene: Scene, environment: "dict[str, str]", hyperparameters: "dict[str, Any]") -> Seen:
    """As the cluster ran it: the reference for all others."""
    made = ways.pod(scene.secrets, {}, _COMMAND, environment, hyperparameters)
    around = scene.surround(made, "training pod", writable=(ways.POD_MODEL,))
    with scene.sidecar("training pod") as (_, beside):
        return _run(scene, "training pod", around, ways.POD_MODEL, beside)


def as_training_job(scene: Scene, staged: "dict[str, str]") -> Seen:
    """`docker run IMAGE train`, as SageMaker starts a training job by itself."""
    passed = scene.passed(staged, ["train"], LYFTLEARN_TRAIN_COMMAND=" ".join(_COMMAND), LYFTLEARN_HYPERPARAMETERS_DIR=ways.CONFIGMAP)
    made = scene.describe(container.TRAINING, "training job", passed)
    around = scene.surround(made, "training job")
    seen = _run(scene, "training job", around, "/opt/ml/model")
    seen.artifacts = artifacts.upload(scene.platform.client("s3"), scene.platform.bucket, made.job, around.root)
    return seen


def as_training_job_with_entrypoint(scene: Scene, staged: "dict[str, str]") -> Seen:
    """With AlgorithmSpecification's ContainerEntrypoint and ContainerArguments, which stand for the image's."""
    passed = scene.passed(staged, _COMMAND, LYFTLEARN_HYPERPARAMETERS_DIR=ways.CONFIGMAP)
    passed.entrypoint = _ENTRYPOINT
    made = scene.describe(container.TRAINING, "training entrypoint", passed)
    return _run(scene, "training entrypoint", scene.surround(made, "training entrypoint"), "/opt/ml/model")


def as_processing_job(scene: Scene, staged: "dict[str, str]") -> Seen:
    """With AppSpecification's ContainerEntrypoint and ContainerArguments; the model is the job's output."""
    output = "/opt/ml/processing/model"
    more = {"LYFTLEARN_STEPS": _WITH_HYPERPARAMETERS, "LYFTLEARN_HYPERPARAMETERS_DIR": ways.CONFIGMAP, "MODEL_DIR": output}
    passed = scene.passed(staged, _COMMAND, **more)
    passed.entrypoint = _ENTRYPOINT
    passed.outputs = [output]
    made = scene.describe(container.PROCESSING, "processing job", passed)
    return _run(scene, "processing job", scene.surround(made, "processing job"), output)


def as_notebook(scene: Scene, staged: "dict[str, str]") -> Seen:
    """In a cell of a notebook, through JupyterLab's REST and WebSocket API, as the browser does it.

    Studio's user cannot write below /etc, so what the cluster mounted there is elsewhere, as the team's own variables say.
    """
    files = {"HYPERPARAMETERS_PATH": "/opt/ml/input/hyperparameters", "SECRETS_PATH": "/opt/ml/input/credentials"}
    passed = scene.passed(staged, [], LYFTLEARN_STEPS=_WITH_HYPERPARAMETERS, **files)
    passed.environment["LYFTLEARN_HYPERPARAMETERS_DIR"] = files["HYPERPARAMETERS_PATH"]
    passed.environment["LYFTLEARN_CREDENTIALS_DIR"] = files["SECRETS_PATH"]
    passed.environment.pop("LYFTLEARN_USER")
    made = scene.describe(container.STUDIO, "notebook", passed)
    around = scene.surround(made, "notebook")
    app = scene.start("notebook", around)
    jupyter = Jupyter(f"http://{app.address}:8888/jupyterlab/default")
    seconds = app.until(jupyter.healthy, "answer to GET /jupyterlab/default/api/status", HEALTHY_SECONDS)
    scene.say(f"notebook: {jupyter.url} healthy after {seconds:.1f} s; running a cell of screening.ipynb")
    try:
        printed, errors = jupyter.run("screening.ipynb", [f"%run {_PROGRAM}"], TRAIN_SECONDS)
    except (OSError, ValueError) as error:
        raise app.failed(f"the notebook: {error}") from None
    if errors:
        scene.say("the kernel wrote to stderr: " + errors.strip()[:500])
    program = app.program("ipykernel_launcher")
    saved = around.at(STUDIO_HOME) / "screening.ipynb"
    if (saved.stat().st_uid, saved.stat().st_gid) != STUDIO_USER:
        raise CannotRun(f"the notebook belongs to {saved.stat().st_uid}:{saved.stat().st_gid} on Studio's volume")
    model = app.read("/opt/ml/model/model.joblib")
    report = json.loads(app.read("/opt/ml/model/report.json"))
    start = app.started_in
    code, _ = app.stop(made.grace)
    if code:
        raise app.failed(f"exit code {code} after SIGTERM")
    scene.warnings(app)
    user = program.user if program else ""
    return Seen(report, printed, scene.counts(), start, sha256(model), [], app.image, user, scene.environ(made, program))


def _run(scene: Scene, name: str, around: Surroundings, model: str, beside: "dict[str, Any] | None" = None) -> Seen:
    started = scene.start(name, around, beside)
    watch = Watch(started, _PROGRAM)
    try:
        started.succeed(TRAIN_SECONDS)
    finally:
        program = watch.end()
    scene.warnings(started)
    report, digest = ways.left(around.at(model))
    user = program.user if program else ""
    printed = started.log(stderr=False)
    return Seen(report, printed, scene.counts(), started.started_in, digest, [], started.image, user, scene.environ(around.made, program))
