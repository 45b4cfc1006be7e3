"""How much of a container each part of Spark gets, so that all of it fits. The formulas stand in docs/spark.md too.

What has to fit beside a Java heap: the JVM's own memory (threads, code, direct buffers), the Python workers of executors, the user's
Python program where it drives, and the rest of the container. Spark counts none of this by itself in client mode.
"""

MIB = 1 << 20
GIB = 1 << 30

# Spark's own figures for what a JVM needs beside its heap: spark.executor.memoryOverheadFactor (0.10 for the JVM; with Python workers
# 0.40, spark.kubernetes.memoryOverheadFactor for non-JVM jobs), at least spark.executor.minMemoryOverhead, 384 MiB.
JVM_FACTOR = 0.10
PYTHON_FACTOR = 0.40
LEAST_OVERHEAD = 384 * MIB
# Spark refuses a heap of less than 1.5 x 300 MiB (UnifiedMemoryManager, RESERVED_SYSTEM_MEMORY_BYTES).
LEAST_HEAP = 512 * MIB
# A standalone cluster's own processes have heaps of that size (SPARK_DAEMON_MEMORY), and need about as much again.
DAEMON_HEAP = 256 * MIB
DAEMON = 512 * MIB
# More tasks at once in one JVM gain nothing in reads from S3, and cost in garbage collection.
MOST_CORES = 5


def usable(memory: int) -> int:
    """Bytes that Spark may plan with: all but a tenth, and at least 512 MiB, for the rest of the container."""
    return max(memory - max(memory // 10, 512 * MIB), LEAST_HEAP)


def overhead(heap: int, factor: float = JVM_FACTOR) -> int:
    """What Spark adds to a heap of that many bytes."""
    return max(LEAST_OVERHEAD, int(heap * factor))


def local(memory: int) -> int:
    """The heap, in bytes, of a driver that does all the work itself: 55 % of what is usable. Its Python workers and the user's program
    get what is left beside the JVM's overhead."""
    return _whole(max(int(usable(memory) * 0.55), LEAST_HEAP))


def driver(memory: int) -> int:
    """The heap of a driver whose executors are elsewhere: half of what is usable, for the other half is the user's own Python (a notebook's
    pandas frames). At most 8 GiB: a driver that collects more than that has another problem."""
    return _whole(min(max(usable(memory) // 2, LEAST_HEAP), 8 * GIB))


class Share:
    """One host's part of a standalone cluster: how many executors it can hold, and of what size. Bytes and processors."""

    __slots__ = ("cores", "driver", "executor", "executors", "left", "offered", "processors")

    def __init__(self, processors: int, driver_heap: int, executors: int, cores: int, executor: int, offered: int, left: int) -> None:
        self.processors = processors
        self.driver = driver_heap  # the driver's heap, 0 on hosts that only work
        self.executors = executors
        self.cores = cores  # of one executor
        self.executor = executor  # heap of one executor
        self.offered = offered  # SPARK_WORKER_MEMORY: heaps alone, since that is what the master counts
        self.left = left  # for executors with all that they need beside their heaps


def share(processors: int, memory: int, drives: bool, factor: float = PYTHON_FACTOR) -> Share:
    """What a host offers. The one that drives also holds the master, the driver's JVM and the user's program.

    An executor's whole size is its heap and `factor` of it, at least 384 MiB, for Python workers.
    """
    left = usable(memory) - DAEMON
    heap = 0
    if drives:
        heap = _whole(min(max(left // 5, LEAST_HEAP), 8 * GIB))
        left -= heap + overhead(heap) + DAEMON + left // 10  # the master, and the user's own Python
    executors = max(-(-processors // MOST_CORES), 1)
    while executors > 1 and left // executors < LEAST_HEAP + LEAST_OVERHEAD:
        executors -= 1
    each = max(left // executors, LEAST_HEAP + LEAST_OVERHEAD)
    size = _whole(max(min(int(each / (1 + factor)), each - LEAST_OVERHEAD), LEAST_HEAP))
    return Share(processors, heap, executors, max(processors // executors, 1), size, size * executors, max(left, each * executors))


def count(share: Share, cores: int, heap: int) -> int:
    """How many executors of a size a master starts on such a host (Master.scala, canLaunchExecutor); -1 where they would need more memory
    than there is: Spark counts heaps alone, and many small executors have more beside them than a few large ones."""
    number = min(share.executors * share.cores // cores, share.offered // heap)
    return number if number * (heap + overhead(heap, PYTHON_FACTOR)) <= share.left else -1


def common(shares: "list[Share]") -> "tuple[int, int, int]":
    """(cores, heap, how many) of the executors of a cluster, which all have one size: the one with which most of these hosts is used.

    The sizes to choose from are those that divide one of the hosts evenly. The measure is the part of all processors that executors
    get, squared, times the part of all memory: an idle processor makes a job slower, while with less memory Spark writes to disk.
    """
    processors = sum(share.executors * share.cores for share in shares)
    memory = sum(share.offered for share in shares)
    kinds: dict[tuple[int, ...], list[Share]] = {}
    for share in shares:
        kinds.setdefault((share.executors, share.cores, share.offered, share.left), []).append(share)
    best, chosen = 0.0, (0, 0, 0)
    sizes = {_whole(kind[0].offered // number) for kind in kinds.values() for number in range(1, kind[0].executors * kind[0].cores + 1)}
    for cores in sorted({share.cores for share in shares}, reverse=True):
        for heap in sorted((size for size in sizes if size >= LEAST_HEAP), reverse=True):
            counts = [(count(kind[0], cores, heap), len(kind)) for kind in kinds.values()]
            number = sum(each * hosts for each, hosts in counts)
            score = (number * cores / processors) ** 2 * (number * heap / memory)
            if min(each for each, _ in counts) >= 0 and score > best:
                best, chosen = score, (cores, heap, number)
    return chosen


def text(size: int) -> str:
    """A size as Spark reads it: whole mebibytes."""
    return str(size // MIB) + "m"


def _whole(size: int) -> int:
    return size // MIB * MIB
