"""Several hosts of a training job, each a container on a network of their own: user code that torch alone tells who it is."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lyftlearn_local.container import TRAINING, Passed
from tests.images.conftest import PATIENCE, Container, Start, remove_network
from tests.images.platform_files import Mounted, readable

pytestmark = [pytest.mark.image("dl"), pytest.mark.slow]

PROGRAMS = Path(__file__).parent / "dl"
# Host(number, *command, **options of docker's SDK) -> Container
Host = Callable[..., Container]


def config(hosts: "list[str]", current: str) -> bytes:
    """resourceconfig.json as SageMaker writes it."""
    group = {"hosts": hosts, "instance_group_name": "homogeneousCluster", "instance_type": "ml.g5.xlarge"}
    more = {"current_group_name": "homogeneousCluster", "current_instance_type": "ml.g5.xlarge", "topology": None}
    return json.dumps(
        {"hosts": hosts, "current_host": current, "instance_groups": [group], "network_interface_name": "eth0", **more}
    ).encode()


@pytest.fixture
def network(client: Any) -> "Iterator[str]":
    """A network of this test's own, without a way out."""
    made = client.networks.create(f"lyftlearn-test-{uuid.uuid4().hex[:12]}", driver="bridge", internal=True)
    yield str(made.name)
    remove_network(made)


@pytest.fixture
def host(client: Any, network: str, dl: str, start: Start, tmp_path: Path) -> Host:
    """Starts host algo-NUMBER of two. Its name is an alias on the network; its hostname is another, as in a job."""

    def run(number: int, *command: str, hosts: "list[str] | None" = None, **options: Any) -> Container:
        name = f"algo-{number}"
        job = Mounted(readable(tmp_path / name), TRAINING, Passed({}, {}, list(command)))
        (job.ml / "input/config/resourceconfig.json").write_bytes(config(hosts or ["algo-1", "algo-2"], name))
        alias = {network: client.api.create_endpoint_config(aliases=[name])}
        settled = {"hostname": f"ip-10-0-0-{number}.ec2.internal", "shm_size": "1g", "image": dl, **options}
        return start(*command, network=network, networking_config=alias, **job.options(PROGRAMS, **settled))

    return run


def test_a_plain_program_finds_the_other_host(host: Host) -> None:
    """init_process_group and nothing else. The second host is there first, when nobody knows the master's name yet."""
    second = host(2, "python", "/code/reduce.py")
    second.until("start: python")
    time.sleep(3)
    first = host(1, "python", "/code/reduce.py")
    assert (first.wait(), second.wait()) == (0, 0), first.log + second.log
    assert first.stdout == "rank 0 of 2: 11\n"
    assert second.stdout == "rank 1 of 2: 11\n"
    assert "torch: algo-2 is host 1 of 2, master algo-1:23456" in second.log


def test_torchrun_without_an_option(host: Host) -> None:
    """What it is told by PET_ variables; here two processes on each host, as two GPUs would give."""
    environment = {"PET_NPROC_PER_NODE": "2", "OMP_NUM_THREADS": "1"}
    both = [host(number, "torchrun", "/code/reduce.py", environment=environment) for number in (1, 2)]
    for container in both:
        container.expect("Traceback")  # of torchrun's exit barrier, on the host that ends last: the store is gone with the first host's
    assert [container.wait() for container in both] == [0, 0], both[0].log + both[1].log
    lines = sorted("".join(container.stdout for container in both).splitlines())
    assert lines == [f"rank {rank} of 4: 1111" for rank in range(4)]
    assert sorted(both[1].stdout.splitlines()) == lines[2:]


def test_a_program_that_says_more_is_left_to_itself(host: Host) -> None:
    """Another port, by the job's own variable."""
    both = [host(number, "python", "/code/reduce.py", environment={"MASTER_PORT": "29477"}) for number in (1, 2)]
    assert [container.wait() for container in both] == [0, 0], both[0].log + both[1].log
    assert "master algo-1:29477; as they were: MASTER_PORT" in both[0].log
    assert both[0].stdout == "rank 0 of 2: 11\n"


def test_when_the_first_host_dies_the_other_ends(host: Host) -> None:
    first, second = (host(number, "python", "/code/steps.py") for number in (1, 2))
    second.expect("Traceback")
    for container in (first, second):
        container.until("working")
    first.handle.kill()
    assert second.wait(PATIENCE) == 1  # by torch's own patience it would go on for half an hour
    assert "RuntimeError" in second.log


def test_a_job_of_one_host_is_as_it_was(host: Host) -> None:
    """No variable makes a program believe that it is one of several."""
    names = "print(sorted(n for n in __import__('os').environ if n.startswith(('MASTER', 'PET_', 'NCCL', 'GLOO', 'FI_')) or 'RANK' in n))"
    alone = host(1, "python", "-c", names, hosts=["algo-1"])
    assert alone.wait() == 0, alone.log
    assert alone.stdout == "[]\n"


def test_it_can_be_switched(host: Host) -> None:
    names = "import os; print(os.environ.get('RANK'), os.environ.get('PET_NPROC_PER_NODE'))"
    off = host(1, "python", "-c", names, environment={"LYFTLEARN_TORCH_HOSTS": "off"})
    on = host(2, "python", "-c", names, hosts=["algo-2"], environment={"LYFTLEARN_TORCH_HOSTS": "on"})
    assert (off.wait(), on.wait()) == (0, 0)
    assert (off.stdout, on.stdout) == ("None None\n", "0 auto\n")


@pytest.mark.image("base")
def test_other_images_say_nothing_of_it(host: Host, base: str) -> None:
    container = host(1, "sh", "-c", "env", image=base)
    assert container.wait() == 0, container.log
    assert "LYFTLEARN_CONTEXT=sagemaker-training" in container.stdout
    assert "MASTER_ADDR" not in container.stdout
    assert "torch" not in container.log
