"""A container that is started again on what an earlier start left: SageMaker does so after an interruption, with warm pools too."""

import json

import pytest

from tests.integration.job import Bucket, Job

pytest_plugins = ["tests.integration.platform_fixture"]

FILE = "/opt/ml/input/config/hyperparameters.json"
OWN = {"rate": "0.0173", "_tuning_objective_metric": "validation:auc"}
DIRECTORY = "/etc/training"


def hyperparameters(job: Job) -> dict[str, str]:
    found: dict[str, str] = json.loads(job.path(FILE).read_bytes())
    return found


@pytest.mark.parametrize("route", ["channel", "s3"])
def test_a_changed_document_wins_over_its_old_self(job: Job, bucket: Bucket, route: str) -> None:
    job.hyperparameters(OWN)
    for document in (
        {"epochs": 3, "rate": 0.5, "gone": 1},
        {"epochs": 4, "rate": 0.7, "new": True},
        {"epochs": 4, "rate": 0.7, "new": True},
        {"epochs": 5},
        {},
        {"epochs": 3, "rate": 0.5, "gone": 1},
    ):
        setting: dict[str, str | None] = {"LYFTLEARN_HYPERPARAMETERS_DIR": DIRECTORY}
        if route == "channel":
            job.channel(hyperparameters=document)
        else:
            setting["LYFTLEARN_HYPERPARAMETERS_URI"] = bucket.put(document)
        ended = job.start(**setting)
        assert ended.code == 0, ended.err
        wanted = {**{name: json.dumps(value) for name, value in document.items()}, **OWN}
        assert hyperparameters(job) == wanted
        place = job.path(DIRECTORY)
        assert {path.name: path.read_text() for path in place.iterdir() if not path.name.startswith("..")} == wanted


def test_what_sagemaker_delivers_anew_is_its_own_again(job: Job) -> None:
    """The next trial in the same container has other sampled values."""
    job.channel(hyperparameters={"epochs": 3, "rate": 0.5})
    job.hyperparameters(OWN)
    assert job.start().code == 0
    job.hyperparameters({"rate": "0.02"})
    assert job.start().code == 0
    assert hyperparameters(job) == {"epochs": "3", "rate": "0.02"}


@pytest.mark.parametrize("record", [b"", b"null", b"{}", b'{"written": 1, "own": 2}', b"[]", b'{"written": "x"}', b"\xff"], ids=ascii)
def test_a_broken_record_of_it_stops_nothing(job: Job, record: bytes) -> None:
    job.channel(hyperparameters={"epochs": 3})
    job.hyperparameters(OWN)
    job.write("/opt/ml/input/lyftlearn/own-hyperparameters.json", record)
    ended = job.start()
    assert ended.code == 0, ended.err
    assert hyperparameters(job) == {"epochs": "3", **OWN}


def test_a_start_that_fails_at_a_volume_leaves_sagemakers_file(job: Job) -> None:
    job.channel(hyperparameters={"epochs": 3, "rate": 0.5})
    job.hyperparameters(OWN)
    before = job.path(FILE).read_bytes()
    job.write("/etc/training", b"a file, where the directory should be")
    ended = job.start(LYFTLEARN_HYPERPARAMETERS_DIR=DIRECTORY)
    assert ended.code == 78
    assert "LYFTLEARN_HYPERPARAMETERS_DIR" in ended.line
    assert job.path(FILE).read_bytes() == before
    assert not job.path("/opt/ml/input/lyftlearn").exists()
    job.path("/etc/training").unlink()
    assert job.start(LYFTLEARN_HYPERPARAMETERS_DIR=DIRECTORY).code == 0
    assert hyperparameters(job) == {"epochs": "3", **OWN}
