"""A user's long job: it caches a table, says `ready`, and computes with it until /control/stop is there. Its last line is JSON."""

import json
import time
from pathlib import Path

from pyspark.sql import SparkSession, functions  # type: ignore[import-not-found]

spark = SparkSession.builder.getOrCreate()
table = spark.range(0, 100_000, numPartitions=8).withColumn("twice", functions.udf(lambda number: 2 * number, "long")("id")).cache()
expected = sum(range(100_000)) * 2
rounds = 0
while not Path("/control/stop").exists():
    assert table.agg(functions.sum("twice")).first()[0] == expected
    rounds += 1
    if rounds == 1:
        print("ready", flush=True)
    time.sleep(0.2)
spark.stop()
print(json.dumps({"rounds": rounds}))
