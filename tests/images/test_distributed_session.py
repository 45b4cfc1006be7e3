"""Plain `SparkSession.builder.getOrCreate()` in the image with Spark, by users and in places as the platforms give them."""

import re
from pathlib import Path

import pytest

from lyftlearn_local.container import TRAINING, Passed
from tests.images.conftest import Start
from tests.images.platform_files import Mounted, readable
from tests.images.spark.jobs import PROGRAMS, RESTRICTED, facts, mounted, right

pytestmark = [pytest.mark.image("distributed"), pytest.mark.slow]


def test_a_pod_of_any_user(start: Start, distributed: str, tmp_path: Path) -> None:
    """A read-only root file system, no capability, a uid that the image does not know, and no network but loopback."""
    options = mounted(tmp_path)
    options["environment"] |= {"KUBERNETES_SERVICE_HOST": "10.100.0.1"}
    found = facts(start("python", "/code/job.py", image=distributed, **RESTRICTED, **options))
    right(found)
    assert found["master"] == "local[*]"
    assert found["user"] == found["os_user"] == "user1000680000"
    assert found["workers"] == [["user1000680000", "kubernetes", "/opt/venv/bin/python3", "/tmp/home-1000680000"]]
    assert [part for part in found["local_dirs"] if not part.startswith("/tmp")] == []


def test_a_training_job(start: Start, distributed: str, tmp_path: Path) -> None:
    """As SageMaker starts it: root, `train`, and the program as 1000:100."""
    given = {"LYFTLEARN_TRAIN_COMMAND": "python /code/job.py", "LYFTLEARN_USER": "lyftlearn"}
    job = Mounted(readable(tmp_path), TRAINING, Passed(given, {}, ["train"]))
    options, spark = job.options(PROGRAMS), mounted(tmp_path)
    for name, value in spark.items():
        options[name] |= value
    found = facts(start("train", image=distributed, **options))
    right(found)
    assert (found["user"], found["os_user"]) == ("lyftlearn", "lyftlearn")
    assert found["workers"] == [["lyftlearn", "sagemaker-training", "/opt/venv/bin/python3", "/home/sagemaker-user"]]


def test_a_notebooks_user_with_spark_submit(start: Start, distributed: str, tmp_path: Path) -> None:
    options = mounted(tmp_path, {"spark.eventLog.enabled": "true", "spark.eventLog.dir": "file:///tmp"})
    container = start("sh", "-c", "spark-submit /code/job.py && ls /tmp >&2", image=distributed, user="1000:100", **options)
    found = facts(container)
    right(found)
    assert found["user"] == "lyftlearn"
    assert re.search(r"^(eventlog_v2_)?local-\d+", container.log, re.MULTILINE)


def test_a_standalone_cluster(start: Start, distributed: str, tmp_path: Path) -> None:
    """Master and worker by spark-class, as pip's Spark has no scripts for them; both write below /tmp alone."""
    script = (
        "spark-class org.apache.spark.deploy.master.Master --host 127.0.0.1 --port 7077 >/tmp/master 2>&1 & "
        "spark-class org.apache.spark.deploy.worker.Worker --host 127.0.0.1 -c 2 -m 1g spark://127.0.0.1:7077 >/tmp/worker 2>&1 & "
        "python /code/job.py; code=$?; ls /tmp/spark-work >&2; [ $code = 0 ] || cat /tmp/master /tmp/worker >&2; kill %1 %2; exit $code"
    )
    properties = {"spark.master": "spark://127.0.0.1:7077", "spark.driver.host": "127.0.0.1", "spark.executor.memory": "512m"}
    container = start("sh", "-c", script, image=distributed, **RESTRICTED, **mounted(tmp_path, properties))
    found = facts(container)
    right(found)
    assert found["executors"] == 1
    assert "app-" in container.log
