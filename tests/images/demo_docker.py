"""Runs `scripts/demo --docker` as people do, looks at it while it runs, and at what it leaves."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lyftlearn_local.containers import owner
from lyftlearn_local.containers.engine import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
HOST = "169.254.170.2"


class Demo:
    """One demo: its lines as they come, and what `look` saw at each of them."""

    def __init__(
        self, image: str, look: "Callable[[subprocess.Popen[str], str], None]" = lambda process, line: None, **environ: str
    ) -> None:
        # A shell has what it starts in the background ignore Ctrl-C, and these tests with all that they start.
        command = ["env", "--default-signal=INT", sys.executable, "-I", "-m", "lyftlearn_local.demo"]
        command += ["--examples", str(EXAMPLES), "--docker", "--image", image]
        self.lines: list[str] = []
        # A session of its own: Ctrl-C in a terminal goes to all of a process group.
        with subprocess.Popen(
            command,
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            watchdog = threading.Timer(2400, process.kill)
            watchdog.start()
            assert process.stdout is not None
            for line in process.stdout:
                self.lines.append(line.rstrip("\n"))
                look(process, line)
            self.code = process.wait()
            watchdog.cancel()
        self.text = "\n".join(self.lines)

    def row(self, label: str) -> "list[list[str]]":
        """The cells of each row of that label, the verdict last."""
        return [re.split(r"\s{2,}", line.strip())[1:] for line in self.lines if line.startswith(label + "  ")]


def things(client: Any) -> "list[tuple[str, str]]":
    """(owner, name) of what is in the engine with a demo's label."""
    containers = client.containers.list(all=True, filters={"label": owner.LABEL}, ignore_removed=True)
    networks = client.networks.list(filters={"label": owner.LABEL})
    return [(c.labels[owner.LABEL], c.name) for c in containers] + [(n.attrs["Labels"][owner.LABEL], n.name) for n in networks]


def left(client: Any) -> "list[str]":
    """What is there of demos that have ended, in the engine and in memory. Others of this machine may be running."""
    names = [name for label, name in things(client) if label == owner.me() or not owner.runs(label)]
    directories = [path.name for path in Path("/dev/shm").glob(PREFIX + "*")]
    return names + [name for name in directories if not Path("/proc", name.removeprefix(PREFIX).split("-")[0]).exists()]


def listening(pid: int) -> "set[str]":
    """The addresses at which a process and all below it listen (TCP), or itself receives (UDP), as /proc/net shows them.

    A UDP socket of its servers is a client's, Confidant's own metrics; that too is bound by sending.
    """
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    pids = [pid]
    for one in pids:
        pids += children.get(one, [])
    inodes: dict[str, set[str]] = {"tcp": set(), "udp": set()}
    for one in pids:
        try:
            descriptors = os.listdir(f"/proc/{one}/fd")
        except OSError:  # it has ended
            continue
        for descriptor in descriptors:
            try:
                inode = os.readlink(f"/proc/{one}/fd/{descriptor}").removeprefix("socket:[").removesuffix("]")
            except OSError:
                continue
            inodes["tcp"].add(inode)
            if one == pid:
                inodes["udp"].add(inode)
    found = set()
    for kind, state in (("tcp", "0A"), ("udp", "07"), ("tcp6", "0A"), ("udp6", "07")):
        for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in inodes[kind[:3]] and fields[3] == state:
                octets = bytes.fromhex(fields[1].split(":")[0])
                found.add(".".join(map(str, reversed(octets))) if len(octets) == 4 else octets.hex())
    return found
