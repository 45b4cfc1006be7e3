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
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from benchmarks.rivals.statsd_forwarders import Forwarder, Sink, forwarders, free, install, job, wait  # noqa: E402
from benchmarks.start import interpreter, launcher  # noqa: E402

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


def start_cost(directory: Path, sink: Sink, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds from spawn to the program's first moment, without and with the relay: medians, and the least. Under tini, the images'
    init, the start waits until the relay is ready (docs/statsd.md); `one processor` is that where there is no second one to do it."""
    environ = job(directory / "start", sink.port)
    entry = launcher()
    words = [interpreter(entry), "-ISXutf8", entry, shutil.which("date") or "date", "+%s%N"]
    places: dict[str, list[str]] = {"": []}
    if shutil.which("tini"):
        first = str(min(os.sched_getaffinity(0)))
        places |= {
            " under tini": ["tini", "-s", "--"],
            " under tini, one processor": ["taskset", "-c", first, "tini", "-s", "--"],
        }
    try:  # ahead of whatever else this machine does
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    except OSError:
        pass
    found = {}
    for place, before in places.items():
        times: dict[str, list[float]] = {"off": [], "auto": []}
        for number in range(rounds + 1):
            for mode, values in times.items():
                wait(free)
                began = time.time_ns()
                done = subprocess.run(
                    [*before, *words], env={**environ, "LYFTLEARN_STATSD_RELAY": mode}, stdout=subprocess.PIPE, check=True
                )
                if number:
                    values.append((int(done.stdout) - began) / 1e6)
        wait(free)
        found["start" + place] = {
            "without": round(statistics.median(times["off"]), 2),
            "with": round(statistics.median(times["auto"]), 2),
            "least_without": round(min(times["off"]), 2),
            "least_with": round(min(times["auto"]), 2),
        }
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return found


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
        costs = start_cost(Path(name), sink, 10 if options.quick else 60)
        sink.process.kill()
    report(results, costs, options.json)


def report(results: dict[str, dict[str, Any]], costs: dict[str, dict[str, float]], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"forwarders": results, "start_milliseconds": costs}, indent=2))
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
    print(f"\n{'ms to the program, medians (least)':34} {'without':>16} {'with':>16} {'more':>6}")
    for name, cost in costs.items():
        without, with_it = (f"{cost[mode]:.2f} ({cost['least_' + mode]:.2f})" for mode in ("without", "with"))
        print(f"{name:34} {without:>16} {with_it:>16} {cost['with'] - cost['without']:6.2f}")
    cost = costs["start"]
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
