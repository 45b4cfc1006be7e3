"""The same work with Confidant's own client, which is what the pods' webhook was built on, and boto3."""

import json
import os
import sys

import boto3
import confidant_client


def main() -> None:
    env = dict(os.environ)
    service = env["LYFTLEARN_CONFIDANT_SERVICE"]
    client = confidant_client.ConfidantClient(
        env["LYFTLEARN_CONFIDANT_URL"],
        env["LYFTLEARN_CONFIDANT_AUTH_KEY"],
        {"from": service, "to": env["LYFTLEARN_CONFIDANT_AUTH_CONTEXT"], "user_type": "service"},
        token_cache_file="",
        region=env["AWS_REGION"],
    )
    reply = client.get_service(service, decrypt_blind=True)
    assert reply["result"], "Confidant refused"
    for credential in reply["service"]["credentials"]:
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
