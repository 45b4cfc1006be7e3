# mypy: ignore-errors
"""A job whose session needs a package of a Maven repository, at the address in the first argument: what a resource of its JAR says."""

import sys
import time
from pathlib import Path

from pyspark.sql import SparkSession

builder = SparkSession.builder.config("spark.jars.packages", "com.example:words:1.0")
spark = builder.config("spark.jars.repositories", sys.argv[1]).getOrCreate()
jvm = spark.sparkContext._jvm
assert jvm is not None
loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
print(jvm.java.util.Scanner(loader.getResourceAsStream("words.txt")).nextLine(), flush=True)
# Works on until it is told that the saver has saved.
end = time.monotonic() + 300
while "wait" in sys.argv and time.monotonic() < end and not Path("/opt/ml/output/saved").exists():
    time.sleep(0.2)
