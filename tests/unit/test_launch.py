"""The plan of a start, as plain data: who wins, what is taken away, what is written, and that no value is ever shown."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lyftlearn_entrypoint.command import Command
from lyftlearn_entrypoint.context import CONTEXTS, KUBERNETES, LOCAL, STUDIO, TRAINING, Context
from lyftlearn_entrypoint.errors import BadDocument
from lyftlearn_entrypoint.fetch.confidant import Secret
from lyftlearn_entrypoint.fetch.staged import Document
from lyftlearn_entrypoint.launch import HYPERPARAMETERS_FILE, Host, Inputs, Launch, plan, steps_of
from lyftlearn_entrypoint.settings_table import TABLE, variable
from tests.unit.helpers import refused, settings, user

HOME = {"HOME": "/home/worker", "USER": "worker", "LOGNAME": "worker"}
CONFIG = "/opt/ml/input/config/hyperparameters.json"


def inputs(
    environment: "dict[str, Any] | None" = None,
    secrets: "dict[str, str | None] | None" = None,
    hyperparameters: "dict[str, Any] | None" = None,
    own: "dict[str, str] | None" = None,
    gateway: "tuple[str, int] | None" = None,
) -> Inputs:
    result = Inputs()
    result.environment = None if environment is None else Document(environment, "s3://b/environment.json", 9)
    result.hyperparameters = None if hyperparameters is None else Document(hyperparameters, "s3://b/hyperparameters.json", 9)
    result.secrets = None if secrets is None else [Secret(name.lower(), name, value, "id-1") for name, value in secrets.items()]
    result.own_hyperparameters = own
    result.gateway = gateway
    return result


class World:
    """Everything that `plan` is given, with defaults; `launch` makes the plan."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def launch(
        self,
        given: "Inputs | None" = None,
        environ: "dict[str, str] | None" = None,
        context: str = TRAINING,
        switch: bool = False,
        writable: Callable[[str], bool] = lambda path: True,
        **chosen: str,
    ) -> Launch:
        environ = {**HOME, **(environ or {}), **{variable(name): value for name, value in chosen.items()}}
        host = Host(user(), writable, "/tmp/home-1000", "root" if switch else None)
        return plan(Command(["python"], "arguments"), Context(context, []), settings(self.root, **chosen), environ, given or Inputs(), host, switch)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# Who wins ---------------------------------------------------------------------------------------------------------------------------


def test_image_then_staged_then_credentials_then_kept(world: World) -> None:
    image = dict.fromkeys(("IMAGE", "STAGED", "CREDENTIAL", "KEPT_S", "KEPT_C"), "image")
    staged = dict.fromkeys(("STAGED", "CREDENTIAL", "KEPT_S", "KEPT_C", "NEW", "BOTH"), "staged")
    secrets: dict[str, "str | None"] = dict.fromkeys(("CREDENTIAL", "KEPT_C", "BOTH"), "credential")
    launch = world.launch(inputs(staged, secrets), image, env_keep="KEPT_S,KEPT_C,NOT_THERE")
    assert {name: launch.env[name] for name in (*image, "NEW", "BOTH")} == {
        "IMAGE": "image",
        "STAGED": "staged",
        "CREDENTIAL": "credential",
        "KEPT_S": "image",
        "KEPT_C": "image",
        "NEW": "staged",
        "BOTH": "credential",
    }
    assert launch.origins["BOTH"] == "credential id-1"
    assert launch.origins["NEW"] == "staged environment"
    assert launch.origins["IMAGE"] == "image or job"


def test_every_overwritten_name_is_noted_once_and_no_value(world: World) -> None:
    launch = world.launch(inputs({"A": "hunter2", "B": "same"}, {"A": "hunter3"}), {"A": "image", "B": "same"})
    assert "overwritten: A" in launch.notes
    assert "hunter" not in str(launch.notes + launch.warnings)


def test_star_keeps_everything_that_was_there(world: World) -> None:
    launch = world.launch(inputs({"A": "new", "B": "new"}, {"C": "new"}), {"A": "old", "C": "old"}, env_keep="*")
    assert (launch.env["A"], launch.env["B"], launch.env["C"]) == ("old", "new", "old")


def test_staged_document_may_bring_the_path(world: World) -> None:
    launch = world.launch(inputs({"PATH": "/opt/x/bin", "LD_LIBRARY_PATH": "/opt/x/lib"}), {"PATH": "/bin"})
    assert (launch.env["PATH"], launch.env["LD_LIBRARY_PATH"]) == ("/opt/x/bin", "/opt/x/lib")


@pytest.mark.parametrize("name", ["PATH", "LD_PRELOAD", "PYTHONPATH"])
def test_credential_may_not(world: World, name: str) -> None:
    assert name in refused(BadDocument, lambda: world.launch(inputs(secrets={name: "/evil"}))).what


def test_our_names_in_a_document_are_ignored_with_a_warning(world: World) -> None:
    launch = world.launch(inputs({"LYFTLEARN_USER": "root", "LYFTLEARN_CONTEXT": "local", "LYFTLEARN_STEPS": "none", "A": "1"}))
    assert (launch.env["A"], launch.env["LYFTLEARN_CONTEXT"]) == ("1", TRAINING)
    assert "LYFTLEARN_USER" not in launch.env
    assert len([warning for warning in launch.warnings if "is ignored" in warning]) == 3


def test_derived_defaults_fill_gaps_only(world: World) -> None:
    launch = world.launch(inputs({"DD_AGENT_HOST": "staged"}, gateway=("10.0.0.9", 8125)), {"STATSD_HOST": "mine"})
    assert (launch.env["STATSD_HOST"], launch.env["DD_AGENT_HOST"]) == ("mine", "staged")
    assert launch.env["DD_DOGSTATSD_PORT"] == "8125"
    assert launch.env["STATSD_ADDR"] == "10.0.0.9:8125"


def test_gateway_with_an_ipv6_address(world: World) -> None:
    launch = world.launch(inputs(gateway=("2001:db8::1", 9125)))
    assert (launch.env["STATSD_HOST"], launch.env["STATSD_ADDR"], launch.env["STATSD_IPV6"]) == ("2001:db8::1", "[2001:db8::1]:9125", "1")


@pytest.mark.parametrize("context", CONTEXTS)
def test_default_region_is_filled_in_every_context(world: World, context: str) -> None:
    assert world.launch(None, {"AWS_REGION": "eu-west-1"}, context).env["AWS_DEFAULT_REGION"] == "eu-west-1"
    assert world.launch(None, {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-west-2"}, context).env["AWS_DEFAULT_REGION"] == "us-west-2"
    assert "AWS_DEFAULT_REGION" not in world.launch(None, {}, context).env
    assert "AWS_REGION" not in world.launch(None, {"AWS_DEFAULT_REGION": "us-west-2"}, context).env


def test_region_of_the_document_counts(world: World) -> None:
    assert world.launch(inputs({"AWS_REGION": "eu-west-1"})).env["AWS_DEFAULT_REGION"] == "eu-west-1"


# What the program does not see ----------------------------------------------------------------------------------------------------------

EVERYTHING = {
    "confidant_url": "https://c",
    "confidant_service": "s",
    "confidant_auth_key": "k",
    "confidant_auth_context": "c",
    "credentials_prefix": "X_",
    "credentials_dir": "/etc/secrets",
    "env_uri": "s3://b/e",
    "env_keep": "A",
    "hyperparameters_uri": "s3://b/h",
    "hyperparameters_dir": "/etc/config",
    "statsd_gateway": "g:1",
    "statsd_relay": "off",
    "user": "worker",
    "train_command": "python",
    "serve_command": "python",
    "command": "python",
    "deadline": "5",
    "log": "json",
    "log_level": "info",
    "trace": "/tmp/trace",
    "steps": "none",
    "root": "/x",
    "context": "local",
}
RAN = {
    "credentials": lambda: inputs(secrets={"A": "1"}),
    "environment": lambda: inputs({"A": "1"}),
    "hyperparameters": lambda: inputs(own={}),
    "statsd": lambda: inputs(gateway=("10.0.0.9", 8125)),
    "user": Inputs,
}


def test_every_setting_is_tried() -> None:
    assert set(EVERYTHING) == {row[0] for row in TABLE}
    assert set(RAN) == {row[3] for row in TABLE} - {""}


@pytest.mark.parametrize("step", RAN)
def test_where_a_step_ran_its_settings_are_gone_and_the_others_stay(world: World, step: str) -> None:
    launch = world.launch(RAN[step](), switch=step == "user", **EVERYTHING)
    gone = {row[0] for row in TABLE if variable(row[0]) not in launch.env}
    assert gone == {row[0] for row in TABLE if row[3] == step}


@pytest.mark.parametrize("context", CONTEXTS)
def test_where_none_ran_nothing_is_taken_away_or_added(world: World, context: str) -> None:
    mine = {"A": "1", "a.b-c": "\udcff", "EMPTY": ""}
    launch = world.launch(None, mine, context, **EVERYTHING)
    given = {**HOME, **mine, **{variable(name): value for name, value in EVERYTHING.items()}}
    assert launch.env == {**given, "LYFTLEARN_CONTEXT": context}
    assert (launch.volumes, launch.hyperparameters, launch.owned, launch.relay, launch.make_home) == ([], None, [], None, "")
    assert (launch.notes, launch.warnings) == ([], [])


@pytest.mark.parametrize("context", CONTEXTS)
def test_program_always_sees_the_context(world: World, context: str) -> None:
    launch = world.launch(None, {"LYFTLEARN_CONTEXT": "something else"}, context)
    assert (launch.env["LYFTLEARN_CONTEXT"], launch.origins["LYFTLEARN_CONTEXT"]) == (context, "context")


def test_environ_itself_is_not_touched(world: World) -> None:
    environ = {"A": "image"}
    world.launch(inputs({"A": "staged"}), environ)
    assert environ == {"A": "image"}


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
    assert (launch.env["HOME"], launch.env["USER"], launch.env["LOGNAME"], launch.make_home) == ("/tmp/home-1000", "worker", "worker", "/tmp/home-1000")


def test_home_of_a_document_is_looked_at_too(world: World) -> None:
    launch = world.launch(inputs({"HOME": "/data/home"}), writable=lambda path: path == "/home/worker")
    assert launch.env["HOME"] == "/home/worker"


# Steps ---------------------------------------------------------------------------------------------------------------------------------

JOB = {"credentials", "environment", "statsd", "spark", "user"}
STEPS = {TRAINING: JOB | {"hyperparameters"}, STUDIO: JOB - {"user"}, KUBERNETES: {"spark"}, LOCAL: {"spark"}}


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
    assert {item["name"]: item["from"] for item in facts["variables"]}.items() >= {"STAGED": "staged environment", "SECRET": "credential id-1", "IMAGE": "image or job"}.items()
    assert all(item["value"] == "***" for item in facts["variables"])
    assert {item["name"] for item in facts["variables"]} == set(launch.env)
    assert facts["volumes"] == [
        {"directory": "/etc/secrets", "mode": "0400", "files": ["secret"]},
        {"directory": "/etc/config", "mode": "0644", "files": ["eta", "own"]},
    ]
    assert (facts["command"], facts["command_from"], facts["hyperparameters_file"]) == (["python"], "arguments", CONFIG)
    assert facts["user"] == {"uid": 1000, "gid": 100, "groups": [100], "name": "worker", "switch": True}
