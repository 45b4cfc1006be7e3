"""A user's Spark job that knows nothing of where it runs. What it did is the last line of its stdout, as JSON."""

import getpass
import json
import os
import tempfile
from typing import Any

import pandas as pd  # type: ignore[import-untyped]
from pyspark import SparkFiles  # type: ignore[import-not-found]
from pyspark.sql import SparkSession, functions  # type: ignore[import-not-found]

spark = SparkSession.builder.getOrCreate()
context = spark.sparkContext
facts: dict[str, Any] = {"spark": spark.version, "master": context.master, "user": context.sparkUser(), "os_user": getpass.getuser()}

# A module and a file that only the driver has.
with tempfile.TemporaryDirectory() as directory:
    for name, text in (("shipped.py", "def twice(number):\n    return 2 * number\n"), ("factor.txt", "10")):
        with open(os.path.join(directory, name), "w") as stream:
            stream.write(text)
    context.addPyFile(os.path.join(directory, "shipped.py"))
    context.addFile(os.path.join(directory, "factor.txt"))

    @functions.udf("long")  # type: ignore[untyped-decorator]
    def scaled(number: int) -> int:
        import shipped  # type: ignore[import-not-found]

        with open(SparkFiles.get("factor.txt")) as factor:
            return int(shipped.twice(number) * int(factor.read()))

    @functions.pandas_udf("double")  # type: ignore[untyped-decorator]
    def half(numbers: pd.Series) -> pd.Series:
        return numbers / 2

    table = spark.range(0, 1000, numPartitions=4).withColumn("scaled", scaled("id")).withColumn("half", half("id"))
    facts["scaled"], facts["half"] = table.agg(functions.sum("scaled"), functions.sum("half")).first()

# A shuffle, more than a task's result takes directly (1 MiB), and a table by name.
words = spark.range(200_000).select((functions.col("id") % 7).cast("string").alias("word"))
facts["words"] = {row["word"]: row["count"] for row in words.groupBy("word").count().collect()}
facts["large"] = sum(len(row.text) for row in spark.range(3).select(functions.repeat(functions.lit("x"), 3 << 20).alias("text")).collect())
facts["pandas"] = int(table.select("id").toPandas()["id"].sum())


def workplace(_: Any) -> "tuple[str, str, str, str]":
    import sys

    return getpass.getuser(), os.environ.get("LYFTLEARN_CONTEXT", ""), sys.executable, os.environ.get("HOME", "")


facts["workers"] = sorted(set(context.parallelize(range(8), 8).map(workplace).collect()))
facts["executors"] = context._jsc.sc().statusTracker().getExecutorInfos().__len__() - (not context.master.startswith("local"))
facts["local_dirs"] = [str(part) for part in context._jvm.org.apache.spark.util.Utils.getConfiguredLocalDirs(context._jsc.sc().conf())]
spark.stop()
print(json.dumps(facts))
