"""What `benchmarks/statsd.py` compares: the relay, the forwarders beside it, and the gateway behind them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.start import interpreter, launcher

HERE = Path(__file__).resolve().parents[1]
EXPORTER = "github.com/prometheus/statsd_exporter@v0.31.0"
PROXY = "statsd@0.9.0"
RELAY = b"lyftlearn-statsd-relay"
PLAIN = "relay, plain"
UNPRIVILEGED = ["setpriv", "--bounding-set=-net_admin,-sys_nice", "--inh-caps=-net_admin,-sys_nice"]


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lyftlearn"


def exporter() -> Path:
    return cache() / ("benchmark-" + hashlib.sha256(EXPORTER.encode()).hexdigest()[:12]) / "statsd_exporter"


def proxy() -> Path:
    return cache() / ("benchmark-" + hashlib.sha256(PROXY.encode()).hexdigest()[:12]) / "node_modules/statsd/proxy.js"


def install() -> None:
    """Get the rivals that are not there yet; one that cannot be had is left out, and that is said."""
    go = shutil.which("go") or "/usr/local/go/bin/go"
    steps = {
        exporter(): ([go, "install", EXPORTER], {"GOBIN": str(exporter().parent)}),
        proxy(): (["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(proxy().parents[2]), PROXY], {}),
    }
    for place, (command, more) in steps.items():
        if place.exists():
            continue
        print(f"benchmark: {' '.join(command[:2])} {command[-1]} ...", file=sys.stderr)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run(command, env={**os.environ, **more}, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"benchmark: without it: {error}", file=sys.stderr)


class Sink:
    """The gateway's process."""

    def __init__(self) -> None:
        program = str(HERE / "servers/statsd_sink.py")
        self.process = subprocess.Popen([sys.executable, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self._read())

    def _read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def take(self) -> dict[str, Any]:
        """What it has counted since the last time."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        found: dict[str, Any] = json.loads(self._read())
        return found

    def settle(self, wanted: int) -> dict[str, Any]:
        """The same, once all is there or nothing more comes."""
        total: dict[str, Any] = {"packets": 0, "lines": 0, "delay": 0.0, "largest": 0}
        quiet = time.monotonic()
        while total["lines"] < wanted and time.monotonic() - quiet < 2.5:  # statsd_exporter flushes every second
            found = self.take()
            if found["packets"]:
                quiet = time.monotonic()
            total = {name: max(total[name], found[name]) if name in ("delay", "largest") else total[name] + found[name] for name in total}
            time.sleep(0.05)
        return total


def free() -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", 8125))
        except OSError:
            return False
        return True


def wait(condition: Any) -> None:
    end = time.monotonic() + 20
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("benchmark: a forwarder does not come up, or does not end")
        time.sleep(0.01)


def relay_pid() -> int:
    """The relay of this network namespace; 0 where there is none."""
    here = os.readlink("/proc/self/ns/net")
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if Path(f"/proc/{name}/cmdline").read_bytes().startswith(RELAY) and os.readlink(f"/proc/{name}/ns/net") == here:
                return int(name)
        except OSError:
            continue
    return 0


def job(directory: Path, port: int) -> dict[str, str]:
    """The variables of a training job with nothing to fetch but the gateway's address."""
    config = directory / "opt/ml/input/config"
    config.mkdir(parents=True, exist_ok=True)
    (config / "resourceconfig.json").write_text("{}")
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": os.environ.get("HOME", "/"),
        "USER": "user",
        "LOGNAME": "user",
        "LYFTLEARN_ROOT": str(directory),
        "LYFTLEARN_LOG_LEVEL": "warning",
        "TRAINING_JOB_NAME": "benchmark",
        "TRAINING_JOB_ARN": "arn:aws:sagemaker:us-east-1:123456789012:training-job/benchmark",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": "made-up",
        "LYFTLEARN_STATSD_GATEWAY": f"localhost:{port}",
    }


class Forwarder:
    """One of those that are compared: started by `begin`, which gives its process; `process` ends it."""

    def __init__(self, words: list[str], environ: dict[str, str] | None = None, relay: bool = False) -> None:
        wait(free)
        self._process = subprocess.Popen(words, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait(lambda: not free())
        if relay:
            wait(relay_pid)
        self.pid = relay_pid() if relay else self._process.pid
        time.sleep(0.5)

    def cpu(self) -> float:
        """Seconds of CPU so far, of all its threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def idle(self) -> float:
        """Microseconds of CPU in a second without traffic."""

        def used() -> int:
            return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{self.pid}/task").glob("*/schedstat"))

        time.sleep(11)  # what it still has to tell: the relay counts itself every 10 s at most, and once more after the last traffic
        before = used()
        time.sleep(2)
        return (used() - before) / 2000

    def pss(self) -> float:
        """MB, as the kernel shares pages out (proc(5), Pss)."""
        rollup = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        wait(free)


def admin() -> int:
    """What statsd's proxy asks whether a gateway lives."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            connection, _ = server.accept()
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        with connection:
            while connection.recv(100):
                connection.sendall(b"health: up\n")

    threading.Thread(target=serve, daemon=True).start()
    port: int = server.getsockname()[1]
    return port


def forwarders(directory: Path, sink: Sink) -> dict[str, tuple[list[str], dict[str, str] | None, bool]]:
    start, program, plain = launcher(), ["sleep", "1000"], str(HERE / "servers/statsd_plain.py")
    words = [interpreter(start), "-ISXutf8"]
    found: dict[str, tuple[list[str], dict[str, str] | None, bool]] = {
        "relay": ([*words, start, *program], job(directory / "job", sink.port), True),
        PLAIN: ([*UNPRIVILEGED, *words, plain, start, sysconfig.get_path("purelib"), *program], job(directory / "plain", sink.port), True),
        "forward.py": ([interpreter(start), "-IS", str(HERE / "rivals/forward.py"), str(sink.port)], None, False),
    }
    if exporter().exists():
        ports = ["--statsd.listen-udp=127.0.0.1:8125", "--statsd.listen-tcp=", "--web.listen-address=127.0.0.1:0"]
        found["statsd_exporter"] = ([str(exporter()), *ports, f"--statsd.relay.address=127.0.0.1:{sink.port}"], None, False)
    if proxy().exists() and shutil.which("node"):
        settings = directory / "proxy.js"
        settings.write_text(
            f"{{nodes: [{{host: '127.0.0.1', port: {sink.port}, adminport: {admin()}}}], server: './servers/udp', host: '127.0.0.1', "
            "port: 8125, mgmt_port: 8126, mgmt_address: '127.0.0.1', forkCount: 0}"
        )
        found["statsd's proxy.js"] = (["node", "--no-deprecation", str(proxy()), str(settings)], None, False)
    return found
