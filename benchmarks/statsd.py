"""The StatsD relay beside other forwarders, in one run: what is lost at which load, packets to the gateway, CPU, memory, delay.

    python benchmarks/statsd.py [--rounds N] [--quick] [--json]

In a network namespace of its own, where 127.0.0.1:8125 is free (as root, or with user namespaces). The relay is started by the launcher,
as a training job starts it; `relay, plain` is the same without the two capabilities that a container lacks by default, and with the
socket buffer that most machines grant (servers/statsd_plain.py). `forward.py` is the simplest forwarder (rivals/). The real ones are
statsd_exporter, in Go, with its relay, and the proxy of statsd for Node; each is installed on first use where Go or npm can. All sit
between senders and a gateway that are written in Python and run on the same machine. Of several rounds the best counts, for each
forwarder and load: a machine that does something else as well loses for everybody.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from benchmarks.start import interpreter, launcher  # noqa: E402

EXPORTER = "github.com/prometheus/statsd_exporter@v0.31.0"
PROXY = "statsd@0.9.0"
RELAY = b"lyftlearn-statsd-relay"
PLAIN = "relay, plain"
UNPRIVILEGED = ["setpriv", "--bounding-set=-net_admin,-sys_nice", "--inh-caps=-net_admin,-sys_nice"]
TARGETS = {"rate": 60_000, "pss": 8.0, "start": 2.0}  # datagrams a second without loss; MB; milliseconds
# Datagrams, a second (0: one by one, as fast as the sender can), senders.
LOADS = {
    "20,000/s": (200_000, 20_000, 1),
    "60,000/s": (1_000_000, 60_000, 1),
    "150,000/s": (600_000, 150_000, 1),
    "300,000/s": (1_200_000, 300_000, 1),
    "600,000/s": (2_400_000, 600_000, 1),
    "1,200,000/s": (4_800_000, 1_200_000, 1),
    "two senders, one by one": (250_000, 0, 2),
}
# Brings up loopback: netdevice(7), SIOCSIFFLAGS, IFF_UP.
UP = "import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh', b'lo', 1))"


def enclose() -> None:
    """Start this program again in a network namespace."""
    if os.environ.get("LYFTLEARN_BENCHMARK_ENCLOSED"):
        subprocess.run([sys.executable, "-c", UP], check=True)
        return
    install()  # where there is a network
    how = ["--net"] if os.geteuid() == 0 else ["--user", "--map-root-user", "--net"]
    environ = {**os.environ, "LYFTLEARN_BENCHMARK_ENCLOSED": "1"}
    os.execvpe("unshare", ["unshare", *how, sys.executable, *sys.argv], environ)


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


def send(count: int, rate: int, senders: int) -> float:
    """Seconds that it took."""
    words = [sys.executable, "-IS", str(HERE / "servers/statsd_send.py"), str(count), str(rate)]
    running = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(senders)]
    return max(float(process.communicate()[0]) for process in running)


def load(forwarder: Forwarder, sink: Sink, count: int, rate: int, senders: int) -> dict[str, float]:
    sink.take()
    before = forwarder.cpu()
    seconds = send(count, rate, senders)
    found = sink.settle(count * senders)
    lost = count * senders - found["lines"]
    return {
        "rate": round(count * senders / seconds),
        "lost": lost,
        "lost_percent": round(100 * lost / count / senders, 3),
        "lines_per_packet": round(found["lines"] / max(1, found["packets"]), 1),
        "cpu_microseconds": round((forwarder.cpu() - before) / max(1, found["lines"]) * 1e6, 2),
    }


def start_cost(directory: Path, sink: Sink, rounds: int) -> dict[str, float]:
    """Milliseconds from spawn to the end of a start with /bin/true, with and without the relay: medians, and the least."""
    environ = job(directory / "start", sink.port)
    entry = launcher()
    words = [interpreter(entry), "-ISXutf8", entry, "/bin/true"]
    times: dict[str, list[float]] = {"off": [], "auto": []}
    try:  # ahead of whatever else this machine does
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    except OSError:
        pass
    for number in range(rounds + 1):
        for mode, values in times.items():
            wait(free)
            began = time.perf_counter()
            pid = os.posix_spawn(words[0], words, {**environ, "LYFTLEARN_STATSD_RELAY": mode})
            os.waitpid(pid, 0)
            if number:
                values.append((time.perf_counter() - began) * 1000)
    wait(free)
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    cost = {}
    for mode, name in (("off", "without"), ("auto", "with")):
        cost[name] = round(statistics.median(times[mode]), 2)
        cost["least_" + name] = round(min(times[mode]), 2)
    return cost


def better(one: dict[str, float] | None, other: dict[str, float]) -> dict[str, float]:
    return other if one is None or (other["lost"], other["cpu_microseconds"]) < (one["lost"], one["cpu_microseconds"]) else one


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a tenth of the datagrams")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    enclose()
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as name:
        sink = Sink()
        for _ in range(options.rounds):
            for forwarder, how in forwarders(Path(name), sink).items():
                running = Forwarder(*how)
                result = results.setdefault(forwarder, {"loads": {}, "idle": 1e9, "pss": 1e9, "delay": 1e9})
                try:
                    for label, (count, rate, senders) in LOADS.items():
                        found = load(running, sink, count // (10 if options.quick else 1), rate, senders)
                        result["loads"][label] = better(result["loads"].get(label), found)
                    send(200, -100, 1)
                    result["delay"] = min(result["delay"], sink.settle(200)["delay"] * 1000)
                    result["idle"] = min(result["idle"], running.idle())
                    result["pss"] = min(result["pss"], running.pss())
                finally:
                    running.end()
        cost = start_cost(Path(name), sink, 10 if options.quick else 60)
        sink.process.kill()
    report(results, cost, options.json)


def report(results: dict[str, dict[str, Any]], cost: dict[str, float], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"forwarders": results, "start_milliseconds": cost}, indent=2))
        return
    plain = results["forward.py"]["loads"]
    print(f"{'load':24} {'forwarder':18} {'sent/s':>9} {'lost':>9} {'%':>8} {'lines/packet':>13} {'CPU us/line':>12} {'ratio':>6}")
    for label in LOADS:
        for forwarder, result in results.items():
            row = result["loads"][label]
            ratio = row["cpu_microseconds"] / plain[label]["cpu_microseconds"]
            print(
                f"{label:24} {forwarder:18} {row['rate']:9,} {row['lost']:9,} {row['lost_percent']:8.3f} {row['lines_per_packet']:13} "
                f"{row['cpu_microseconds']:12} {ratio:6.2f}"
            )
    print(f"\n{'forwarder':18} {'PSS, MB':>9} {'idle, us of CPU a second':>26} {'delay of one, ms':>18}")
    for forwarder, result in results.items():
        print(f"{forwarder:18} {result['pss']:9.1f} {result['idle']:26.1f} {result['delay']:18.2f}")
    print(
        f"\nstart: {cost['without']} ms without the relay, {cost['with']} ms with it (medians); least {cost['least_without']} and "
        f"{cost['least_with']} ms"
    )
    relay = results["relay"]
    print(f"to reach: none lost at {TARGETS['rate']:,}/s, PSS {TARGETS['pss']:g} MB, start + {TARGETS['start']:g} ms, no CPU when idle;")
    reached = (
        relay["loads"]["60,000/s"]["lost"] == 0,
        relay["pss"] < TARGETS["pss"],
        cost["with"] - cost["without"] < TARGETS["start"],
    )
    print("reached:  " + ", ".join("yes" if one else "NO" for one in (*reached, relay["idle"] == 0)))


if __name__ == "__main__":
    main()
