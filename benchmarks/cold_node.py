"""A node of its own for benchmarks: a registry on loopback as far away as one likes, containerd, and AWS's snapshotter for lazy pulls.

As root, with /dev/fuse. containerd, docker-registry, openssl and unshare are taken from PATH; `soci` and `soci-snapshotter-grpc` have to be
of version 0.4 (Debian 13's package soci-snapshotter): later ones have no command that pulls lazily. All servers run in a mount namespace of
their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lyftlearn_entrypoint.cli.soci import make
    from lyftlearn_entrypoint.cli.soci.blobs import Blobs

# soci 0.4 mixes http and https for names of loopback, so the registry has another name, and TLS.
HOST = "soci-registry.test"
STORE = "/var/lib/soci-snapshotter-grpc"  # built into soci 0.4
ENCLOSED = "LYFTLEARN_BENCHMARK_ENCLOSED"


def enclose() -> None:
    """Start this program again where its mounts are nobody else's."""
    os.execvpe("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv], {**os.environ, ENCLOSED: "1"})


class Relay:
    """Passes connections on to a port of this machine. Each byte comes half of `latency` (seconds) later, a connection one whole."""

    def __init__(self, upstream: int) -> None:
        self.latency = 0.0
        self._upstream = upstream
        self._loop = asyncio.new_event_loop()
        ready: list[int] = []
        there = threading.Event()

        async def serve() -> None:
            server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
            ready.append(server.sockets[0].getsockname()[1])
            there.set()
            await server.serve_forever()

        threading.Thread(target=lambda: self._loop.run_until_complete(serve()), daemon=True).start()
        there.wait(10)
        self.port = ready[0]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self.latency)
        try:
            theirs, ours = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._pass(reader, ours), self._pass(theirs, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Latency, not bandwidth: what has come waits half a round trip, while more may come. 8 MiB may be on their way."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(128)

        async def read() -> None:
            data = b"x"
            while data:
                with contextlib.suppress(OSError):
                    data = await reader.read(1 << 16)
                await waiting.put((self._loop.time() + self.latency / 2, data))

        reading = asyncio.create_task(read())
        try:
            while True:
                due, data = await waiting.get()
                await asyncio.sleep(max(due - self._loop.time(), 0))
                if not data:
                    break
                writer.write(data)
                await writer.drain()
        except OSError:
            reading.cancel()
        with contextlib.suppress(OSError, RuntimeError):
            writer.close()


class Node:
    """A registry behind a relay, containerd and the snapshotter, each with its log below `directory`."""

    def __init__(self, directory: Path, tools: Path) -> None:
        self.directory = directory
        self.tools = tools
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.relay = Relay(self.port)
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
            f'[proxy_plugins.soci]\ntype = "snapshot"\naddress = "{directory}/snapshotter.sock"\n'
        )
        (directory / "snapshotter.toml").write_text("[background_fetch]\ndisable = true\n")

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
        self.stop("containerd", "snapshotter")
        self.unmount()
        for part in ("containerd", "state", "snapshotter"):
            shutil.rmtree(self.directory / part, ignore_errors=True)
        for each in Path(STORE).iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        address, root = str(self.directory / "snapshotter.sock"), str(self.directory / "snapshotter")
        words = [str(self.tools / "soci-snapshotter-grpc"), "--address", address, "--root", root]
        self.start("snapshotter", [*words, "--config", str(self.directory / "snapshotter.toml"), "--log-level", "info"])
        wait(address)
        self.start("containerd", ["containerd", "--config", str(self.directory / "containerd.toml")])
        wait(self.socket)

    def unmount(self) -> None:
        """What containers and the snapshotter have left mounted."""
        for line in Path("/proc/self/mounts").read_text().splitlines()[::-1]:
            if (where := line.split()[1]).startswith((str(self.directory), f"{STORE}/")):
                subprocess.run(["umount", "--lazy", where], check=False)

    def call(self, *words: str) -> str:
        done = subprocess.run(words, env=self.environment(), capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            raise SystemExit(f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}\nlogs: {self.directory}")
        return done.stdout

    def name(self, tag: str) -> str:
        """The image as the node knows it."""
        return f"{HOST}:{self.relay.port}/app:{tag}"

    def served(self) -> tuple[int, int]:
        """(bytes, requests) that the registry has answered so far, by its own log."""
        size = count = 0
        for line in (self.directory / "registry.log").read_text().splitlines():
            told = json.loads(line) if line.startswith("{") else {}
            if told.get("http.request.method") == "GET" and "http.response.written" in told:
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


def push(node: Node, made: make.Made, source: make.Source, blobs: Blobs, tag: str) -> None:
    """The image and its index, version 1, into the registry, past the relay."""
    from lyftlearn_entrypoint.cli.image.ecr import Destination, Login, Tokens
    from lyftlearn_entrypoint.cli.image.registry import Registry
    from lyftlearn_entrypoint.cli.soci.push import send, store

    class Nobody(Tokens):
        def __init__(self) -> None:
            pass

        def get(self) -> Login:
            return Login("nobody", "nothing")

    os.environ["REQUESTS_CA_BUNDLE"] = node.certificate
    registry = Registry(Destination(f"{HOST}:{node.port}", "app"), Nobody())
    send(registry, source, made, blobs)
    store(registry, source, made)
    registry.put_manifest(tag, source.root)
