"""Two jobs of the base image one after the other on one instance, as in a SageMaker warm pool: what the second need not do again."""

import os
import uuid
from pathlib import Path
from typing import Any

import pytest

from lyftlearn_local.container import TRAINING, Passed
from lyftlearn_local.platform import Platform
from tests.images.conftest import Container, Start
from tests.images.platform_files import Mounted, readable
from tests.images.spark.jobs import until
from tests.integration.job import Bucket, relay

pytestmark = pytest.mark.image
pytest_plugins = ["tests.integration.platform_fixture"]

MODEL = bytes(range(256)) * (80 << 10)  # 20 MiB: two parts
POOL = "/opt/ml/sagemaker/warmpoolcache"
SEES = """
import hashlib, os
path = os.environ["LYFTLEARN_MODEL_FILE"]
print(hashlib.sha256(open(path, "rb").read()).hexdigest(), os.stat(path).st_uid, os.getuid(), oct(os.stat(path).st_mode & 0o777))
"""
# A program that compiles something unless it finds it, and then trains for a while: below tini nothing outlives it.
COMPILES = """
import os, time
path = os.path.join(os.environ["TRITON_CACHE_DIR"], "kernel.so")
print("found" if os.path.exists(path) else "compiled", os.getuid(), flush=True)
os.makedirs(os.path.dirname(path), exist_ok=True)
if not os.path.exists(path):
    open(path, "w").write("machine code")
    pool = os.environ["SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY"]
    end = time.monotonic() + 300
    while time.monotonic() < end and not os.path.exists("/opt/ml/output/saved"):
        time.sleep(0.2)
"""


class Instance:
    """A machine that keeps the pool's directory from job to job; each job is a container of its own, as uid 1000."""

    def __init__(self, start: Start, directory: Path) -> None:
        self._start = start
        self._directory = readable(directory)
        self.pool = directory / "pool"
        self.pool.mkdir()

    def job(self, program: str, variables: "dict[str, str]", words: "tuple[str, ...]" = (), **options: Any) -> "tuple[Container, Mounted]":
        given = {"LYFTLEARN_USER": "lyftlearn", "SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY": POOL, **variables}
        made = Mounted(readable(self._directory / uuid.uuid4().hex[:6]), TRAINING, Passed(given, {}, []))
        how = made.options(Path(__file__).parent)
        how["environment"].update({"LYFTLEARN_STATSD_GATEWAY": "", "AWS_EC2_METADATA_DISABLED": "true", **given})
        if POOL not in options.get("tmpfs", {}):
            how["volumes"][str(self.pool)] = {"bind": POOL, "mode": "rw"}
        name = "lyftlearn-warm-" + uuid.uuid4().hex[:8]
        return self._start("python", "-I", "-c", program, *words, name=name, **{**how, **options}), made


@pytest.fixture
def instance(start: Start, tmp_path: Path) -> Instance:
    return Instance(start, tmp_path)


def pointers(platform: Platform, service: str = "") -> "dict[str, str]":
    given = {name: value for name, value in platform.pointers(service).items() if "STATSD" not in name}
    return {**given, "LYFTLEARN_STATSD_RELAY": "off"}


def test_the_second_job_does_not_ask_for_the_model(instance: Instance, platform: Platform, bucket: Bucket) -> None:
    uri = bucket.put(None, "model.bin", raw=MODEL, digest=True)
    expected = f"{uri.rpartition('=')[2]} 1000 1000 0o644\n"
    with relay(platform.aws_url) as s3:
        given = {**pointers(platform), "LYFTLEARN_MODEL_URI": uri, "AWS_ENDPOINT_URL_S3": s3.url}
        first, _ = instance.job(SEES, given, network_mode="host")
        assert first.wait() == 0, first.log
        asked = len(s3.requests)
    assert first.stdout == expected
    assert asked == 2
    assert f"from S3, {len(MODEL)} bytes" in first.log
    # Without a network or credentials: there is nobody whom it could ask.
    second, _ = instance.job(SEES, {"LYFTLEARN_MODEL_URI": uri})
    assert second.wait() == 0, second.log
    assert second.stdout == expected
    assert f"from the warm pool, {len(MODEL)} bytes" in second.log


def test_a_pool_that_is_full_or_read_only(instance: Instance, platform: Platform, bucket: Bucket) -> None:
    uri = bucket.put(None, "model.bin", raw=MODEL, digest=True)
    given = {**pointers(platform), "LYFTLEARN_MODEL_URI": uri}
    small, _ = instance.job(SEES, given, network_mode="host", tmpfs={POOL: "size=10m"})
    assert small.wait() == 0, small.log
    assert "the warm pool has no room" in small.log
    other, _ = instance.job(SEES, given, network_mode="host", tmpfs={POOL: "ro,size=10m"})
    other.expect("warning: model: the warm pool does not take it: Read-only file system")
    assert other.wait() == 0, other.log
    assert "does not take it" in other.log


def test_the_second_job_finds_what_the_first_compiled(instance: Instance, platform: Platform) -> None:
    platform.confidant.service("warm", [platform.confidant.credential({"pool_key": uuid.uuid4().hex + uuid.uuid4().hex}, "")])
    given = {
        **pointers(platform, "warm"),
        "LYFTLEARN_WARM_CODE_KEY": "CREDENTIALS_POOL_KEY",
        "LYFTLEARN_IMAGE_DIGEST": "sha256:" + "0" * 64,
    }
    first, job = instance.job(COMPILES, given, network_mode="host")
    first.until("compiled 1000")

    def saver() -> bool:
        lines = first.exec("ps", "-eo", "uid,ni,args")[1].splitlines()
        return any(line.split()[:2] == ["1000", "19"] and "lyftlearn-warm-saver" in line for line in lines)

    until(saver, "the saver runs as the user, and gives way to all others")
    end_of(first, instance.pool)
    (job.ml / "output/saved").write_bytes(b"")
    assert first.wait() == 0, first.log
    second, _ = instance.job(COMPILES, given, network_mode="host")
    assert second.wait() == 0, second.log
    assert second.stdout == "found 1000\n"
    assert "code: 1 files" in second.log


def end_of(container: Container, pool: Path) -> None:
    """Wait until the saver has saved all that there is: it may have saved before, while a compiler was thinking.

    The pack's directory is the program's alone.
    """
    import time

    packs = f"{POOL}/lyftlearn/code/*/pack"
    whole = f'test -e {packs} && test -z "$(find /tmp/lyftlearn-code-1000 -type f -newer {packs})"'
    end = time.monotonic() + 240
    while container.exec("sh", "-c", whole, user="0")[0] != 0:
        assert time.monotonic() < end, container.log
        time.sleep(0.5)
    assert os.listdir(pool) == ["lyftlearn"]
