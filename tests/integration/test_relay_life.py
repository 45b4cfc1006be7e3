"""The relay lives as long as the program and its workers, and no longer, however each of them ends."""

import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.integration.relay_world import Gateway, Inside, Network, said, send, until

if TYPE_CHECKING:
    from tests.integration.conftest import Need, Starter, Words

pytest_plugins = ["tests.integration.relay_fixture"]

# What every program below has: `count(name)` sends a metric, `say` prints a line at once, `wait` returns when a file appears.
TOOLS = """
import os, signal, socket, subprocess, sys, time
def count(name):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(name.encode() + b":1|c", ("127.0.0.1", 8125))
def say(word):
    os.write(1, word.encode() + b"\\n")
def wait(name):
    while not os.path.exists(name):
        time.sleep(0.005)
"""


def popen(world: Inside, program: str) -> "subprocess.Popen[bytes]":
    return world.popen(sys.executable, "-I", "-S", "-c", TOOLS + program, cwd=world.root)


def gone(network: Network) -> None:
    until(lambda: network.relays() == [])


def test_the_program_is_killed(world: Inside, gateway: Gateway, network: Network) -> None:
    with popen(world, "count('a'); say('ready'); count('b'); os.kill(os.getpid(), signal.SIGKILL)") as process:
        assert said(process) == "ready"
        assert process.wait(60) == -signal.SIGKILL
    assert gateway.wait(2) == ["a:1|c", "b:1|c"]
    gone(network)


def test_a_relay_that_is_far_behind_when_the_program_ends_still_sends_all_that_arrived(
    world: Inside, gateway: Gateway, network: Network
) -> None:
    """More than it takes in a few rounds. What the kernel had no room for (without CAP_NET_ADMIN) is told."""
    count = 25_000
    program = f"""
say("ready"); wait("go")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
    for number in range({count}):
        out.sendto(b"n.%d:1|c" % number, ("127.0.0.1", 8125))
"""
    with popen(world, program) as process:
        assert said(process) == "ready"
        until(lambda: len(network.relays()) == 1)
        relay = network.relays()[0]
        os.kill(relay, signal.SIGSTOP)
        (world.root / "go").touch()
        process.wait(60)
    os.kill(relay, signal.SIGCONT)
    gone(network)
    until(lambda: sum(gateway.own("received")) == count)
    assert len(gateway.lines) == sum(gateway.own("sent")) == count - sum(gateway.own("dropped"))
    assert gateway.lines == [f"n.{number}:1|c" for number in range(len(gateway.lines))]


# How a worker is made that outlives the program. Each waits for the file `go`, counts, and waits for the file `end`.
WORK = "count('early'); say('working'); wait('go'); count('late'); wait('end')"
WORKER = f"""
if os.fork() == 0:
    {WORK}
    os._exit(0)
"""
STARTED = f"subprocess.Popen([sys.executable, '-I', '-S', '-c', {TOOLS + WORK!r}])"  # closes all descriptors but 0, 1 and 2
DAEMON = f"""
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        out = os.dup(1)
        os.closerange(3, 1000)
        {WORK}
    os._exit(0)
os.wait()
"""
STRIPPED = (
    f"subprocess.Popen([sys.executable, '-I', '-S', '-c', {TOOLS + WORK!r}], env={{}}, close_fds=False)"  # has no environment of ours
)


@pytest.mark.parametrize("end", ["pass", "os.kill(os.getpid(), signal.SIGKILL)"], ids=["ends", "killed"])
@pytest.mark.parametrize("worker", [WORKER, STARTED, DAEMON, STRIPPED], ids=["forked", "started", "daemon", "stripped"])
def test_a_worker_that_outlives_the_program(world: Inside, gateway: Gateway, network: Network, worker: str, end: str) -> None:
    with popen(world, worker + "\nwait('begun')\n" + end) as process:
        assert said(process) == "working"
        (world.root / "begun").touch()
        process.wait(60)
        assert gateway.wait(1) == ["early:1|c"]
        until(lambda: len(network.relays()) == 1)
        assert len(network.relays()) == 1
        (world.root / "go").touch()
        assert gateway.wait(2) == ["early:1|c", "late:1|c"]
        assert len(network.relays()) == 1
        (world.root / "end").touch()
        gone(network)


def test_a_worker_of_another_user_than_the_start(open_starter: "Starter", gateway: Gateway, network: Network) -> None:
    """The relay, which is then not dumpable, may still read the environment of a process of its user (proc(5), PTRACE_MODE_READ)."""
    world = Inside(open_starter, network, gateway)
    world.root.chmod(0o755)
    env = {"LYFTLEARN_USER": "12345:12346"}
    program = TOOLS + STARTED + "\nwait('begun')"
    with world.popen(world.words[0], "-I", "-S", "-c", program, env=env, cwd=world.root) as process:
        assert said(process) == "working"
        (world.root / "begun").touch()
        process.wait(60)
        until(lambda: len(network.relays()) == 1)
        (world.root / "go").touch()
        assert gateway.wait(2) == ["early:1|c", "late:1|c"]
        assert len(network.relays()) == 1
        (world.root / "end").touch()
        gone(network)


def test_one_of_several_workers_is_killed(world: Inside, gateway: Gateway, network: Network) -> None:
    program = """
for number in range(3):
    if os.fork() == 0:
        say(str(os.getpid()))
        wait('go')
        count('late')
        os._exit(0)
os.closerange(3, 1000)
wait('begun')
"""
    with popen(world, program) as process:
        workers = [int(said(process)) for _ in range(3)]
        os.kill(workers[0], signal.SIGKILL)
        (world.root / "begun").touch()
        process.wait(60)
        os.kill(workers[1], signal.SIGKILL)
        until(lambda: len(network.relays()) == 1)
        (world.root / "go").touch()
        assert gateway.wait(1) == ["late:1|c"]
        gone(network)


def test_a_program_that_closes_what_it_has_not_opened(world: Inside, gateway: Gateway, network: Network) -> None:
    with popen(world, "os.closerange(3, 1000); say('closed'); wait('go'); count('late')") as process:
        assert said(process) == "closed"
        (world.root / "go").touch()
        assert gateway.wait(1) == ["late:1|c"]
    gone(network)


def test_a_program_that_becomes_another_without_environment(world: Inside, gateway: Gateway, network: Network) -> None:
    other = TOOLS + "say('other'); wait('go'); count('late')"
    program = f"os.closerange(3, 1000); os.execve(sys.executable, ['python', '-I', '-S', '-c', {other!r}], {{}})"
    with popen(world, program) as process:
        assert said(process) == "other"
        (world.root / "go").touch()
        assert gateway.wait(1) == ["late:1|c"]
    gone(network)


def test_what_is_older_than_the_program_does_not_count(world: Inside, network: Network) -> None:
    """A shell that gives the context by variable to every start has it in its own environment."""
    script = 'echo before; "$@"; echo after; read wait'
    forced = {"LYFTLEARN_CONTEXT": "sagemaker-training"}
    with world.popen("true", before=["sh", "-c", script, "sh"], env=forced, stdin=subprocess.PIPE) as process:
        assert (said(process), said(process)) == ("before", "after")
        gone(network)
        process.communicate(b"\n")


def test_another_containers_process_does_not_count(world: Inside, network: Network) -> None:
    """One that LYFTLEARN_ROOT tells apart."""
    with popen(world, "say('ready'); wait('other-runs')") as process:
        assert said(process) == "ready"
        other = {"LYFTLEARN_CONTEXT": "studio", "LYFTLEARN_ROOT": "/elsewhere", "PATH": world.environ["PATH"]}
        with subprocess.Popen([*network.words, "sleep", "60"], env=other) as sleeper:
            (world.root / "other-runs").touch()
            process.wait(60)
            gone(network)
            sleeper.kill()


# Several starts in one container: notebook kernels ---------------------------------------------------------------------------------------


def test_a_second_start_is_served_by_the_first_ones_relay_also_after_the_first(world: Inside, gateway: Gateway, network: Network) -> None:
    with popen(world, "say('first'); wait('first-end')") as first:
        assert said(first) == "first"
        until(lambda: len(network.relays()) == 1)
        relay = network.relays()
        with popen(world, "say('second'); wait('go'); count('late')") as second:
            assert said(second) == "second"
            (world.root / "first-end").touch()
            first.wait(60)
            (world.root / "go").touch()
            assert gateway.wait(1) == ["late:1|c"]
            assert network.relays() in (relay, [])
        gone(network)
    assert world.run(*send(1)).returncode == 0  # and the next has one of its own
    assert gateway.wait(2)[1:] == ["count.0:1|c"]


# The end of the container ----------------------------------------------------------------------------------------------------------------

ENDS = {
    "python": [sys.executable, "-I", "-S", "-c", TOOLS + "count('x')"],
    "python at once": [sys.executable, "-I", "-S", "-c", TOOLS + "count('x'); os._exit(0)"],
    "killed": [sys.executable, "-I", "-S", "-c", TOOLS + "count('x'); os.abort()"],
    "bash": ["bash", "-c", "echo -n 'x:1|c' > /dev/udp/127.0.0.1/8125"],
}


@pytest.mark.parametrize("inits", [[], ["tini", "--"]], ids=["pid 1", "tini"])
@pytest.mark.parametrize("how", ENDS)
def test_the_first_process_counts_and_ends_at_once(
    world: Inside, gateway: Gateway, first_process: "Words", need: "Need", inits: list[str], how: str
) -> None:
    """The kernel kills the relay when process 1 ends. Without what become.py does about it, bash would lose most of these."""
    need(shutil.which("bash"), "bash is not there")
    need(not inits or shutil.which("tini"), "no init for containers (Debian: tini) is there")
    rounds = 12
    for _ in range(rounds):
        world.run(*ENDS[how], before=[*first_process, *inits])
    gateway.settle()  # the relay of each round has ended with its namespace
    # A machine that is busy with something else may still be too slow for it (docs/statsd.md); without it bash gets 3 through.
    assert len(gateway.lines) >= rounds - 5


def test_a_burst_of_the_first_process(world: Inside, gateway: Gateway, first_process: "Words") -> None:
    count = 5000
    for _ in range(3):  # as above: one that is whole will do
        gateway.datagrams.clear()
        assert world.run(*send(count), before=first_process).returncode == 0
        gateway.settle()
        if len(gateway.lines) == count:
            break
    assert gateway.lines == [f"count.{number}:1|c" for number in range(count)]


def test_no_exit_is_delayed_where_the_container_lives_on(world: Inside, gateway: Gateway, first_process: "Words") -> None:
    """Only the end of the first process, or of an init's child, takes the few milliseconds."""
    look = """
import os, socket
highest = max(int(name) for name in os.listdir("/proc/self/fd"))
with socket.socket(fileno=highest) as held:
    try:
        print(len(held.recvmsg(1, socket.CMSG_SPACE(64), socket.MSG_DONTWAIT)[1]))
    except BlockingIOError:
        print("nothing")
"""
    program = [sys.executable, "-I", "-c", look]
    assert world.run(*program).stdout == b"nothing\n"
    assert world.run(*program, before=first_process).stdout == b"1\n"
