"""Two networks, as Studio and EKS are, and a router between them with a firewall that lets nothing through but what it is told.

    with Site(image) as site:
        site.firewall.open("-i", "studio", "-o", "eks", "-p", "tcp", "--dport", "443")

Everything is in one network namespace of its own: both bridges, the router and its iptables. The engine's networks and the machine's own
rules are not touched, and one `ip netns del` removes it all. A container gets there as a pod does: a sandbox container first, without a
network, which gets an interface; then the container itself, in the sandbox's network.

This machine is a member of `eks`, where its API server and its S3 listen. Security groups are stateful, and so is this firewall: what
answers an open connection passes.
"""

import random
import re
import shutil
import subprocess
import threading
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker.errors

if TYPE_CHECKING:
    from collections.abc import Iterator

# What Studio's own first interface is like: Spark would take it for the way to its executors (docs/spark.md).
DEAD_END = "169.255.255.2/30"
PROGRAMS = ("ip", "iptables", "nsenter", "unshare")


def lacking() -> str:
    """Why no site can be made here; '' where it can."""
    absent = [name for name in PROGRAMS if not shutil.which(name)]
    if absent:
        return "not installed: " + ", ".join(absent)
    tried = subprocess.run(["unshare", "--net", "iptables", "-w", "-L", "-n"], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else "no network namespaces, or no iptables in them: " + tried.stderr.strip()


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"


class Firewall:
    """The router's rules for what passes through it, in a network namespace."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._rules("-P", "INPUT", "DROP")
        self._rules("-P", "FORWARD", "DROP")
        self._rules("-A", "FORWARD", "-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED", "-j", "ACCEPT")
        # Frames within one bridge, where the kernel shows them to iptables (bridge-nf-call-iptables).
        for name in ("studio", "eks"):
            self._rules("-A", "FORWARD", "-i", name, "-o", name, "-j", "ACCEPT")
        self._rules("-A", "FORWARD", "-p", "tcp", "--syn", "-j", "DROP")

    def open(self, *match: str) -> None:
        """Let connections through that match."""
        self._rules("-I", "FORWARD", "2", *match, "-j", "ACCEPT")

    @contextmanager
    def opened(self, *match: str) -> "Iterator[None]":
        self.open(*match)
        try:
            yield
        finally:
            self._rules("-D", "FORWARD", *match, "-j", "ACCEPT")

    @contextmanager
    def closed(self, *match: str) -> "Iterator[None]":
        """Drop new connections that match, whatever is open. Those that are established go on, as with security groups."""
        rule = [*match, "-m", "conntrack", "--ctstate", "NEW", "-j", "DROP"]
        self._rules("-I", "FORWARD", "1", *rule)
        try:
            yield
        finally:
            self._rules("-D", "FORWARD", *rule)

    def redirect(self, address: str, port: int, to: str, where: str) -> None:
        """Connections from that network to an address go elsewhere."""
        match = ["-i", where, "-d", address, "-p", "tcp", "--dport", str(port)]
        self._rules("-t", "nat", "-A", "PREROUTING", *match, "-j", "DNAT", "--to-destination", to)

    def refused(self) -> int:
        """How many connections found no open port, repeated attempts too."""
        listed = self._rules("-L", "FORWARD", "-v", "-x", "-n")
        found = re.findall(r"^\s*(\d+)\s+\d+\s+DROP\s+.*flags:", listed, re.MULTILINE)
        assert len(found) == 1, listed
        return int(found[0])

    def _rules(self, *words: str) -> str:
        done = subprocess.run(
            ["ip", "netns", "exec", self._namespace, "iptables", "-w", *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"iptables {' '.join(words)}: {done.stderr}"
        return done.stdout


class Segment:
    """One of the two networks, as podspec.Network is one of the engine's. `gateway` is this machine's address, in the network or behind
    the router; `range` its addresses."""

    def __init__(self, site: "Site", name: str, prefix: str, gateway: str, image: str) -> None:
        self.name, self.range, self.gateway, self.router = name, prefix + ".0/24", gateway, prefix + ".1"
        self._site, self._prefix, self._image = site, prefix, image
        self._lock = threading.Lock()
        self._next = 10
        self._sandboxes: dict[str, Any] = {}
        _ip("-n", site.namespace, "link", "add", name, "type", "bridge")
        _ip("-n", site.namespace, "address", "add", self.router + "/24", "dev", name)
        _ip("-n", site.namespace, "link", "set", name, "up")

    def address(self) -> str:
        """One that no container had before: a late packet finds nobody."""
        with self._lock:
            self._next += 1
            assert self._next < 255, "no address is left"
            return f"{self._prefix}.{self._next}"

    def options(self, client: Any, address: str, hostname: str) -> "dict[str, Any]":
        """Options of docker's SDK that put a container there: in a sandbox that has the address, and the name."""
        with self._lock:
            if address not in self._sandboxes:
                self._sandboxes[address] = self._sandbox(client, address, hostname)
            return {"network_mode": "container:" + self._sandboxes[address].id}

    def free(self, address: str) -> None:
        """Remove the sandbox of an address: its container has ended."""
        with self._lock:
            sandbox = self._sandboxes.pop(address, None)
        if sandbox is not None:
            _remove(sandbox)

    def close(self) -> None:
        for address in list(self._sandboxes):
            self.free(address)

    def _sandbox(self, client: Any, address: str, hostname: str) -> Any:
        sandbox = client.containers.run(
            self._image,
            ["infinity"],
            entrypoint="sleep",
            name=f"{self._site.namespace}-{address}",
            detach=True,
            network_mode="none",
            hostname=hostname,
            extra_hosts={hostname: address},
            labels={"lyftlearn.test.site": self._site.namespace},
            stop_signal="SIGKILL",
        )
        try:
            sandbox.reload()
            self._connect(str(sandbox.attrs["State"]["Pid"]), address)
        except BaseException:
            _remove(sandbox)
            raise
        return sandbox

    def _connect(self, process: str, address: str) -> None:
        outer = "v" + address.rpartition(".")[2] + self.name
        within = ["nsenter", "--target", process, "--net", "ip"]
        commands = []
        inner = "eth0"
        if self.name == "studio":
            inner = "eth1"
            commands += [
                "link add eth0 type veth peer name nowhere",
                f"address add {DEAD_END} dev eth0",
                "link set nowhere up",
                "link set eth0 up",
            ]
        _ip("-n", self._site.namespace, "link", "add", outer, "type", "veth", "peer", "name", inner, "netns", process)
        _ip("-n", self._site.namespace, "link", "set", outer, "master", self.name, "up")
        commands += [f"address add {address}/24 dev {inner}", f"link set {inner} up", f"route add default via {self.router}"]
        for command in commands:
            subprocess.run([*within, *command.split()], check=True, capture_output=True)


class Site:
    """`studio` and `eks`, and the `firewall` between them. `here` is this machine's address in `eks`."""

    def __init__(self, image: str) -> None:
        mark = uuid.uuid4().hex[:8]
        self.namespace = "lyftlearn-" + mark
        self._leg = "lyft-" + mark
        # Addresses that no real network has: RFC 2544, for benchmarks of networks.
        first, second = random.Random(mark).sample(range(256), 2)
        prefixes = {"studio": f"198.18.{first}", "eks": f"198.19.{second}"}
        self.here = prefixes["eks"] + ".2"
        _ip("netns", "add", self.namespace)
        try:
            _ip("-n", self.namespace, "link", "set", "lo", "up")
            self._write("/proc/sys/net/ipv4/ip_forward", "1")
            self.studio, self.eks = (Segment(self, name, prefix, self.here, image) for name, prefix in prefixes.items())
            self.firewall = Firewall(self.namespace)
            _ip("link", "add", self._leg, "type", "veth", "peer", "name", "here", "netns", self.namespace)
            _ip("-n", self.namespace, "link", "set", "here", "master", "eks", "up")
            _ip("address", "add", self.here + "/24", "dev", self._leg)
            _ip("link", "set", self._leg, "up")
            _ip("route", "add", self.studio.range, "via", self.eks.router)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Site":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for name in ("studio", "eks"):
            if hasattr(self, name):
                getattr(self, name).close()
        _ip("netns", "del", self.namespace)  # and with it the other end of this machine's own leg
        if Path("/sys/class/net", self._leg).exists():
            subprocess.run(["ip", "link", "del", self._leg], check=False, capture_output=True)

    def _write(self, path: str, text: str) -> None:
        command = ["ip", "netns", "exec", self.namespace, "sh", "-c", 'echo "$0" >"$1"', text, path]
        subprocess.run(command, check=True, capture_output=True)


def _remove(container: Any) -> None:
    try:
        container.remove(force=True, v=True)
    except docker.errors.APIError:
        pass
