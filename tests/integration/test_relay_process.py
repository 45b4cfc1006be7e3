"""The relay as a process: what it holds, who it is, and what the program can see of it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.relay_world import NAME, Gateway, Inside, Network, said, send, until

if TYPE_CHECKING:
    from tests.integration.conftest import Starter, Words

pytest_plugins = ["tests.integration.relay_fixture"]

# Waits until a line comes, sends one metric and ends.
WAITING = "import socket, sys; print('ready', flush=True); sys.stdin.readline()\n" + send(1)[-1]


@contextmanager
def running(world: Inside, network: Network, env: "dict[str, str] | None" = None, **how: Any) -> Iterator[int]:
    """The relay of a program that runs until the block ends."""
    with world.popen(sys.executable, "-I", "-c", WAITING, env=env, stdin=subprocess.PIPE, **how) as process:
        assert said(process) == "ready"
        until(lambda: world.gateway.own("total"))  # from now on it serves, and is what it will be
        yield network.relays()[0]
        out, _ = process.communicate(b"\n", timeout=120)
        assert (process.returncode, out) == (0, b"")


def status(pid: int, name: str) -> str:
    """One line of /proc/PID/status."""
    return next(
        line.split(":", 1)[1].strip() for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(name + ":")
    )


def descriptors(pid: int) -> dict[int, str]:
    return {int(name): os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}


def test_it_holds_its_sockets_and_nothing_of_the_program(world: Inside, network: Network, tmp_path: Path) -> None:
    with (tmp_path / "leaked").open("w") as leaked, running(world, network, pass_fds=(leaked.fileno(),)) as relay:
        held = descriptors(relay)
    assert {held.pop(number) for number in (0, 1, 2)} == {"/dev/null"}
    kinds = sorted(target.partition(":")[0] for target in held.values())
    assert kinds == ["anon_inode", "socket", "socket", "socket", "socket"]  # the program (pidfd); two ports, the gateway, the program's end
    assert "anon_inode:[pidfd]" in held.values()


def test_the_unix_socket_is_one_more(world: Inside, network: Network) -> None:
    with running(world, network, {"LYFTLEARN_STATSD_SOCKET": "/statsd"}) as relay:
        assert sum(target.startswith("socket:") for target in descriptors(relay).values()) == 5


LIST = """
import json, os
where = "/proc/self/fd/"
print(json.dumps({name: os.readlink(where + name) for name in os.listdir(where) if os.path.lexists(where + name)}))
"""


def test_the_program_has_one_descriptor_more(world: "Starter") -> None:
    program = (sys.executable, "-I", "-c", LIST)
    given = json.loads(world.run(*program, env={"LYFTLEARN_STATSD_RELAY": "off"}, close_fds=True).stdout)
    seen = json.loads(world.run(*program, close_fds=True).stdout)
    more = {number: target for number, target in seen.items() if number not in given}
    assert len(seen) == len(given) + 1
    assert [(200 < int(number) < 251, target.partition(":")[0]) for number, target in more.items()] == [(True, "socket")]


def test_where_descriptors_are_few(world: "Starter", gateway: Gateway) -> None:
    few: Words = ["sh", "-c", 'ulimit -n 40; exec "$@"', "sh"]
    assert world.run(*send(1), before=few).returncode == 0
    assert gateway.wait(1) == ["count.0:1|c"]


def test_its_name_is_its_own(world: Inside, network: Network) -> None:
    with running(world, network) as relay:
        assert Path(f"/proc/{relay}/cmdline").read_bytes().rstrip(b"\0") == NAME.encode()
        assert Path(f"/proc/{relay}/comm").read_text().strip() == NAME[:15]
        assert os.readlink(f"/proc/{relay}/cwd") == "/"


def test_it_is_in_a_session_of_its_own_and_no_signal_but_kill_ends_it(world: Inside, network: Network, gateway: Gateway) -> None:
    with running(world, network) as relay:
        assert os.getsid(relay) == relay != os.getsid(0)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGPIPE, signal.SIGALRM):
            os.kill(relay, number)
        time.sleep(0.05)
    assert gateway.wait(1) == ["count.0:1|c"]


def test_it_runs_as_the_programs_user(open_starter: "Starter", network: Network, gateway: Gateway) -> None:
    world = Inside(open_starter, network, gateway)
    program = f"import os, sys; print(os.getuid(), flush=True); sys.stdin.readline()\n{send(1)[-1]}"
    env = {"LYFTLEARN_STATSD_SOCKET": "/run/statsd", "LYFTLEARN_USER": "12345:12346"}
    with world.popen(world.words[0], "-I", "-c", program, env=env, stdin=subprocess.PIPE) as process:
        assert said(process) == "12345"
        until(lambda: gateway.own("total"))  # it has become that user before it serves
        relay = network.relays()[0]
        assert status(relay, "Uid").split() == ["12345"] * 4
        assert status(relay, "Gid").split() == ["12346"] * 4
        assert status(relay, "Groups") in ("", "12346")
        assert status(relay, "CapEff") == "0" * 16
        # Who is not root may write to the socket, and the relay's memory is not the program's to read.
        assert (world.root / "run/statsd").stat().st_mode & 0o777 == 0o666
        probe = subprocess.run(["cat", f"/proc/{relay}/maps"], user=12345, group=12346, extra_groups=[], capture_output=True, check=False)
        assert probe.returncode != 0
        process.communicate(b"\n")
    assert gateway.wait(1) == ["count.0:1|c"]
    until(lambda: network.relays() == [])


SECRET = "hunter2-in-the-staged-environment"


def test_it_holds_no_secret(world: Inside, network: Network, root: None) -> None:
    """It was forked before anything was fetched: what was staged is in the program, and nowhere in the relay's memory."""
    world.channel(json.dumps({"STAGED": SECRET}), "{}")
    with running(world, network) as relay:
        program = int(status(relay, "Pid"))  # the relay itself, to see that the probe reads
        assert NAME.encode() in memory(program)
        assert SECRET.encode() not in memory(relay)
        holder = next(pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if SECRET.encode() in environ(pid))
        assert SECRET.encode() in memory(holder)


def environ(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def memory(pid: int) -> bytes:
    """All that a process can write to, and its stack."""
    found = b""
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", buffering=0) as mem:
        for line in maps:
            span, mode = line.split()[:2]
            if "rw" in mode:
                begin, end = (int(part, 16) for part in span.split("-"))
                try:
                    mem.seek(begin)
                    found += mem.read(end - begin)
                except OSError:
                    continue
    return found


def test_it_is_small_and_idle(world: Inside, network: Network, gateway: Gateway) -> None:
    """8 MB, as the kernel shares pages out (proc(5), Pss), also after a name was looked up; and nothing at all to do."""
    with running(world, network, {"LYFTLEARN_STATSD_GATEWAY": f"localhost:{gateway.port}"}) as relay:
        until(lambda: gateway.own("total"))
        rollup = Path(f"/proc/{relay}/smaps_rollup").read_text()
        pss = int(next(line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:")))
        assert 1000 < pss < 8 * 1024, rollup
        for _ in range(10):  # on a busy machine it takes a while to come to rest; one that works by a timer never does
            before = (Path(f"/proc/{relay}/schedstat").read_text(), status(relay, "voluntary_ctxt_switches"))
            time.sleep(1.5)
            if (Path(f"/proc/{relay}/schedstat").read_text(), status(relay, "voluntary_ctxt_switches")) == before:
                break
        else:
            raise AssertionError("it is never idle")
        assert status(relay, "State").startswith("S")


# wait(2) ---------------------------------------------------------------------------------------------------------------------------------

# What the program sees of children that it has not made: by wait(2) with and without hanging, and by SIGCHLD.
WAIT = """
import os, signal, sys, time
came = []
signal.signal(signal.SIGCHLD, lambda number, frame: came.append(number))
seen = []
for how in (0, os.WNOHANG):
    try:
        seen.append(os.waitpid(-1, how))
    except ChildProcessError:
        seen.append("none")
time.sleep(0.2)
print(os.getpid() == 1, seen, came)
child = os.fork()
if child == 0:
    os._exit(7)
found, status = os.wait()
print(found == child, os.waitstatus_to_exitcode(status))
"""


@pytest.mark.parametrize("inits", [[], ["tini", "--"]], ids=["alone", "tini"])
@pytest.mark.parametrize("first", [True, False], ids=["pid 1", "not"])
def test_the_programs_wait_does_not_see_it(
    world: "Starter", gateway: Gateway, request: pytest.FixtureRequest, first: bool, inits: list[str]
) -> None:
    before: Words = [*(request.getfixturevalue("first_process") if first else []), *inits]
    done = world.run(sys.executable, "-I", "-c", WAIT, before=before)
    assert done.stdout.decode().splitlines() == [f"{first and not inits} ['none', 'none'] []", "True 7"], done.stderr
    assert b"warning" not in done.stderr.replace(b"Tini is not running as PID 1", b"")
    until(lambda: gateway.own("total"))  # it was there


CHILDREN = "import os; print(open(f'/proc/self/task/{os.getpid()}/children').read().split())"


def test_where_it_is_not_the_first_process_it_is_nobodys_child(world: Inside, network: Network, first_process: "Words") -> None:
    assert world.run(sys.executable, "-I", "-c", CHILDREN).stdout == b"[]\n"
    until(lambda: network.relays() == [])  # who comes before finds the port taken
    seen = world.run(sys.executable, "-I", "-c", CHILDREN, before=first_process).stdout
    assert len(seen.split(b",")) == 1  # as the first process it cannot be hidden from those who look into /proc
    assert seen != b"[]\n"


# Waits until it was told of a child's end, and for what else may come.
SEEN = "end = time.monotonic() + 60; [time.sleep(0.05) for _ in iter(lambda: not came and time.monotonic() < end, False)]; time.sleep(0.2)"


def test_a_relay_that_is_killed_costs_the_program_nothing(world: Inside, network: Network, first_process: "Words") -> None:
    """The first process gets a SIGCHLD then, and still no child to wait for."""
    program = WAIT.replace("time.sleep(0.2)", "print('ready', flush=True); sys.stdin.readline(); " + SEEN)
    with world.popen(sys.executable, "-I", "-c", program, before=first_process, stdin=subprocess.PIPE) as process:
        assert said(process) == "ready"
        until(lambda: len(network.relays()) == 1)
        os.kill(network.relays()[0], signal.SIGKILL)
        until(lambda: network.relays() == [])
        out, _ = process.communicate(b"\n", timeout=120)
    assert out.decode().splitlines()[-2:] == [f"True ['none', 'none'] [{int(signal.SIGCHLD)}]", "True 7"]
