"""Every part of Spark fits into the container it is sized for."""

import socket
import time
from pathlib import Path

import pytest

from lyftlearn_entrypoint.spark import link, sizing, together
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


def hosts(*kinds: "tuple[int, int, int]") -> "list[sizing.Share]":
    """(how many, processors, GiB) of each kind; the first one of all drives."""
    shares: list[sizing.Share] = []
    for number, cpus, memory in kinds:
        shares += [sizing.share(cpus, memory * GIB, drives=not shares and not index) for index in range(number)]
    return shares


@pytest.mark.parametrize(
    "kinds",
    [
        [(3, 1, 3)],
        [(2, 4, 16)],
        [(3, 16, 64)],
        [(20, 16, 64)],
        [(1, 2, 8), (4, 16, 128)],  # a small instance that drives large ones
        [(1, 48, 384), (8, 4, 16)],
        [(2, 8, 61), (2, 16, 32), (2, 96, 768)],
        [(1, 2, 4), (3, 1, 4)],
    ],
)
def test_hosts_of_one_cluster(kinds: "list[tuple[int, int, int]]") -> None:
    """Executors fit each host that gets any; most of the processors work, and nothing that fits better was passed over."""
    shares = hosts(*kinds)
    cores, heap, number = sizing.common(shares)
    counts = [sizing.count(share, cores, heap) for share in shares]
    assert sum(counts) == number
    assert min(counts) >= 0
    for share, each in zip(shares, counts, strict=True):
        assert each * cores <= share.processors
        assert each * (heap + overhead(heap, sizing.PYTHON_FACTOR)) <= share.left
    assert number * cores >= 0.6 * sum(share.executors * share.cores for share in shares)

    def score(cores: int, heap: int) -> float:
        found = [sizing.count(share, cores, heap) for share in shares]
        part = sum(found) * cores / sum(share.executors * share.cores for share in shares)
        return 0.0 if min(found) < 0 else part**2 * sum(found) * heap / sum(share.offered for share in shares)

    assert score(cores, heap) >= max(score(share.cores, share.executor) for share in shares)


def test_a_small_host_that_drives_large_ones() -> None:
    """Executors of its own size would leave three quarters of their memory empty."""
    shares = hosts((1, 2, 8), (4, 16, 128))
    cores, heap, number = sizing.common(shares)
    assert (cores, number) == (4, 16)
    assert heap == shares[1].executor


def test_hosts_with_little_memory_all_work() -> None:
    assert sizing.common(hosts((3, 1, 3))) == (1, LEAST_HEAP, 3)


def test_what_is_agreed_comes_before_the_users_own(tmp_path: Path) -> None:
    path = tmp_path / "spark-defaults.conf"
    ours = "# Written by lyftlearn-entrypoint\nspark.executor.memory 512m\nspark.executor.cores 1\nspark.master spark://a:7077\n"
    theirs = "\n# /etc/spark/spark-defaults.conf, which wins:\nspark.cores.max 2\nspark.executor.memory 9g\n"
    path.write_text(ours + theirs)
    shares = hosts((1, 2, 8), (4, 16, 128))
    found = together.agree([(share.executors, share.cores, share.offered, share.left) for share in shares])
    assert found["spark.cores.max"] == "64"
    assert together.settle(path, found)
    head, _, tail = path.read_text().partition("\n# /etc/spark")
    assert tail.endswith("spark.cores.max 2\nspark.executor.memory 9g\n")
    lines = head.splitlines()
    assert f"spark.executor.memory {found['spark.executor.memory']}" in lines
    assert "spark.executor.memory 512m" not in lines
    assert "spark.master spark://a:7077" in lines
    assert not together.settle(path, found)


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\n\r\n", b"0 1 2 3\n", b"1 1 1 1", b"1 1 " + b"9" * 60])
def test_a_stranger_offers_nothing(said: bytes) -> None:
    primary = link.Primary("127.0.0.1", 0)
    port = primary.listener.getsockname()[1]
    with socket.create_connection(("127.0.0.1", port)) as stranger:
        stranger.sendall(said)
        worker = link.Worker("127.0.0.1", port, offer=link.line(2, 4, 8 * GIB, 12 * GIB))
        assert worker.connect(5) == ""
        end = time.monotonic() + 60
        while not primary.offers and time.monotonic() < end:
            primary.accept()
            primary.hear()
        assert primary.offers == [(2, 4, 8 * GIB, 12 * GIB)]
        worker.close()
    primary.end()
