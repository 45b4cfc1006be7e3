"""From a cold node to the first line of a user's program: how long each way of having the image takes, and what it fetches.

    python benchmarks/cold_start.py --plain lyftlearn-base:plain --hot lyftlearn-base:latest [--index v1|v2] [--latency MS ...]

--plain is the image as the engine made it (`lyftlearn image build base --no-layout --tag ...`), --hot the same with the layout. Everything
is real: a registry, a relay before it that gives each round trip the latency, containerd, and for the lazy pulls AWS's snapshotter.
What it needs: lazy_pull.py. Four ways, each for every latency and program:

    eager       pull and unpack the whole image, then run
    lazy        mount it by its SOCI index, then run: each span is fetched when it is read
    hot-first   the same, of the image whose layers are laid out
    warm pool   run once more on the node that has pulled eagerly: the image is there

A run is timed until the entrypoint says its first line (the pull, or the mount, and the container's making are over by then) and until the
program says its own. All of it shares one machine: the registry's work counts too, and its files are in the machine's cache.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from benchmarks.lazy_pull import publish  # noqa: E402
from benchmarks.lazy_servers import HOST, Servers, enclosed  # noqa: E402
from benchmarks.servers.relay import Relay  # noqa: E402
from lyftlearn_entrypoint.cli.footprint import starts as footprint_starts  # noqa: E402
from lyftlearn_entrypoint.cli.image import docker as image_docker  # noqa: E402

FIRST = "first line of the user"
PROGRAMS = {
    "python": f"python -c 'print(\"{FIRST}\")'",
    "sklearn": f"python -c 'import sklearn.linear_model; print(\"{FIRST}\")'",
}


class Node(Servers):
    """A node, and its registry as far away as the relay says."""

    def __init__(self, directory: Path, tools: Path) -> None:
        super().__init__(directory, tools)
        self.relay = Relay(self.port)

    def name(self, tag: str) -> str:
        """The image as the node knows it."""
        return f"{HOST}:{self.relay.port}/app:{tag}"


def prepare(node: Node, image: str, kind: str, tag: str) -> None:
    """The image and its SOCI index into the registry."""
    work = node.directory / f"work-{tag}"
    work.mkdir()
    publish(node, image, work, kind, tag)
    shutil.rmtree(work)


def first_lines(node: Node, image: Any, name: str, snapshotter: str, program: str) -> tuple[float, float]:
    """Run a training job; (seconds until the entrypoint's first line, until the program's)."""
    start = footprint_starts.training("cold", "", PROGRAMS[program])
    words = ["ctr", "run", "--rm", "--snapshotter", snapshotter]
    for key, value in {**start.environment, "LYFTLEARN_LOG_LEVEL": "info"}.items():
        words += ["--env", f"{key}={value}"]
    words += node.files(start)
    words += [name, f"cold-{time.monotonic_ns()}", *image.attrs["Config"]["Entrypoint"], *start.words]
    began = time.monotonic()
    entered = 0.0
    with subprocess.Popen(words, env=node.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        assert running.stdout
        said = []
        for line in running.stdout:
            said.append(line)
            entered = entered or time.monotonic() - began
            if line.startswith(FIRST):
                first = time.monotonic() - began
                running.stdout.read()
                break
        else:
            raise SystemExit(f"{name} did not say its first line:\n{''.join(said)}\nlogs: {node.directory}")
    return entered, first


def pull(node: Node, snapshotter: str, name: str) -> dict[str, Any]:
    """Pull the whole image, or mount it by its index; seconds, and what the registry served for it."""
    before, began = node.served(), time.monotonic()
    node.pull(name, snapshotter=snapshotter)
    seconds, after = time.monotonic() - began, node.served()
    return {"pull": seconds, "bytes": after[0] - before[0], "requests": after[1] - before[1]}


def measure(node: Node, image: Any, way: str, name: str, program: str, pulled: dict[str, Any]) -> dict[str, Any]:
    """One row: seconds of each part, and what the registry served, with what it served for the pull."""
    before = node.served()
    entered, first = first_lines(node, image, name, "soci" if way in ("lazy", "hot-first") else "overlayfs", program)
    after = node.served()
    row = {
        "way": way,
        "program": program,
        "latency_ms": round(node.relay.latency * 1000),
        "pull": pulled["pull"],
        "entrypoint": entered,
        "first_line": first,
        "total": pulled["pull"] + first,
        "bytes": pulled["bytes"] + after[0] - before[0],
        "requests": pulled["requests"] + after[1] - before[1],
    }
    print(json.dumps(row), file=sys.stderr, flush=True)
    return row


def at(node: Node, image: Any, programs: list[str]) -> list[dict[str, Any]]:
    """Every way and program, at the latency that the relay has. One eager pull serves all programs."""
    node.cold()
    there = {"pull": 0.0, "bytes": 0, "requests": 0}
    pulled = pull(node, "overlayfs", node.name("hot"))
    rows = [measure(node, image, "eager", node.name("hot"), program, pulled) for program in programs]
    rows += [measure(node, image, "warm pool", node.name("hot"), program, there) for program in programs]
    for way, tag in (("lazy", "plain"), ("hot-first", "hot")):
        for program in programs:
            node.cold()
            rows.append(measure(node, image, way, node.name(tag), program, pull(node, "soci", node.name(tag))))
    return rows


def shown(rows: list[dict[str, Any]]) -> str:
    """The rows as a table, and each as a bar: `=` the pull or mount, `-` up to the entrypoint's first line, `.` up to the program's."""
    longest = max(row["total"] for row in rows)
    order = list(PROGRAMS)
    lines = ["latency program   way            pull  entrypoint  program    total      MB  GETs"]
    for row in sorted(rows, key=lambda row: (order.index(row["program"]), row["latency_ms"])):
        parts = (row["pull"], row["entrypoint"], row["first_line"] - row["entrypoint"])
        numbers = f"{parts[0]:8.1f} {parts[1]:11.1f} {parts[2]:8.1f} {row['total']:8.1f} {row['bytes'] / 1e6:7.1f} {row['requests']:5}"
        bar = "".join(sign * round(60 * seconds / longest) for sign, seconds in zip("=-.", parts, strict=True))
        lines.append(f"{row['latency_ms']:4} ms {row['program']:8}  {row['way']:10} {numbers}  {bar}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plain", default="lyftlearn-base:plain", help="the image with its layers in the engine's order")
    parser.add_argument("--hot", default="lyftlearn-base:latest", help="the same, laid out")
    parser.add_argument("--tools", type=Path, help="where soci-snapshotter-grpc and soci-node are; without it scripts/soci builds them")
    parser.add_argument("--index", choices=["v1", "v2"], default="v2", help="which form of index")
    parser.add_argument("--latency", type=int, action="append", help="added to each round trip, in ms; default 0, 20 and 100")
    parser.add_argument("--program", action="append", choices=list(PROGRAMS))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    tools = enclosed(given.tools)
    image = image_docker.connect().images.get(given.hot)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="cold-") as directory:
        node = Node(Path(directory), tools)
        try:
            for tag, name in (("plain", given.plain), ("hot", given.hot)):
                prepare(node, name, given.index, tag)
            for latency in given.latency or (0, 20, 100):
                node.relay.latency = latency / 1000
                rows += at(node, image, given.program or list(PROGRAMS))
        finally:
            node.close()
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n")
    print(shown(rows))


if __name__ == "__main__":
    main()
