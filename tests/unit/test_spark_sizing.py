"""Every part of Spark fits into the container it is sized for."""

import pytest

from lyftlearn_entrypoint.spark import sizing
from lyftlearn_entrypoint.spark.sizing import DAEMON, GIB, LEAST_HEAP, MIB, overhead, usable

# From the smallest instance that anybody would run Spark on, to ml.r5.24xlarge and beyond. Bytes, processors.
SIZES = [(memory * GIB, cpus) for memory in (3, 4, 8, 16, 30, 32, 61, 64, 128, 384, 768, 2048) for cpus in (1, 2, 4, 7, 16, 48, 96)]


@pytest.mark.parametrize(("memory", "_cpus"), SIZES)
def test_a_driver_that_works_alone_leaves_room_for_python(memory: int, _cpus: int) -> None:
    heap = sizing.local(memory)
    assert heap >= LEAST_HEAP
    python = usable(memory) - heap - overhead(heap)
    assert python >= 0.2 * usable(memory)
    assert heap + overhead(heap) + python <= memory - 512 * MIB


@pytest.mark.parametrize(("memory", "_cpus"), SIZES)
def test_a_driver_for_executors_elsewhere(memory: int, _cpus: int) -> None:
    heap = sizing.driver(memory)
    assert LEAST_HEAP <= heap <= 8 * GIB
    assert heap + overhead(heap) <= 0.8 * memory


@pytest.mark.parametrize(("memory", "cpus"), SIZES)
@pytest.mark.parametrize("drives", [True, False])
def test_a_host_of_a_cluster_holds_what_it_offers(memory: int, cpus: int, drives: bool) -> None:
    """Heaps, their overhead with Python workers, the cluster's own processes, the driver and the user's program."""
    made = sizing.share(cpus, memory, drives)
    each = made.executor + overhead(made.executor, sizing.PYTHON_FACTOR)
    used = made.executors * each + DAEMON
    if drives:
        assert made.driver >= LEAST_HEAP
        used += made.driver + overhead(made.driver) + DAEMON
    else:
        assert made.driver == 0
    if memory >= 4 * GIB:  # below, the least that Spark takes is more than there is
        assert used <= memory, f"{used / GIB:.1f} of {memory / GIB} GiB"
    assert made.offered == made.executors * made.executor
    assert made.executors * made.cores <= cpus
    assert made.cores <= max(sizing.MOST_CORES, cpus // made.executors)


def test_large_hosts_get_executors_of_a_handful_of_cores() -> None:
    made = sizing.share(16, 128 * GIB, drives=False)
    assert (made.executors, made.cores) == (4, 4)
    assert 18 * GIB < made.executor < 21 * GIB


def test_a_host_with_little_memory_gets_fewer_executors() -> None:
    assert sizing.share(16, 4 * GIB, drives=False).executors == 3


def test_as_spark_reads_it() -> None:
    assert sizing.text(sizing.local(4 * GIB)) == "1971m"
