"""Signals, with real processes: they reach the program, and end a start that waits, as PID 1 and under tini too."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Starter, Words

CAUGHT = ("HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "WINCH", "PIPE", "ALRM", "XFSZ", "TSTP")
# Says that it is ready, then which signal came, and ends with 3.
LISTEN = "for s in " + " ".join(CAUGHT) + '; do trap "echo got $s; exit 3" $s; done; echo ready $$; while :; do sleep 0.02; done'
SOON = 20.0  # seconds: far from the 60 of the deadline, and within the 30 that a stopping pod gets


def child_of(pid: int) -> int:
    """The one child of a process, once it has one."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children:
            return int(children[0])
        time.sleep(0.005)
    raise AssertionError(f"process {pid} has no child")


def end(process: "subprocess.Popen[bytes]", number: int, target: int) -> tuple[bytes, bytes, float]:
    """Send the signal; what was written until the end, and the seconds to it."""
    began = time.monotonic()
    os.kill(target, number)
    try:
        out, err = process.communicate(timeout=50)
    except subprocess.TimeoutExpired:
        os.kill(target, signal.SIGKILL)
        process.communicate()
        raise
    return out, err, time.monotonic() - began


def ready(process: "subprocess.Popen[bytes]") -> int:
    """Wait until LISTEN runs; its PID as it sees it."""
    assert process.stdout is not None
    word, pid = process.stdout.readline().split()
    assert word == b"ready"
    return int(pid)


@pytest.fixture
def hanging(starter: "Starter") -> Iterator[socket.socket]:
    """A server that takes connections and never answers, and a job that asks it for its environment."""
    starter.training()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        starter.environ |= {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.getsockname()[1]}",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "made-up",
            "LYFTLEARN_ENV_URI": "s3://bucket/key",
        }
        yield server


@pytest.mark.parametrize("name", CAUGHT)
def test_signal_reaches_the_program(starter: "Starter", name: str) -> None:
    with starter.popen("sh", "-c", LISTEN) as process:
        assert ready(process) == process.pid
        out, err, _ = end(process, signal.Signals["SIG" + name], process.pid)
    assert (process.returncode, out, err) == (3, b"got " + name.encode() + b"\n", b"")


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "KILL", "USR1"])
def test_program_without_a_handler_dies_of_it(starter: "Starter", name: str) -> None:
    with starter.popen("sh", "-c", "echo ready $$; exec sleep 60") as process:
        ready(process)
        end(process, signal.Signals["SIG" + name], process.pid)
    assert process.returncode == -signal.Signals["SIG" + name]


def test_group_of_processes_is_the_programs(starter: "Starter") -> None:
    """A supervisor stops a whole group: nothing of a start lies between."""
    with starter.popen("sh", "-c", "sleep 60 & echo ready $$; wait", start_new_session=True) as process:
        ready(process)
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(timeout=50) == -signal.SIGTERM


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT"])
def test_a_start_that_waits_ends_at_once(starter: "Starter", hanging: socket.socket, name: str) -> None:
    before: list[str | bytes] = ["sh", "-c", 'ulimit -c 0; exec "$@"', "sh"]
    with starter.popen("echo", "ran", before=before) as process:
        connection, _ = hanging.accept()
        with connection:
            out, err, seconds = end(process, signal.Signals["SIG" + name], process.pid)
    assert process.returncode == -signal.Signals["SIG" + name]
    assert seconds < SOON
    assert out == b""
    assert b"Traceback" not in err


def test_ignored_signal_stays_ignored(starter: "Starter", hanging: socket.socket) -> None:
    """nohup, and a shell's background jobs: whoever started us chose that."""
    before: list[str | bytes] = ["sh", "-c", 'trap "" INT HUP; exec "$@"', "sh"]
    with starter.popen("echo", "ran", before=before) as process:
        connection, _ = hanging.accept()
        with connection:
            for number in (signal.SIGINT, signal.SIGHUP):
                process.send_signal(number)
            time.sleep(0.2)
            assert process.poll() is None
            end(process, signal.SIGTERM, process.pid)
    assert process.returncode == -signal.SIGTERM


# As PID 1 the kernel drops a signal that has no handler, so each of these can fail where the ones above pass.


def test_first_process_becomes_the_program(starter: "Starter", first_process: "Words") -> None:
    done = starter.run("sh", "-c", "echo $$; cat /proc/$$/comm; exit 9", before=first_process)
    assert (done.returncode, done.stdout, done.stderr) == (9, b"1\nsh\n", b"")


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "USR1"])
def test_first_process_gets_the_signal(starter: "Starter", first_process: "Words", name: str) -> None:
    with starter.popen("sh", "-c", LISTEN, before=first_process) as process:
        assert ready(process) == 1
        out, _, _ = end(process, signal.Signals["SIG" + name], child_of(process.pid))
    assert (process.returncode, out) == (3, b"got " + name.encode() + b"\n")


@pytest.mark.parametrize(("name", "code"), [("TERM", 143), ("INT", 130)])
def test_first_process_that_waits_ends_at_once(
    starter: "Starter", hanging: socket.socket, first_process: "Words", name: str, code: int
) -> None:
    with starter.popen("echo", "ran", before=first_process) as process:
        connection, _ = hanging.accept()
        with connection:
            out, err, seconds = end(process, signal.Signals["SIG" + name], child_of(process.pid))
    assert process.returncode == code
    assert seconds < SOON
    assert out == b""
    assert b"Traceback" not in err


def test_first_process_that_ignores_term_keeps_it_ignored(starter: "Starter", first_process: "Words") -> None:
    before: list[str | bytes] = [*first_process, "sh", "-c", 'trap "" TERM; exec "$@"', "sh"]
    out = starter.run("grep", "SigIgn", "/proc/self/status", before=before).stdout
    assert int(out.split()[1], 16) == 1 << signal.SIGTERM - 1


def test_first_process_hands_on_dispositions(starter: "Starter", first_process: "Words") -> None:
    program = ("grep", "-E", "^Sig(Ign|Cgt|Blk):", "/proc/self/status")
    starter.training()
    starter.channel('{"STAGED": "yes"}', "{}")
    assert starter.run(*program, before=first_process).stdout == starter.direct(*program, before=first_process).stdout


@pytest.fixture
def tini(need: Callable[[object, str], None]) -> str:
    found = next((word for word in ("tini", "docker-init", "dumb-init", "catatonit") if shutil.which(word)), "")
    need(found, "no init for containers (Debian: tini) is there")
    return found


def test_under_an_init_the_program_is_its_child(starter: "Starter", first_process: "Words", tini: str) -> None:
    """As `docker run --init` and SageMaker itself start a container."""
    done = starter.run("sh", "-c", "cat /proc/1/comm; echo $PPID; exit 9", before=[*first_process, tini, "--"])
    assert (done.returncode, done.stdout, done.stderr) == (9, tini.encode() + b"\n1\n", b"")


def test_under_an_init_the_signal_reaches_the_program(starter: "Starter", first_process: "Words", tini: str) -> None:
    with starter.popen("sh", "-c", LISTEN, before=[*first_process, tini, "--"]) as process:
        assert ready(process) > 1
        out, _, _ = end(process, signal.SIGTERM, child_of(process.pid))
    assert (process.returncode, out) == (3, b"got TERM\n")


def test_under_an_init_a_start_that_waits_ends_at_once(
    starter: "Starter", hanging: socket.socket, first_process: "Words", tini: str
) -> None:
    with starter.popen("echo", "ran", before=[*first_process, tini, "--"]) as process:
        connection, _ = hanging.accept()
        with connection:
            out, err, seconds = end(process, signal.SIGTERM, child_of(process.pid))
    assert process.returncode == 143
    assert seconds < SOON
    assert (out, err) == (b"", b"")


def test_under_an_init_what_cannot_be_run_keeps_its_code(starter: "Starter", first_process: "Words", tini: str) -> None:
    for command, code in (("no-such-program", 127), ("/", 126)):
        assert starter.run(command, before=[*first_process, tini, "--"]).returncode == code


def test_zombies_of_the_program_are_its_own_affair(starter: "Starter", first_process: "Words") -> None:
    """No SIGCHLD handling of ours is left: a program that reaps nothing sees its zombies, and one that waits gets its child's code."""
    script = "import os; pid = os.fork() or os._exit(5); print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    assert starter.run(sys.executable, "-I", "-S", "-c", script, before=first_process).stdout == b"5\n"
