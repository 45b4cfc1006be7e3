"""A user's Spark job on S3: python s3a.py BUCKET COMMITTER. What it did is the last line of its stdout, as JSON.

Nothing in it knows where it runs: credentials, endpoint and committer come from the configuration around it.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession, functions  # type: ignore[import-not-found]

bucket, committer = sys.argv[1:]
root = f"s3a://{bucket}/{committer}"
spark = SparkSession.builder.getOrCreate()
facts: dict[str, Any] = {"spark": spark.version}

# Parquet, written by several tasks, and read with a filter that goes down to the reader.
table = spark.range(0, 100_000, numPartitions=4).withColumn("kind", functions.col("id") % 10)
table.write.mode("overwrite").partitionBy("kind").parquet(f"{root}/table")
read = spark.read.parquet(f"{root}/table")
facts["rows"] = read.count()
facts["sum"] = read.where("kind = 3").agg(functions.sum("id")).first()[0]
table.limit(10).write.mode("overwrite").csv(f"{root}/table")  # deletes what was there
facts["overwritten"] = spark.read.csv(f"{root}/table").count()

# One object in many parts: uploaded as a stream and as a file, moved (copied in parts, too), read back, listed, deleted.
jvm: Any = spark._jvm
hadoop = jvm.org.apache.hadoop
configuration = spark._jsc.hadoopConfiguration()


def path(name: str) -> Any:
    return hadoop.fs.Path(name if "://" in name else f"{root}/{name}")


s3 = path("").getFileSystem(configuration)
local = hadoop.fs.FileSystem.getLocal(configuration)
content = os.urandom(1 << 20) * 17
Path("/tmp/large").write_bytes(content)
hadoop.fs.FileUtil.copy(local, path("file:///tmp/large"), s3, path("streamed"), False, configuration)
facts["streamed_parts"] = s3.getFileStatus(path("streamed")).getETag().strip('"')[-2:]
s3.copyFromLocalFile(path("file:///tmp/large"), path("file"))
facts["moved"] = s3.rename(path("streamed"), path("moved/here"))
Path("/tmp/large").unlink()
s3.copyToLocalFile(path("moved/here"), path("file:///tmp/large"))
facts["intact"] = Path("/tmp/large").read_bytes() == content
facts["listed"] = sorted(status.getPath().getName() for status in s3.listStatus(path("")))
facts["deleted"] = s3.delete(path("file"), False) and not s3.exists(path("file"))
facts["size"] = s3.getFileStatus(path("moved/here")).getLen()

# Which committer wrote: S3A's leave a summary in _SUCCESS, others an empty file.
spark.range(1000).write.mode("overwrite").parquet(f"{root}/committed")
s3.copyToLocalFile(path("committed/_SUCCESS"), path("file:///tmp/summary"))
summary = Path("/tmp/summary").read_text()
facts["committer"] = json.loads(summary)["committer"] if summary else ""
facts["login"] = hadoop.security.UserGroupInformation.getCurrentUser().getShortUserName()
spark.stop()
print(json.dumps(facts))
