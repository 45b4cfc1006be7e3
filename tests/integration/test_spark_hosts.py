"""A job's hosts, with keepers that are real processes and a Spark that only stands and listens: who starts, waits and ends, and how."""

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lyftlearn_entrypoint.spark import link

if TYPE_CHECKING:
    import subprocess

    from tests.integration.conftest import Need, Starter

# A stand-in for bin/spark-class: it leaves its words and lives; the master listens, as Spark's does.
STAND_IN = """#!{python} -IS
import socket, sys, time
words = sys.argv[1:]
with open({log!r}, "a") as file:
    file.write(" ".join(words) + chr(10))
if words[0].endswith("Master"):
    listener = socket.create_server((words[words.index("--host") + 1], int(words[words.index("--port") + 1])))
time.sleep(600)
"""


class Job:
    """Two hosts of one job, on this machine: the primary is `localhost`, the other `other`. Each has a root of its own."""

    def __init__(self, starter: "Starter", directory: Path) -> None:
        self.starter = starter
        self.directory = directory
        self.log = directory / "spark.log"
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, host: str, *argv: str, **settings: str) -> "subprocess.Popen[bytes]":
        root = self.directory / host
        for path in ("opt/spark/jars", "opt/spark/bin", "tmp", "sys/class/net/lo"):
            (root / path).mkdir(parents=True, exist_ok=True)
        program = root / "opt/spark/bin/spark-class"
        program.write_text(STAND_IN.format(python=os.path.realpath(sys.executable), log=str(self.log)))
        program.chmod(0o755)
        self.starter.root = root
        self.starter.training()
        config = root / "opt/ml/input/config/resourceconfig.json"
        config.write_text(f'{{"current_host": "{host}", "hosts": ["other", "localhost"], "network_interface_name": "lo"}}')
        made = self.starter.popen(*argv, env={"LYFTLEARN_ROOT": str(root), **settings})
        self.running.append(made)
        return made

    def said(self, process: "subprocess.Popen[bytes]", seconds: float = 120) -> "tuple[int, str]":
        _, err = process.communicate(timeout=seconds)
        return process.returncode, err.decode()

    def until(self, text: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not self.log.exists() or text not in self.log.read_text():
            assert time.monotonic() < end, f"no {text} after {seconds} s"
            time.sleep(0.05)


def free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def status(pid: int, name: str) -> str:
    """One line of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split(":", 1)[1].strip() for line in lines if line.startswith(name + ":"))


@pytest.fixture
def job(starter: "Starter", tmp_path: Path, need: "Need") -> Iterator[Job]:
    need(all(free(port) for port in (link.PORT, 7077)), "ports 7070 and 7077 are taken on this machine")
    made = Job(starter, tmp_path)
    yield made
    for process in made.running:
        if process.poll() is None:
            process.terminate()  # not killed: a keeper ends what it has started
        print(process.returncode, process.communicate()[1].decode())  # shown where the test fails
    end = time.monotonic() + 60
    while not all(free(port) for port in (link.PORT, 7077)):  # a keeper ends its cluster when the program has ended
        assert time.monotonic() < end, "a keeper was left"
        time.sleep(0.1)


@pytest.mark.parametrize("code", [0, 3])
def test_the_others_end_well_with_the_primary_whatever_its_result(job: Job, code: int) -> None:
    other = job.start("other", "false")  # the program runs on the primary alone
    primary = job.start("localhost", "sh", "-c", f"while [ ! -e {job.directory}/go ]; do sleep 0.05; done; exit {code}")
    job.until("deploy.worker.Worker --host 127.0.0.1")
    words = job.log.read_text()
    assert words.count("deploy.master.Master --host 127.0.0.1 --port 7077") == 1
    (job.directory / "go").touch()
    assert job.said(primary)[0] == code
    began = time.monotonic()
    ended, said = job.said(other)
    assert ended == 0
    assert time.monotonic() - began < 12  # a primary that says nothing counts as gone after 15
    assert "localhost runs the program; this host, other, works for it" in said
    assert "the primary has ended" in said or "the primary is gone" in said


def test_a_primary_that_is_killed(job: Job) -> None:
    primary = job.start("localhost", "sleep", "600")
    other = job.start("other", "false")
    job.until("spark://localhost:7077")
    primary.send_signal(signal.SIGKILL)
    assert job.said(other)[0] == 0


def test_a_primary_that_never_came(job: Job) -> None:
    code, said = job.said(job.start("other", "true", LYFTLEARN_SPARK_WAIT="1"))
    assert code == 69
    assert "the primary, localhost, never came: port 7070 does not answer" in said
    assert not job.log.exists()


def test_a_host_that_is_stopped_while_it_waits(job: Job) -> None:
    other = job.start("other", "true")
    until = time.monotonic() + 60
    while not int(status(other.pid, "SigCgt"), 16) >> signal.SIGTERM - 1 & 1:  # until the keeper listens to it
        assert time.monotonic() < until
        time.sleep(0.05)
    other.send_signal(signal.SIGTERM)
    assert job.said(other)[0] == 128 + signal.SIGTERM


def test_a_cluster_that_cannot_start(job: Job) -> None:
    """Another program has the master's port: the program does not start without its cluster."""
    with socket.create_server(("127.0.0.1", link.PORT)):
        code, said = job.said(job.start("localhost", "true"))
    assert code == 69
    assert "Address already in use" in said
    assert "Spark's cluster did not start on this host" in said


def test_the_program_sees_its_cluster(job: Job) -> None:
    job.start("other", "false")
    primary = job.start(
        "localhost", "sh", "-c", "cat $SPARK_CONF_DIR/spark-defaults.conf; env | grep -c ^LYFTLEARN_SPARK; cat /proc/$$/comm"
    )
    out, _ = primary.communicate(timeout=120)
    assert b"spark.master spark://127.0.0.1:7077\n" in out
    assert b"\n0\nsh\n" in out


def test_the_program_waits_for_the_hosts(job: Job) -> None:
    """Were it over before the other host has come, that host would wait for a primary that has been."""
    primary = job.start("localhost", "true")
    job.until("Master")
    time.sleep(1)
    assert primary.poll() is None
    other = job.start("other", "false")
    assert job.said(primary)[0] == 0
    assert job.said(other)[0] == 0


def test_a_start_that_is_stopped_while_it_waits_for_the_hosts(job: Job) -> None:
    primary = job.start("localhost", "true")
    job.until("Master")
    primary.send_signal(signal.SIGTERM)
    assert job.said(primary)[0] == -signal.SIGTERM  # no first process here: the signal's own default


def test_a_link_that_falls_silent() -> None:
    """A network that is gone without a word: after link.GONE seconds of silence the primary counts as gone."""
    now = [0.0]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        worker = link.Worker("127.0.0.1", listener.getsockname()[1], lambda: now[0])
        assert worker.connect(1) == ""
        there: Any = listener.accept()[0]
        with there:
            now[0] = link.GONE - 1
            assert worker.alive()
            there.sendall(link.ALIVE)
            time.sleep(0.1)
            assert worker.alive()
            now[0] += link.GONE - 1
            assert worker.alive()
            now[0] += 2
            assert not worker.alive()
            assert not worker.ended
