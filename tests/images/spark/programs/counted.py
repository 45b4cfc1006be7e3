# mypy: ignore-errors
"""Three small jobs of four tasks each, and the end of the session; Spark's configuration says what becomes of its metrics."""

import json
import os

from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
total = sum(spark.sparkContext.parallelize(range(1000), 4).sum() for _ in range(3))
spark.stop()
print(json.dumps({"context": os.environ["LYFTLEARN_CONTEXT"], "sum": total}))
