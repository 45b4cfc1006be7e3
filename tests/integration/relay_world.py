"""A network of a test's own, in which nobody has port 8125, a gateway in it, and jobs that are started in it.

The fixtures are in relay_fixture.py.
"""

import array
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.integration.conftest import Starter, Words

PORT = 8125
NAME = "lyftlearn-statsd-relay"
OWN = ("lyftlearn.statsd_relay.", "lyftlearn.entrypoint.")
# Brings up loopback (netdevice(7): SIOCSIFFLAGS, IFF_UP), so that a network that was just made has one; needs no ip(8).
_UP = "import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh', b'lo', 1))"
# Room for all that a test sends, however long its reader is kept from the processor (SO_RCVBUFFORCE, socket(7)); else what may be had.
_ROOM = """
try:
    s.setsockopt(socket.SOL_SOCKET, 33, 1 << 26)
except OSError:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
"""
# Binds a socket there and hands it over the Unix socket that is its stdin.
_BIND = (
    "import array, socket, sys; f, t, a, p = sys.argv[1:]; s = socket.socket(int(f), int(t)); "
    f"{_ROOM}\ns.bind((a, int(p))) if p != '-' else s.bind(a) if a else None; "
    "socket.socket(fileno=0).sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [s.fileno()]))])"
)


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until it holds; fails where it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.005)


def said(process: "subprocess.Popen[bytes]", seconds: float = 60.0) -> str:
    """The next line of what a process prints; fails where none comes in time, and ends the process."""
    assert process.stdout is not None
    descriptor, line, end = process.stdout.fileno(), b"", time.monotonic() + seconds
    while not line.endswith(b"\n"):
        # Byte by byte past Python's buffer: what it has taken, select would not see.
        if not select.select([descriptor], [], [], max(0.0, end - time.monotonic()))[0]:
            process.kill()
            raise AssertionError("it said nothing in time")
        byte = os.read(descriptor, 1)
        if not byte:
            break
        line += byte
    return line.decode().rstrip("\n")


class Network:
    """A network namespace. `words` in front of a command line run it there; `socket` gives a socket of it to this process."""

    def __init__(self) -> None:
        make = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
        self._keeper = subprocess.Popen([*make, "sleep", "1000"])
        place = f"/proc/{self._keeper.pid}/ns"
        until(lambda: os.readlink(place + "/net") != os.readlink("/proc/self/ns/net"))
        self.words: Words = ["nsenter", f"--net={place}/net"]
        if os.geteuid() != 0:
            self.words += [f"--user={place}/user", "--preserve-credentials"]
        self.words.append("--")
        self.run(sys.executable, "-I", "-c", _UP)

    def run(self, *words: str) -> str:
        """What this command prints in there."""
        return subprocess.run([*self.words, *words], check=True, stdout=subprocess.PIPE, text=True, timeout=120).stdout

    def socket(self, address: str = "", port: "int | None" = None, family: int = socket.AF_INET) -> socket.socket:
        """A datagram socket in there, bound to this address where one is given. Raises OSError where it is taken."""
        ours, theirs = socket.socketpair()
        program = [sys.executable, "-I", "-c", _BIND, str(family), str(socket.SOCK_DGRAM), address, "-" if port is None else str(port)]
        with ours, theirs:
            done = subprocess.run([*self.words, *program], stdin=theirs.fileno(), stderr=subprocess.DEVNULL, check=False)
            if done.returncode:
                raise OSError(f"{address} {port} cannot be bound")
            _, ancillary, _, _ = ours.recvmsg(1, socket.CMSG_SPACE(4))
        return socket.socket(fileno=array.array("i", ancillary[0][2])[0])

    def relays(self) -> list[int]:
        """The processes of relays that live in there."""
        return [pid for pid in processes() if cmdline(pid) == [NAME] and place(pid) == place(self._keeper.pid)]

    def rests(self) -> bool:
        """Whether the one relay in there has taken all that was sent to it, and waits for more."""
        relays = self.relays()
        queued = [
            line.split()[4].partition(":")[2] for line in self.run("cat", "/proc/net/udp").splitlines() if f":{PORT:04X} 00000000:" in line
        ]
        # In this order: who has taken the last datagram, and is not done with it, does not sleep.
        return (
            len(relays) == 1 and queued == ["00000000"] and Path(f"/proc/{relays[0]}/stat").read_text().rpartition(")")[2].split()[0] == "S"
        )

    def close(self) -> None:
        for pid in processes():
            if pid not in (self._keeper.pid, os.getpid()) and place(pid) == place(self._keeper.pid):
                os.kill(pid, 9)  # what a failed test left behind
        self._keeper.kill()
        self._keeper.wait()


def free(network: Network) -> bool:
    """Whether no relay has its port."""
    try:
        network.socket("127.0.0.1", PORT).close()
    except OSError:
        return False
    return True


class Inside(Starter):
    """A Starter whose starts are training jobs in the network, with the gateway; what stands `before` one stands in the network too."""

    def __init__(self, starter: Starter, network: Network, gateway: "Gateway") -> None:
        super().__init__(starter.words, starter.root)
        self.network = network
        self.gateway = gateway
        self.training()
        self.environ |= {"LYFTLEARN_STATSD_GATEWAY": f"127.0.0.1:{gateway.port}", "AWS_ACCESS_KEY_ID": "made-up"}

    def popen(self, *argv: str | bytes, before: "Words | None" = None, **how: Any) -> "subprocess.Popen[bytes]":
        return super().popen(*argv, before=[*self.network.words, *(before or [])], **how)


def processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def cmdline(pid: int) -> list[str]:
    try:
        return [word for word in Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0") if word]
    except OSError:
        return []


def place(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return ""


class Gateway:
    """A metrics gateway that keeps every datagram, in the order in which they came."""

    def __init__(self, network: Network, port: int = 0, address: str = "127.0.0.1", family: int = socket.AF_INET) -> None:
        self.socket = network.socket(address, port, family)
        self.port: int = self.socket.getsockname()[1]
        self.datagrams: list[bytes] = []
        self.times: list[float] = []
        self._settled = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while True:
            data = self.socket.recv(1 << 16)
            if data == b"stop":
                return
            if data == b"settle":
                self._settled.set()
                continue
            self.times.append(time.monotonic())
            self.datagrams.append(data)

    @property
    def lines(self) -> list[str]:
        """The metrics of programs, not those of the relay and the start themselves."""
        return [line for line in self.all if not line.startswith(OWN)]

    @property
    def all(self) -> list[str]:
        return [line for data in list(self.datagrams) for line in data.decode().split("\n")]

    def own(self, name: str) -> list[float]:
        """The values of one metric of ours: `received`, `sent`, `dropped`, `packets` of the relay, or a time of the start."""
        found = [line for line in self.all if line.startswith(tuple(own + name for own in OWN))]
        return [float(line.split(":", 1)[1].split("|")[0]) for line in found]

    def wait(self, lines: int, seconds: float = 30.0) -> list[str]:
        """The programs' metrics, once there are as many."""
        until(lambda: len(self.lines) >= lines, seconds)
        return self.lines

    def settle(self) -> None:
        """Returns when all that was sent before has been read: a socket on loopback keeps the order."""
        self._settled.clear()
        self.socket.sendto(b"settle", self.socket.getsockname())
        assert self._settled.wait(60)

    def close(self) -> None:
        self.socket.sendto(b"stop", self.socket.getsockname())
        self._thread.join(10)
        self.socket.close()


def send(count: int = 1, name: str = "count", address: str = "127.0.0.1", port: int = PORT) -> list[str]:
    """A program that counts and ends at once, as programs do that know nothing of a relay."""
    family = "AF_INET6" if ":" in address else "AF_INET"
    return [
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import _socket; s = _socket.socket(_socket.{family}, _socket.SOCK_DGRAM)\n"
        f"for n in range({count}): s.sendto(b'{name}.%d:1|c' % n, ({address!r}, {port}))",
    ]
