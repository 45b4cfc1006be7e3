"""Programs that say `localhost:8125`, in containers of the base image: a sidecar's pod, a job without one, and the end of a container."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.images.conftest import Start
from tests.images.statsd_world import World, of_programs

pytest_plugins = ["tests.images.statsd_fixture"]
pytestmark = pytest.mark.image


@pytest.fixture
def world(client: Any, network: str, start: Start, base: str, tmp_path: Path) -> World:
    return World(start, client, network, base, tmp_path)


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({}, id="as the image says"),
        pytest.param({"init": True}, id="under the platform's own init"),
        pytest.param({"entrypoint": ["lyftlearn-entrypoint"]}, id="as process 1"),
    ],
)
def test_jobs_that_count_once_and_end_at_once(world: World, how: "dict[str, Any]") -> None:
    """With the capabilities that a container has by default: neither CAP_NET_ADMIN nor CAP_SYS_NICE. Nothing is lost, but on a machine
    that has no processor for the relay in the last milliseconds (docs/statsd.md): a busy one loses some, a relay that is not quick all."""
    names = [f"count.{number}:1|c" for number in range(10)]

    def run() -> None:
        for name in names:
            world.job("python3", "-I", "/code/count.py", name, **how)

    lines = world.during(run)
    assert set(of_programs(lines)) <= set(names)
    assert len(names) >= of_programs(lines).total() >= 6
    totals = [line for line in lines if line.startswith("lyftlearn.entrypoint.total:")]
    assert len(totals) >= 6
    assert all(line.endswith("|ms|#context:sagemaker-training") for line in totals)


METRICS = "orders:3|c|#shop:one\nwidth:1.5|d\n_sc|checked|0|m:fine"


def test_the_same_program_in_a_pod_and_in_a_job(world: World) -> None:
    command = ["python3", "-I", "/code/count.py", METRICS, "2"]  # what the last milliseconds may lose is the test's above
    pod = world.during(lambda: world.pod(*command))
    job = world.during(lambda: world.job(*command))
    assert of_programs(job) == of_programs(pod) == dict.fromkeys(METRICS.split("\n"), 1)


# Of all other processes of the container: who each is, and what it may do.
OTHERS = """
import json, os
found = {}
for pid in filter(str.isdigit, os.listdir("/proc")):
    words = open(f"/proc/{pid}/cmdline", "rb").read().decode().strip("\\0").split("\\0")
    status = dict(line.rstrip().split(":\\t", 1) for line in open(f"/proc/{pid}/status") if ":\\t" in line)
    found[words[0]] = [status["Uid"].split(), status["Gid"].split(), status["CapEff"], status["CapPrm"]]
print(json.dumps(found))
"""


def test_the_relay_is_the_users_and_may_do_nothing(world: World) -> None:
    container = world.job("python3", "-I", "-c", OTHERS)
    who = json.loads(container.stdout)["lyftlearn-statsd-relay"]
    assert who == [["1000"] * 4, ["100"] * 4, "0" * 16, "0" * 16]


def test_a_gateway_that_nobody_knows_stops_no_start(world: World) -> None:
    container = world.job("python3", "-c", "print('trained')", environment={"LYFTLEARN_STATSD_GATEWAY": "nobody.invalid:9125"})
    container.expect("the metrics gateway nobody.invalid does not resolve")
    assert container.stdout == "trained\n"
    assert container.log.count("nobody.invalid") == 1
