"""Whether the process still runs that made a container: only what is surely left over may be removed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lyftlearn_local.containers import owner
from lyftlearn_local.containers.running import _below

ASK = "from lyftlearn_local.containers import owner; print(owner.me(), flush=True)"


def test_this_process_runs() -> None:
    assert owner.runs(owner.me())
    assert owner.number(owner.me()) == str(os.getpid())


def test_one_that_ended_does_not_and_neither_does_a_later_one_of_its_number() -> None:
    done = subprocess.run([sys.executable, "-c", ASK], stdout=subprocess.PIPE, text=True, check=True)
    assert not owner.runs(done.stdout.strip())
    namespace, number, began = owner.me().split(":")
    assert not owner.runs(f"{namespace}:{number}:{int(began) - 1}")


def test_a_killed_one_does_not_run_before_it_is_waited_for() -> None:
    with subprocess.Popen([sys.executable, "-c", ASK + "; input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        label = process.stdout.readline().strip()
        assert owner.runs(label)
        process.kill()
        end = time.monotonic() + 60
        while owner.runs(label) and time.monotonic() < end:  # still there as a zombie: nobody has waited
            time.sleep(0.01)
        assert Path(f"/proc/{process.pid}").exists()
        assert not owner.runs(label)


@pytest.mark.parametrize("label", ["1:2:3", "", "somebody", "{namespace}:x:1"])
def test_what_cannot_be_seen_from_here_is_left_alone(label: str) -> None:
    assert owner.runs(label.format(namespace=owner.me().split(":")[0]))


def words_of(pid: int) -> "list[bytes]":
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")


def test_processes_are_found_below_each_other() -> None:
    words = [sys.executable, "-c", "import subprocess, sys; subprocess.run(['sleep', '600'], check=False)"]
    with subprocess.Popen(words) as process:
        try:
            end = time.monotonic() + 60
            while not [pid for pid in _below(process.pid) if words_of(pid)[:1] == [b"sleep"]]:  # a moment after it was forked
                assert time.monotonic() < end
                time.sleep(0.01)
            first, second = _below(process.pid)
            assert first == process.pid
            assert words_of(second) == [b"sleep", b"600", b""]
            assert second in _below(os.getpid())
            assert _below(0) == []
        finally:
            for pid in reversed(_below(process.pid)):
                os.kill(pid, 9)
