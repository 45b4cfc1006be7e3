"""The same work as a SageMaker start, the way it is usually written: boto3 clients and requests, one after the other."""

import base64
import json
import os
import sys
import time

import boto3
import requests


def main() -> None:
    env = dict(os.environ)
    service = env["LYFTLEARN_CONFIDANT_SERVICE"]
    now = time.time() - 180
    form = "%Y%m%dT%H%M%SZ"
    payload = {"not_before": time.strftime(form, time.gmtime(now)), "not_after": time.strftime(form, time.gmtime(now + 600))}
    context = {"from": service, "to": env["LYFTLEARN_CONFIDANT_AUTH_CONTEXT"], "user_type": "service"}
    blob = boto3.client("kms").encrypt(
        KeyId=env["LYFTLEARN_CONFIDANT_AUTH_KEY"], Plaintext=json.dumps(payload).encode(), EncryptionContext=context
    )["CiphertextBlob"]
    reply = requests.get(
        f"{env['LYFTLEARN_CONFIDANT_URL']}/v1/services/{service}",
        auth=("2/service/" + service, base64.b64encode(blob).decode()),
        timeout=15,
    )
    reply.raise_for_status()
    for credential in reply.json()["credentials"]:
        env.update({"CREDENTIALS_" + key.upper(): str(value) for key, value in credential["credential_pairs"].items()})
    s3 = boto3.client("s3")
    documents = []
    for name in ("LYFTLEARN_ENV_URI", "LYFTLEARN_HYPERPARAMETERS_URI"):
        bucket, _, key = env[name].partition("#")[0].removeprefix("s3://").partition("/")
        documents.append(json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()))
    env.update(documents[0])
    with open(env["LYFTLEARN_ROOT"] + "/opt/ml/input/config/rival.json", "w") as stream:
        json.dump(documents[1], stream)
    os.execvpe(sys.argv[1], sys.argv[1:], env)


main()
