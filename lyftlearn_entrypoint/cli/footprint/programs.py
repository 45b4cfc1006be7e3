"""What users of images/distributed and images/dl run, as the starts of the table run it; and what an executor of Spark's talks to."""

from __future__ import annotations

SPARK = "from pyspark.sql import SparkSession as S; print(S.builder.master('local[1]').getOrCreate().range(9).count())"

FRAME = """\
from pyspark.sql import SparkSession, functions as f
spark = SparkSession.builder.appName("frame").getOrCreate()
data = spark.createDataFrame([(number, number % 7) for number in range(100)], ["id", "group"])
twice = f.udf(lambda value: value * 2, "long")
print(data.withColumn("twice", twice("id")).groupBy("group").agg(f.sum("twice")).orderBy("group").collect())
spark.stop()
"""

# A cell of a notebook.
CELL = """\
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
spark.range(9).selectExpr("id", "id % 3 as third").groupBy("third").count().toPandas()
"""

# Held out.
PANDAS_UDF = """\
import pandas as pd
from pyspark.sql import SparkSession, Window, functions as f
spark = SparkSession.builder.getOrCreate()
spark.range(1000).withColumn("third", f.col("id") % 3).write.parquet("/tmp/numbers.parquet")
@f.pandas_udf("double")
def half(values: pd.Series) -> pd.Series:
    return values / 2
data = spark.read.parquet("/tmp/numbers.parquet").withColumn("half", half("id"))
data = data.withColumn("rank", f.row_number().over(Window.partitionBy("third").orderBy(f.desc("half"))))
print(data.join(data.groupBy("third").agg(f.avg("half")), "third").filter("rank < 3").toPandas())
"""
SUBMIT = """\
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
lines = spark.sparkContext.parallelize(["one two", "two three", "three two"])
print(sorted(lines.flatMap(str.split).map(lambda word: (word, 1)).reduceByKey(lambda a, b: a + b).collect()))
spark.createDataFrame([("a", 1), ("b", 2)], ["name", "value"]).createOrReplaceTempView("pairs")
spark.sql("select name, sum(value) from pairs group by name").show()
"""

_DRIVER_PORT = 7078
_DRIVER = f"""\
from pyspark.sql import SparkSession, functions as f
options = {{"spark.driver.host": "127.0.0.1", "spark.driver.port": "{_DRIVER_PORT}", "spark.ui.enabled": "false"}}
builder = SparkSession.builder.master("spark://127.0.0.1:7077")
for name, value in options.items():
    builder = builder.config(name, value)
spark = builder.getOrCreate()
print("ready", flush=True)
twice = f.udf(lambda value: value * 2, "long")
print(spark.range(0, 100, 1, 2).select(twice("id").alias("x")).groupBy().sum("x").collect(), flush=True)
spark.stop()
"""
# A driver that an executor can come to: of a cluster of its own (a master, no worker), as no Kubernetes is there. An executor of
# Kubernetes' kind asks any driver to take it, and is told to end when the driver's program does. It prints that it needs no files when the
# driver waits.
DRIVER = f"""\
import socket, subprocess, time
java = ["/usr/lib/jvm/default-java/bin/java", "-cp", "/opt/spark/jars/*"]
subprocess.Popen([*java, "org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", "7077", "--webui-port", "0"],
    stdout=subprocess.DEVNULL)
while True:
    try:
        socket.create_connection(("127.0.0.1", 7077)).close()
        break
    except OSError:
        time.sleep(0.1)
driver = subprocess.Popen(["/opt/venv/bin/python", "-c", {_DRIVER!r}], stdout=subprocess.PIPE, text=True)
for line in driver.stdout:
    if line == "ready\\n":
        print("{{}}", flush=True)
driver.wait()
"""
# What Spark's driver sets in an executor's pod, and nothing of a network.
EXECUTOR = {
    "KUBERNETES_SERVICE_HOST": "10.100.0.1",
    "SPARK_DRIVER_URL": f"spark://CoarseGrainedScheduler@127.0.0.1:{_DRIVER_PORT}",
    "SPARK_EXECUTOR_ID": "1",
    "SPARK_EXECUTOR_CORES": "1",
    "SPARK_EXECUTOR_MEMORY": "512m",
    "SPARK_APPLICATION_ID": "spark-footprint",
    "SPARK_EXECUTOR_POD_IP": "127.0.0.1",
    "SPARK_RESOURCE_PROFILE_ID": "0",
    "SPARK_EXECUTOR_POD_NAME": "footprint-exec-1",
    "SPARK_LOCAL_IP": "127.0.0.1",
}

STEP = """\
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
x = torch.randn(64, 10)
data = DataLoader(TensorDataset(x, (x.sum(1) > 0).long()), batch_size=16, shuffle=True)
model = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.Adam(model.parameters())
for features, labels in data:
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(features), labels)
    loss.backward()
    optimizer.step()
torch.save(model.state_dict(), "/tmp/model.pt")
print(loss.item())
"""
VISION = """\
import torch, torchvision
from torchvision.transforms import v2
picture = torchvision.transforms.functional.to_pil_image(torch.rand(3, 64, 64))
prepare = v2.Compose([v2.Resize(32), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
with torch.no_grad():
    print(torchvision.models.resnet18(num_classes=3).eval()(prepare(picture)[None]).argmax().item())
"""

# Held out.
CONV = """\
import numpy as np, torch, torchvision
from torch import nn
from torch.utils.data import DataLoader, Dataset
class Pictures(Dataset):
    crop = torchvision.transforms.RandomCrop(14)
    def __len__(self):
        return 32
    def __getitem__(self, number):
        return self.crop(torch.from_numpy(np.random.default_rng(number).normal(size=(1, 16, 16)))).float(), number % 4
model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 36, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
for pictures, labels in DataLoader(Pictures(), batch_size=8, num_workers=2):
    optimizer.zero_grad()
    nn.CrossEntropyLoss()(model(pictures), labels).backward()
    optimizer.step()
    schedule.step()
torch.jit.trace(model.eval(), torch.rand(1, 1, 14, 14)).save("/tmp/model.pt")
"""
ENCODER = """\
import torch
from torch import nn
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(50, 16)
        self.encode = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2)
        self.out = nn.Linear(16, 50)
    def forward(self, words):
        return self.out(self.encode(self.embed(words)))
model = Model()
optimizer = torch.optim.AdamW(model.parameters())
words = torch.randint(0, 50, (8, 12))
with torch.autocast("cpu", torch.bfloat16):
    loss = nn.functional.cross_entropy(model(words).flatten(0, 1), words.flatten())
loss.backward()
nn.utils.clip_grad_norm_(model.parameters(), 1.0)
optimizer.step()
print(loss.item(), torch.distributions.Normal(0, 1).sample())
"""
