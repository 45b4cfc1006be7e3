"""examples/team on each image, in each context: SageMaker's jobs and endpoints, Studio, pods, laptops; also with a USER of its own."""

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sklearn.datasets import load_breast_cancer

from lyftlearn_local.container import ENDPOINT, PROCESSING, STUDIO, TRAINING, TRANSFORM, Passed
from tests.images.conftest import IDLE, PROGRAMS, SOON, Container, Start, tag
from tests.images.every_image import EVERY
from tests.images.platform_files import Mounted, readable
from tests.images.team import EXAMPLE, Builds, repack

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

HYPERPARAMETERS = {"C": 0.5, "solver": {"max_iter": 500}}
THRESHOLD = {"SCREENING_THRESHOLD": "0.5"}
ANY_UID = "1000680000:0"
TRAINED = "trained: C=0.5 auc=0.999 rows=398\n"
PING = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/ping').status)"
INVOKE = (
    "import json, urllib.request as u; from sklearn.datasets import load_breast_cancer as l; "
    "rows = json.dumps({'instances': l().data[[0, 19]].tolist()}).encode(); "
    "print(u.urlopen('http://127.0.0.1:8080/invocations', rows).read().decode())"
)
KERNEL = """
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="python3", startup_timeout=300)
said = []
client.execute_interactive(
    "import os, click, screening.serve; print(click.__name__, screening.__path__[0], os.environ['LYFTLEARN_CONTEXT'])", timeout=300,
    output_hook=lambda message: said.append(message["content"].get("text", "")))
print("".join(said), end="")
manager.shutdown_kernel(now=True)
"""


class Team:
    """The team's image on one of ours, and the same with a USER of its own; and a model, as a laptop trains it."""

    def __init__(self, client: Any, builds: Builds, on: str, directory: Path) -> None:
        self.image = builds.build(EXAMPLE, {"BASE_IMAGE": on})
        self.own_user = builds.build(EXAMPLE, {"BASE_IMAGE": on, "RUN_AS": "1000:100"})
        volumes = {str(configmap(directory / "hyperparameters")): {"bind": "/etc/hyperparameters", "mode": "ro"}}
        volumes[str(directory)] = {"bind": "/opt/ml/model", "mode": "rw"}
        client.containers.run(
            self.image, ["python", "-m", "screening.train"], network_mode="none", remove=True, user="0:0", volumes=volumes
        )
        self.model = (directory / "screening.joblib").read_bytes()

    def deliver(self, directory: Path) -> Path:
        """Lay the model into a directory that every user can read."""
        directory.mkdir(parents=True, exist_ok=True)
        (readable(directory) / "screening.joblib").write_bytes(self.model)
        return directory


def configmap(directory: Path) -> Path:
    """The hyperparameters as the cluster mounts them."""
    for name, value in HYPERPARAMETERS.items():
        (readable(directory) / name).write_text(json.dumps(value))
    return directory


@pytest.fixture(scope="module")
def builds(client: Any, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Builds]":
    made = Builds(client, tmp_path_factory.mktemp("builds"))
    yield made
    made.remove()


@pytest.fixture(scope="module", params=EVERY)
def team(request: pytest.FixtureRequest, client: Any, builds: Builds, tmp_path_factory: pytest.TempPathFactory) -> Team:
    on = builds.on(request.param, repack(builds.directory, "click"))
    return Team(client, builds, on, tmp_path_factory.mktemp("trained"))


@pytest.fixture
def start(start: Start) -> Start:
    """With the shared memory that the deep learning image asks for: it would say so in each log."""
    return functools.partial(start, shm_size="1g")


def training(directory: Path) -> Mounted:
    """A training job whose hyperparameters come by the input channel `lyftlearn`, since one of them is no string."""
    job = Mounted(readable(directory), TRAINING, Passed({}, {}, ["train"]))
    channel = job.ml / "input/data/lyftlearn"
    channel.mkdir(parents=True)
    (channel / "hyperparameters.json").write_text(json.dumps(HYPERPARAMETERS))
    return job


def answers(container: Container) -> None:
    """It serves the model that was trained, and ends when it is told to."""
    container.until("serving on port 8080")
    assert container.python(PING) == "200\n"
    answer = json.loads(container.python(INVOKE))
    assert answer["recall"] == [True, False]
    assert answer["scores"][0] < 0.01
    code, seconds = container.stop()
    assert (code, container.stdout) == (0, "serving on port 8080\nstopped\n")
    assert seconds < SOON


def jupyterlab(container: Container) -> None:
    """It is Studio's JupyterLab, and a kernel has the team's packages and code."""
    container.expect("token config is deprecated", "All authentication is disabled")
    container.until("http://127.0.0.1:8888/jupyterlab/default/lab")
    assert "click /srv/screening studio" in container.python(KERNEL).splitlines()
    assert container.stop()[0] == 0


def test_training(team: Team, start: Start, tmp_path: Path) -> None:
    job = training(tmp_path)
    container = start("train", "--seed", "7", image=team.image, **job.options(PROGRAMS))
    assert container.wait() == 0, container.log
    assert container.stdout == TRAINED
    assert "start: python as lyftlearn (1000:100) in sagemaker-training" in container.log
    assert (job.ml / "model/screening.joblib").stat().st_uid == 1000


def test_what_the_program_says_of_a_wrong_argument_is_the_jobs_end(team: Team, start: Start, tmp_path: Path) -> None:
    container = start("train", "--sede", "7", image=team.image, **training(tmp_path).options(PROGRAMS))
    assert container.wait() == 2
    assert "No such option '--sede'" in container.log


def test_processing(team: Team, start: Start, tmp_path: Path) -> None:
    out = "/opt/ml/processing/output"
    words = ["python", "-m", "screening.score", "/opt/ml/processing/input/table.csv", f"{out}/scores.csv"]
    job = Mounted(readable(tmp_path), PROCESSING, Passed(THRESHOLD, {}, words, outputs=[out]))
    team.deliver(job.ml / "processing/model")
    data = load_breast_cancer()
    lines = [",".join(data.feature_names), *(",".join(map(str, row)) for row in data.data[[0, 19]])]
    (job.ml / "processing/input").mkdir(parents=True)
    (job.ml / "processing/input/table.csv").write_text("\n".join(lines))
    options = job.options(PROGRAMS, environment={"MODEL_DIR": "/opt/ml/processing/model"})
    container = start(*words, image=team.image, **options)
    assert container.wait() == 0, container.log
    assert container.stdout == "scored 2 rows\n"
    assert "as lyftlearn (1000:100) in sagemaker-processing" in container.log
    scored = job.ml / "processing/output/scores.csv"
    assert [line.rpartition(",")[2] for line in scored.read_text().splitlines()] == ["recall", "True", "False"]
    assert scored.stat().st_uid == 1000


@pytest.mark.parametrize(("context", "own"), [(ENDPOINT, False), (ENDPOINT, True), (TRANSFORM, False)])
def test_serving(team: Team, start: Start, tmp_path: Path, context: str, own: bool) -> None:
    job = Mounted(readable(tmp_path), context, Passed(THRESHOLD, {}, ["serve"]))
    team.deliver(job.ml / "model")
    credentials = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/none"}  # hosting always sets it
    image = team.own_user if own else team.image
    container = start("serve", image=image, **job.options(PROGRAMS, environment=credentials))
    answers(container)
    assert f"start: python {'' if own else 'as lyftlearn (1000:100) '}in {context}" in container.log


@pytest.mark.parametrize("own", [False, True], ids=["root", "own user"])
def test_studio_names_the_entrypoint(team: Team, start: Start, tmp_path: Path, own: bool) -> None:
    """ContainerEntrypoint takes the place of ENTRYPOINT and of CMD, as `docker run --entrypoint` does."""
    app = Mounted(readable(tmp_path), STUDIO, Passed({}, {}, []))
    user = {} if own else {"user": "1000:100"}
    image = team.own_user if own else team.image
    jupyterlab(start(image=image, entrypoint=["lyftlearn-entrypoint"], **app.options(PROGRAMS, **user)))


def test_studio_that_does_not_name_it_runs_the_cmd(team: Team, start: Start, tmp_path: Path) -> None:
    """A CMD is an argument like any other: nothing tells it from one that was meant."""
    app = Mounted(readable(tmp_path), STUDIO, Passed(THRESHOLD, {}, []))
    options = app.options(PROGRAMS, user="1000:100")
    options["volumes"][str(team.deliver(tmp_path / "model"))] = {"bind": "/opt/ml/model", "mode": "ro"}
    container = start(image=team.image, **options)
    container.until("serving on port 8080")


@pytest.mark.parametrize("own", [False, True], ids=["root", "own user"])
def test_a_pod(team: Team, start: Start, tmp_path: Path, own: bool) -> None:
    """Its CMD, under the restricted profile; with a USER in the image and no runAsUser in the pod, it is that one."""
    restricted: dict[str, Any] = {
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "tmpfs": {"/tmp": "mode=1777"},
        "environment": {"KUBERNETES_SERVICE_HOST": "10.100.0.1", **THRESHOLD},
        "volumes": {str(team.deliver(tmp_path / "model")): {"bind": "/opt/ml/model", "mode": "ro"}},
    }
    container = start(image=team.own_user, **restricted) if own else start(image=team.image, user=ANY_UID, **restricted)
    answers(container)
    assert container.log == container.stdout  # a pod's start says nothing


def test_training_in_a_pod_with_a_configmap(team: Team, start: Start, tmp_path: Path) -> None:
    """As before the move: the program's own command, and the hyperparameters mounted."""
    configmap(tmp_path / "configmap")
    (tmp_path / "model").mkdir()
    readable(tmp_path / "model").chmod(0o777)
    volumes = {
        str(tmp_path / name): {"bind": to, "mode": mode}
        for name, to, mode in (("configmap", "/etc/hyperparameters", "ro"), ("model", "/opt/ml/model", "rw"))
    }
    environment = {"KUBERNETES_SERVICE_HOST": "10.100.0.1"}
    words = ["python", "-m", "screening.train"]
    container = start(*words, image=team.image, user=ANY_UID, volumes=volumes, environment=environment)
    assert container.wait() == 0, container.log
    assert container.log == TRAINED


@pytest.mark.parametrize("user", ["", "501:20"])
def test_a_laptop(team: Team, start: Start, tmp_path: Path, user: str) -> None:
    """`docker run IMAGE`, as root or with --user: the user is never switched there, although platform.yaml names one."""
    volumes = {str(team.deliver(tmp_path / "model")): {"bind": "/opt/ml/model", "mode": "ro"}}
    container = start(image=team.image, user=user, volumes=volumes, environment=THRESHOLD)
    answers(container)
    assert container.log == container.stdout
    container = start("sh", "-c", "id -u; echo $LYFTLEARN_CONTEXT", image=team.image, user=user)
    assert container.wait() == 0
    assert container.log == f"{user.partition(':')[0] or 0}\nlocal\n"


def test_an_own_user_trains_only_where_it_may_write(team: Team, start: Start, tmp_path: Path) -> None:
    """SageMaker's /opt/ml is root's. The entrypoint is not root and cannot hand it over: it warns, and the program fails when it saves."""
    job = training(tmp_path / "roots")
    container = start("train", image=team.own_user, **job.options(PROGRAMS))
    container.expect(
        "warning: hyperparameters: written to /tmp/lyftlearn-input-", "Traceback", "warning: /opt/ml/model cannot be written by uid 1000"
    )
    assert container.wait() == 1
    assert "since /opt/ml/input/config/hyperparameters.json: Permission denied" in container.log
    assert "warning: /opt/ml/model cannot be written by uid 1000" in container.log
    assert "PermissionError: [Errno 13] Permission denied: '/opt/ml/model/screening.joblib'" in container.log
    assert not (job.ml / "output/failure").exists()
    job = training(tmp_path / "open")
    (job.ml / "model").chmod(0o777)
    container = start("train", image=team.own_user, **job.options(PROGRAMS))
    container.expect("warning: hyperparameters: written to /tmp/lyftlearn-input-")
    assert container.wait() == 0, container.log
    assert container.stdout == TRAINED


def test_the_operators_commands(team: Team, start: Start, tmp_path: Path) -> None:
    """What a start would do, asked in the team's image: its own settings are in it."""
    job = training(tmp_path)
    container = start(*IDLE, image=team.image, **job.options(PROGRAMS))
    code, printed = container.exec("sh", "-c", "env -u LYFTLEARN_CONTEXT lyftlearn plan --json -- train 2>/dev/null")
    assert code == 0, printed
    planned = json.loads(printed)
    assert planned["command"] == ["python", "-m", "screening.train"]
    assert planned["user"]["name"] == "lyftlearn"
    container.handle.kill()


@pytest.mark.parametrize("image", EVERY)
def test_a_teams_commands_are_run_by_the_usual_shell(builds: Builds, image: str) -> None:
    """SHELL is inherited: one with -e and -u would end a team's build where every other base lets it go on."""
    builds.build(EXAMPLE, {"BASE_IMAGE": tag(image)}, 'ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN false; echo "none: $NOT_SET"\n')
