"""Documents to S3, and the variables that name them: the way round the limits of the APIs."""

import hashlib
import json
from typing import Any

_VARIABLES = (("environment", "LYFTLEARN_ENV_URI"), ("hyperparameters", "LYFTLEARN_HYPERPARAMETERS_URI"))


def client() -> Any:
    """An S3 client of the developer's own AWS."""
    import boto3

    return boto3.client("s3")


def stage(s3: Any, bucket: str, environment: "dict[str, Any] | None", hyperparameters: "dict[str, Any] | None") -> "dict[str, str]":
    """Stores the documents under the sha256 of their bytes, gives the variables for the API. Raises botocore's ClientError."""
    variables = {}
    for (kind, variable), document in zip(_VARIABLES, (environment, hyperparameters), strict=True):
        if document is not None:
            data = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
            digest = hashlib.sha256(data).hexdigest()
            key = f"staged/{kind}/{digest}.json"
            s3.put_object(Bucket=bucket, Key=key, Body=data, ContentType="application/json")
            variables[variable] = f"s3://{bucket}/{key}#sha256={digest}"
    return variables
