"""A container's life: our own child, the real stop sequence, the reason read back, with and without private mounts."""

import os
import sys
import time
from pathlib import Path

from lyftlearn_local.container import ENDPOINT, TRAINING, Container, Passed, contain
from lyftlearn_local.job import Job, private_mounts
from lyftlearn_local.run import launcher

MOUNTS = private_mounts()
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


def container(command: "list[str]", context: str = TRAINING) -> Container:
    return contain(context, "job", Passed({}, {}, command), {"PATH": PATH}, "", 1)


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_program_that_ignores_sigterm_is_killed_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pid"
    made = container(["sh", "-c", f"trap '' TERM; sleep 300 & echo $! > {pids}; echo $! >&2; sleep 300; sleep 300"])
    made.grace = 0.5
    said: list[str] = []
    with Job(made, launcher(), MOUNTS, said.append) as job:
        job.start()
        while not (pids.exists() and pids.read_text().strip()):
            assert job.process is not None
            assert job.process.poll() is None
        ended = job.wait(stop_after=0.1)
    assert (ended.code, ended.killed, ended.status) == (137, True, "Stopped")
    assert said[-1] == "still running 0.5 s after SIGTERM: SIGKILL"
    end = time.monotonic() + 60  # it was killed, and dies when the kernel comes to it
    while runs(int(pids.read_text())):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_program_is_our_own_child() -> None:
    made = container(["sh", "-c", "echo $PPID $$ > ${OUT}"])
    with Job(made, launcher(), MOUNTS, print) as job:
        made.environ["OUT"] = str(job.root / "pids")
        job.start()
        job.wait()
        assert job.process is not None
        assert (job.root / "pids").read_text().split() == [str(os.getpid()), str(job.process.pid)]


def test_reasons_are_cut_as_the_api_cuts_them() -> None:
    with Job(container(["true"]), [], False, print) as job:
        (job.real("/opt/ml/output") / "failure").write_text("é" * 2000)
        reason = job.reason(1)
        assert len(reason) == 1024
        assert reason.startswith("AlgorithmError: é")
        assert job.reason(0) == ""
    with Job(container(["true"], "sagemaker-processing"), [], False, print) as job:
        message = job.real("/opt/ml/output") / "message"
        message.write_text("é" * 2000)
        assert job.reason(0) == "é" * 512
        message.write_bytes(b"\xff")
        assert job.reason(0).startswith("ClientError")


def test_without_mounts_the_entrypoint_works_below_a_root_and_it_is_said(tmp_path: Path) -> None:
    made = container(["sh", "-c", "cat $LYFTLEARN_HYPERPARAMETERS_FILE > $OUT"])
    made.files["/opt/ml/input/config/hyperparameters.json"] = b'{"a":"1"}'
    with Job(made, launcher(), False, print) as job:
        made.environ["OUT"] = str(tmp_path / "out")
        assert "no private mount namespace" in job.difference()
        assert str(job.root) in job.difference()
        job.start()
        assert job.wait().code == 0
    assert (tmp_path / "out").read_text() == '{"a":"1"}'


def test_hosting_stops_after_thirty_seconds_and_jobs_after_two_minutes() -> None:
    assert container(["true"], ENDPOINT).grace == 30
    assert container(["true"]).grace == 120
