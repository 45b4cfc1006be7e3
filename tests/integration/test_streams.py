"""Standard streams that are closed, broken or full stop no start, and no line of the log goes where it was not meant to."""

import itertools
import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Starter

ALL = [closed for count in range(4) for closed in itertools.combinations((0, 1, 2), count)]
# Writes to the file in $1 which of its standard streams are open.
REPORT = 'for n in 0 1 2; do if [ -e /proc/$$/fd/$n ]; then eval "open=\\"\\$open $n\\""; fi; done; exec 9>"$0"; echo "open$open" >&9'


def closing(closed: tuple[int, ...]) -> list[str | bytes]:
    """Words that start what follows with these descriptors closed."""
    return ["sh", "-c", 'exec "$@" ' + " ".join(f"{number}>&-" for number in closed), "sh"]


@pytest.fixture
def job(starter: "Starter", tmp_path: Path) -> "Starter":
    """A job that logs all it can and writes all the files that it can."""
    starter.training()
    starter.channel('{"STAGED": "yes"}', json.dumps({"depth": 3, "names": ["a", "b"]}))
    starter.environ |= {
        "LYFTLEARN_LOG_LEVEL": "debug",
        "LYFTLEARN_TRACE": "/trace.json",
        "LYFTLEARN_HYPERPARAMETERS_DIR": "/mnt/hyperparameters",
        "LYFTLEARN_CONFIDENT_URL": "a setting that is none: one warning more",
    }
    return starter


def regular_files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file() and not path.is_symlink()}


@pytest.mark.parametrize("closed", ALL, ids=str)
def test_closed_streams(job: "Starter", tmp_path: Path, closed: tuple[int, ...]) -> None:
    report = tmp_path / "report"
    done = job.run("sh", "-c", REPORT, str(report), before=closing(closed))
    assert done.returncode == 0
    still_open = " ".join(str(number) for number in (0, 1, 2) if number not in closed)
    assert report.read_text().split() == ["open", *still_open.split()]
    for name, content in regular_files(tmp_path).items():
        assert b"lyftlearn-entrypoint:" not in content, name
    assert json.loads((tmp_path / "opt/ml/input/config/hyperparameters.json").read_bytes()) == {"depth": "3", "names": '["a","b"]'}
    assert json.loads((tmp_path / "trace.json").read_bytes())
    assert (tmp_path / "mnt/hyperparameters/depth").read_bytes() == b"3"
    assert done.stdout == b""  # the log is on stderr, always
    assert (b"lyftlearn-entrypoint: " in done.stderr) == (2 not in closed)


@pytest.mark.parametrize("closed", ALL, ids=str)
def test_closed_streams_and_a_start_that_fails(job: "Starter", tmp_path: Path, closed: tuple[int, ...]) -> None:
    done = job.run("no-such-program", before=closing(closed), env={"LYFTLEARN_ENV_KEEP": "*"})
    assert done.returncode == 127
    failure = (tmp_path / "opt/ml/output/failure").read_text()
    assert failure.startswith("lyftlearn-entrypoint: no-such-program: command not found on PATH")
    assert failure.count("lyftlearn-entrypoint:") == 1


def held(pid: int) -> dict[str, str]:
    """What each descriptor of a process is. One that it closes meanwhile is left out."""
    found = {}
    for number in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[number] = os.readlink(f"/proc/{pid}/fd/{number}")
        except FileNotFoundError:
            pass
    return found


@pytest.mark.parametrize("closed", ALL[1:], ids=str)
def test_no_connection_gets_the_number_of_a_closed_stream(starter: "Starter", closed: tuple[int, ...]) -> None:
    """Or a line of the log would be sent to S3, and a program's output with it."""
    starter.training()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        fetching = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.getsockname()[1]}",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "made-up",
            "LYFTLEARN_ENV_URI": "s3://bucket/key",
        }
        with starter.popen("true", before=closing(closed), env=fetching) as process:
            connection, _ = server.accept()
            try:
                descriptors = held(process.pid)
            finally:
                process.kill()
                connection.close()
    assert {descriptors[str(number)] for number in closed} == {"/dev/null"}
    assert any(target.startswith("socket:") for target in descriptors.values())


# Each makes descriptors of which the first is the stream; the others have to stay open meanwhile.


def broken_pipe() -> list[int]:
    read, write = os.pipe()
    os.close(read)
    return [write]


def broken_socket() -> list[int]:
    near, far = socket.socketpair()
    far.close()
    return [near.detach()]


def full_pipe() -> list[int]:
    """One that nobody reads, and that does not wait."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    try:
        while True:
            os.write(write, b"x" * 65536)
    except BlockingIOError:
        return [write, read]


def read_only() -> list[int]:
    return [os.open("/dev/null", os.O_RDONLY)]


def full_device() -> list[int]:
    return [os.open("/dev/full", os.O_WRONLY)]


@pytest.mark.parametrize("make", [broken_pipe, broken_socket, full_pipe, read_only, full_device])
@pytest.mark.parametrize("form", ["text", "json"])
def test_stderr_that_takes_nothing(job: "Starter", make: Callable[[], list[int]], form: str) -> None:
    made = make()
    stderr = made[0]
    try:
        done = job.run("sh", "-c", "echo ran $STAGED", stderr=stderr, env={"LYFTLEARN_LOG": form})
        assert (done.returncode, done.stdout) == (0, b"ran yes\n")
        done = job.run("/no/such", stderr=stderr, env={"LYFTLEARN_LOG": form})
        assert (done.returncode, done.stdout) == (127, b"")
    finally:
        for descriptor in made:
            os.close(descriptor)


@pytest.mark.parametrize("make", [broken_pipe, full_device])
def test_stdout_that_takes_nothing_is_not_ours(job: "Starter", make: Callable[[], list[int]]) -> None:
    made = make()
    stdout = made[0]
    try:
        done = job.run("sh", "-c", "echo ran $STAGED >&2", stdout=stdout)
        assert done.returncode == 0
        assert done.stderr.endswith(b"ran yes\n")
    finally:
        for descriptor in made:
            os.close(descriptor)


def test_every_line_is_whole_in_both_forms(job: "Starter") -> None:
    text = job.run("true").stderr.decode().splitlines()
    assert len(text) > 3
    assert all(line.startswith("lyftlearn-entrypoint: ") for line in text)
    records: list[dict[str, Any]] = [json.loads(line) for line in job.run("true", env={"LYFTLEARN_LOG": "json"}).stderr.splitlines()]
    assert len(records) == len(text)
    assert {record["context"] for record in records} == {"sagemaker-training"}


def test_program_writes_where_it_was_sent(job: "Starter", tmp_path: Path) -> None:
    """Files as streams: the offset and the append flag are shared, not opened again."""
    log = tmp_path / "both.log"
    log.write_bytes(b"before\n")
    with log.open("ab") as file:
        done = job.run("sh", "-c", "echo out; echo err >&2", stdout=file, stderr=file)
    assert done.returncode == 0
    lines = log.read_bytes().splitlines()
    assert lines[0] == b"before"
    assert lines[-2:] == [b"out", b"err"]


def test_python_as_program_finds_its_streams(job: "Starter") -> None:
    script = "import sys; print([stream is None for stream in (sys.stdin, sys.stdout, sys.stderr)], file=open('/proc/self/fd/1', 'w'))"
    done = job.run(sys.executable, "-I", "-S", "-c", script, before=closing((0, 2)))
    assert done.stdout == b"[True, False, True]\n"
