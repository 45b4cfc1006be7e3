"""A user's program of DataFrames and SQL that says nothing of where Spark is, and what Spark Connect refuses. The last line is JSON."""

import json
from typing import Any

from pyspark.sql import SparkSession, functions  # type: ignore[import-not-found]

spark = SparkSession.builder.appName("mine").getOrCreate()
facts: dict[str, Any] = {"spark": spark.version, "client": type(spark).__module__}
twice = functions.udf(lambda number: 2 * number, "long")
table = spark.range(0, 1000, numPartitions=4).withColumn("twice", twice("id"))
facts["sum"] = table.agg(functions.sum("twice")).first()[0]
table.createOrReplaceTempView("numbers")
facts["sql"] = spark.sql("select count(*) as n from numbers where twice % 4 = 0").toPandas()["n"].tolist()
refused = {}
for name, attempt in (
    ("sparkContext", lambda: spark.sparkContext),
    ("rdd", lambda: table.rdd),
    ("master", lambda: SparkSession.builder.master("local[2]").getOrCreate()),
):
    try:
        attempt()  # type: ignore[no-untyped-call]
    except Exception as error:  # noqa: BLE001  which one it is, is pyspark's affair
        refused[name] = str(error)[:120]
facts["refused"] = refused
spark.stop()
print(json.dumps(facts))
