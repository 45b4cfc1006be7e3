"""Plain `SparkSession.builder.getOrCreate()` in a job of three hosts: real containers, real Spark."""

import json
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lyftlearn_local.container import TRAINING, Passed
from tests.images.conftest import Container, Start, remove_network
from tests.images.platform_files import Mounted, readable
from tests.images.spark.jobs import ALL_COME, PATIENCE, PROGRAMS, QUICK, QUICK_DAEMONS, SUITE_PATIENCE, mounted, submitted, suite_right
from tests.images.spark.storage import BUCKET, REGION, Storage

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.image("distributed"), pytest.mark.slow]

HOSTS = ["algo-1", "algo-2", "algo-10"]
# Spark's own words about an executor that is gone, and a race of its client's when a program ends.
MEANT = (r"Lost (executor|task)", r"AppClient", r"WARN|ERROR")


class Job:
    """A training job's containers on a network of their own."""

    def __init__(self, network: str, start: Start, client: Any, image: str, directory: Path) -> None:
        self._network, self._start, self._client, self._image = network, start, client, image
        self._directory = readable(directory)
        self.options: dict[str, dict[str, Any]] = {}  # docker's, beside the platform's own
        self.hosts: dict[str, Container] = {}

    def start(self, host: str, command: str, **settings: str) -> Container:
        given = {"LYFTLEARN_TRAIN_COMMAND": command, "LYFTLEARN_USER": "lyftlearn", "LYFTLEARN_SPARK_PATIENCE": "600"}
        given |= {**submitted(ALL_COME | QUICK), **QUICK_DAEMONS, **settings}
        job = Mounted(readable(self._directory / host), TRAINING, Passed(given, {}, ["train"]))
        config = {"current_host": host, "hosts": HOSTS, "network_interface_name": "eth0"}
        (job.ml / "input/config/resourceconfig.json").write_text(json.dumps(config))
        options = job.options(PROGRAMS)
        for name, value in self.options.items():
            options[name] |= value
        names = {self._network: self._client.api.create_endpoint_config(aliases=[host])}
        where = {"network": self._network, "networking_config": names, "network_mode": None, "hostname": host}
        made = self._start("train", image=self._image, mem_limit="3g", nano_cpus=1_000_000_000, **options, **where)
        self.hosts[host] = made.expect(*MEANT)
        return made

    def all(self, command: str, **settings: str) -> Container:
        """The primary comes last: its name is not known while the others wait for it."""
        for host in (*HOSTS[1:], HOSTS[0]):
            primary = self.start(host, command, **settings)
        return primary


@pytest.fixture
def network(client: Any) -> "Iterator[str]":
    made = client.networks.create("lyftlearn-" + uuid.uuid4().hex[:8], driver="bridge")
    yield str(made.name)
    remove_network(made)


@pytest.fixture
def job(network: str, start: Start, client: Any, distributed: str, tmp_path: Path) -> Job:
    """The network is made first, so that it goes after the containers."""
    return Job(network, start, client, distributed, tmp_path)


def printed(container: Container) -> "list[dict[str, Any]]":
    return [json.loads(line) for line in container.stdout.splitlines() if line.startswith("{")]


def test_the_program_gets_the_whole_cluster(job: Job) -> None:
    """And its result is the job's; the others end well within seconds. One of them is killed in between: the job goes on."""
    primary = job.all("python /code/whole.py 3")
    primary.until('"hosts"', PATIENCE)
    (found,) = printed(primary)
    assert found["hosts"] == sorted(HOSTS)
    assert found["master"].startswith("spark://")
    assert found["parallelism"] == 3
    job.hosts["algo-2"].handle.kill()
    time.sleep(3)
    primary.exec("touch", "/tmp/go")
    assert primary.wait(PATIENCE) == 3, primary.log
    assert printed(primary)[-1]["sum"] == 4950
    assert job.hosts["algo-10"].wait() == 0
    assert "algo-1 runs the program; this host, algo-10, works for it" in job.hosts["algo-10"].log


@pytest.mark.thorough
def test_every_kind_of_job(job: Job, client: Any, network: str, tmp_path: Path) -> None:
    """The jobs of a notebook in Studio (test_distributed_network.py), on three hosts with keys of their own for S3."""
    storage = Storage(client.networks.get(network).attrs["IPAM"]["Config"][0]["Gateway"])
    try:
        job.options = mounted(readable(tmp_path), storage.hadoop)
        keys = {}
        for host in (*HOSTS[1:], HOSTS[0]):
            made = storage.mint()
            keys[host] = made["AccessKeyId"]
            given = {"AWS_ACCESS_KEY_ID": keys[host], "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"], "AWS_SESSION_TOKEN": made["Token"]}
            primary = job.start(host, f"python /code/suite.py s3a://{BUCKET}/hosts", AWS_REGION=REGION, **given)
        assert primary.wait(SUITE_PATIENCE) == 0, primary.log
        (found,) = printed(primary)
        print(found)
        suite_right(found)
        assert found["master"].startswith("spark://")
        assert [job.hosts[host].wait() for host in HOSTS[1:]] == [0, 0]
        assert storage.callers() - {storage.keys[0]} == set(keys.values())
    finally:
        storage.close()


STRANGER = """
import json, sys
from pyspark.sql import SparkSession
try:
    SparkSession.builder.master(sys.argv[1]).getOrCreate()
except Exception as error:
    print('refused', type(error).__name__)
else:
    print('let in')
"""


def test_a_cluster_that_authenticates(job: Job) -> None:
    """By a secret that the hosts have in common. Who does not know it gets nowhere, and finds it in no list of processes."""
    primary = job.all("python /code/whole.py 0", LYFTLEARN_SPARK_SECRET="CREDENTIALS_CLUSTER", CREDENTIALS_CLUSTER="long-enough-and-random")
    primary.until('"hosts"', PATIENCE)
    (found,) = printed(primary)
    assert found["hosts"] == sorted(HOSTS)
    code, conf = primary.exec("cat", "/tmp/lyftlearn-spark-1000/conf/spark-defaults.conf")
    assert code == 0
    secret = conf.partition("spark.authenticate.secret ")[2].split()[0]
    assert len(secret) == 64
    for host in job.hosts.values():
        assert secret not in host.exec("sh", "-c", "cat /proc/*/cmdline | tr '\\0' ' '")[1]
        assert host.exec("cat", "/tmp/lyftlearn-spark-1000/conf/spark-defaults.conf", user="4711:4711")[0] != 0
    said = job.hosts["algo-2"].exec("/opt/venv/bin/python", "-c", STRANGER, found["master"], environment={"SPARK_CONF_DIR": "/nowhere"})[1]
    assert "refused" in said
    assert "let in" not in said
    primary.exec("touch", "/tmp/go")
    assert primary.wait(PATIENCE) == 0, primary.log


def test_a_primary_whose_container_is_killed(job: Job) -> None:
    primary = job.all("python /code/whole.py 0")
    primary.until('"hosts"', PATIENCE)
    primary.handle.kill()
    assert [job.hosts[host].wait() for host in HOSTS[1:]] == [0, 0]


def test_a_primary_that_never_came(job: Job) -> None:
    container = job.start("algo-10", "true", LYFTLEARN_SPARK_WAIT="3").expect("never came")
    assert container.wait() == 69
    assert "the primary, algo-1, never came" in container.log
