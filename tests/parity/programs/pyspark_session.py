# canary: pyspark as notebooks and jobs use it: a session, a table, a Python function in workers, Parquet
# images: distributed
import tempfile

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import LongType

spark = SparkSession.builder.appName("canary").config("spark.sql.shuffle.partitions", "2").config("spark.ui.showConsoleProgress", "false").getOrCreate()
table = spark.range(1000).withColumn("group", F.col("id") % 3)
print(table.groupBy("group").agg(F.sum("id").alias("total")).orderBy("group").collect())
square = F.udf(lambda x: x * x, LongType())
print(table.select(F.sum(square("id"))).first()[0])
print(spark.sparkContext.parallelize(range(100), 4).map(lambda x: x + 1).sum())
with tempfile.TemporaryDirectory() as directory:
    table.write.parquet(directory + "/table", mode="overwrite")
    print(spark.read.parquet(directory + "/table").count(), spark.read.parquet(directory + "/table").toPandas()["id"].sum())
print(spark.sql("select upper('grüße') as word").first().word)
spark.stop()
