"""Hyperparameters of any number and size, merged under SageMaker's own, where the program always looked."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.job import SEE, Bucket, Job, launcher

pytest_plugins = ["tests.integration.platform_fixture"]

FILE = "/opt/ml/input/config/hyperparameters.json"
Need = Callable[[object, str], None]


def written(job: Job) -> object:
    return json.loads(job.path(FILE).read_bytes())


def test_values_are_written_as_sagemaker_writes_them(job: Job, bucket: Bucket) -> None:
    nested = {"layers": [64, 32], "name": 'é "x"', "deep": {"a": [None, True]}}
    document = {
        "epochs": 3,
        "rate": 0.001,
        "tiny": 1e-7,
        "flag": True,
        "off": False,
        "none": None,
        "text": "as it is",
        "nested": nested,
        "empty": "",
    }
    env = job.start(LYFTLEARN_HYPERPARAMETERS_URI=bucket.put(document, digest=True)).env
    assert env["LYFTLEARN_HYPERPARAMETERS_FILE"] == str(job.path(FILE))
    assert "LYFTLEARN_HYPERPARAMETERS_URI" not in env
    found = written(job)
    assert isinstance(found, dict)
    assert all(isinstance(value, str) for value in found.values())
    assert found["text"] == "as it is"
    assert (found["epochs"], found["flag"], found["none"]) == ("3", "true", "null")
    assert found["nested"] == '{"layers":[64,32],"name":"é \\"x\\"","deep":{"a":[null,true]}}'
    assert {name: value if name in ("text", "empty") else json.loads(value) for name, value in found.items()} == document


def test_a_tuning_trial_keeps_what_exists_nowhere_else(job: Job, bucket: Bucket) -> None:
    own = {"rate": "0.0173", "_tuning_objective_metric": "validation:auc", "sagemaker_program": "train.py"}
    job.hyperparameters(own)
    uri = bucket.put({"rate": 0.5, "epochs": 3, "_tuning_objective_metric": "other", **{f"p{number}": "x" * 3000 for number in range(140)}})
    for _ in range(2):  # starting again is safe: SageMaker runs a container again after an interruption
        ended = job.start(LYFTLEARN_HYPERPARAMETERS_URI=uri)
        assert ended.code == 0
        found = written(job)
        assert isinstance(found, dict)
        assert {name: found[name] for name in own} == own
        assert found["epochs"] == "3"
        assert len(found) == 3 + 1 + 140
    for value in ("0.0173", "xxx", "validation:auc"):
        assert value not in ended.err


def test_without_a_document_sagemakers_own_file_is_left_as_it_is(job: Job) -> None:
    data = b'{ "epochs" :"3" }'
    job.write(FILE, data)
    ended = job.start()
    assert ended.env["LYFTLEARN_HYPERPARAMETERS_FILE"] == str(job.path(FILE))
    assert job.path(FILE).read_bytes() == data


@pytest.mark.parametrize("data", [b'{"epochs": "hidden-', b"", b'["hidden-value"]', b"\xff\xfe"])
@pytest.mark.parametrize("staged", [True, False])
def test_a_file_of_sagemakers_that_cannot_be_parsed_is_65_and_stays(job: Job, data: bytes, staged: bool) -> None:
    job.write(FILE, data)
    if staged:
        job.channel(hyperparameters={"epochs": 5})
    ended = job.start()
    assert ended.code == 65
    assert FILE in ended.line
    assert FILE in job.failure
    assert "hidden" not in ended.err + job.failure
    assert job.path(FILE).read_bytes() == data
    assert [path.name for path in job.path(FILE).parent.iterdir() if path.name.startswith("hyperparameters")] == ["hyperparameters.json"]


def test_the_old_config_map_directory(job: Job) -> None:
    job.hyperparameters({"rate": "0.0173"})
    job.channel(hyperparameters={"rate": 0.5, "epochs": 3, "model.yaml": "a: 1\nb: 2\n", "nested": {"a": 1}})
    for _ in range(2):
        assert job.start(LYFTLEARN_HYPERPARAMETERS_DIR="/etc/training").code == 0
    place = job.path("/etc/training")
    data = str((place / "..data").readlink())
    names = {"rate", "epochs", "model.yaml", "nested"}
    assert {path.name for path in place.iterdir()} == {"..data", data, *names}
    assert {name: (place / name).read_bytes() for name in names} == {
        "rate": b"0.0173", "epochs": b"3", "model.yaml": b"a: 1\nb: 2\n", "nested": b'{"a":1}',
    }  # fmt: skip
    assert {(place / name).stat().st_mode & 0o777 for name in names} == {0o644}
    assert {str((place / name).readlink()) for name in names} == {"..data/" + name for name in names}


def test_the_config_map_directory_has_sagemakers_own_where_nothing_is_staged(job: Job) -> None:
    job.hyperparameters({"rate": "0.0173"})
    assert job.start(LYFTLEARN_HYPERPARAMETERS_DIR="/etc/training").code == 0
    assert job.path("/etc/training/rate").read_bytes() == b"0.0173"


@pytest.mark.parametrize("name", ["a/b", "..data", "..", "x" * 300, "."])
def test_a_name_that_cannot_be_a_file_is_65_before_anything_is_written(job: Job, name: str) -> None:
    job.channel(hyperparameters={"epochs": 3, name: "hidden-value"})
    assert job.start().code == 0
    job.path(FILE).unlink()
    before = job.left_behind()
    ended = job.start(LYFTLEARN_HYPERPARAMETERS_DIR="/etc/training")
    assert ended.code == 65
    assert "LYFTLEARN_HYPERPARAMETERS_DIR" in ended.line
    assert "hidden-value" not in ended.err
    assert job.left_behind() - before == {"opt/ml/output/failure"}


@pytest.mark.parametrize(("refusing", "place"), [((), "/opt/ml/input/lyftlearn"), (("/opt/ml/input/lyftlearn", "/tmp"), "/dev/shm")])
def test_a_read_only_config_directory_gets_the_file_beside_it(job: Job, need: Need, refusing: "tuple[str, ...]", place: str) -> None:
    """By its mode where that binds us; for root by a read-only mount in a mount namespace of its own."""
    for name in refusing:
        if job.path(name).is_dir():
            job.path(name).rmdir()
        job.path(name).write_bytes(b"no directory")
    job.path("/dev/shm").mkdir(parents=True, exist_ok=True)
    job.hyperparameters({"rate": "0.0173"})
    job.channel(hyperparameters={"epochs": 3})
    directory = job.path(FILE).parent
    words = [*launcher(), sys.executable, "-I", "-c", SEE]
    if os.geteuid() == 0:
        probe = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
        need(probe.returncode == 0, "no private mount namespace can be had here")
        script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
        ended = job.run(["unshare", "--mount", "/bin/sh", "-c", script, str(directory), *words])
    else:
        directory.chmod(0o555)
        ended = job.run(words)
        directory.chmod(0o755)
    path = Path(ended.env["LYFTLEARN_HYPERPARAMETERS_FILE"])
    assert str(path).startswith(str(job.path(place)))
    assert json.loads(path.read_bytes()) == {"epochs": "3", "rate": "0.0173"}
    assert written(job) == {"rate": "0.0173"}
    assert f"warning: hyperparameters: written to {path}, since {directory}" in ended.err
    assert ("Read-only file system" if os.geteuid() == 0 else "Permission denied") in ended.err


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_modes_do_not_follow_the_umask(job: Job, umask: int) -> None:
    job.channel(hyperparameters={"epochs": 3})
    old = os.umask(umask)
    try:
        ended = job.start(LYFTLEARN_HYPERPARAMETERS_DIR="/a/b/training")
    finally:
        os.umask(old)
    assert ended.code == 0
    assert job.path(FILE).stat().st_mode & 0o777 == 0o644
    assert job.path("/a/b/training/epochs").stat().st_mode & 0o777 == 0o644
    assert job.path("/a/b").stat().st_mode & 0o777 == 0o755
    assert ended.env  # the program ran


def test_other_jobs_have_no_hyperparameters(job: Job, bucket: Bucket) -> None:
    """DESIGN: training only."""
    job.processing()
    env = job.start(LYFTLEARN_HYPERPARAMETERS_URI=bucket.put({"epochs": 3})).env
    assert env["LYFTLEARN_CONTEXT"] == "sagemaker-processing"
    assert "LYFTLEARN_HYPERPARAMETERS_FILE" not in env
    assert not job.path(FILE).exists()
