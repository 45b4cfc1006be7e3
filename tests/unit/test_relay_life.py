"""Until when the relay is needed: real processes, and a list of survivors that is passed in."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from lyftlearn_entrypoint.relay.life import Life, began, survivors


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def program() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(["sleep", "100"]) as process:
        yield process
        process.kill()


class World:
    """A Life of this program; `left` is what is found in /proc."""

    def __init__(self, program: int) -> None:
        self.left: list[int] = []
        self.looked = 0
        self.clock = Clock()
        line, self.held = os.pipe()
        self.life = Life(line, program, self.look, self.clock)

    def look(self) -> list[int]:
        self.looked += 1
        return self.left

    def ends(self) -> None:
        """Tell the life what has ended, as the loop does."""
        poll = select.poll()
        for descriptor in self.life.watched:
            poll.register(descriptor, 0 if descriptor == self.life.line else select.POLLIN)
        for descriptor, _ in poll.poll(60_000):
            self.life.ended(descriptor)


def kill(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_it_needs_both_ends(program: "subprocess.Popen[bytes]") -> None:
    world = World(program.pid)
    assert not world.life.over()
    kill(program)
    world.ends()
    assert not world.life.over()  # a worker still holds the line
    assert world.looked == 0
    os.close(world.held)
    world.ends()
    assert world.life.over()
    assert world.looked == 1
    assert world.life.watched == set()


def test_a_line_that_is_closed_is_not_the_end_of_the_program(program: "subprocess.Popen[bytes]") -> None:
    world = World(program.pid)
    os.close(world.held)
    world.ends()
    assert not world.life.over()
    kill(program)
    world.ends()
    assert world.life.over()


def test_one_survivor_after_the_other_is_waited_for(program: "subprocess.Popen[bytes]") -> None:
    world = World(program.pid)
    others = [subprocess.Popen(["sleep", "100"]) for _ in range(2)]
    os.close(world.held)
    kill(program)
    world.ends()
    while world.life.watched:
        world.ends()
    world.left = [other.pid for other in others]
    assert not world.life.over()
    assert len(world.life.watched) == 1
    assert world.life.wait() is None  # the kernel tells
    kill(others[0])
    world.left = [others[1].pid]
    world.ends()
    assert not world.life.over()
    kill(others[1])
    world.left = []
    world.ends()
    assert world.life.over()


def test_a_survivor_that_is_gone_meanwhile_is_looked_for_again_but_not_at_once(program: "subprocess.Popen[bytes]") -> None:
    """As where the kernel has no pidfd_open(2): somebody is there whom we cannot watch."""
    world = World(program.pid)
    os.close(world.held)
    kill(program)
    world.ends()
    while world.life.watched:
        world.ends()
    world.left = [program.pid]  # dead and reaped
    assert not world.life.over()
    assert world.life.wait() == 1000.0
    for _ in range(5):
        assert not world.life.over()
    assert world.looked == 1
    world.left = []
    world.clock.now += 1.0
    assert world.life.over()


# Who survives ----------------------------------------------------------------------------------------------------------------------------

OURS = {"LYFTLEARN_CONTEXT": "studio"}


def found(environ: dict[str, str], root: str = "", since: int = 0) -> bool:
    with subprocess.Popen(["sleep", "100"], env={"PATH": os.environ["PATH"], **environ}) as process:
        try:
            return process.pid in survivors(root, since)
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("environ", "root", "wanted"),
    [
        (OURS, "", True),
        ({}, "", False),
        ({"X_LYFTLEARN_CONTEXT": "studio"}, "", False),
        ({"A": "LYFTLEARN_CONTEXT=studio"}, "", False),
        ({**OURS, "LYFTLEARN_ROOT": "/one"}, "/one", True),
        ({**OURS, "LYFTLEARN_ROOT": "/one"}, "/on", False),
        ({**OURS, "LYFTLEARN_ROOT": "/one"}, "", False),
        (OURS, "/one", False),
    ],
)
def test_the_environment_tells(environ: dict[str, str], root: str, wanted: bool) -> None:
    assert found(environ, root) == wanted


def test_the_age_tells() -> None:
    with subprocess.Popen(["sleep", "100"]) as process:
        since = began(process.pid)
        process.kill()
    assert since > 0
    assert found(OURS, since=since - 1)
    assert not found(OURS, since=since + 100_000)
    assert began(process.pid) == 0  # gone


def test_this_process_does_not_count() -> None:
    assert os.getpid() not in survivors("", 0)


def test_a_python_that_was_built_without_pidfd_open() -> None:
    """Such as one for many distributions, built on an old one: the line tells of the end, and what survives is looked for by the clock."""
    program = (
        "import os, posix, time; del posix.pidfd_open; from lyftlearn_entrypoint.relay.life import Life; line, held = os.pipe(); "
        "life = Life(line, os.getpid(), lambda: [os.getppid()], time.monotonic); assert life.watched == {line}; life.ended(line); "
        "print(life.over(), life.wait())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("False 1000.0\n", "")
