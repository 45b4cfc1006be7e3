"""`lyftlearn spark reap` where no executor's pod tells that a session has ended: the ConfigMap alone was left."""

import pytest

from tests.images.spark.jobs import PATIENCE, until
from tests.images.test_distributed_kubernetes import WAIT, Notebook, Secured, notebook, secured

__all__ = ["notebook", "secured"]  # fixtures

pytestmark = [pytest.mark.image("distributed"), pytest.mark.slow]

IDLE = "import time; from pyspark.sql import SparkSession; SparkSession.builder.getOrCreate(); print('session there', flush=True); "
IDLE += "time.sleep(600)"


def test_a_config_map_without_a_pod(notebook: Notebook, secured: Secured) -> None:
    """A session that had no executor yet: while it lives its ConfigMap stays, since its executors will need it; its JVM killed, it goes."""
    found = secured.cluster.store.find
    command = f'python -c "{IDLE}" & {WAIT.replace("exec ", "")} lyftlearn spark reap --older-than 0; echo first; '
    command += "kill -9 $(pgrep -f deploy.[S]parkSubmit); while pgrep -f deploy.[S]parkSubmit; do sleep 0.1; done; "
    command += "lyftlearn spark reap --older-than 0; echo second"
    container = notebook.run("sh", "-c", command).expect("has no digest", "WARN|Killed|ERROR")
    container.until("session there", PATIENCE)
    until(lambda: len(found("configmaps")) == 1, "the session's ConfigMap is there", PATIENCE)
    assert secured.cluster.pods() == []
    container.exec("touch", "/tmp/go")
    container.until("second", PATIENCE)
    before, _, after = container.stdout.partition("first")
    assert "removed" not in before
    assert "removed configmap spark-exec-" in after
    assert "nothing was left" in container.log
    assert found("configmaps") == []
