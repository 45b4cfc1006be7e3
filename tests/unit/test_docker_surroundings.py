"""How a container is started in each context: as its platform starts it, and nothing of a variable where people can read it."""

import os
import stat
from pathlib import Path

import pytest

from lyftlearn_local.container import ENDPOINT, KUBERNETES, PROCESSING, STUDIO, TRAINING, Passed, contain
from lyftlearn_local.containers.surroundings import CODE, Surroundings

SECRET = "s3cr3t-of-the-pod"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives a directory to 1000:100")


def around(tmp_path: Path, context: str, passed: Passed, writable: "tuple[str, ...]" = ()) -> Surroundings:
    made = contain(context, "job", passed, {}, "/etc/hyperparameters", 8080)
    return Surroundings(made, tmp_path / "root", tmp_path / "code", writable)


def test_a_pod_has_no_right_that_it_does_not_need(tmp_path: Path) -> None:
    passed = Passed(
        {"CREDENTIALS_KEY": SECRET}, {"eta": "0.1"}, ["serve.py"], secrets={"key": SECRET.encode()}, secrets_dir="/etc/credentials"
    )
    pod = around(tmp_path, KUBERNETES, passed)
    options = pod.options
    assert {name: options[name] for name in ("user", "read_only", "cap_drop", "security_opt", "tmpfs")} == {
        "user": "1000680000:0",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "tmpfs": {"/tmp": "mode=1777,exec"},
    }
    assert {bind["bind"]: bind["mode"] for bind in options["volumes"].values()} == {
        CODE: "ro",
        "/etc/hyperparameters": "ro",
        "/etc/credentials": "ro",
    }
    assert "init" not in options
    assert (pod.at("/etc/hyperparameters") / "eta").read_bytes() == b"0.1"
    assert (pod.at("/etc/credentials") / "key").read_bytes() == SECRET.encode()
    assert os.readlink(pod.at("/etc/credentials") / "key") == "..data/key"


def test_a_pods_empty_directory_can_be_written(tmp_path: Path) -> None:
    made = contain(KUBERNETES, "job", Passed({}, {}, []), {}, "", 0)
    made.private.append("/opt/model")
    pod = Surroundings(made, tmp_path / "root", tmp_path / "code", ("/opt/model",))
    assert pod.options["volumes"][str(pod.at("/opt/model"))] == {"bind": "/opt/model", "mode": "rw"}
    assert stat.S_IMODE(pod.at("/opt/model").stat().st_mode) == 0o777


@pytest.mark.parametrize("context", [TRAINING, PROCESSING, ENDPOINT])
def test_a_job_runs_as_the_image_says_under_the_platforms_init(tmp_path: Path, context: str) -> None:
    job = around(tmp_path, context, Passed({}, {}, ["serve"]))
    assert job.options["init"] is True
    assert not {"user", "read_only", "entrypoint", "cap_drop"} & job.options.keys()
    assert job.options["volumes"][str(job.at("/opt/ml"))] == {"bind": "/opt/ml", "mode": "rw"}
    assert job.options["hostname"] == job.options["environment"]["HOSTNAME"]


@needs_root
def test_studio_brings_its_user_and_a_volume_over_home(tmp_path: Path) -> None:
    app = around(tmp_path, STUDIO, Passed({}, {}, []))
    assert app.options["user"] == "1000:100"
    home = app.at("/home/sagemaker-user")
    assert (home.stat().st_uid, home.stat().st_gid) == (1000, 100)
    assert {bind["bind"]: bind["mode"] for bind in app.options["volumes"].values()} == {
        CODE: "ro",
        "/home/sagemaker-user": "rw",
        "/opt/ml/metadata": "ro",
    }


def test_an_entrypoint_of_the_apis_stands_for_the_images(tmp_path: Path) -> None:
    job = around(
        tmp_path, PROCESSING, Passed({"A": SECRET}, {}, ["python", "x.py"], entrypoint=["ours"], outputs=["/opt/ml/processing/out"])
    )
    assert job.options["entrypoint"] == ["ours"]
    assert job.words() == ["--init", "--entrypoint", "ours"]
    document = job.at("/opt/ml/config/processingjobconfig.json").read_text()
    assert '"ContainerEntrypoint":["ours"],"ContainerArguments":["python","x.py"]' in document
    assert '"LocalPath":"/opt/ml/processing/out"' in document
    assert job.at("/opt/ml/processing/out").is_dir()


def test_what_people_are_shown_holds_no_variable(tmp_path: Path) -> None:
    pod = around(tmp_path, KUBERNETES, Passed({"CREDENTIALS_KEY": SECRET}, {}, []))
    assert pod.options["environment"]["CREDENTIALS_KEY"] == SECRET
    words = "--user 1000680000:0 --read-only --cap-drop ALL --security-opt no-new-privileges --tmpfs /tmp"
    assert pod.words() == words.split()
