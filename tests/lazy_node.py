"""A node that pulls lazily: containerd, AWS's soci-snapshotter-grpc and soci-node, on this machine alone. Tests and benchmarks use it.

As root, with /dev/fuse. Mounts, processes and sockets are in namespaces of their own: an Enclosure's, or those of a whole program.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# `soci`, `soci-snapshotter-grpc` and `soci-node` are where scripts/soci says.
TOOLS = ("soci-snapshotter-grpc", "soci-node")
PROGRAMS = ("containerd", "ctr", "runc", "unshare", "nsenter", "setpriv")


def lacking(tools: Path) -> str:
    """What this machine lacks for a node, '' if nothing."""
    if os.geteuid():
        return "root, for containerd and mounts"
    if not Path("/dev/fuse").exists():
        return "/dev/fuse"
    if absent := [name for name in PROGRAMS if not shutil.which(name)]:
        return f"{', '.join(absent)} (apt's containerd, util-linux)"
    if absent := [name for name in TOOLS if not (tools / name).is_file()]:
        return f"{', '.join(absent)}: scripts/soci builds them, and needs Go"
    return ""


class Enclosure:
    """Namespaces of mounts and processes: what is mounted or left running there is gone when it closes, or when this process ends."""

    def __init__(self) -> None:
        # Sockets and pipes of containerd's are in /run, whatever its settings say. `cat` ends when its stdin does.
        script = "mount -t tmpfs tmpfs /run && echo ready && exec cat"
        words = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script]
        self._process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout
        if self._process.stdout.readline() != b"ready\n":
            self.close()
            raise SystemExit("namespaces cannot be made")
        first = int(Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text())
        self.words = ("nsenter", "--target", str(first), "--mount", "--pid", "--")
        self.root = Path(f"/proc/{first}/root")
        self.mounts = Path(f"/proc/{first}/mounts")

    def close(self) -> None:
        """End every process that is there, and wait for it."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        # With a namespace's first process all others are killed, and it is only gone when they are.
        self._process.wait()
        self._process.stdout.close()


class Node:
    """containerd and the snapshotter, each with its log below `directory`, whose path must be short: sockets are in it.

    `enter` are words before each command, an Enclosure's; `v1` has the snapshotter look for indices of version 1 as well, which it does
    not by itself. What it fetches in the background is off: bytes are those that were asked for.
    """

    def __init__(self, directory: Path, tools: Path, environment: Mapping[str, str], v1: bool = True, enter: Sequence[str] = ()) -> None:
        self.directory, self.tools, self.enter = directory, tools, tuple(enter)
        self.socket = str(directory / "containerd.sock")
        # Containers' cgroups are named like the namespace, and outlive their parent's end.
        self.namespace = f"lyftlearn-lazy-{os.urandom(4).hex()}"
        self.environ = {**environment, "CONTAINERD_ADDRESS": self.socket, "CONTAINERD_NAMESPACE": self.namespace}
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        (directory / "containerd.toml").write_text(
            f'version = 2\nroot = "{directory}/containerd"\nstate = "{directory}/state"\n'
            f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{self.socket}"\n'
            f'[proxy_plugins.soci]\ntype = "snapshot"\naddress = "{directory}/bridge.sock"\n'
        )
        modes = "[pull_modes.soci_v1]\nenable = true\n" if v1 else ""
        # There it reads manifests, for the layers that it fetches whole.
        contents = f'[content_store]\ncontainerd_address = "{self.socket}"\n'
        # A busy machine is no reason to ask twice for a span (after 3 s by default), or to fetch a layer whole (30 s).
        patient = "mount_timeout_sec = 300\n[http]\nDialTimeoutMsec = 60000\nResponseHeaderTimeoutMsec = 60000\n"
        (directory / "snapshotter.toml").write_text(f"{patient}[background_fetch]\ndisable = true\n{contents}{modes}")

    def spawn(self, name: str, words: list[str], environment: Mapping[str, str] | None = None) -> None:
        """Start a server that ends with us."""
        with (self.directory / f"{name}.log").open("ab") as log:
            command = ["setpriv", "--pdeathsig", "KILL", *self.enter, *words]
            self._children[name] = subprocess.Popen(command, stdout=log, stderr=log, env=environment or self.environ)

    def start(self) -> None:
        """containerd and the snapshotter, which have nothing yet."""
        place = self.directory
        words = [str(self.tools / "soci-snapshotter-grpc"), "--address", f"{place}/snapshotter.sock", "--root", f"{place}/snapshotter"]
        self.spawn("snapshotter", [*words, "--config", f"{place}/snapshotter.toml", "--log-level", "info"])
        self._wait("snapshotter", f"{place}/snapshotter.sock")
        words = [str(self.tools / "soci-node"), "bridge", "-namespace", self.namespace]
        self.spawn("bridge", [*words, f"{place}/bridge.sock", f"{place}/snapshotter.sock"])
        self._wait("bridge", f"{place}/bridge.sock")
        self.spawn("containerd", ["containerd", "--config", f"{place}/containerd.toml"])
        self._wait("containerd", self.socket)

    def _wait(self, name: str, address: str) -> None:
        end = time.monotonic() + 300
        while True:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as tried:
                tried.connect(address)
                return
            if time.monotonic() > end or self._children[name].poll() is not None:
                raise SystemExit(f"{name} does not listen at {address}:\n{(self.directory / f'{name}.log').read_text()[-4000:]}")
            time.sleep(0.05)

    def stop(self, *names: str) -> None:
        """End servers, all of them without names."""
        for name in names or list(self._children):
            if child := self._children.pop(name, None):
                child.send_signal(signal.SIGTERM)
                try:
                    child.wait(60)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()

    def cold(self) -> None:
        """containerd and the snapshotter as on a new node. Not in an Enclosure: there a node is used once."""
        self.stop("containerd", "bridge", "snapshotter")
        self.unmount()
        for part in ("containerd", "state", "snapshotter"):
            shutil.rmtree(self.directory / part, ignore_errors=True)
        for part in ("containerd", "bridge", "snapshotter"):
            (self.directory / f"{part}.sock").unlink(missing_ok=True)
        self.start()

    def unmount(self) -> None:
        """What containers and the snapshotter have left mounted."""
        for line in Path("/proc/self/mounts").read_text().splitlines()[::-1]:
            if (where := line.split()[1]).startswith(str(self.directory)):
                subprocess.run(["umount", "--lazy", where], check=False)

    def call(self, *words: str) -> str:
        """What a command prints on the node; it must succeed."""
        done = subprocess.run([*self.enter, *words], env=self.environ, capture_output=True, text=True, check=False, timeout=900)
        if done.returncode:
            logs = "".join(f"{file.name}:\n{file.read_text()[-2000:]}" for file in self.directory.glob("[bcs]*.log"))
            raise SystemExit(f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}\n{logs}")
        return done.stdout

    def pull(self, image: str, index: str = "", snapshotter: str = "soci") -> None:
        """Mount the image lazily; `index` is its SOCI index's digest, else the snapshotter looks for it. `overlayfs` fetches it all."""
        words = [str(self.tools / "soci-node"), "pull", "-address", self.socket, "-namespace", self.namespace, "-snapshotter", snapshotter]
        self.call(*words, *(["-index", index] if index else []), image)

    def forget(self) -> None:
        """Remove the cgroups that containers of the node have left."""
        end = time.monotonic() + 60
        for top in [*Path("/sys/fs/cgroup").glob(self.namespace), *Path("/sys/fs/cgroup").glob(f"*/{self.namespace}")]:
            for each in [*(path for path in top.iterdir() if path.is_dir()), top]:
                while each.exists():
                    with contextlib.suppress(OSError):
                        each.rmdir()
                        break
                    if time.monotonic() > end:
                        raise SystemExit(f"{each} cannot be removed")
                    time.sleep(0.05)
