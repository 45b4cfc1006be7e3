"""A user's program on a job of several hosts: which hosts work for it, as JSON; then it goes on until /tmp/go is there, and ends with the
exit code of its argument."""

import json
import socket
import sys
import time
from pathlib import Path

from pyspark.sql import SparkSession  # type: ignore[import-not-found]

spark = SparkSession.builder.getOrCreate()
context = spark.sparkContext


def host(_: int) -> str:
    time.sleep(0.2)
    return socket.gethostname()


found = sorted(set(context.parallelize(range(60), 12).map(host).collect()))
print(json.dumps({"hosts": found, "master": context.master, "parallelism": context.defaultParallelism}), flush=True)
rounds = 0
while not Path("/tmp/go").exists():
    assert context.parallelize(range(30), 6).sum() == 435
    rounds += 1
print(json.dumps({"rounds": rounds, "sum": context.parallelize(range(100), 6).sum()}), flush=True)
sys.exit(int(sys.argv[1]))
