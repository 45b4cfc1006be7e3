"""One process of a standalone cluster, Spark's Master or Worker: how it is started, followed and ended.

The program's own output stays clean: what the process prints goes to a file, whose end is told when it fails.
"""

import os
import signal
import subprocess
import time
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

MASTER_PORT = 7077  # Spark's own default (MasterArguments.scala)
GRACE = 5.0  # seconds from SIGTERM to SIGKILL


class Daemon:
    """A running JVM of the cluster, in a process group of its own: a worker's executors are in it too."""

    def __init__(self, name: str, command: "Sequence[str]", environ: "dict[str, str]", log: Path) -> None:
        """Raises OSError when it cannot be started at all."""
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as stream:
            self.process = subprocess.Popen(
                command, env=environ, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
            )

    def ended(self) -> "int | None":
        """Its exit code, as subprocess gives it; None while it runs."""
        return self.process.poll()

    def last_words(self, lines: int = 3) -> str:
        """The end of what it printed, on one line."""
        try:
            with self.log.open("rb") as stream:
                stream.seek(max(stream.seek(0, os.SEEK_END) - 4096, 0))
                text = stream.read().decode("utf-8", "replace")
        except OSError:
            return ""
        # Not the lines that repeat a command: an executor's options are the user's own, and long.
        said = [line.strip()[:300] for line in text.splitlines() if "Launch command:" not in line]
        return " | ".join(said[-lines:])

    def stop(self, grace: float = GRACE) -> None:
        """End it and all that it started: asked first, then killed."""
        for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 1.0)):
            self._signal(number)
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                self.process.poll()
                if not self._signal(0):
                    return
                time.sleep(0.05)

    def _signal(self, number: int) -> bool:
        try:
            os.killpg(self.process.pid, number)
        except OSError:
            return False
        return True


def master(home: str, address: str, port: int = MASTER_PORT) -> "list[str]":
    """The words that start the master. Its web page takes any free port: 8080 is a serving container's own."""
    return [*_class(home, "master.Master"), "--host", address, "--port", str(port), "--webui-port", "0"]


def worker(home: str, address: str, master_url: str, cores: int, memory: int, directory: str) -> "list[str]":
    """The words that start a worker. `memory` in bytes is what it offers to executors' heaps."""
    words = ["--host", address, "--cores", str(cores), "--memory", str(memory >> 20) + "m", "--work-dir", directory]
    return [*_class(home, "worker.Worker"), *words, "--webui-port", "0", master_url]


def environment(environ: "dict[str, str]", heap: int) -> "dict[str, str]":
    """The variables of a cluster's process: the user's own, since executors inherit them, and a heap of so many bytes.

    SPARK_HOME goes: bin/spark-class finds its own. Workers keep the user's SPARK_CONF_DIR.
    """
    gone = ("SPARK_HOME", "SPARK_MASTER_HOST", "SPARK_MASTER_PORT", "SPARK_WORKER_CORES", "SPARK_WORKER_MEMORY", "SPARK_WORKER_PORT")
    kept = {name: value for name, value in environ.items() if name not in gone}
    # The master would take applications from anybody over HTTP too (spark.master.rest.enabled, on since 4.0).
    options = (kept.get("SPARK_DAEMON_JAVA_OPTS", "") + " -Dspark.master.rest.enabled=false").strip()
    return {**kept, "SPARK_DAEMON_MEMORY": str(heap >> 20) + "m", "SPARK_DAEMON_JAVA_OPTS": options}


def _class(home: str, name: str) -> "list[str]":
    """bin/spark-class knows each Spark's own Java options (JavaModuleOptions); pip's Spark has no sbin/start-master.sh."""
    return [home + "/bin/spark-class", "org.apache.spark.deploy." + name]
