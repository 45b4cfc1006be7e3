"""A process of a cluster: its words, its variables, and its end, with what it started."""

import os
import sys
import time
from pathlib import Path

from lyftlearn_entrypoint.spark import daemon


def test_words() -> None:
    assert daemon.master("/opt/spark", "10.0.0.1")[:4] == [
        "/opt/spark/bin/spark-class",
        "org.apache.spark.deploy.master.Master",
        "--host",
        "10.0.0.1",
    ]
    words = daemon.worker("/opt/spark", "10.0.0.2", "spark://10.0.0.1:7077", 4, 3 << 30, "/tmp/work")
    assert words[-1] == "spark://10.0.0.1:7077"
    assert words[words.index("--memory") + 1] == "3072m"


def test_variables() -> None:
    given = {"SPARK_HOME": "/x", "SPARK_WORKER_CORES": "9", "MINE": "1", "SPARK_DAEMON_JAVA_OPTS": "-Dmine=1"}
    found = daemon.environment(given, 256 << 20)
    assert found == {"MINE": "1", "SPARK_DAEMON_MEMORY": "256m", "SPARK_DAEMON_JAVA_OPTS": "-Dmine=1 -Dspark.master.rest.enabled=false"}


def runs(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_what_it_started_ends_with_it(tmp_path: Path) -> None:
    """An executor that ignores SIGTERM too."""
    program = (
        "import os, signal, time\nif os.fork() == 0:\n    signal.signal(15, signal.SIG_IGN)\n"
        f"    open({str(tmp_path / 'child')!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    )
    made = daemon.Daemon("worker", [sys.executable, "-ISc", program], dict(os.environ), tmp_path / "log")
    while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text():
        time.sleep(0.01)
    child = int((tmp_path / "child").read_text())
    assert made.ended() is None
    made.stop(grace=0.3)
    assert made.ended() == -15
    end = time.monotonic() + 60  # it was killed, and dies when the kernel comes to it
    while runs(child):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_last_words_hold_no_command(tmp_path: Path) -> None:
    program = "print('first'); print('Launch command: java -Dsecret=1'); print('why it ended')"
    made = daemon.Daemon("worker", [sys.executable, "-ISc", program], dict(os.environ), tmp_path / "log")
    made.process.wait(10)
    assert made.ended() == 0
    assert made.last_words() == "first | why it ended"
