"""The kubeconfig's plugin, run as a Kubernetes client runs it: by its path, with the notebook's variables."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import lyftlearn_entrypoint
from lyftlearn_entrypoint.spark import eks

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "made-up-secret", "AWS_EC2_METADATA_DISABLED": "true"}


def run(cluster: str, region: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    words = eks.command(cluster, region)
    assert words[0] == sys.executable
    assert words[-3] == str(Path(lyftlearn_entrypoint.__file__).parent / "spark/token.py")
    return subprocess.run(words, env={"PATH": "/usr/bin:/bin", **environ}, capture_output=True, text=True, check=False, timeout=30)


def test_a_token(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('of the user')")
    done = run("executors", "eu-west-1", **KEYS, PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    credential = json.loads(done.stdout)
    assert credential["kind"] == "ExecCredential"
    token = credential["status"]["token"].removeprefix("k8s-aws-v1.")
    url = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    assert url.startswith("https://sts.eu-west-1.amazonaws.com/?")
    assert "made-up-secret" not in done.stdout + url


def test_the_region_is_the_notebooks_where_none_is_set() -> None:
    done = run("executors", "", **KEYS, AWS_REGION="us-east-2")
    token = json.loads(done.stdout)["status"]["token"].removeprefix("k8s-aws-v1.")
    assert b"sts.us-east-2." in base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


def test_no_region_and_no_credentials() -> None:
    done = run("executors", "", **KEYS)
    assert done.returncode == 78
    assert "Set LYFTLEARN_SPARK_EKS_REGION or AWS_REGION" in done.stderr
    done = run("executors", "eu-west-1", AWS_EC2_METADATA_DISABLED="true", HOME="/nonexistent")
    assert done.returncode != 0
    assert done.stderr.startswith("lyftlearn: error: ")
