"""Java's StatsD clients and Spark's own sink, unchanged, in the image with Spark: a job counts at the gateway what a pod counts."""

import re
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.images.conftest import Start
from tests.images.platform_files import readable
from tests.images.spark.jobs import PATIENCE, facts, mounted
from tests.images.statsd_world import World, bound, of_programs
from tests.java_clients import CLIENTS, prepare

if TYPE_CHECKING:
    from collections.abc import Callable

pytest_plugins = ["tests.images.statsd_fixture"]
pytestmark = [pytest.mark.image("distributed"), pytest.mark.slow]


@pytest.fixture
def world(client: Any, network: str, start: Start, distributed: str, tmp_path: Path) -> World:
    return World(start, client, network, distributed, tmp_path)


def counts(lines: "list[str]") -> "Counter[str]":
    """The metrics of a program. Datadog's client adds the container's id to each, where the kernel shows it."""
    return of_programs([re.sub(r"\|c:[0-9a-f]{64}$", "", line) for line in lines])


@pytest.mark.parametrize("client_of", CLIENTS)
def test_a_client_for_java(world: World, tmp_path: Path, client_of: str, need: "Callable[[object, str], None]") -> None:
    need(shutil.which("mvn") and shutil.which("javac"), "no Maven or no Java compiler")
    java = readable(tmp_path / "java")
    lacking = prepare(client_of, java)
    need(not lacking, lacking)
    command, volumes = ["java", "-cp", "/java/jars/*:/java", "Count"], bound(java, "/java")
    pod = counts(world.during(lambda: world.pod(*command, seconds=PATIENCE, volumes=volumes)))
    job = counts(world.during(lambda: world.job(*command, seconds=PATIENCE, volumes=volumes)))
    assert sum(pod.values()) > 500
    assert job == pod


# Nothing of it says where: host and port are the sink's own defaults, 127.0.0.1 and 8125 (org.apache.spark.metrics.sink.StatsdSink). The
# period is so long that only the end of the session reports, once: how often a shorter one does is the clock's whim.
SINK = {
    "spark.metrics.conf.*.sink.statsd.class": "org.apache.spark.metrics.sink.StatsdSink",
    "spark.metrics.conf.*.sink.statsd.period": "3600",
    "spark.metrics.namespace": "shop",
}


def kinds(lines: "list[str]") -> "Counter[tuple[str, str]]":
    """How often each metric came, by name and type. Most of Spark's values are bytes and times, and no two runs have the same."""
    return Counter((name, rest.split("|")[1]) for name, _, rest in (line.partition(":") for line in of_programs(lines).elements()))


def values(lines: "list[str]") -> "set[str]":
    """What the program did is the same in any run: its jobs, and the tasks that the driver's executor ran."""
    return {line for line in of_programs(lines) if ".DAGScheduler.job.allJobs:" in line or ".executor.threadpool.startedTasks:" in line}


def test_sparks_own_sink(world: World, tmp_path: Path) -> None:
    spark = mounted(readable(tmp_path / "spark"), {"spark.master": "local[2]", **SINK})
    command = ["python", "/code/counted.py"]
    seen: dict[str, dict[str, Any]] = {}
    pod = world.during(lambda: seen.update(pod=facts(world.pod(*command, seconds=PATIENCE, **spark))))
    job = world.during(lambda: seen.update(job=facts(world.job(*command, seconds=PATIENCE, **spark))))
    assert (seen["pod"]["context"], seen["job"]["context"]) == ("kubernetes", "sagemaker-training")
    assert seen["pod"]["sum"] == seen["job"]["sum"] == 3 * 499_500
    assert kinds(job) == kinds(pod)
    assert sum(kinds(pod).values()) > 50
    assert values(job) == values(pod) >= {"shop.driver.DAGScheduler.job.allJobs:3|g"}
