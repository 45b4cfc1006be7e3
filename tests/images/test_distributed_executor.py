"""The image as Spark's executors: a driver in a container of it, and pods of the same image that a small Kubernetes runs as containers."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.images.conftest import Container, Start
from tests.images.platform_files import readable
from tests.images.spark.cluster import Cluster
from tests.images.spark.jobs import ALL_COME, PATIENCE, PATIENT, QUICK, RESTRICTED, facts, mounted, right

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.image("distributed"), pytest.mark.slow]

TOKEN = "a-token-of-the-driver"
EXECUTORS = "spark-role=executor"


@pytest.fixture
def cluster(client: Any) -> "Iterator[Cluster]":
    with Cluster(client, tokens={TOKEN}) as made:
        yield made


class Driver:
    """A driver in client mode, as any user on a read-only root, in a container on the cluster's network."""

    def __init__(self, start: Start, client: Any, image: str, cluster: Cluster, directory: Path) -> None:
        self._start, self._client, self._image, self._cluster = start, client, image, cluster
        self.directory = readable(directory)
        self.control = directory / "control"
        self.control.mkdir(mode=0o755)

    def run(self, program: str, **properties: str) -> Container:
        """Start a program. `properties` are Spark's, with _ for a dot."""
        address, where = self._cluster.place(self._client)
        common = {
            "spark.master": f"k8s://{self._cluster.api.url}",
            "spark.driver.host": address,
            "spark.kubernetes.executor.useDriverPodIP": "false",
            "spark.kubernetes.namespace": "ml",
            "spark.kubernetes.container.image": self._image,
            "spark.kubernetes.authenticate.oauthToken": TOKEN,
            "spark.kubernetes.executor.podTemplateFile": "/conf/pod.yaml",
            "spark.executor.instances": "2",
            "spark.executor.cores": "1",
            "spark.executor.memory": "512m",
            **PATIENT,
            **ALL_COME,
            **QUICK,
        }
        options = mounted(self.directory, {**common, **{name.replace("_", "."): value for name, value in properties.items()}})
        (self.directory / "conf/pod.yaml").write_text(TEMPLATE)
        options["volumes"][str(self.control)] = {"bind": "/control", "mode": "ro"}
        return self._start("python", f"/code/{program}.py", image=self._image, **RESTRICTED, **options, **where)

    def stop(self) -> None:
        (self.control / "stop").touch()


# Executors under the restricted profile, as another user than the driver.
TEMPLATE = """\
apiVersion: v1
kind: Pod
spec:
  securityContext: {runAsUser: 1000790000, runAsGroup: 0, fsGroup: 2000}
  containers:
    - name: executor
      securityContext: {readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
      volumeMounts: [{name: tmp, mountPath: /tmp}]
  volumes: [{name: tmp, emptyDir: {}}]
"""


@pytest.fixture
def driver(start: Start, client: Any, distributed: str, cluster: Cluster, tmp_path: Path) -> "Iterator[Driver]":
    made = Driver(start, client, distributed, cluster, tmp_path)
    yield made
    made.stop()


def until(condition: Any, what: str, seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def ended(cluster: Cluster, name: str) -> "dict[str, Any]":
    """How a pod's container ended, from the last event that said so: the pod itself may be gone."""
    past = [event[3] for event in cluster.store.history("pods") if event[3]["metadata"]["name"] == name]
    states = [each["state"] for pod in past for each in pod["status"].get("containerStatuses", [])]
    found: list[dict[str, Any]] = [state["terminated"] for state in states if "terminated" in state]
    return found[-1] if found else {}


def test_a_job(driver: Driver, cluster: Cluster, distributed: str) -> None:
    found = facts(driver.run("job"))
    right(found)
    assert found["executors"] == 2
    assert found["user"] == "user1000680000"
    # Python's workers run as the pod's user, with a home that they can write, on the interpreter of the same image.
    assert found["workers"] == [["user1000790000", "kubernetes", "/opt/venv/bin/python3", "/tmp/home-1000790000"]]
    created = cluster.api.asked("create", "pods")
    assert [request.body["spec"]["containers"][0]["args"] for request in created] == [["executor"]] * 2
    assert {request.body["spec"]["containers"][0]["image"] for request in created} == {distributed}
    assert cluster.api.asked("watch", "pods")[0].upgrade
    # Of a pod that is gone the driver may be told a moment later; 0: it was gone itself before the answer.
    late = {request.code for request in cluster.api.requests if request.verb in ("get", "patch", "delete")}
    assert late <= {0, 200, 404}
    assert {request.code for request in cluster.api.requests if request.verb not in ("get", "patch", "delete")} <= {0, 101, 200, 201}
    # Nothing is left, and each executor ended well or by the deletion of its pod.
    until(lambda: cluster.pods() == [], "pods go")
    assert cluster.store.find("configmaps") == []
    assert {ended(cluster, name)["exitCode"] for name in cluster.kubelet.pods} <= {0, 143}
    for name in cluster.kubelet.pods:
        assert "lyftlearn-entrypoint" not in cluster.kubelet.log(name)


@pytest.mark.thorough
def test_a_pod_that_is_stopped(driver: Driver, cluster: Cluster) -> None:
    """SIGTERM ends an executor within its grace period, with the code that says so; the job goes on with another."""
    container = driver.run("steady", spark_kubernetes_allocation_batch_delay="1s")
    container.until("ready", PATIENCE)
    until(lambda: len(running(cluster)) == 2, "two executors run")
    gone = running(cluster)[0]
    cluster.store.delete("pods", "ml", gone, grace=PATIENCE // 2)
    until(lambda: cluster.store.get("pods", "ml", gone) is None, "the pod goes")
    assert ended(cluster, gone)["exitCode"] == 143  # 137, had it been killed when the grace period was over
    assert "RECEIVED SIGNAL TERM" in cluster.kubelet.log(gone)
    until(lambda: len(running(cluster)) == 2, "another takes its place")
    driver.stop()
    assert facts(container)["rounds"] > 0


def test_a_pod_that_is_decommissioned(driver: Driver, cluster: Cluster) -> None:
    """With spark.decommission.enabled Spark's pods run /opt/decom.sh before they stop: the executor hands its blocks over, and ends."""
    container = driver.run(
        "steady",
        spark_decommission_enabled="true",
        spark_storage_decommission_enabled="true",
        spark_storage_decommission_rddBlocks_enabled="true",
        spark_storage_decommission_shuffleBlocks_enabled="true",
        spark_kubernetes_allocation_batch_delay="1s",
    )
    container.until("ready", PATIENCE)
    until(lambda: len(running(cluster)) == 2, "two executors run")
    gone = running(cluster)[0]
    hook = cluster.store.get("pods", "ml", gone)["spec"]["containers"][0]["lifecycle"]["preStop"]  # type: ignore[index]
    assert hook == {"exec": {"command": ["/opt/decom.sh"]}}
    cluster.store.delete("pods", "ml", gone, grace=PATIENCE // 2)
    until(lambda: cluster.store.get("pods", "ml", gone) is None, "the pod goes")
    log = cluster.kubelet.log(gone)
    assert "decommission: asking executor process" in log
    assert "Executor self-exiting due to : Finished decommissioning" in log
    assert ended(cluster, gone)["exitCode"] == 0
    driver.stop()
    assert facts(container)["rounds"] > 0


def running(cluster: Cluster) -> "list[str]":
    found = [pod for pod in cluster.pods(EXECUTORS) if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]]
    return [pod["metadata"]["name"] for pod in found]


def test_an_executor_that_cannot_reach_its_driver_ends(start: Start, distributed: str) -> None:
    environ = {
        "SPARK_DRIVER_URL": "spark://CoarseGrainedScheduler@127.0.0.1:9",
        "SPARK_EXECUTOR_ID": "1",
        "SPARK_EXECUTOR_CORES": "1",
        "SPARK_EXECUTOR_MEMORY": "512m",
        "SPARK_APPLICATION_ID": "spark-1",
        "SPARK_EXECUTOR_POD_IP": "127.0.0.1",
        "SPARK_RESOURCE_PROFILE_ID": "0",
        "LYFTLEARN_CONFIDANT_URL": "https://127.0.0.1:9",  # nobody looks
    }
    container = start("executor", image=distributed, environment=environ, **RESTRICTED)
    assert container.wait() == 1
    assert "Failed to connect to /127.0.0.1:9" in container.log
    assert json.dumps(environ["LYFTLEARN_CONFIDANT_URL"]) not in container.log
