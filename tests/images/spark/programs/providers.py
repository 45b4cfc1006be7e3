"""Makes S3A's chain of credential providers from each class named, as S3A itself does: python providers.py CLASS...

Printed as JSON: class to '' or what was wrong with it.
"""

import json
import sys
from typing import Any

from pyspark.sql import SparkSession  # type: ignore[import-not-found]

spark = SparkSession.builder.getOrCreate()
jvm: Any = spark._jvm
s3a = jvm.org.apache.hadoop.fs.s3a
found: dict[str, str] = {}
for name in sys.argv[1:]:
    configuration = jvm.org.apache.hadoop.conf.Configuration(spark._jsc.hadoopConfiguration())
    configuration.set("fs.s3a.aws.credentials.provider", name)
    uri = jvm.java.net.URI("s3a://any/")
    try:
        if spark.version.startswith("3."):
            chain = s3a.S3AUtils.createAWSCredentialProviderSet(uri, configuration)
        else:
            chain = s3a.auth.CredentialProviderListFactory.createAWSCredentialProviderList(uri, configuration)
        found[name] = "" if chain.size() == 1 else f"{chain.size()} providers"
        chain.close()
    except Exception as error:  # noqa: BLE001  whatever Java throws is the answer
        found[name] = str(error)
spark.stop()
print(json.dumps(found))
