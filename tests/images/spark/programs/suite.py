"""A user's jobs, one after another, by a session that knows nothing of where it runs: python suite.py S3A_DIRECTORY [JOB...]

Each job's result and its seconds are the last line of stdout, as JSON. In a notebook it runs by %run, in the notebook's own session.
"""

import hashlib
import json
import operator
import random
import sys
import time
import zlib
from typing import Any

from pyspark.sql import SparkSession, functions  # type: ignore[import-not-found]

MIB = 1 << 20
TEXT = ["to be or not to be that is the question", "whether tis nobler in the mind to suffer"] * 5000


def words(spark: Any, _: str) -> "dict[str, Any]":
    """Word count, as everybody's first program."""
    counted = spark.sparkContext.parallelize(TEXT, 8).flatMap(str.split).map(lambda word: (word, 1)).reduceByKey(operator.add)
    found = counted.collectAsMap()
    return {"to": found["to"], "be": found["be"], "different": len(found)}


def udf(spark: Any, _: str) -> "dict[str, Any]":
    """A Python function over a column."""
    weight = functions.udf(lambda number: number % 97 * 3, "long")
    return {"sum": spark.range(0, 200_000, numPartitions=6).select(weight("id").alias("n")).agg(functions.sum("n")).first()[0]}


def shuffle(spark: Any, _: str) -> "dict[str, Any]":
    """200 MiB that cannot be compressed, between executors."""

    def made(number: int) -> "tuple[int, bytes]":
        return number, random.Random(number).randbytes(MIB)

    before = written(spark)
    shuffled = spark.sparkContext.parallelize(range(200), 6).map(made).partitionBy(6, lambda number: number * 7)
    sums = shuffled.mapValues(zlib.crc32).collectAsMap()
    right = all(sums[number] == zlib.crc32(random.Random(number).randbytes(MIB)) for number in range(0, 200, 20))
    return {"records": len(sums), "right": right, "megabytes": (written(spark) - before) // 10**6}


def pandas(spark: Any, _: str) -> "dict[str, Any]":
    """51 MB of text to the driver, each task's part far over the 1 MiB that comes with its status by default."""
    table = spark.range(0, 400_000, numPartitions=6).select("id", functions.sha2(functions.col("id").cast("string"), 512).alias("digest"))
    found = table.toPandas().set_index("id")["digest"]
    right = all(found[number] == hashlib.sha512(str(number).encode()).hexdigest() for number in range(0, 400_000, 40_000))
    return {"rows": len(found), "right": right, "megabytes": int(found.str.len().sum()) // 10**6}


def broadcast(spark: Any, _: str) -> "dict[str, Any]":
    """50 MiB from the driver to every executor."""
    content = random.Random(0).randbytes(50 * MIB)
    shared = spark.sparkContext.broadcast(content)
    sums = set(spark.sparkContext.parallelize(range(12), 12).map(lambda _: zlib.crc32(shared.value)).collect())
    shared.destroy()
    return {"right": sums == {zlib.crc32(content)}}


def parquet(spark: Any, directory: str) -> "dict[str, Any]":
    """Parquet on S3, written by several tasks and read back."""
    table = spark.range(0, 500_000, numPartitions=6).withColumn("kind", functions.col("id") % 4)
    table.write.mode("overwrite").partitionBy("kind").parquet(directory)
    read = spark.read.parquet(directory)
    return {"rows": read.count(), "sum": read.where("kind = 3").agg(functions.sum("id")).first()[0]}


def written(spark: Any) -> int:
    """Bytes of shuffles that executors have written in this session, by Spark's own count."""
    executors = spark._jsc.sc().statusStore().executorList(False)
    return sum(executors.apply(number).totalShuffleWrite() for number in range(executors.length()))


def main(directory: str, *wanted: str) -> None:
    spark = SparkSession.builder.getOrCreate()
    facts: dict[str, Any] = {"master": spark.sparkContext.master}
    for job in (words, udf, shuffle, pandas, broadcast, parquet):
        if not wanted or job.__name__ in wanted:
            began = time.monotonic()
            facts[job.__name__] = {**job(spark, directory), "seconds": round(time.monotonic() - began, 1)}
    print(json.dumps(facts), flush=True)


main(*sys.argv[1:])
