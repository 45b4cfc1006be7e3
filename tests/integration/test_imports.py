"""What a start imports: little of the standard library, nothing of a third party, and nothing of the user's."""

import hashlib
import http.server
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import lyftlearn_entrypoint

if TYPE_CHECKING:
    from tests.integration.conftest import Starter

# Each costs milliseconds, alone or by what it brings along (measured with -X importtime).
COSTLY = {
    "argparse", "base64", "collections", "contextlib", "dataclasses", "datetime", "enum", "functools", "hashlib", "hmac", "http",
    "inspect", "json", "logging", "pathlib", "random", "re", "shutil", "socket", "ssl", "subprocess", "tempfile", "threading", "traceback",
    "typing", "urllib", "warnings", "yaml", "boto3", "botocore", "click", "requests", "cryptography",
}  # fmt: skip
# What a pod's start with nothing to do may load beyond the package itself, and beyond what the interpreter has loaded before.
NO_OP = {"gc", "marshal", "posix", "pwd", "sys", "time", "_signal", "_frozen_importlib", "_frozen_importlib_external"}
# What Python loads for itself, with or without us.
OF_PYTHON = {
    "_codecs",
    "_imp",
    "_io",
    "_thread",
    "_warnings",
    "_weakref",
    "codecs",
    "encodings",
    "io",
    "abc",
    "_abc",
    "winreg",
    "zipimport",
}


def imported(starter: "Starter", *argv: str, **env: str) -> set[str]:
    """The modules imported until exec, as the interpreter itself lists them: no hook of ours, and the program is no Python."""
    words, starter.words = starter.words, [*starter.words[:3], "-X", "importtime", *starter.words[3:]]
    try:
        done = starter.run(*(argv or ("true",)), env=env)
    finally:
        starter.words = words
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 0, done.stderr
    names = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")} - {"imported package"}
    assert "pwd" in names  # which process.py asks who we are; modules of the bundle are not listed
    return names


def check(names: set[str]) -> set[str]:
    """Fails on a costly module, and on one from outside; returns the top names that are neither ours nor Python's own start."""
    tops = {name.partition(".")[0] for name in names}
    assert not tops & COSTLY
    # _sha256 is _sha2 since Python 3.12; a name that was tried and is not there is listed too.
    assert tops - {"lyftlearn_entrypoint", "_sha256"} <= sys.stdlib_module_names
    assert not {name for name in names if name.startswith("lyftlearn_entrypoint.cli")}
    return tops - OF_PYTHON - {"lyftlearn_entrypoint"}


def test_a_pod_with_nothing_to_do(starter: "Starter") -> None:
    names = imported(starter, KUBERNETES_SERVICE_HOST="10.0.0.1")
    assert check(names) <= NO_OP
    # Nor anything of ours that only a start with something to do needs.
    assert not {
        name
        for name in names
        if name.startswith(tuple("lyftlearn_entrypoint." + name for name in ("fetch", "apply", "volume", "spark", "snapshot")))
    }


def test_a_laptop_with_nothing_to_do(starter: "Starter") -> None:
    assert check(imported(starter)) <= NO_OP


def with_spark(starter: "Starter") -> dict[str, str]:
    """An image with Spark, below LYFTLEARN_ROOT."""
    for path in ("opt/spark/jars", "tmp", "sys/class/net/lo"):
        (starter.root / path).mkdir(parents=True, exist_ok=True)
    return {"LYFTLEARN_ROOT": str(starter.root)}


def test_a_pod_with_spark(starter: "Starter") -> None:
    names = imported(starter, KUBERNETES_SERVICE_HOST="10.0.0.1", **with_spark(starter))
    assert check(names) <= NO_OP | {"fcntl"}
    assert "lyftlearn_entrypoint.spark.step" in names
    assert not {name for name in names if name.startswith("lyftlearn_entrypoint.fetch")}


def test_a_notebook_with_spark(starter: "Starter") -> None:
    environ = with_spark(starter)
    metadata = starter.root / "opt/ml/metadata"
    metadata.mkdir(parents=True)
    (metadata / "resource-metadata.json").write_text('{"AppType": "JupyterLab", "UserProfileName": "ada"}')
    given = {
        "LYFTLEARN_CONTEXT": "studio",
        "LYFTLEARN_SPARK_EKS_ENDPOINT": "https://localhost",
        "LYFTLEARN_SPARK_EKS_CLUSTER": "executors",
        "LYFTLEARN_SPARK_IMAGE": "ml@sha256:0",
    }
    names = imported(starter, **environ, **given)
    check(names)
    assert "lyftlearn_entrypoint.spark.eks" in names
    # Keepers and tokens run in processes of their own.
    assert not names & {"lyftlearn_entrypoint.spark.cluster", "lyftlearn_entrypoint.spark.link", "lyftlearn_entrypoint.spark.token"}


def test_a_host_of_several_with_spark(starter: "Starter") -> None:
    starter.training()
    environ = with_spark(starter)
    config = starter.root / "opt/ml/input/config/resourceconfig.json"
    config.write_text('{"current_host": "algo-1", "hosts": ["algo-2", "algo-1"], "network_interface_name": "lo"}')
    names = imported(starter, LYFTLEARN_SPARK_MASTER="local", **environ)
    check(names)
    assert "lyftlearn_entrypoint.spark.address" in names


def test_a_pod_where_home_has_to_be_made(starter: "Starter") -> None:
    check(imported(starter, KUBERNETES_SERVICE_HOST="10.0.0.1", HOME="/no/such", LYFTLEARN_ROOT=str(starter.root)))


def test_a_job_with_both_documents(starter: "Starter") -> None:
    starter.training()
    starter.channel('{"STAGED": "yes"}', '{"depth": 3, "names": ["a"]}')
    check(imported(starter, LYFTLEARN_HYPERPARAMETERS_DIR="/mnt/hyperparameters", LYFTLEARN_TRACE="/trace.json", LYFTLEARN_LOG="json"))


KEYS = b'{"AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": "made-up", "Token": "made-up"}'
SERVICE = b'{"credentials": [{"id": "c", "metadata": {}, "credential_pairs": {"user": "me", "key": "%s"}}], "blind_credentials": []}' % (
    b"k" * 32
)


class Platform(http.server.BaseHTTPRequestHandler):
    """Any object, any service, and KMS, with any signature; and a container's credentials."""

    def do_GET(self) -> None:
        bodies = {"/keys": KEYS, "/v1/services/shop": SERVICE}
        self.answer(bodies.get(self.path, b'{"STAGED": "yes"}'))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(b'{"CiphertextBlob": "bWFkZS11cA==", "KeyId": "made-up"}')

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def platform() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Platform) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


URIS = {"LYFTLEARN_ENV_URI": "s3://bucket/environment", "LYFTLEARN_HYPERPARAMETERS_URI": "s3://bucket/hyperparameters"}


def test_a_job_that_fetches_over_http(starter: "Starter", platform: str) -> None:
    starter.training()
    keys = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "made-up", "AWS_ENDPOINT_URL": platform}
    names = imported(starter, **URIS, **keys)
    check(names)
    assert "lyftlearn_entrypoint.fetch.http" in names


def test_a_job_with_everything_by_name(starter: "Starter", platform: str) -> None:
    """As a job of SageMaker's is: a container's credentials, Confidant, a metrics gateway, and names that have to be looked up."""
    starter.training()
    by_name = platform.replace("127.0.0.1", "localhost")
    environ = {
        **URIS,
        "AWS_REGION": "us-east-1",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": by_name + "/keys",
        "AWS_ENDPOINT_URL": by_name,
        "LYFTLEARN_CONFIDANT_URL": by_name,
        "LYFTLEARN_CONFIDANT_SERVICE": "shop",
        "LYFTLEARN_CONFIDANT_AUTH_KEY": "alias/confidant",
        "LYFTLEARN_CONFIDANT_AUTH_CONTEXT": "confidant",
        "LYFTLEARN_CREDENTIALS_DIR": "/mnt/secrets",
        "LYFTLEARN_HYPERPARAMETERS_DIR": "/mnt/parameters",
        "LYFTLEARN_STATSD_GATEWAY": "localhost:" + platform.rpartition(":")[2],
        "LYFTLEARN_DEADLINE": "10",
    }
    names = imported(starter, **environ)
    check(names)
    # What belongs to a model and a warm pool is not loaded where there is none.
    assert not {name for name in names if "warm" in name or name.endswith((".model", ".download", ".large", "_hashlib"))}
    for module in ("fetch.confidant", "fetch.container", "fetch.http", "adapt.statsd", "volume"):
        assert "lyftlearn_entrypoint." + module in names
    # And all of it did what it is for.
    seen = dict(line.split("=", 1) for line in starter.run("env", env=environ).stdout.decode().splitlines())
    assert (seen["STAGED"], seen["CREDENTIALS_USER"]) == ("yes", "me")
    assert seen["STATSD_HOST"] == "127.0.0.1"
    assert (starter.root / "mnt/secrets/user").read_text() == "me"


def test_a_job_of_a_warm_pool_with_a_model(starter: "Starter", platform: str) -> None:
    starter.training()
    pool = starter.root / "pool"
    pool.mkdir()
    (starter.root / "tmp").mkdir()
    keys = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "made-up", "AWS_ENDPOINT_URL": platform}
    confidant = {
        "LYFTLEARN_CONFIDANT_URL": platform,
        "LYFTLEARN_CONFIDANT_SERVICE": "shop",
        "LYFTLEARN_CONFIDANT_AUTH_KEY": "alias/confidant",
        "LYFTLEARN_CONFIDANT_AUTH_CONTEXT": "confidant",
    }
    digest = hashlib.sha256(b'{"STAGED": "yes"}').hexdigest()
    warm = {
        "SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY": "/pool",
        "LYFTLEARN_MODEL_URI": f"s3://bucket/model#sha256={digest}",
        "LYFTLEARN_WARM_CODE_KEY": "CREDENTIALS_KEY",
        "LYFTLEARN_IMAGE_DIGEST": "sha256:" + "0" * 64,
    }
    environ = {**keys, **confidant, **warm, "LYFTLEARN_STEPS": "credentials,model,code"}
    names = imported(starter, **environ)
    check(names)
    assert {"lyftlearn_entrypoint.fetch.download", "lyftlearn_entrypoint.warm.models", "lyftlearn_entrypoint.warm.code"} <= names
    assert (pool / "lyftlearn/models" / digest).exists()
    names = imported(starter, **environ)  # and now it is there
    check(names)
    assert "lyftlearn_entrypoint.fetch.download" not in names
    seen = dict(line.split("=", 1) for line in starter.run("env", env=environ).stdout.decode().splitlines())
    assert seen["LYFTLEARN_CODE_DIR"] == f"{starter.root}/tmp/lyftlearn-code-{os.geteuid()}"


def test_the_probe_sees_what_is_imported(starter: "Starter", tmp_path: Path) -> None:
    """Otherwise the tests above could not fail."""
    shutil.copytree(
        Path(lyftlearn_entrypoint.__file__).parent,
        tmp_path / "lib/lyftlearn_entrypoint",
        ignore=shutil.ignore_patterns("__pycache__", "start.*"),
    )
    (tmp_path / "bin").mkdir()
    shutil.copy(starter.words[-1], tmp_path / "bin/lyftlearn-entrypoint")
    starter.words[-1] = str(tmp_path / "bin/lyftlearn-entrypoint")
    check(imported(starter))
    with (tmp_path / "lib/lyftlearn_entrypoint/boot.py").open("a") as file:
        file.write("\nimport json\n")
    with pytest.raises(AssertionError):
        check(imported(starter))


HOSTILE = """
import os, sys
with open({marker!r}, "a") as file:
    file.write(" ".join(sys.orig_argv) + chr(10))
"""


def test_nothing_of_the_users_runs_before_the_program(starter: "Starter", tmp_path: Path) -> None:
    """PYTHONPATH and what hangs on it reach the user's program, where they run once, and not us."""
    hostile, marker = tmp_path / "hostile", tmp_path / "marker"
    hostile.mkdir()
    for name in ("sitecustomize", "usercustomize", "posix", "marshal", "json", "_json", "lyftlearn_entrypoint", "pwd", "_signal"):
        (hostile / f"{name}.py").write_text(HOSTILE.format(marker=str(marker)))
    (hostile / "run.pth").write_text(f"import os; open({str(marker)!r}, 'a').write('pth\\n')\n")
    starter.training()
    starter.channel('{"STAGED": "yes"}', '{"depth": 3}')
    variables = {
        "PYTHONPATH": str(hostile),
        "PYTHONSTARTUP": str(hostile / "json.py"),
        "PYTHONUSERBASE": str(hostile),
        "PYTHONBREAKPOINT": "json.breakpoint",
        "PYTHONINSPECT": "1",
        "PYTHONVERBOSE": "1",
    }
    done = starter.run("sh", "-c", "echo $PYTHONPATH", env=variables, cwd=hostile)
    assert (done.returncode, done.stdout) == (0, f"{hostile}\n".encode())
    assert b"# code object" not in done.stderr  # PYTHONVERBOSE
    assert not marker.exists()
    program = [os.path.realpath(sys.executable), "-c", "import sys; sys.exit(4)"]
    done = starter.run(*program, env={"PYTHONPATH": str(hostile)}, cwd=hostile)
    assert done.returncode == 4
    assert marker.read_text().splitlines()[0] == " ".join(program)
    assert str(starter.words[-1]) not in marker.read_text()


def test_nothing_is_written_beside_the_users_files(starter: "Starter", tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    assert starter.run("true", cwd=work).returncode == 0
    assert list(work.iterdir()) == []
    assert list(Path(starter.environ["HOME"]).iterdir()) == []
