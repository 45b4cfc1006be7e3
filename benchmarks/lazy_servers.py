"""What a lazy pull needs around it, on this machine alone: a registry with TLS and a node (tests/lazy_node.py). benchmarks/lazy_pull.py

Needs root, and a mount namespace of its own: /etc/hosts is mounted over.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from tests.lazy_node import TOOLS, Node, lacking  # noqa: E402

if TYPE_CHECKING:
    from lyftlearn_entrypoint.cli.footprint.starts import Start

# The snapshotter speaks plain HTTP with names of loopback; nodes have TLS, so the registry has another name.
HOST = "soci-registry.test"
ENCLOSED = "LYFTLEARN_BENCHMARK_ENCLOSED"
_BLOB = re.compile(r"/v2/app/blobs/(sha256:[0-9a-f]{64})")


def enclose() -> None:
    """Start this program again where its mounts are nobody else's."""
    words = ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv]
    os.execvpe(words[0], words, {**os.environ, ENCLOSED: "1"})


def enclosed(tools: Path | None) -> Path:
    """Be enclosed; the directory of the tools, which scripts/soci builds where none is given. Exits where something is lacking."""
    if os.geteuid():
        raise SystemExit("root is needed")
    if not os.environ.get(ENCLOSED):
        enclose()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what is left is cleaned up
    if not tools:
        built = subprocess.run([str(HERE.parent / "scripts/soci"), *TOOLS], stdout=subprocess.PIPE, text=True, check=True)
        tools = Path(built.stdout.strip())
    if lacks := lacking(tools):
        raise SystemExit(f"there is no {lacks}")
    return tools


class Servers(Node):
    """A registry beside the node, with its log below `directory`."""

    def __init__(self, directory: Path, tools: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.image = f"{HOST}:{self.port}/app:1"
        (directory / "hosts").write_text(f"127.0.0.1 localhost {HOST}\n")
        subprocess.run(["mount", "--bind", str(directory / "hosts"), "/etc/hosts"], check=True)
        key, self.certificate = str(directory / "key.pem"), str(directory / "cert.pem")
        super().__init__(directory, tools, {**os.environ, "SSL_CERT_FILE": self.certificate})
        # Sockets and pipes of containerd's are there, whatever its settings say.
        Path("/run/containerd").mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run/containerd"], check=True)
        words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-keyout", key, "-out", self.certificate]
        subprocess.run([*words, "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"], check=True, stderr=subprocess.DEVNULL)
        settings = {
            "version": "0.1",
            "log": {"level": "info", "formatter": "json", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(directory / "registry")}},
            "http": {"addr": f"127.0.0.1:{self.port}", "secret": "of this run", "tls": {"certificate": self.certificate, "key": key}},
        }
        (directory / "registry.yml").write_text(json.dumps(settings))  # JSON is YAML
        self.spawn("registry", ["docker-registry", "serve", str(directory / "registry.yml")], os.environ)

    def close(self) -> None:
        """End all servers; nothing stays mounted."""
        self.stop()
        self.unmount()
        self.forget()

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
