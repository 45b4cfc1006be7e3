"""Plain `SparkSession.builder.getOrCreate()` where executors are pods: from a pod beside them, and from a notebook outside of the cluster.

The programs say nothing of where they run; all that is given is what the platform gives: its settings, a service account, a role's keys.
"""

import base64
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lyftlearn_local.container import STUDIO, Passed
from tests.images.conftest import Container, Start
from tests.images.platform_files import Mounted, readable
from tests.images.spark.jobs import PATIENCE, PATIENT, PROGRAMS, QUICK, facts, right, submitted, until
from tests.images.spark.secured import Secured, Tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.conftest import Need

pytestmark = [pytest.mark.image("distributed"), pytest.mark.slow]
__all__ = ["Secured", "until"]  # which other tests take from here, with the fixtures

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDNOTEBOOK", "AWS_SECRET_ACCESS_KEY": "the-notebooks-secret", "AWS_REGION": "eu-west-1"}


@pytest.fixture
def secured(client: Any, tmp_path: Path) -> "Iterator[Secured]":
    made = Secured(client, readable(tmp_path), Tokens(KEYS["AWS_ACCESS_KEY_ID"], region=KEYS["AWS_REGION"]))
    with made.cluster:
        yield made


def spec(container: Any) -> "dict[str, str]":
    """A container's variables as its pod's spec says them."""
    return {each["name"]: each.get("value", "") for each in container["env"]}


def test_a_pod(secured: Secured, distributed: str) -> None:
    """Client mode in the cluster: executors belong to the driver's pod, and no setting names a credential."""
    cluster = secured.cluster
    programs = {path.name: path.read_text() for path in PROGRAMS.glob("*.py")}
    cluster.store.create("configmaps", "ml", {"metadata": {"name": "code"}, "data": programs})
    cluster.store.create("secrets", "ml", {"metadata": {"name": "account"}, "data": secured.account})
    environ = {
        "LYFTLEARN_SPARK_IMAGE": distributed,
        "LYFTLEARN_SPARK_SERVICE_ACCOUNT": "executors",
        "LYFTLEARN_SPARK_PATIENCE": "600",
        **submitted(PATIENT | QUICK),
    }
    pod = {
        "metadata": {"name": "driver-0"},
        "spec": {
            "containers": [
                {
                    "name": "driver",
                    "image": distributed,
                    "args": ["python", "/code/job.py"],
                    "env": [{"name": name, "value": value} for name, value in environ.items()],
                    "resources": {"limits": {"memory": "3Gi"}},
                    "volumeMounts": [
                        {"name": "code", "mountPath": "/code"},
                        {"name": "account", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True},
                    ],
                }
            ],
            "volumes": [{"name": "code", "configMap": {"name": "code"}}, {"name": "account", "secret": {"secretName": "account"}}],
        },
    }
    created = cluster.store.create("pods", "ml", pod)
    end = cluster.kubelet.ended("driver-0", PATIENCE)
    log = cluster.kubelet.log("driver-0")
    assert end["exitCode"] == 0, log
    found = json.loads(next(line for line in log.splitlines() if line.startswith('{"spark"')))
    right(found)
    assert found["master"].startswith("k8s://https://")
    assert found["executors"] > 0  # so many had come by the end of the job
    asked = [request.body for request in cluster.api.asked("create", "pods")]
    assert len(asked) >= 2
    for body in asked:
        assert [owner["uid"] for owner in body["metadata"]["ownerReferences"]] == [created["metadata"]["uid"]]
        assert body["spec"]["serviceAccountName"] == "executors"
        assert body["spec"]["containers"][0]["image"] == distributed
    assert "lyftlearn-entrypoint" not in log


class Notebook:
    """A program as a notebook's kernel runs it: in a Studio application, outside of the cluster."""

    def __init__(self, start: Start, client: Any, image: str, secured: Secured, directory: Path) -> None:
        self._start, self._client, self._image, self._secured = start, client, image, secured
        self.directory = directory
        self.address = ""

    def run(self, *command: str, **settings: str) -> Container:
        cluster = self._secured.cluster
        given = {
            "LYFTLEARN_SPARK_IMAGE": self._image,
            "LYFTLEARN_SPARK_EKS_CLUSTER": "ml-executors",
            "LYFTLEARN_SPARK_EKS_ENDPOINT": cluster.api.url,
            "LYFTLEARN_SPARK_EKS_CA": base64.b64encode(self._secured.ca.encode()).decode(),
            "LYFTLEARN_SPARK_NAMESPACE": "ml",
            "LYFTLEARN_SPARK_EXECUTORS": "2",
            "LYFTLEARN_SPARK_PATIENCE": "600",  # of a machine that has much else to do
            **submitted(PATIENT | QUICK),
        }
        app = Mounted(readable(self.directory / "app"), STUDIO, Passed({**KEYS, **given, **settings}, {}, []))
        self.address, where = cluster.place(self._client)
        options = app.options(PROGRAMS, environment={**KEYS, **given, **settings})
        return self._start(*command, image=self._image, user="1000:100", mem_limit="3g", **options, **where)


@pytest.fixture
def notebook(secured: Secured, start: Start, client: Any, distributed: str, tmp_path: Path) -> Notebook:
    """The cluster is made first, so that its network goes after the notebook's container."""
    return Notebook(start, client, distributed, secured, tmp_path)


def test_a_notebook(notebook: Notebook, secured: Secured, distributed: str) -> None:
    """The driver here and executors there: tokens minted when they are needed, the two ports, and nothing secret in what is sent."""
    container = notebook.run("python", "/code/job.py").expect("has no digest")
    found = facts(container)
    right(found)
    cluster = secured.cluster
    assert found["master"] == "k8s://" + cluster.api.url
    assert secured.tokens.minted
    asked = [request.body for request in cluster.api.asked("create", "pods")]
    assert asked
    for body in asked:
        executor = body["spec"]["containers"][0]
        assert executor["image"] == distributed
        variables = spec(executor)
        assert variables["SPARK_DRIVER_URL"] == f"spark://CoarseGrainedScheduler@{notebook.address}:38000"
        assert variables["_SPARK_AUTH_SECRET"]
        assert body["metadata"]["labels"]["lyftlearn-owner"]
        assert "AWS_ACCESS_KEY_ID" not in variables
        assert KEYS["AWS_SECRET_ACCESS_KEY"] not in json.dumps(body)
    for request in cluster.api.asked("create", "configmaps"):
        text = json.dumps(request.body)
        assert "k8s-aws-v1" not in text
        assert "client.authentication.k8s.io" not in text
        assert KEYS["AWS_SECRET_ACCESS_KEY"] not in text


def test_a_token_that_is_refused_is_minted_again(notebook: Notebook, secured: Secured) -> None:
    program = (
        "import time\nfrom pyspark.sql import SparkSession\ns = SparkSession.builder.getOrCreate()\nprint('session', flush=True)\n"
        "input_ = __import__('pathlib').Path('/tmp/go')\n"
        "while not input_.exists(): time.sleep(0.1)\n"
        "print('keys', [s._jsc.hadoopConfiguration().get('fs.s3a.' + name) for name in ('access.key', 'secret.key')])\n"
        "print('sum', s.sparkContext.parallelize(range(10), 2).sum(), flush=True)\ns.stop()\n"
    )
    container = notebook.run("python", "-c", program)
    container.until("session", PATIENCE)
    before = list(secured.tokens.minted)
    secured.tokens.revoked |= set(before)
    container.exec("touch", "/tmp/go")
    assert container.wait(PATIENCE) == 0, container.log
    assert "sum 45" in container.stdout
    assert "keys ['', '']" in container.stdout  # which Spark would send to executors: by itself it fills them with the notebook's
    assert len(secured.tokens.minted) > len(before)


def test_a_notebook_without_a_way_in(notebook: Notebook, secured: Secured) -> None:
    """Spark Connect by one setting: the program gets SPARK_REMOTE, and the log says what that cannot do."""
    settings = {"LYFTLEARN_SPARK_CONNECT": "sc://connect.internal:15002", "LYFTLEARN_LOG_LEVEL": "info"}
    container = notebook.run("python", "-c", "import os; print(os.environ['SPARK_REMOTE'])", **settings)
    assert container.wait() == 0, container.log
    assert "sc://connect.internal:15002" in container.stdout
    assert re.search(r"there is no sparkContext", container.log)


WAIT = "while [ ! -e /tmp/go ]; do sleep 0.1; done; exec "


def closed(container: Container, *rule: str) -> None:
    """A firewall in the container's own network: packets are dropped, as security groups drop them."""
    container.handle.reload()
    within = ["nsenter", "--target", str(container.handle.attrs["State"]["Pid"]), "--net", "iptables", "-w"]
    subprocess.run([*within, *rule, "-j", "DROP"], check=True)


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        ((), ""),
        (("-A", "INPUT", "-p", "tcp", "--dport", "38000"), "the driver at ADDRESS:38000"),
    ],
    ids=["open", "driver"],
)
def test_doctor(notebook: Notebook, secured: Secured, need: "Need", rule: "tuple[str, ...]", what: str) -> None:
    """Without a session, that listens on the ports itself: test_distributed_network.py has one, and closes each way in turn."""
    need(os.geteuid() == 0 and shutil.which("nsenter") and shutil.which("iptables"), "nsenter and iptables, as root")
    container = notebook.run("sh", "-c", WAIT + "lyftlearn doctor spark --wait 60").expect("has no digest")
    if rule:
        closed(container, *rule)
    container.exec("touch", "/tmp/go")
    assert container.wait() == (69 if rule else 0), container.log
    ways = [line for line in container.stdout.splitlines() if line.startswith(("open", "CLOSED"))]
    assert len(ways) == 4
    shut = [line for line in ways if line.startswith("CLOSED")]
    assert len(shut) == (1 if rule else 0), container.log
    if rule:
        assert what.replace("ADDRESS", notebook.address) in shut[0]
        assert "security group: inbound TCP " in container.stdout
    until(lambda: secured.cluster.pods() == [], "the probe goes")


def test_doctor_without_a_cluster(notebook: Notebook, secured: Secured) -> None:
    """The API refuses: said at once, with what it said."""
    secured.cluster.api.denied.add(("create", "pods"))
    container = notebook.run("lyftlearn", "doctor", "spark").expect("has no digest")
    assert container.wait() == 77, container.log
    assert "cannot create resource" in container.log
