"""A job that takes all of its share, wherever Spark works, and is not killed for memory: heaps, Python's workers, the program itself.

The containers have limits, as an instance has an end. What each part may take is docs/spark.md's formula, worked out here by hand.
"""

from pathlib import Path
from typing import Any

import pytest

from lyftlearn_local.container import TRAINING, Passed
from tests.images.conftest import Container, Start
from tests.images.platform_files import Mounted, readable
from tests.images.spark.jobs import ALL_COME, PATIENCE, PATIENT, PROGRAMS, facts, submitted
from tests.images.test_distributed_hosts import Job, job, network, printed
from tests.images.test_distributed_kubernetes import Notebook, Secured, notebook, secured

__all__ = ["job", "network", "notebook", "secured"]  # fixtures

pytestmark = [pytest.mark.image("distributed"), pytest.mark.slow]

LONG = 3 * PATIENCE
MEANT = ("WARN|no digest",)


def unharmed(*containers: Container) -> None:
    """No process of theirs was killed for memory."""
    for container in containers:
        container.handle.reload()
        assert not container.handle.attrs["State"]["OOMKilled"], container.log


def filled(found: "dict[str, Any]", heap: int, python: int) -> None:
    """The heap was the formula's, Java took all of it, and each worker what it was to take."""
    assert found["heap"] == heap
    assert found["java"][0] >= 0.8 * heap, found
    assert found["workers"][0] >= python, found
    assert found["pandas"] == 50


def test_one_host(start: Start, distributed: str, tmp_path: Path) -> None:
    """3 GiB: 2560 MiB are usable, 1408 of them the heap's and 384 beside it; 768 are left for two workers and the program."""
    given = {"LYFTLEARN_TRAIN_COMMAND": "python /code/fill.py 200 128", "LYFTLEARN_USER": "lyftlearn"}
    made = Mounted(readable(tmp_path), TRAINING, Passed(given, {}, ["train"]))
    limits = {"mem_limit": "3g", "memswap_limit": "3g", "nano_cpus": 2_000_000_000}
    container = start("train", image=distributed, **made.options(PROGRAMS), **limits).expect(*MEANT)
    filled(facts(container, LONG), 1408, 250)
    unharmed(container)


@pytest.mark.thorough
def test_three_hosts(job: Job) -> None:
    """3 GiB each: the primary has room for a heap of 512 MiB beside all that it does, so that is every executor's."""
    primary = job.all("python /code/fill.py 80 100 3", **submitted(ALL_COME))
    for container in job.hosts.values():
        container.expect(*MEANT)
    assert primary.wait(LONG) == 0, primary.log
    (found,) = printed(primary)
    filled(found, 512, 130)
    assert found["executors"] == 3
    unharmed(*job.hosts.values())


@pytest.mark.thorough
def test_executors_in_pods(notebook: Notebook, secured: Secured) -> None:
    """Spark's default of 1 GiB, with what is added for Python; the driver in a notebook of 3 GiB."""
    container = notebook.run("python", "/code/fill.py", "200", "500", "2", **submitted(PATIENT)).expect(*MEANT)
    filled(facts(container, LONG), 1024, 250)
    unharmed(container)
    states = [pod["status"].get("containerStatuses", []) for *_, pod in secured.cluster.store.history("pods")]
    assert [each["state"] for found in states for each in found if each["state"].get("terminated", {}).get("reason") == "OOMKilled"] == []
