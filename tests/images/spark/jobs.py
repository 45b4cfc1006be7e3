"""How the tests start the image with Spark: configuration, users, and what a program said at its end."""

import json
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.images.conftest import Container

PROGRAMS = Path(__file__).parent / "programs"
ANY_UID = "1000680000:0"
# A pod under the restricted profile, as in test_base_pod. Docker mounts a tmpfs noexec unless told otherwise, Kubernetes does not; and
# Spark loads native libraries (snappy, zstd) from there.
RESTRICTED: "dict[str, Any]" = {
    "user": ANY_UID,
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "tmpfs": {"/tmp": "mode=1777,exec"},
}
QUIET = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false"}
# A job takes 10 s on an idle machine with two cores. On one that has much else to do it took 160.
PATIENCE = 300
SUITE_PATIENCE = 2 * PATIENCE  # programs/suite.py: six jobs
# On a machine that has much else to do, a JVM may need longer for its first request than Spark's own 10 s.
PATIENT = {"spark.kubernetes.driver.connectionTimeout": "120000", "spark.kubernetes.driver.requestTimeout": "120000"}
# These tests ask who works where, not how fast: a job of some seconds spends half of its processors' time on compiling itself once more.
# Those of sessions and of memory (test_distributed_session.py, test_distributed_fill.py) have what users have, but for the
# daemons of a cluster of hosts.
_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
QUICK = {"spark.driver.extraJavaOptions": _JAVA, "spark.executor.extraJavaOptions": _JAVA}
QUICK_DAEMONS = {"SPARK_DAEMON_JAVA_OPTS": _JAVA}
# And Spark begins without the executors that have not come after 30 s.
ALL_COME = {"spark.scheduler.maxRegisteredResourcesWaitingTime": f"{PATIENCE}s"}


def mounted(directory: Path, properties: "dict[str, str] | None" = None) -> "dict[str, Any]":
    """Options of docker's SDK: the programs in /code, and these properties as the configuration that any Spark finds."""
    conf = directory / "conf"
    conf.mkdir(exist_ok=True)
    for path in (directory, conf):
        path.chmod(0o755)
    lines = "".join(f"{name} {value}\n" for name, value in {**QUIET, **(properties or {})}.items())
    (conf / "spark-defaults.conf").write_text(lines)
    volumes = {str(PROGRAMS): {"bind": "/code", "mode": "ro"}, str(conf): {"bind": "/conf", "mode": "ro"}}
    return {"volumes": volumes, "environment": {"SPARK_CONF_DIR": "/conf"}}


def submitted(properties: "dict[str, str]") -> "dict[str, str]":
    """The variable by which a user gives Spark properties without a file."""
    return {
        "PYSPARK_SUBMIT_ARGS": shlex.join(word for item in properties.items() for word in ("--conf", "=".join(item))) + " pyspark-shell"
    }


def facts(container: "Container", seconds: int = PATIENCE) -> "dict[str, Any]":
    """What the program printed last, once it has ended well."""
    assert container.wait(seconds) == 0, container.log
    result: dict[str, Any] = json.loads(container.stdout.splitlines()[-1])
    return result


def right(found: "dict[str, Any]") -> None:
    """Fails unless programs/job.py computed what it computes wherever it runs."""
    words = {str(word): 28_572 if word < 3 else 28_571 for word in range(7)}
    expected = {"scaled": 9_990_000, "half": 249_750.0, "words": words, "large": 9 << 20, "pandas": 499_500}
    assert {name: found[name] for name in expected} == expected


def suite_right(found: "dict[str, Any]") -> None:
    """Fails unless programs/suite.py computed what it computes wherever it runs. The shuffle has a few bytes around each record."""
    expected: dict[str, dict[str, Any]] = {
        "words": {"to": 15_000, "be": 10_000, "different": 14},
        "udf": {"sum": sum(number % 97 * 3 for number in range(200_000))},
        "shuffle": {"records": 200, "right": True},
        "pandas": {"rows": 400_000, "right": True, "megabytes": 51},
        "broadcast": {"right": True},
        "parquet": {"rows": 500_000, "sum": sum(range(3, 500_000, 4))},
    }
    assert {job: {name: found[job][name] for name in facts} for job, facts in expected.items()} == expected
    assert 200 <= found["shuffle"]["megabytes"] < 250


def until(condition: "Callable[[], object]", what: str, seconds: float = PATIENCE) -> float:
    """Wait for it, so long at most. The seconds that it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + seconds, f"not within {seconds} s: {what}"
        time.sleep(0.1)
    return time.monotonic() - began


def line_of(client: Any, image: str) -> str:
    """'4' or '3.5': which line of Spark the image has."""
    program = "from importlib.metadata import version; print(version('pyspark'))"
    printed = client.containers.run(image, ["-c", program], entrypoint="/opt/venv/bin/python", remove=True, network_mode="none")
    major, minor = printed.decode().split(".")[:2]
    return "4" if major == "4" else f"{major}.{minor}"


def only(line: str, wanted: str) -> None:
    """Leave a test out that holds for one line of Spark alone. It is no skip: there is nothing to do."""
    if line != wanted:
        pytest.xfail(f"for Spark {wanted}; this image has {line}")
