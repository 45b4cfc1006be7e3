"""A model as it is usually fetched: boto3's download_file, and its digest, if `digest` is the last argument.

python benchmarks/rivals/boto3_model.py URL FILE [digest]
"""

import hashlib
import sys

import boto3
from botocore.config import Config

config = Config(s3={"addressing_style": "path"})
s3 = boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1", config=config)
s3.download_file("bucket", "model.bin", sys.argv[2])
if sys.argv[-1] == "digest":
    digest = hashlib.sha256()
    with open(sys.argv[2], "rb") as file:
        while data := file.read(1 << 20):
            digest.update(data)
    digest.hexdigest()
