"""What `lyftlearn image footprint` predicts beside what a real lazy pull fetches: bytes that a registry served, for real starts.

    python benchmarks/lazy_pull.py [--image lyftlearn-base:latest] [--index v1|v2] [--start NAME ...] [--json]

As root, with /dev/fuse. containerd, docker-registry, openssl, unshare and strace are taken from PATH; AWS's soci-snapshotter-grpc and our
client for it are what scripts/soci builds (--tools: they are there already). The index is made here, by `lyftlearn image soci`'s own code.
All servers run in a mount namespace of their own, on loopback. For each start the snapshotter begins with nothing:
the image is mounted, the start is run once under containerd, and what the registry's log says of its layers is counted. The prediction is
made from a trace of the same start in the Docker Engine and the spans of the index: `least`, of pages that were read for certain, `most`,
of those that were mapped too, and `predicted`, of those that were read or looked at and what the kernel reads around these; and, to tell
the model of spans from that of pages, from the pages that the kernel says were touched (touched_pages.py). `command` is `predicted` as
`lyftlearn image footprint --compressed` prints it, which knows neither the real spans nor the registry's compression. Starts that
something has to ask whether they are over are left out: asking reads files as well.
"""

from __future__ import annotations

import argparse
import bisect
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from benchmarks.lazy_servers import HOST, Servers, enclosed  # noqa: E402
from benchmarks.touched_pages import Loop  # noqa: E402
from lyftlearn_entrypoint.cli.footprint import layers as footprint_layers  # noqa: E402
from lyftlearn_entrypoint.cli.footprint import starts as footprint_starts  # noqa: E402
from lyftlearn_entrypoint.cli.footprint.spans import SMALLEST, SPAN  # noqa: E402
from lyftlearn_entrypoint.cli.image import docker as image_docker  # noqa: E402
from lyftlearn_entrypoint.cli.image.footprint import measure  # noqa: E402
from lyftlearn_entrypoint.cli.image.layers import Saved  # noqa: E402
from lyftlearn_entrypoint.cli.image.soci import from_engine  # noqa: E402
from lyftlearn_entrypoint.cli.soci import make, parallel, ztoc  # noqa: E402
from lyftlearn_entrypoint.cli.soci.blobs import Blobs  # noqa: E402
from tests.unit.soci_made import Reader  # noqa: E402

KINDS = ("least", "predicted", "command", "most", "pages")
STARTS = ("python", "entrypoint", "train", "sklearn", "job")
# A file and ranges of bytes in it.
Touched = tuple[footprint_layers.File, Iterable[tuple[int, int]]]


def publish(servers: Servers, image: str, work: Path, kind: str, tag: str = "1") -> make.Made:
    """The Engine's image and its index, v1 or v2, into the registry; what was made, kept as blobs below work/layout."""
    from lyftlearn_entrypoint.cli.image.ecr import Destination, Login, Tokens
    from lyftlearn_entrypoint.cli.image.registry import Registry
    from lyftlearn_entrypoint.cli.soci.push import send, store

    class Nobody(Tokens):
        def __init__(self) -> None:
            pass

        def get(self) -> Login:
            return Login("nobody", "nothing")

    blobs = Blobs(work / "layout")
    source = from_engine(image, work, parallel.processors())
    found = make.images(source, SMALLEST)
    ztocs = make.ztocs(source, found, blobs, SPAN, ztoc.TOOL, parallel.processors())
    made = make.indices(source, found, ztocs, blobs, (kind,), SPAN, ztoc.TOOL)
    os.environ["REQUESTS_CA_BUNDLE"] = servers.certificate
    registry = Registry(Destination(f"{HOST}:{servers.port}", "app"), Nobody())
    send(registry, source, made, blobs)
    store(registry, source, made)
    registry.put_manifest(tag, made.whole or source.root)
    return made


def run(servers: Servers, start: footprint_starts.Start, image: Any, root: Path | None = None) -> None:
    """The start, under containerd, on the lazily mounted image; or on another root."""
    settings = image.attrs["Config"]
    entrypoint = list(settings["Entrypoint"] or []) if start.entrypoint is None else list(start.entrypoint)
    words = ["ctr", "run", "--rm", *(["--rootfs"] if root else ["--snapshotter", "soci"])]
    # With a root of one's own, nothing comes from the image's config.
    for name, value in {**dict(each.split("=", 1) for each in settings["Env"] or []), **start.environment}.items():
        words += ["--env", f"{name}={value}"]
    words += servers.files(start)
    words += ["--cwd", settings["WorkingDir"] or "/"]
    servers.call(*words, str(root or servers.image), f"lazy-{start.name}-{os.getpid()}", *entrypoint, *start.words)


def predicted(touched: list[Touched], lazy: dict[int, Reader]) -> tuple[int, int]:
    """(compressed bytes, spans) that a lazy pull fetches for what was touched, by the real spans of each layer that has an index."""
    starts = {layer: [reader.checkpoint(number)[1] for number in range(reader.count)] for layer, reader in lazy.items()}
    spans: set[tuple[int, int]] = set()
    for file, ranges in touched:
        if (places := starts.get(file.layer)) is None:
            continue
        for begin, end in ranges:
            first, last = bisect.bisect_right(places, file.offset + begin) - 1, bisect.bisect_left(places, file.offset + end) - 1
            spans |= {(file.layer, number) for number in range(first, last + 1)}
    ranges = [lazy[layer].span_range(number) for layer, number in spans]
    return sum(end - begin for begin, end in ranges), len(ranges)


def told(row: dict[str, Any]) -> str:
    """A start in one line: MB that the registry served, and how far each prediction is off."""
    fetched = row["fetched"]
    made = [(which, row[which]) for which in KINDS if which in row]
    parts = (f"{which} {each['bytes'] / 1e6:.1f} MB in {each['spans']} spans ({each['off']:+.1%})" for which, each in made)
    served = f"{fetched['bytes'] / 1e6:.1f} MB in {fetched['requests']} requests"
    return f"{served}, mounted in {row['pull_seconds']:.1f} s, run in {row['run_seconds']:.1f} s; predicted: {', '.join(parts)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", default="lyftlearn-base:latest")
    parser.add_argument("--tools", type=Path, help="where soci-snapshotter-grpc and soci-node are; without it scripts/soci builds them")
    parser.add_argument("--index", choices=["v1", "v2"], default="v2", help="which form of index")
    known = {start.name: start for start in footprint_starts.of(["base", "distributed", "dl"]) if not (start.until or start.peer)}
    parser.add_argument("--start", action="append", choices=known, help=f"repeatable; default {', '.join(STARTS)}")
    parser.add_argument("--no-pages", dest="pages", action="store_false", help="without the kernel's count: it unpacks the whole image")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    tools = enclosed(given.tools)
    client = image_docker.connect()
    image = client.images.get(given.image)
    rows = []
    with tempfile.TemporaryDirectory(prefix="lazy-") as name:
        directory = Path(name)
        servers = Servers(directory, tools)
        try:
            work = directory / "work"
            work.mkdir()
            made = publish(servers, given.image, work, given.index)
            blobs, ztocs, choices = Blobs(work / "layout"), made.ztocs, made.images[0].choices
            lazy = {
                number: Reader(blobs.read(ztocs[choice.layer["digest"]].digest))
                for number, choice in enumerate(choices)
                if choice.layer["digest"] in ztocs
            }
            digests = {choices[number].layer["digest"] for number in lazy}
            files = footprint_layers.read(Saved(image.save()), True)
            loop = Loop(image, directory / "loop") if given.pages else None
            for start in (known[name] for name in given.start or STARTS):
                (measured,) = measure(client, image, files, [start])
                account, uses = measured.account, measured.account.uses
                servers.cold()
                before = servers.served(digests)
                began = time.monotonic()
                servers.pull(servers.image)
                pulled, mounted = time.monotonic() - began, servers.served(digests)
                run(servers, start, image)
                seconds = time.monotonic() - began - pulled
                after = servers.served(digests)
                row: dict[str, Any] = {"start": start.name, "pull_seconds": pulled, "run_seconds": seconds}
                row["fetched"] = {"bytes": after[0] - before[0], "requests": after[1] - before[1], "at_mount": mounted[0] - before[0]}
                kinds: dict[str, list[Touched]] = {
                    "least": [(use.file, use.least) for use in uses],
                    "predicted": [(use.file, use.predicted) for use in uses],
                    "most": [(use.file, use.most) for use in uses],
                }
                if loop:
                    exact = loop.touched(files, lambda root: run(servers, start, image, root))  # noqa: B023  (called at once)
                    kinds["pages"] = [(files.files[path], ranges) for path, ranges in exact.items()]
                # When it is mounted a byte of each layer is asked for, to see whether it can be read.
                in_run = after[0] - mounted[0]
                found = {which: predicted(touched, lazy) for which, touched in kinds.items()}
                parts = [account.parts[number].fetched[1] for number in lazy]
                found["command"] = (sum(part.compressed for part in parts), sum(part.spans for part in parts))
                for which, (size, spans) in found.items():
                    row[which] = {"bytes": size, "spans": spans, "off": (size - in_run) / (in_run or 1)}
                rows.append(row)
                print(f"{start.name}: {told(row)}", file=sys.stderr)
        finally:
            servers.close()
    if given.json:
        print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
