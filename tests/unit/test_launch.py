"""The plan of a start, as plain data: who wins, and what the program does not see."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lyftlearn_entrypoint.context import CONTEXTS, STUDIO, TRAINING
from lyftlearn_entrypoint.errors import BadDocument, StartError
from lyftlearn_entrypoint.fetch.model import Arrived
from lyftlearn_entrypoint.files import Files
from lyftlearn_entrypoint.launch import Inputs
from lyftlearn_entrypoint.settings_table import TABLE, variable
from lyftlearn_entrypoint.spark.place import Place
from lyftlearn_entrypoint.spark.resources import Resources
from tests.unit.helpers import refused
from tests.unit.launch_world import HOME, World, inputs


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


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        (inputs({"A": "staged", "B": 5}), {}),
        (inputs(secrets={"A": "1", "PATH": "/evil"}), {}),
        (inputs(secrets={"A": "1", "a/b": "1"}), {"credentials_dir": "/etc/secrets"}),
    ],
)
def test_step_is_all_or_nothing_where_an_error_is_forgiven(world: World, given: Inputs, chosen: dict[str, str]) -> None:
    forgiven: list[StartError] = []

    def forgive(error: StartError) -> bool:
        forgiven.append(error)
        return True

    refused(BadDocument, lambda: world.launch(given, {"A": "image"}, also=chosen))
    launch = world.launch(given, {"A": "image"}, STUDIO, forgive=forgive, also=chosen)
    assert [type(error) for error in forgiven] == [BadDocument]
    assert (launch.env["A"], launch.volumes) == ("image", [])
    assert not any("overwritten" in note for note in launch.notes)


def test_our_names_in_a_document_are_ignored_with_a_warning(world: World) -> None:
    launch = world.launch(inputs({"LYFTLEARN_USER": "root", "LYFTLEARN_CONTEXT": "local", "LYFTLEARN_STEPS": "none", "A": "1"}))
    assert (launch.env["A"], launch.env["LYFTLEARN_CONTEXT"]) == ("1", TRAINING)
    assert "LYFTLEARN_USER" not in launch.env
    assert len([warning for warning in launch.warnings if "is ignored" in warning]) == 3


def test_derived_defaults_fill_gaps_only(world: World) -> None:
    launch = world.launch(inputs({"DD_AGENT_HOST": "staged"}, gateway=("10.0.0.9", 8125)), {"STATSD_HOST": "mine"})
    assert (launch.env["STATSD_HOST"], launch.env["DD_AGENT_HOST"]) == ("mine", "staged")
    # What one client reads is set all or none: somebody's host with the gateway's port would be nowhere.
    assert not {"STATSD_PORT", "DD_DOGSTATSD_PORT", "DD_DOGSTATSD_URL"} & set(launch.env)
    assert launch.env["STATSD_ADDR"] == "10.0.0.9:8125"


def test_gateway_with_an_ipv6_address(world: World) -> None:
    launch = world.launch(inputs(gateway=("2001:db8::1", 9125)))
    assert (launch.env["STATSD_HOST"], launch.env["STATSD_ADDR"], launch.env["STATSD_IPV6"]) == ("2001:db8::1", "[2001:db8::1]:9125", "1")


@pytest.mark.parametrize("context", CONTEXTS)
def test_default_region_is_filled_in_every_context(world: World, context: str) -> None:
    assert world.launch(None, {"AWS_REGION": "eu-west-1"}, context).env["AWS_DEFAULT_REGION"] == "eu-west-1"
    assert (
        world.launch(None, {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-west-2"}, context).env["AWS_DEFAULT_REGION"] == "us-west-2"
    )
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
    "spark_master": "auto",
    "spark_dir": "/run/spark",
    "spark_image": "ml@sha256:0",
    "spark_namespace": "ml",
    "spark_service_account": "executors",
    "spark_executors": "3",
    "spark_pod_template": "/etc/pod.yaml",
    "spark_eks_cluster": "ml",
    "spark_eks_endpoint": "https://k",
    "spark_eks_ca": "Q0E=",
    "spark_eks_region": "eu-west-1",
    "spark_connect": "sc://c:15002",
    "spark_wait": "9",
    "spark_patience": "9",
    "spark_secret": "CREDENTIALS_CLUSTER",
    "statsd_socket": "/run/statsd",
    "statsd_tags": "name",
    "user": "worker",
    "model_uri": "s3://b/m#sha256=" + "0" * 64,
    "model_dir": "/models",
    "warm_code_key": "WARM",
    "image_digest": "sha256:" + "0" * 64,
    "warm_cache_size": "1g",
    "torch_hosts": "auto",
    "shared_memory_min": "64m",
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
SNAPSHOT = {
    "snapshot": "/tmp/snapshot.json",
    "snapshot_key": "8f1d2c3b4a59687786958473625140fe",
    "snapshot_key_file": "/tmp/key",
    "snapshot_paths": "/etc/hyperparameters",
    "snapshot_image": "sha256:0",
}
RAN: dict[str, Callable[[], Inputs]] = {
    "credentials": lambda: inputs(secrets={"A": "1"}),
    "environment": lambda: inputs({"A": "1"}),
    "hyperparameters": lambda: inputs(own={}),
    "statsd": lambda: inputs(gateway=("10.0.0.9", 8125)),
    "spark": lambda: with_spark(),  # noqa: PLW0108  it is defined below
    "user": Inputs,
    "model": lambda: with_model(),  # noqa: PLW0108  likewise
    "code": lambda: with_code(),  # noqa: PLW0108  likewise
}


def with_spark() -> Inputs:
    given = Inputs()
    given.spark = Place("/opt/spark", Resources(2, 8 << 30))
    given.spark.directory = "/tmp/spark"
    return given


def with_model() -> Inputs:
    given = Inputs()
    given.model = Arrived("s3://b/m", "0" * 64, "/models/m", 3, "S3", "/models/.begun")
    return given


def with_code() -> Inputs:
    """Its key is a credential."""
    given = inputs({"SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY": "/of-a-document"}, {"WARM": "k" * 32})
    given.warm = Files("/root")
    return given


def test_every_setting_is_tried() -> None:
    assert set(EVERYTHING) | set(SNAPSHOT) == {row[0] for row in TABLE}
    assert set(RAN) == {row[3] for row in TABLE} - {"", "snapshot"}
    assert set(SNAPSHOT) == {row[0] for row in TABLE if row[3] == "snapshot"}


@pytest.mark.parametrize("step", RAN)
def test_where_a_step_ran_its_settings_are_gone_and_the_others_stay(world: World, step: str) -> None:
    pool = {"SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY": "/pool"}
    launch = world.launch(RAN[step](), pool, switch=step == "user", also=EVERYTHING)
    gone = {name for name in EVERYTHING if variable(name) not in launch.env}
    ran = {step, "credentials", "environment"} if step == "code" else {step}
    assert gone == {row[0] for row in TABLE if row[3] in ran}


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("without", [(), ("snapshot",), ("snapshot_key",)])
def test_a_program_never_sees_that_it_is_looked_at(world: World, context: str, without: "tuple[str, ...]") -> None:
    """Else no two snapshots were of the same thing; and the key is of no use to it."""
    given = {name: value for name, value in SNAPSHOT.items() if name not in without}
    launch = world.launch(None, {}, context, also=given)
    assert not [name for name in launch.env if name.startswith("LYFTLEARN_SNAPSHOT")]


@pytest.mark.parametrize("context", CONTEXTS)
def test_where_none_ran_nothing_is_taken_away_or_added(world: World, context: str) -> None:
    mine = {"A": "1", "a.b-c": "\udcff", "EMPTY": ""}
    launch = world.launch(None, mine, context, also=EVERYTHING)
    given = {**HOME, **mine, **{variable(name): value for name, value in EVERYTHING.items()}}
    always = {"LYFTLEARN_CONTEXT": context}
    if context == "sagemaker-training":
        always["LYFTLEARN_HYPERPARAMETERS_FILE"] = "/opt/ml/input/config/hyperparameters.json"
    assert launch.env == {**given, **always}
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
