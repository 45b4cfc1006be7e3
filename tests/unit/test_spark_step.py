"""What a plan holds of Spark: where it works, with which settings, and whose settings win."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lyftlearn_entrypoint.adapt.hosts import Hosts
from lyftlearn_entrypoint.context import ENDPOINT, KUBERNETES, LOCAL, PROCESSING, STUDIO, TRAINING
from lyftlearn_entrypoint.errors import BadSettings
from lyftlearn_entrypoint.launch import Inputs, Launch
from lyftlearn_entrypoint.spark import conf
from lyftlearn_entrypoint.spark.place import Place
from lyftlearn_entrypoint.spark.resources import Resources
from lyftlearn_entrypoint.spark.sizing import GIB
from tests.unit.launch_world import World

CONF = "/tmp/lyftlearn-spark-1000/conf"
IMAGE = "registry.example.com/ml@sha256:" + "0" * 64
EKS = {
    "spark_eks_endpoint": "https://api.example.com",
    "spark_eks_cluster": "executors",
    "spark_eks_ca": "Q0E=",
    "spark_image": IMAGE,
    "spark_eks_region": "eu-west-1",
}


def place(**known: Any) -> Place:
    made = Place("/opt/spark", Resources(4, 16 * GIB))
    made.directory = "/tmp/lyftlearn-spark-1000"
    made.hadoop, made.cloud = "3.5.0", True
    made.python = lambda path: "/opt/venv/bin/python3" if "/opt/venv/bin" in path else ""
    for name, value in known.items():
        setattr(made, name, value)
    return made


def given(found: Place) -> Inputs:
    made = Inputs()
    made.spark = found
    return made


def properties(launch: Launch) -> "dict[str, str]":
    """As Java reads the file: of two lines for one name the last counts."""
    (text,) = [volume.files["spark-defaults.conf"] for volume in launch.volumes if volume.directory == CONF]
    lines = [line for line in text.decode().splitlines() if line and not line.startswith("#")]
    return {name: value for name, _, value in (line.partition(" ") for line in lines)}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("context", [TRAINING, PROCESSING, ENDPOINT, STUDIO, KUBERNETES, LOCAL])
def test_alone(world: World, context: str) -> None:
    launch = world.launch(given(place()), {"PATH": "/opt/venv/bin:/bin"}, context)
    found = properties(launch)
    assert found["spark.master"] == "local[*]"
    assert found["spark.driver.memory"] == "8110m"
    # A pod's, and a laptop's, program may name another master, whose executors have to find the driver.
    assert ("spark.driver.host" in found) == (context not in (KUBERNETES, LOCAL))
    assert launch.env["SPARK_CONF_DIR"] == CONF
    assert launch.env["PYSPARK_PYTHON"] == launch.env["PYSPARK_DRIVER_PYTHON"] == "/opt/venv/bin/python3"
    assert not {"SPARK_HOME", "PYSPARK_SUBMIT_ARGS", "KUBECONFIG", "SPARK_REMOTE"} & set(launch.env)
    assert launch.command.argv == ["python"]
    assert launch.keeper == launch.warnings == []


def test_no_spark(world: World) -> None:
    launch = world.launch(Inputs(), {}, TRAINING)
    assert launch.volumes == []
    assert launch.spark is None
    assert "SPARK_CONF_DIR" not in launch.env


def test_the_users_own_configuration_is_merged_and_wins(world: World) -> None:
    own = {"spark-defaults.conf": b"spark.master local[2]\nspark.app.name mine\n", "log4j2.properties": b"rootLogger.level = info\n"}
    asked: list[str] = []

    def read(directory: str) -> "dict[str, bytes] | None":
        asked.append(directory)
        return own if directory == "/etc/spark" else None

    launch = world.launch(given(place(own=read)), {"SPARK_CONF_DIR": "/etc/spark", "PYSPARK_PYTHON": "python3.11"}, TRAINING)
    found = properties(launch)
    assert (found["spark.master"], found["spark.app.name"]) == ("local[2]", "mine")
    assert "spark.hadoop.fs.s3a.aws.credentials.provider" in found
    assert launch.volumes[0].files["log4j2.properties"] == own["log4j2.properties"]
    assert launch.env["SPARK_CONF_DIR"] == CONF
    assert launch.env["PYSPARK_PYTHON"] == "python3.11"
    assert asked == ["/etc/spark"]


def test_the_images_own_configuration(world: World) -> None:
    read = {"/opt/spark/conf": {"spark-defaults.conf": b"spark.executor.memory 3g\n"}}.get
    assert properties(world.launch(given(place(own=read)), {}, TRAINING))["spark.executor.memory"] == "3g"


def test_the_interpreter_that_runs_the_program(world: World) -> None:
    from lyftlearn_entrypoint.spark.step import _interpreter

    launch = world.launch(given(place()), {"PATH": "/opt/venv/bin"}, TRAINING)
    launch.command.argv[0] = "/opt/conda/bin/python3.12"
    assert _interpreter(launch, None, place()) == "/opt/conda/bin/python3.12"  # type: ignore[arg-type]


@pytest.mark.parametrize(("hadoop", "expected"), [("3.3.4", "com.amazonaws.auth.Default"), ("3.5.0", "software.amazon.awssdk.")])
def test_credentials_of_each_line_of_spark(world: World, hadoop: str, expected: str) -> None:
    chain = properties(world.launch(given(place(hadoop=hadoop)), {}, TRAINING))["spark.hadoop.fs.s3a.aws.credentials.provider"]
    assert expected in chain
    # The AWS SDK 1's own provider for it raises NullPointerException where there is no web identity.
    assert "com.amazonaws.auth.WebIdentity" not in chain


def test_no_committer_without_its_module(world: World) -> None:
    assert "spark.sql.sources.commitProtocolClass" not in properties(world.launch(given(place(cloud=False)), {}, TRAINING))


def test_sparks_own_metrics_go_to_the_gateway_where_a_user_wants_them(world: World) -> None:
    wanted = given(place())
    wanted.gateway = ("10.0.0.9", 8125)
    found = properties(world.launch(wanted, {}, TRAINING))
    assert found["spark.metrics.conf.*.sink.statsd.host"] == "10.0.0.9"
    assert found["spark.metrics.conf.*.sink.statsd.port"] == "8125"
    assert "spark.metrics.conf.*.sink.statsd.class" not in found


NAMES = ["algo-1", "algo-2", "algo-10"]


def hosts(current: str, **more: Any) -> Hosts:
    return Hosts(NAMES, current, **more)


def keeper(words: "list[str]") -> "tuple[str, dict[str, Any]]":
    return words[5], json.loads(words[6])


def test_the_primary_of_several_hosts(world: World) -> None:
    launch = world.launch(given(place(hosts=hosts("algo-1"), address="10.0.0.7")), {}, TRAINING, switch=True)
    found = properties(launch)
    assert found["spark.master"] == "spark://10.0.0.7:7077"
    assert found["spark.driver.host"] == "10.0.0.7"
    assert found["spark.cores.max"] == "12"
    role, host = keeper(launch.keeper)
    assert (role, host["address"], host["primary"], host["cores"]) == ("primary", "10.0.0.7", "10.0.0.7", 4)
    assert launch.command.argv == ["python"]
    assert "/tmp/lyftlearn-spark-1000" in launch.owned
    # Driver's keys stay at home.
    assert found["spark.hadoop.fs.s3a.access.key"] == found["spark.hadoop.fs.s3a.session.token"] == ""


def test_a_cluster_with_a_secret(world: World) -> None:
    """Each host makes the same one of what a credential says, another in another job, and shows it to nobody."""
    made = []
    for current, arn in (("algo-1", "arn:1"), ("algo-10", "arn:1"), ("algo-1", "arn:2")):
        environ = {"CREDENTIALS_CLUSTER": "long-enough-and-random", "TRAINING_JOB_ARN": arn}
        found_place = place(hosts=hosts(current), address="10.0.0.7")
        launch = world.launch(given(found_place), environ, TRAINING, spark_secret="CREDENTIALS_CLUSTER")
        found = properties(launch)
        assert found["spark.authenticate"] == found["spark.network.crypto.enabled"] == "true"
        (volume,) = [volume for volume in launch.volumes if volume.directory == CONF]
        assert volume.mode == 0o600
        secret = found["spark.authenticate.secret"]
        assert secret not in json.dumps([launch.spark, launch.notes, launch.warnings, launch.keeper, launch.command.argv, launch.env])
        made.append(secret)
    assert made[0] == made[1] != made[2]
    assert len(made[0]) == 64


@pytest.mark.parametrize(("value", "words"), [({}, "is not set"), ({"CREDENTIALS_CLUSTER": "short"}, "is shorter than 16")])
def test_a_secret_that_is_none(world: World, value: "dict[str, str]", words: str) -> None:
    """A cluster that was to authenticate does not start without."""
    with pytest.raises(BadSettings, match=words):
        world.launch(given(place(hosts=hosts("algo-1"), address="10.0.0.7")), value, TRAINING, spark_secret="CREDENTIALS_CLUSTER")


@pytest.mark.parametrize("context", [TRAINING, PROCESSING])
def test_another_host_works(world: World, context: str) -> None:
    launch = world.launch(given(place(hosts=hosts("algo-10"), address="10.0.0.9")), {}, context, spark_wait="30")
    role, host = keeper(launch.command.argv)
    assert (role, host["address"], host["primary"], host["patience"]) == ("worker", "10.0.0.9", "algo-1", 30.0)
    assert launch.command.argv[-1] == "0"
    assert launch.keeper == []


def test_hosts_of_several_kinds(world: World) -> None:
    """How much there is altogether is not known beforehand, so nothing waits for it."""
    several = hosts("algo-1", groups=["small", "large"])
    found = properties(world.launch(given(place(hosts=several, address="10.0.0.7")), {}, TRAINING))
    assert found["spark.master"].startswith("spark://")
    assert "spark.cores.max" not in found


@pytest.mark.parametrize(
    ("known", "chosen"),
    [
        ({"hosts": hosts("algo-2"), "address": "10.0.0.7"}, {"spark_master": "local"}),
        ({"hosts": hosts("algo-2"), "address": "10.0.0.7"}, {"torch_hosts": "auto"}),
    ],
)
def test_each_host_runs_the_program_where_that_is_meant(world: World, known: "dict[str, Any]", chosen: "dict[str, str]") -> None:
    launch = world.launch(given(place(**known)), {}, TRAINING, also=chosen)
    assert properties(launch)["spark.master"] == "local[*]"
    assert launch.command.argv == ["python"]
    assert launch.warnings == []


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"hosts": hosts("algo-2")}, "the address of this host, algo-2, is not known"),
        ({"hosts": Hosts([], "", problem="resourceconfig.json is not JSON")}, "resourceconfig.json is not JSON"),
    ],
)
def test_hosts_that_are_not_known(world: World, known: "dict[str, Any]", words: str) -> None:
    launch = world.launch(given(place(**known)), {}, TRAINING)
    assert properties(launch)["spark.master"] == "local[*]"
    assert any(words in warning for warning in launch.warnings)


POD: "dict[str, Any]" = {"account": True, "api": "https://10.0.0.1:443", "pod": "train-0", "address": "10.1.2.3", "namespace": "ml"}


def test_a_pod_that_may_ask_the_api(world: World) -> None:
    launch = world.launch(given(place(**POD)), {}, KUBERNETES, spark_image=IMAGE, spark_service_account="executors")
    found = properties(launch)
    assert found["spark.master"] == "k8s://https://10.0.0.1:443"
    assert found["spark.kubernetes.driver.pod.name"] == "train-0"
    assert found["spark.driver.host"] == found["spark.driver.bindAddress"] == "10.1.2.3"
    assert found["spark.kubernetes.namespace"] == "ml"
    assert found["spark.kubernetes.executor.useDriverPodIP"] == "false"
    assert (found["spark.executor.memoryOverheadFactor"], found["spark.executor.minMemoryOverhead"]) == ("0.4", "768m")
    assert not [name for name in found if "oauthToken" in name or "caCertFile" in name]
    assert "KUBECONFIG" not in launch.env  # it would come before the service account
    assert launch.notes == []


@pytest.mark.parametrize("without", ["account", "address"])
def test_a_pod_that_may_not(world: World, without: str) -> None:
    launch = world.launch(given(place(**{**POD, without: ""})), {}, KUBERNETES, spark_image=IMAGE)
    assert properties(launch)["spark.master"] == "local[*]"


def test_a_notebook_with_a_cluster(world: World) -> None:
    found_place = place(address="10.9.0.1", labels={"lyftlearn-owner": "ada"})
    launch = world.launch(given(found_place), {"AWS_REGION": "us-east-1"}, STUDIO, also=EKS)
    found = properties(launch)
    assert found["spark.master"] == "k8s://https://api.example.com"
    assert (found["spark.driver.host"], found["spark.driver.bindAddress"]) == ("10.9.0.1", "0.0.0.0")
    assert (found["spark.driver.port"], found["spark.driver.blockManager.port"]) == ("38000", "38001")
    assert found["spark.kubernetes.executor.label.lyftlearn-owner"] == "ada"
    assert found["spark.executorEnv.AWS_REGION"] == "us-east-1"
    assert found["spark.dynamicAllocation.minExecutors"] == "0"
    assert {found[name] for name in ("spark.authenticate", "spark.network.crypto.enabled", "spark.io.encryption.enabled")} == {"true"}
    assert "spark.kubernetes.driver.pod.name" not in found  # there is no such pod: a session would not start
    assert "spark.kubernetes.executor.podNamePrefix" not in found  # two sessions would make the same pods
    (kube,) = [volume for volume in launch.volumes if "config" in volume.files]
    assert not kube.directory.startswith(CONF)  # Spark sends that directory to the cluster
    assert launch.volumes[-1].files["spark-env.sh"] == conf.outlive(b"")
    assert launch.env["KUBECONFIG"] == kube.directory + "/config"
    plugin = json.loads(kube.files["config"])["users"][0]["user"]["exec"]
    assert plugin["args"][-2:] == ["executors", "eu-west-1"]
    assert plugin["args"][-3].endswith("/lyftlearn_entrypoint/spark/token.py")
    assert launch.warnings == []
    assert not [name for name in launch.env if name.startswith("LYFTLEARN_SPARK")]


def spark_class(directory: Path, own: bytes = b"") -> Path:
    """What bin/spark-class does with spark-env.sh, and then the ids of what it becomes, what was set, and its words."""
    (directory / "spark-env.sh").write_bytes(conf.outlive(own))
    loaded = f'if [ -z "$LOADED" ]; then export LOADED=1; set -a; . {directory}/spark-env.sh; set +a; fi'
    shown = (
        'exec python3 -c "import os, sys; print(os.getpid(), os.getpgrp(), os.getsid(0), os.environ.get(\'GIVEN\'), *sys.argv[1:])" "$@"'
    )
    made = directory / "spark-class"
    made.write_text(f"#!/bin/bash\n{loaded}\n{shown}\n")
    made.chmod(0o755)
    return made


@pytest.mark.parametrize("own", [b"", b"GIVEN=theirs", b"GIVEN=theirs\n"])
def test_a_notebooks_jvm_does_not_die_with_its_kernels_process_group(tmp_path: Path, own: bytes) -> None:
    words = ["org.apache.spark.deploy.SparkSubmit", "--name", "a b", "pyspark-shell"]
    with subprocess.Popen([spark_class(tmp_path, own), *words], stdout=subprocess.PIPE, text=True) as process:
        said = process.communicate(timeout=60)[0].split()
    assert said == [*[str(process.pid)] * 3, "theirs" if own else "None", *" ".join(words).split()]
    assert process.returncode == 0


@pytest.mark.parametrize(("last", "leads"), [("job.py", False), ("pyspark-shell", True)])
def test_ctrl_c_in_a_terminal_reaches_spark_submit(tmp_path: Path, last: str, leads: bool) -> None:
    """Or its caller has given it a session already: then setsid(1) would fork, and the caller think that it ended."""
    words = ["org.apache.spark.deploy.SparkSubmit", last]
    with subprocess.Popen([spark_class(tmp_path), *words], stdout=subprocess.PIPE, text=True, start_new_session=leads) as process:
        said = process.communicate(timeout=60)[0].split()
    assert said == [str(process.pid), *([str(process.pid)] * 2 if leads else [str(os.getpgrp()), str(os.getsid(0))]), "None", *words]


@pytest.mark.parametrize(
    ("change", "address", "words"),
    [
        ({"spark_image": ""}, "10.9.0.1", "not set: LYFTLEARN_SPARK_IMAGE"),
        ({}, "", "no route to https://api.example.com"),
    ],
)
def test_a_notebook_that_cannot_have_executors(world: World, change: "dict[str, str]", address: str, words: str) -> None:
    launch = world.launch(given(place(address=address)), {}, STUDIO, also={**EKS, **change})
    assert properties(launch)["spark.master"] == "local[*]"
    assert any(words in warning for warning in launch.warnings)


def test_an_image_without_a_digest_is_told(world: World) -> None:
    launch = world.launch(given(place(address="10.9.0.1")), {}, STUDIO, also={**EKS, "spark_image": "registry.example.com/ml:latest"})
    assert any("has no digest" in warning for warning in launch.warnings)


def test_spark_connect(world: World) -> None:
    launch = world.launch(given(place(address="10.9.0.1")), {}, STUDIO, also={**EKS, "spark_connect": "sc://connect:15002"})
    assert launch.env["SPARK_REMOTE"] == "sc://connect:15002"
    assert "KUBECONFIG" not in launch.env
    assert any("there is no sparkContext" in note for note in launch.notes)


WATCH = "/opt/lyftlearn/spark/watch.jar"


def test_a_driver_with_executors_elsewhere_is_watched(world: World) -> None:
    """By an agent in its JVM, with the patience that was set; words of the user's for that JVM stay."""
    notebook = place(address="10.9.0.1", watch=WATCH, labels={"lyftlearn-owner": "ada"})
    launch = world.launch(given(notebook), {"SPARK_SUBMIT_OPTS": "-Xss4m"}, STUDIO, also={**EKS, "spark_patience": "300"})
    assert launch.env["SPARK_SUBMIT_OPTS"] == f"-Xss4m -javaagent:{WATCH}=300:/opt/lyftlearn/bin/lyftlearn"
    assert properties(launch)["spark.executor.maxNumFailures"] == "1000"
    (files,) = [volume.files for volume in launch.volumes if volume.directory == CONF]
    assert files["lyftlearn-driver"] == b"driver 10.9.0.1\nowner ada\n"
    pod = world.launch(given(place(watch=WATCH, **POD)), {}, KUBERNETES, spark_image=IMAGE)
    assert pod.env["SPARK_SUBMIT_OPTS"] == f"-javaagent:{WATCH}=120:/opt/lyftlearn/bin/lyftlearn"
    primary = world.launch(given(place(watch=WATCH, hosts=hosts("algo-1"), address="10.0.0.7")), {}, TRAINING)
    assert "-javaagent:" in primary.env["SPARK_SUBMIT_OPTS"]


@pytest.mark.parametrize("known", [{}, {"hosts": hosts("algo-10"), "address": "10.0.0.9"}])
def test_nobody_is_watched_who_waits_for_no_executor(world: World, known: "dict[str, Any]") -> None:
    assert "SPARK_SUBMIT_OPTS" not in world.launch(given(place(watch=WATCH, **known)), {}, TRAINING).env


def test_an_image_without_the_watcher(world: World) -> None:
    launch = world.launch(given(place(address="10.9.0.1")), {}, STUDIO, also=EKS)
    assert "SPARK_SUBMIT_OPTS" not in launch.env
    assert "spark.executor.maxNumFailures" not in properties(launch)  # Spark's own limit is all that there is then


def test_no_place_for_the_configuration(world: World) -> None:
    assert world.launch(given(place(directory="")), {}, KUBERNETES).warnings == []
    assert any("LYFTLEARN_SPARK_DIR" in warning for warning in world.launch(given(place(directory="")), {}, TRAINING).warnings)
