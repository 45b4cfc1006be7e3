"""The plan of a start: files, users and steps, and that no value is ever shown."""

import json
from pathlib import Path

import pytest

from lyftlearn_entrypoint.context import CONTEXTS, KUBERNETES, LOCAL, STUDIO, TRAINING, Context
from lyftlearn_entrypoint.launch import HYPERPARAMETERS_FILE, steps_of
from tests.unit.helpers import settings
from tests.unit.launch_world import CONFIG, World, inputs


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# Files -------------------------------------------------------------------------------------------------------------------------------


def test_hyperparameters_are_merged_and_written_where_they_can_be(world: World) -> None:
    launch = world.launch(inputs(hyperparameters={"eta": 0.1, "depth": 6}, own={"eta": "0.013", "_tuning_objective_metric": "auc"}))
    assert launch.hyperparameters is not None
    content, places = launch.hyperparameters
    assert json.loads(content) == {"eta": "0.013", "depth": "6", "_tuning_objective_metric": "auc"}
    assert places[0] == CONFIG
    assert len(places) > 1
    assert launch.env[HYPERPARAMETERS_FILE] == CONFIG
    assert "SageMaker's own value stays for: eta" in launch.notes


def test_sagemakers_file_alone_is_left_as_it_is_and_named(world: World) -> None:
    launch = world.launch(inputs(own={"eta": "0.1"}))
    assert (launch.hyperparameters, launch.env[HYPERPARAMETERS_FILE], launch.volumes) == (None, CONFIG, [])


def test_config_map_holds_the_merged_set(world: World) -> None:
    launch = world.launch(inputs(hyperparameters={"a": 1, "b": [2]}, own={"a": "own"}), hyperparameters_dir="/etc/config")
    [volume] = launch.volumes
    assert (volume.directory, volume.files, volume.mode, volume.memory) == ("/etc/config", {"a": b"own", "b": b"[2]"}, 0o644, False)


def test_config_map_is_written_for_sagemakers_own_too(world: World) -> None:
    [volume] = world.launch(inputs(own={"a": "own"}), hyperparameters_dir="/etc/config").volumes
    assert volume.files == {"a": b"own"}


def test_credentials_as_files_are_for_their_owner_alone_and_in_memory(world: World) -> None:
    [volume] = world.launch(inputs(secrets={"A": "1", "GONE": None}), credentials_dir="/etc/secrets").volumes
    assert (volume.directory, volume.files, volume.mode, volume.memory) == ("/etc/secrets", {"a": b"1"}, 0o400, True)
    assert world.launch(inputs(secrets={"A": "1"})).volumes == []


# User --------------------------------------------------------------------------------------------------------------------------------


def test_switched_user_owns_what_sagemaker_uploads(world: World) -> None:
    launch = world.launch(switch=True)
    assert (launch.switch, launch.owned) == (True, ["/opt/ml/model", "/opt/ml/output", "/opt/ml/checkpoints"])
    assert (world.launch().switch, world.launch().owned) == (False, [])


def test_home_that_the_user_cannot_write_is_replaced(world: World) -> None:
    launch = world.launch(None, {"HOME": "/root", "USER": "root", "LOGNAME": "root"}, switch=True, writable=lambda path: False)
    assert (launch.env["HOME"], launch.env["USER"], launch.env["LOGNAME"], launch.make_home) == (
        "/tmp/home-1000",
        "worker",
        "worker",
        "/tmp/home-1000",
    )


def test_home_of_a_document_is_looked_at_too(world: World) -> None:
    launch = world.launch(inputs({"HOME": "/data/home"}), writable=lambda path: path == "/home/worker")
    assert launch.env["HOME"] == "/home/worker"


# Steps ---------------------------------------------------------------------------------------------------------------------------------

JOB = {"credentials", "environment", "statsd", "spark", "user", "model"}
STEPS = {TRAINING: JOB | {"hyperparameters", "code"}, STUDIO: JOB - {"user", "model"}, KUBERNETES: {"spark"}, LOCAL: {"spark"}}


@pytest.mark.parametrize("context", CONTEXTS)
def test_steps_of_a_context(tmp_path: Path, context: str) -> None:
    assert set(steps_of(Context(context, []), settings(tmp_path))) == STEPS.get(context, JOB)
    assert steps_of(Context(context, []), settings(tmp_path, steps="none")) == ()
    assert steps_of(Context(context, []), settings(tmp_path, steps="user,environment")) == ("user", "environment")


# What is printed -------------------------------------------------------------------------------------------------------------------------


def test_facts_show_names_and_sources_and_no_value(world: World) -> None:
    given = inputs({"STAGED": "hunter2-a"}, {"SECRET": "hunter2-b"}, {"eta": "hunter2-c"}, {"own": "hunter2-d"}, ("10.0.0.9", 8125))
    launch = world.launch(given, {"IMAGE": "hunter2-e"}, switch=True, credentials_dir="/etc/secrets", hyperparameters_dir="/etc/config")
    text = json.dumps(launch.facts())
    assert "hunter2" not in text
    facts = json.loads(text)
    assert {item["name"]: item["from"] for item in facts["variables"]}.items() >= {
        "STAGED": "staged environment",
        "SECRET": "credential id-1",
        "IMAGE": "image or job",
    }.items()
    assert all(item["value"] == "***" for item in facts["variables"])
    assert {item["name"] for item in facts["variables"]} == set(launch.env)
    assert facts["volumes"] == [
        {"directory": "/etc/secrets", "mode": "0400", "files": ["secret"]},
        {"directory": "/etc/config", "mode": "0644", "files": ["eta", "own"]},
    ]
    assert (facts["command"], facts["command_from"], facts["hyperparameters_file"]) == (["python"], "arguments", CONFIG)
    assert facts["user"] == {"uid": 1000, "gid": 100, "groups": [100], "name": "worker", "switch": True}
