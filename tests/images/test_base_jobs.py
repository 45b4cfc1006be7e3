"""The base image as a training job, a processing job, a batch transform and an endpoint."""

import json
from pathlib import Path

import pytest

from lyftlearn_local.container import ENDPOINT, PROCESSING, TRAINING, TRANSFORM, Passed
from tests.images.conftest import PROGRAMS, SOON, Start
from tests.images.platform_files import Mounted, readable

pytestmark = pytest.mark.image

TRAIN = {"LYFTLEARN_TRAIN_COMMAND": "python /code/train.py", "LYFTLEARN_USER": "lyftlearn"}
SERVE = {"LYFTLEARN_SERVE_COMMAND": "python /code/serve.py", "LYFTLEARN_USER": "lyftlearn"}
HYPERPARAMETERS = {"C": "0.5", "max_iter": "500"}
# Who asks does it inside the container: no port of this machine is taken.
PING = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/ping').status)"
INVOKE = (
    "import json, urllib.request as u; rows = json.dumps([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]).encode(); "
    "print(u.urlopen('http://127.0.0.1:8080/invocations', rows).read().decode())"
)


def training(directory: Path, words: "list[str]") -> Mounted:
    return Mounted(readable(directory), TRAINING, Passed(TRAIN, HYPERPARAMETERS, words))


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({}, id="as SageMaker starts it"),
        pytest.param({"init": True}, id="under the platform's own init"),
        pytest.param({"entrypoint": ["lyftlearn-entrypoint"]}, id="ContainerEntrypoint names ours"),
    ],
)
def test_train(start: Start, tmp_path: Path, how: "dict[str, object]") -> None:
    job = training(tmp_path, ["train", "--fast"])
    container = start("train", "--fast", **job.options(PROGRAMS, **how))
    assert container.wait() == 0, container.log
    assert container.stdout == "trained\n"
    assert "start: python as lyftlearn (1000:100) in sagemaker-training" in container.log
    facts = json.loads((job.ml / "output/data/facts.json").read_text())
    assert facts.pop("accuracy") > 0.9
    assert facts == {
        "argv": ["--fast"],
        "uid": 1000,
        "gid": 100,
        "home": "/home/sagemaker-user",
        "user": "lyftlearn",
        "region": "us-east-1",
        "context": TRAINING,
    }
    assert (job.ml / "model/model.joblib").stat().st_uid == 1000
    assert not (job.ml / "output/failure").exists()


def test_train_without_our_entrypoint(start: Start, tmp_path: Path) -> None:
    job = training(tmp_path, [])
    container = start("-c", "import sys, sklearn; print(sys.prefix)", **job.options(PROGRAMS, entrypoint=["python"]))
    assert container.wait() == 0, container.log
    assert container.stdout == "/opt/venv\n"


def test_train_with_nothing_to_run_says_so_where_sagemaker_looks(start: Start, tmp_path: Path) -> None:
    job = training(tmp_path, ["train"])
    container = start("train", **job.options(PROGRAMS, environment={"LYFTLEARN_TRAIN_COMMAND": ""})).expect("LYFTLEARN_TRAIN_COMMAND")
    assert container.wait() == 127
    assert "Set LYFTLEARN_TRAIN_COMMAND" in (job.ml / "output/failure").read_text()


def test_a_stopped_job_gets_sigterm_and_its_exit_code_is_kept(start: Start, tmp_path: Path) -> None:
    program = (
        "import signal, sys, time\ndef stop(*_):\n print('checkpoint', flush=True); sys.exit(43)\n"
        "signal.signal(signal.SIGTERM, stop)\nprint('ready', flush=True)\nwhile True: time.sleep(0.1)"
    )
    job = training(tmp_path, [])
    container = start("python", "-c", program, **job.options(PROGRAMS))
    container.until("ready")
    code, seconds = container.stop()
    assert code == 43
    assert seconds < SOON
    assert container.stdout == "ready\ncheckpoint\n"


def test_orphans_are_collected(start: Start) -> None:
    program = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        " if os.fork() == 0: time.sleep(0.2)\n"
        " os._exit(0)\n"
        "os.wait(); time.sleep(1)\n"
        "states = [open(f'/proc/{p}/stat').read().rsplit(')', 1)[1].split()[0] for p in os.listdir('/proc') if p.isdigit()]\n"
        "print(states.count('Z'))"
    )
    container = start("python", "-c", program)
    assert container.wait() == 0, container.log
    assert container.stdout == "0\n"


def test_processing(start: Start, tmp_path: Path) -> None:
    words = ["python", "-c", "import pandas; pandas.DataFrame({'a': [1]}).to_parquet('/opt/ml/processing/a.parquet'); print('done')"]
    job = Mounted(readable(tmp_path), PROCESSING, Passed({}, {}, words))
    (job.root / "opt/ml/processing").chmod(0o777)
    container = start(*words, **job.options(PROGRAMS))
    assert container.wait() == 0, container.log
    assert container.stdout == "done\n"
    assert "in sagemaker-processing" in container.log
    assert (job.ml / "processing/a.parquet").read_bytes()[:4] == b"PAR1"


@pytest.mark.parametrize("context", [ENDPOINT, TRANSFORM])
def test_serve(start: Start, tmp_path: Path, context: str) -> None:
    trained = training(tmp_path / "train", ["train"])
    assert start("train", **trained.options(PROGRAMS)).wait() == 0
    job = Mounted(readable(tmp_path / "serve"), context, Passed(SERVE, {}, ["serve"]))
    (job.ml / "model").mkdir(exist_ok=True)
    (job.ml / "model/model.joblib").write_bytes((trained.ml / "model/model.joblib").read_bytes())
    credentials = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/none"}  # hosting always sets it
    container = start("serve", **job.options(PROGRAMS, environment=credentials))
    container.until("serving")
    assert f"as lyftlearn (1000:100) in {context}" in container.log
    assert container.python(PING) == "200\n"
    assert json.loads(container.python(INVOKE)) == {"classes": [0, 2]}
    code, seconds = container.stop()
    assert code == 0
    assert seconds < SOON
    assert container.stdout == "serving\nstopped\n"
