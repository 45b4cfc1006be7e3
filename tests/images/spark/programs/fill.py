"""A user's job that takes all of Spark's share of a place: python fill.py MIB OWN [EXECUTORS]. The last line is JSON.

All Java heaps are filled: with as much as Spark caches, and a shuffle beside it. Then each Python worker holds MIB MiB, all at once, and
the program itself OWN MiB, with 50 MB broadcast to all and 50 MB fetched.
"""

import json
import os
import sys
import time
from typing import Any

from pyspark import StorageLevel  # type: ignore[import-not-found]
from pyspark.sql import SparkSession, functions  # type: ignore[import-not-found]

each, own = (int(word) for word in sys.argv[1:3])
spark = SparkSession.builder.getOrCreate()
context = spark.sparkContext
deadline = time.monotonic() + 200
wanted = int(sys.argv[3]) if len(sys.argv) > 3 else 0
context.parallelize(range(100), 100).count()
while context._jsc.sc().statusTracker().getExecutorInfos().__len__() <= wanted:
    assert time.monotonic() < deadline
    time.sleep(0.5)
cores = context.defaultParallelism
alone = context.master.startswith("local")
each_heap = context._jvm.org.apache.spark.network.util.JavaUtils.byteStringAsMb(
    context.getConf().get("spark.driver.memory" if alone else "spark.executor.memory", "1g")
)
executors = 1 if alone else context._jsc.sc().statusTracker().getExecutorInfos().__len__() - 1
heap = each_heap * executors
facts: dict[str, Any] = {"cores": cores, "executors": executors, "heap": each_heap}

# 64 KiB in each row, which nothing compresses, and more rows than Spark caches: what does not fit is dropped. Then a shuffle beside it.
rows = context.parallelize(range(heap * 6), heap // 8).map(lambda _: os.urandom(1 << 16)).persist(StorageLevel.MEMORY_ONLY)
facts["rows"] = rows.count()
facts["cached"] = sum(info.memSize() for info in context._jsc.sc().getRDDStorageInfo()) >> 20
wide = spark.range(heap // 4, numPartitions=cores * 4).select(
    functions.repeat(functions.sha2(functions.col("id").cast("string"), 512), 8192).alias("text")
)
sums = wide.repartition(cores * 4, "text").sortWithinPartitions("text").selectExpr("sum(length(text)) as total")
facts["shuffled"] = sums.first()["total"] >> 20


# Python's share, in all workers at the same time.
shared = context.broadcast(bytes(50 << 20))


def most(process: "int | str", field: str = "VmHWM") -> int:
    """MiB of memory that a process has had at most."""
    with open(f"/proc/{process}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field + ":")) >> 10


def hold(_: Any) -> "tuple[int, int]":
    held = bytearray(each << 20)
    for place in range(0, len(held), 4096):
        held[place] = 1
    assert len(shared.value) == 50 << 20
    time.sleep(5)
    with open(f"/proc/{os.getppid()}/status") as status:  # the daemon that makes workers; its parent is Java
        java = next(line.split()[1] for line in status if line.startswith("PPid:"))
    return most("self"), most(java)


mine = bytearray(own << 20)
for place in range(0, len(mine), 4096):
    mine[place] = 1
found = context.parallelize(range(cores), cores).map(hold).collect()
facts["workers"], facts["java"] = sorted(worker for worker, _ in found), sorted({java for _, java in found})
rows.unpersist(True)  # Spark's cache leaves no room for what it does not count; Java keeps the memory that it has
facts["pandas"] = len(spark.range(50).select(functions.repeat(functions.lit("x"), 1 << 20).alias("text")).toPandas())
spark.stop()
print(json.dumps(facts))
