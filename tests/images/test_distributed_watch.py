"""A session that cannot get executors fails with the reason, wherever its executors should be, long before its patience ends."""

import os
import shlex
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.images.spark.jobs import PATIENCE, QUICK, submitted, until
from tests.images.test_distributed_hosts import Job, job, network
from tests.images.test_distributed_kubernetes import WAIT, Notebook, Secured, closed, notebook, secured

if TYPE_CHECKING:
    from tests.images.conftest import Container
    from tests.integration.conftest import Need

__all__ = ["job", "network", "notebook", "secured"]  # fixtures

pytestmark = [pytest.mark.image("distributed"), pytest.mark.slow]

# What a user would write, and would see: the exception of the job that had no executors, and the session that lives on.
PROGRAM = """
import time
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
began = time.monotonic()
try:
    spark.range(1000).selectExpr('sum(id)').collect()
except Exception as error:
    print('after', int(time.monotonic() - began), str(error).replace(chr(10), ' '), flush=True)
else:
    raise SystemExit('it had an executor')
spark.stop()
"""
GO = "while not pathlib.Path('/tmp/go').exists(): time.sleep(0.1)\n"
BY_ITSELF = submitted(QUICK)  # with Spark's own limits, where nothing has to come in time
MEANT = ("WARN|ERROR|Exception|Caused by|has no digest|the job is cancelled",)
# A minute where nothing else is to be done: the watcher asks after 45 s, and again after 15 where a probe had too little of the
# processors. The patience is 600.
LIMIT = 400


def reason(container: "Container") -> str:
    """What the exception says. The program itself goes on, and ends well."""
    assert container.wait(2 * PATIENCE) == 0, container.log
    line = next(line for line in container.stdout.splitlines() if line.startswith("after "))
    assert int(line.split()[1]) < LIMIT, container.log
    assert "lyftlearn-entrypoint: error: spark: the job is cancelled because " in container.log
    print(line)
    return line


@pytest.mark.parametrize("port", ["38000", pytest.param("38001", marks=pytest.mark.thorough)])
def test_a_port_of_the_drivers_is_closed(notebook: Notebook, secured: Secured, need: "Need", port: str) -> None:
    """The first: no executor can register. The second: they do, and then no task can read its own program."""
    need(os.geteuid() == 0 and shutil.which("nsenter") and shutil.which("iptables"), "nsenter and iptables, as root")
    container = notebook.run("sh", "-c", WAIT + 'python -c "$0"', PROGRAM).expect(*MEANT)
    closed(container, "-A", "INPUT", "-p", "tcp", "--dport", port)
    container.exec("touch", "/tmp/go")
    said = reason(container)
    assert f"cannot reach the driver{'' if port == '38000' else chr(39) + 's blocks'} at {notebook.address}:{port}: timed out" in said
    assert "This driver's security group: inbound TCP 38000-38017 from the pods'" in said
    until(lambda: secured.cluster.pods() == [], "pods go")


@pytest.mark.thorough
def test_an_image_that_cannot_be_had(notebook: Notebook) -> None:
    container = notebook.run("python", "-c", PROGRAM, LYFTLEARN_SPARK_IMAGE="lyftlearn-nowhere:none").expect(*MEANT)
    said = reason(container)
    assert "cannot start: ErrImagePull" in said


@pytest.mark.parametrize("denied", ["create", pytest.param("token", marks=pytest.mark.thorough)])
def test_the_api_refuses(notebook: Notebook, secured: Secured, denied: str) -> None:
    """By the account's rights, or by its token, once the session is up."""
    program = "import pathlib" + PROGRAM.replace("began =", "print('session', flush=True)\n" + GO + "began =")
    container = notebook.run("python", "-c", program).expect(*MEANT)
    container.until("session", PATIENCE)
    if denied == "create":
        secured.cluster.api.denied.add(("create", "pods"))
    else:
        secured.tokens.minted.clear()
        secured.tokens.revoked = Everything()
    container.exec("touch", "/tmp/go")
    said = reason(container)
    assert ("cannot create resource" if denied == "create" else "answers 401: Unauthorized") in said


class Everything(set[str]):
    def __contains__(self, _: object) -> bool:
        return True


def test_nodes_that_do_not_come(notebook: Notebook, secured: Secured) -> None:
    """A cluster that has to make nodes first takes longer than a job is willing to wait: the setting says how long that is."""
    secured.cluster.kubelet.schedulable = False
    said = reason(notebook.run("python", "-c", PROGRAM, LYFTLEARN_SPARK_PATIENCE="20").expect(*MEANT))
    assert "are Pending" in said
    assert "LYFTLEARN_SPARK_PATIENCE" in said


@pytest.mark.thorough
def test_nodes_that_come_late(notebook: Notebook, secured: Secured) -> None:
    """A Pending pod is no reason while there is patience: it is asked about, and the job waits on."""
    secured.cluster.kubelet.delay = 70
    container = notebook.run("python", "-c", PROGRAM).expect(*MEANT)
    assert container.wait(2 * PATIENCE) == 1, container.log
    assert "it had an executor" in container.log


def test_an_executor_that_fits_no_host(job: Job) -> None:
    """On the hosts of a job: a program that asks for more than any of them has would wait for ever."""
    program = PROGRAM.replace(".builder", ".builder.config('spark.executor.memory', '64g')")
    primary = job.all("python -c " + shlex.quote(program), **BY_ITSELF)
    for container in job.hosts.values():
        container.expect(*MEANT)
    assert "an executor of 1 cores and 65536 MiB fits no host: the largest offers 1 cores" in reason(primary)


def test_an_api_that_cannot_be_reached(notebook: Notebook, secured: Secured, need: "Need") -> None:
    """The session itself does not come up."""
    need(os.geteuid() == 0 and shutil.which("nsenter") and shutil.which("iptables"), "nsenter and iptables, as root")
    lines = PROGRAM.replace("spark = SparkSession.builder.getOrCreate()\n", "").replace("spark.stop()\n", "")
    program = lines.replace("    spark.range", "    SparkSession.builder.getOrCreate().range")
    container = notebook.run("sh", "-c", WAIT + 'python -c "$0"', program, **BY_ITSELF).expect(*MEANT, "Traceback")
    closed(container, "-A", "OUTPUT", "-p", "tcp", "--dport", secured.cluster.api.url.rpartition(":")[2])
    container.exec("touch", "/tmp/go")
    assert container.wait(2 * PATIENCE) == 0, container.log
    line = next(line for line in container.stdout.splitlines() if line.startswith("after "))
    print(line)
    assert int(line.split()[1]) < LIMIT, container.log
