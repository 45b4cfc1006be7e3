"""What a lazy pull needs around it, on this machine alone: a registry with TLS, containerd, AWS's soci-snapshotter. benchmarks/lazy_pull.py

Needs root, and a mount namespace of its own: /etc/hosts and the snapshotter's store are mounted over.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lyftlearn_entrypoint.cli.footprint.starts import Start

# soci 0.4 mixes http and https for names of loopback, so the registry has another name, and TLS.
HOST = "soci-registry.test"
STORE = "/var/lib/soci-snapshotter-grpc"  # built into soci 0.4
_BLOB = re.compile(r"/v2/app/blobs/(sha256:[0-9a-f]{64})")


class Servers:
    """A registry, containerd and the snapshotter, each with its log below `directory`."""

    def __init__(self, directory: Path, tools: Path) -> None:
        self.directory = directory
        self.tools = tools
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.image = f"{HOST}:{self.port}/app:1"
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        (directory / "hosts").write_text(f"127.0.0.1 localhost {HOST}\n")
        subprocess.run(["mount", "--bind", str(directory / "hosts"), "/etc/hosts"], check=True)
        Path(STORE).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", STORE], check=True)
        key, self.certificate = str(directory / "key.pem"), str(directory / "cert.pem")
        words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-keyout", key, "-out", self.certificate]
        subprocess.run([*words, "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"], check=True, stderr=subprocess.DEVNULL)
        settings = {
            "version": "0.1",
            "log": {"level": "info", "formatter": "json", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(directory / "registry")}},
            "http": {"addr": f"127.0.0.1:{self.port}", "secret": "of this run", "tls": {"certificate": self.certificate, "key": key}},
        }
        (directory / "registry.yml").write_text(json.dumps(settings))  # JSON is YAML
        self.start("registry", ["docker-registry", "serve", str(directory / "registry.yml")])
        containerd = directory / "containerd"
        self.socket = str(directory / "containerd.sock")
        (directory / "containerd.toml").write_text(
            f'version = 2\nroot = "{containerd}"\nstate = "{directory}/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'[grpc]\naddress = "{self.socket}"\n'
            f'[proxy_plugins.soci]\ntype = "snapshot"\naddress = "{directory}/bridge.sock"\n'
        )
        (directory / "snapshotter.toml").write_text("[background_fetch]\ndisable = true\n[pull_modes.soci_v1]\nenable = true\n")

    def environment(self) -> dict[str, str]:
        return {**os.environ, "SSL_CERT_FILE": self.certificate, "CONTAINERD_ADDRESS": self.socket}

    def start(self, name: str, words: list[str]) -> None:
        with (self.directory / f"{name}.log").open("ab") as log:
            command = ["setpriv", "--pdeathsig", "KILL", *words]
            self._children[name] = subprocess.Popen(command, stdout=log, stderr=log, env=self.environment() if name != "registry" else None)

    def stop(self, *names: str) -> None:
        for name in names or list(self._children):
            if child := self._children.pop(name, None):
                child.send_signal(signal.SIGTERM)
                try:
                    child.wait(20)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()

    def cold(self) -> None:
        """containerd and the snapshotter as on a new node."""
        self.stop("containerd", "bridge", "snapshotter")
        (self.directory / "bridge.sock").unlink(missing_ok=True)
        self.unmount()
        for part in ("containerd", "state", "snapshotter"):
            shutil.rmtree(self.directory / part, ignore_errors=True)
        for each in Path(STORE).iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        address, root = str(self.directory / "snapshotter.sock"), str(self.directory / "snapshotter")
        words = [str(self.tools / "soci-snapshotter-grpc"), "--address", address, "--root", root]
        self.start("snapshotter", [*words, "--config", str(self.directory / "snapshotter.toml"), "--log-level", "info"])
        wait(address)
        bridge = str(self.directory / "bridge.sock")
        self.start("bridge", [str(self.tools / "soci-node"), "bridge", bridge, address])
        wait(bridge)
        self.start("containerd", ["containerd", "--config", str(self.directory / "containerd.toml")])
        wait(self.socket)

    def unmount(self) -> None:
        """What containers and the snapshotter have left mounted."""
        for line in Path("/proc/self/mounts").read_text().splitlines()[::-1]:
            if (where := line.split()[1]).startswith((str(self.directory), f"{STORE}/")):
                subprocess.run(["umount", "--lazy", where], check=False)

    def files(self, start: Start) -> list[str]:
        """What the platform writes for a start, and the words by which `ctr run` mounts it."""
        for path, text in start.files.items():
            file = self.directory / "files" / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        words = []
        for top in sorted({str(Path(path).parent) for path in start.files}):
            words += ["--mount", f"type=bind,src={self.directory}/files{top},dst={top},options=rbind:rw"]
        return words

    def call(self, *words: str) -> str:
        done = subprocess.run(words, env=self.environment(), capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            raise SystemExit(f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}\nlogs: {self.directory}")
        return done.stdout

    def pull(self, image: str, index: str = "") -> None:
        """Mount the image lazily; `index` is its SOCI index's digest, which the snapshotter looks for otherwise."""
        self.call(str(self.tools / "soci-node"), "pull", "-address", self.socket, *(["-index", index] if index else []), image)

    def served(self, digests: set[str] | None = None) -> tuple[int, int]:
        """(bytes, requests) that the registry has answered so far, for these blobs or for all GETs, by its own log."""
        size = count = 0
        for line in (self.directory / "registry.log").read_text().splitlines():
            told = json.loads(line) if line.startswith("{") else {}
            if told.get("http.request.method") != "GET" or "http.response.written" not in told:
                continue
            found = _BLOB.search(str(told.get("http.request.uri", "")))
            if digests is None or (found and found[1] in digests):
                size += int(told["http.response.written"])
                count += 1
        return size, count


def wait(address: str) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            with socket.socket(socket.AF_UNIX) as tried:
                tried.connect(address)
            return
        except OSError:
            if time.monotonic() > end:
                raise SystemExit(f"nothing listens at {address}") from None
            time.sleep(0.05)
