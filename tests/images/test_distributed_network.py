"""A notebook in Studio whose executors are in EKS, with a firewall between the two networks that opens the documented ports and no other.

One application, one notebook and one session serve most tests, as a user's day does; they are in any order. Kernels are JupyterLab's own.
"""

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.images.spark.jobs import PATIENCE, PROGRAMS, SUITE_PATIENCE, suite_right, until
from tests.images.spark.lab import Kernel
from tests.images.spark.site import Site, lacking
from tests.images.spark.storage import BUCKET
from tests.images.spark.world import API, EXECUTOR, EXECUTORS, IN, World

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.image("distributed"), pytest.mark.slow]

SESSION = "from pyspark.sql import SparkSession; spark = SparkSession.builder.getOrCreate(); context = spark.sparkContext\n"


@pytest.fixture(scope="module")
def world(client: Any, distributed: str, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[World]":
    if why := lacking():
        pytest.skip(why)
    with Site(distributed) as site:
        made = World(client, distributed, site, tmp_path_factory.mktemp("network"))
        try:
            yield made
        finally:
            made.close()


@pytest.fixture(scope="module")
def notebook(world: World) -> Kernel:
    """A notebook that is open all day."""
    kernel = world.lab.kernel()
    kernel.run(SESSION)
    return kernel


@pytest.fixture
def idle(world: World, notebook: Kernel) -> Kernel:
    """The same, with no executor."""
    until(lambda: not world.cluster.pods(EXECUTORS), "idle executors go")
    return notebook


def test_jobs(world: World, notebook: Kernel) -> None:
    """Every job gets its result, and nobody so much as tries another port than the documented ones."""
    before = world.site.firewall.refused()
    found = notebook.facts(f"%run /code/suite.py s3a://{BUCKET}/notebook", SUITE_PATIENCE)
    print(found)
    suite_right(found)
    assert found["master"] == "k8s://" + world.cluster.api.url
    assert world.site.firewall.refused() == before
    assert world.storage.objects("notebook/")
    theirs = world.storage.callers() - world.storage.minted - {world.storage.keys[0], "-"}
    assert world.storage.minted & world.storage.callers()  # the driver's
    assert theirs
    assert {key[:4] for key in theirs} == {"ASIA"}  # executors', by their web identity


WIDE = "print(sum(context.parallelize(range(12), 12).map(lambda n: (time.sleep(2), n)[1]).collect()), flush=True)\n"
# A task that one executor is busy with for a while; then, when GO is there, work for three.
GO = "/tmp/go-on"
LONG = (
    "import os, time\nfrom concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(1)\n"
    "long = pool.submit(lambda: context.parallelize([7], 1).map(lambda n: (time.sleep(20), n)[1]).sum())\n"
    f"while not os.path.exists('{GO}'): time.sleep(0.1)\nos.unlink('{GO}')\n" + WIDE + "print('long', long.result())\n"
)


def test_from_zero_to_three_and_back(world: World, idle: Kernel) -> None:
    began = time.monotonic()
    job = idle.begin("import time\n" + WIDE)
    until(lambda: len(world.running()) == 3, "three executors run", PATIENCE)
    print(f"three executors after {time.monotonic() - began:.1f} s")
    assert job.result(PATIENCE).strip() == "66"
    print(f"a job from zero: {time.monotonic() - began:.1f} s")
    print(f"back to zero {until(lambda: not world.cluster.pods(EXECUTORS), 'executors go'):.1f} s later")
    assert idle.run("print(context.parallelize([4], 1).sum())").strip() == "4"


def test_an_executor_that_is_killed(world: World, idle: Kernel) -> None:
    """The job goes on, and another one takes its place."""
    job = idle.begin("import time\nprint(sum(context.parallelize(range(30), 30).map(lambda n: (time.sleep(2), n)[1]).collect()))")
    until(lambda: len(world.running()) == 3, "three executors run", PATIENCE)
    victim, before = world.running()[0], len(world.cluster.kubelet.pods)
    world.cluster.kubelet.handles[victim].kill()
    assert job.result(PATIENCE).strip() == str(sum(range(30)))
    assert len(world.cluster.kubelet.pods) > before


def test_a_token_that_ends_in_the_middle_of_a_job(world: World, idle: Kernel) -> None:
    """Its own life is over, and the cluster refuses it: Spark's client gets another, and the job more executors."""
    api, tokens = world.cluster.api, world.secured.tokens
    job = idle.begin(LONG)
    until(lambda: len(world.running()) == 1, "the first executor runs", PATIENCE)
    tokens.revoked |= set(tokens.minted)
    asked, minted = len(api.requests), len(tokens.minted)
    world.lab.exec("touch", GO)
    until(lambda: len(world.running()) == 3, "three executors run", PATIENCE)
    assert job.result(PATIENCE).split() == ["66", "long", "7"]
    assert {request.code for request in api.requests[asked:]} >= {401, 201}
    assert len(tokens.minted) > minted


@pytest.mark.thorough
def test_an_api_server_that_restarts(world: World, idle: Kernel) -> None:
    """It is away in the middle of a job for some seconds; after that the job gets more executors."""
    job = idle.begin(LONG)
    until(lambda: len(world.running()) == 1, "the first executor runs", PATIENCE)
    world.cluster.api.stop()
    time.sleep(5)
    world.cluster.api.start()
    world.lab.exec("touch", GO)
    until(lambda: len(world.running()) == 3, "three executors run", PATIENCE)
    assert job.result(PATIENCE).split() == ["66", "long", "7"]
    until(lambda: not world.cluster.pods(EXECUTORS), "idle executors go")


@pytest.mark.thorough
def test_two_notebooks_and_a_kernel_that_is_killed(world: World, notebook: Kernel) -> None:
    """Both work at once, each at its own ports; of the one whose kernel dies nothing is left in the cluster, and the other goes on.

    It dies with its process group, as JupyterLab ends one that is stuck, or what a dead one left.
    """
    second = world.lab.kernel()
    facts = (
        SESSION + "import json\nprint(json.dumps({'id': context.applicationId, 'sum': context.parallelize(range(10), 2).sum(), "
        "'ports': [int(context.getConf().get(f'spark.driver.{name}')) for name in ('port', 'blockManager.port')]}))"
    )
    both = [kernel.begin(facts, SUITE_PATIENCE) for kernel in (notebook, second)]
    one, two = (json.loads(each.result(SUITE_PATIENCE).splitlines()[-1]) for each in both)
    assert (one["sum"], two["sum"]) == (45, 45)
    urls = {
        variable["value"]
        for request in world.cluster.api.asked("create", "pods")
        if request.body["metadata"]["labels"].get("spark-app-selector") in (one["id"], two["id"])
        for variable in request.body["spec"]["containers"][0]["env"]
        if variable["name"] == "SPARK_DRIVER_URL"
    }
    ports = sorted(int(url.rpartition(":")[2]) for url in urls)
    assert {url.rpartition("@")[2].partition(":")[0] for url in urls} == {world.lab.address}
    assert len(ports) == 2
    assert ports[0] == 38000
    assert ports[1] <= 38016
    begun = "/tmp/begun-" + second.id
    task = second.begin(f"open('{begun}', 'w')\ncontext.parallelize([1], 1).map(lambda n: __import__('time').sleep(600)).collect()")
    until(lambda: world.lab.exec("test", "-e", begun)[0] == 0, "the second notebook has much to do", PATIENCE)
    until(lambda: world.running(two["id"]), "the second notebook has an executor", PATIENCE)
    assert world.lab.exec("kill", "-9", "--", "-" + second.process)[0] == 0
    print(f"a killed kernel's remains go in {until(lambda: not world.of(two['id']), 'pods and ConfigMaps go'):.1f} s")
    assert notebook.run("print(context.parallelize([4], 1).sum())").strip() == "4"
    task.cancel()


def test_what_a_killed_jvm_leaves_is_reaped(world: World, notebook: Kernel) -> None:
    third = world.lab.kernel()
    session = third.run(SESSION + "print(context.applicationId)").split()[-1]
    # Its executor is busy until its driver is killed, and does not go by itself before.
    task = third.begin("context.parallelize([1], 1).map(lambda n: __import__('time').sleep(600)).collect()")
    until(lambda: world.running(session), "it has an executor", PATIENCE)
    world.lab.exec("kill", "-9", third.jvm)
    until(lambda: not world.running(session), "executors end by themselves")
    assert world.of(session)
    time.sleep(1)
    command = "import subprocess\nprint(subprocess.run('lyftlearn spark reap --older-than 0', shell=True, capture_output=True, text=True))"
    said = notebook.run(command)
    assert "removed pod " in said
    assert "removed configmap spark-exec-" in said
    until(lambda: not world.of(session), "pods and ConfigMaps are gone")
    task.cancel()
    assert notebook.run("print(context.parallelize([4], 1).sum())").strip() == "4"


DOCTOR = (
    "import subprocess, time, json\nbegan = time.monotonic()\n"
    "done = subprocess.run(['lyftlearn', 'doctor', 'spark', '--wait', '60'], capture_output=True, text=True)\n"
    "print(json.dumps([done.returncode, done.stdout + done.stderr, time.monotonic() - began]))"
)
CLOSED = {
    "nothing": ((), "", ""),
    "API": (API, "this driver (HERE) -> https://CLUSTER", "cluster's security group: inbound TCP 443 from HERE"),
    "driver": ((*IN, "38000"), "-> the driver at HERE:38000", "This driver's security group: inbound TCP 38000-38017 from the pods'"),
    "blocks": (
        (*IN, "38001"),
        "-> the driver's blocks at HERE:38001",
        "This driver's security group: inbound TCP 38000-38017 from the pods'",
    ),
    "executors": (EXECUTOR, "this driver (HERE) -> an executor's blocks", "pods' security group: inbound TCP 7079 from HERE"),
}


@pytest.mark.parametrize("what", [pytest.param(each, marks=pytest.mark.thorough) if each in ("API", "blocks") else each for each in CLOSED])
def test_doctor(world: World, notebook: Kernel, what: str) -> None:
    """Each way closed in turn, while a session is open: which one it is, and the rule that opens it."""
    match, way, rule = (
        each.replace("HERE", world.lab.address).replace("CLUSTER", world.site.here) if isinstance(each, str) else each
        for each in CLOSED[what]
    )
    firewall = world.site.firewall
    with firewall.opened(*EXECUTOR), firewall.closed(*(match or (*IN, "1"))):
        code, said, seconds = json.loads(notebook.run(DOCTOR).splitlines()[-1])
    print(f"doctor, {what} closed: {seconds:.1f} s\n{said}")
    assert seconds < 100  # Spark itself would hang for minutes
    shut = [line for line in said.splitlines() if line.startswith("CLOSED")]
    assert (code, len(shut)) == ((69, 1) if match else (0, 0)), said
    assert all(way in line for line in shut), said
    assert rule in said
    until(lambda: not world.cluster.pods("app.kubernetes.io/name=lyftlearn-doctor"), "the probe goes")


@pytest.mark.thorough
def test_a_pod_in_the_cluster(world: World) -> None:
    """The same jobs by a driver beside its executors, all of them with their service account's role."""
    store, kubelet = world.cluster.store, world.cluster.kubelet
    properties = {**world.properties, "spark.executor.instances": "2", "spark.dynamicAllocation.enabled": "false"}
    conf = "".join(f"{name} {value}\n" for name, value in properties.items())
    suite = (PROGRAMS / "suite.py").read_text()
    for name, data in (("conf", {"spark-defaults.conf": conf}), ("code", {"suite.py": suite})):
        store.create("configmaps", "ml", {"metadata": {"name": name}, "data": data})
    store.create("secrets", "ml", {"metadata": {"name": "account"}, "data": world.secured.account})
    environ = {"LYFTLEARN_SPARK_IMAGE": world.image, "LYFTLEARN_SPARK_SERVICE_ACCOUNT": "executors", "LYFTLEARN_SPARK_PATIENCE": "600"}
    environ["SPARK_CONF_DIR"] = "/conf"
    container = {
        "name": "driver",
        "image": world.image,
        "args": ["python", "/code/suite.py", f"s3a://{BUCKET}/pod"],
        "env": [{"name": name, "value": value} for name, value in environ.items()],
        "resources": {"limits": {"memory": "3Gi"}},
        "volumeMounts": [
            {"name": "code", "mountPath": "/code"},
            {"name": "conf", "mountPath": "/conf"},
            {"name": "account", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True},
        ],
    }
    volumes = [
        {"name": "code", "configMap": {"name": "code"}},
        {"name": "conf", "configMap": {"name": "conf"}},
        {"name": "account", "secret": {"secretName": "account"}},
    ]
    spec = {"serviceAccountName": "executors", "containers": [container], "volumes": volumes}
    uid = store.create("pods", "ml", {"metadata": {"name": "driver-0"}, "spec": spec})["metadata"]["uid"]
    end = kubelet.ended("driver-0", SUITE_PATIENCE)
    log = kubelet.log("driver-0")
    assert end["exitCode"] == 0, log
    found = json.loads(next(line for line in log.splitlines() if line.startswith('{"master"')))
    print(found)
    suite_right(found)
    assert found["master"].startswith("k8s://https://")
    assert world.storage.objects("pod/")
    # The program does not stop its session: its executors end by themselves, and go with the driver's pod, to which they belong.
    owned = [pod for pod in store.find("pods", "ml") if [owner["uid"] for owner in pod["metadata"].get("ownerReferences", [])] == [uid]]
    assert len(owned) == 2
    for pod in owned:
        kubelet.ended(pod["metadata"]["name"], PATIENCE)
    for pod in owned:  # as Kubernetes' garbage collector
        store.delete("pods", "ml", pod["metadata"]["name"], 0)
