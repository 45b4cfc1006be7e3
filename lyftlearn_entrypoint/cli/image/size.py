"""What an image's bytes are: its layers by name, the packages in it by size, and what its layers weigh in a registry."""

from __future__ import annotations

import json
import re
import sys
import zlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from lyftlearn_entrypoint.cli.image import docker as image_docker
from lyftlearn_entrypoint.cli.image.common import CHECKOUT, TAG, directory_of, find, keeps_manifests, tag_of

if TYPE_CHECKING:
    from pathlib import Path

    from lyftlearn_entrypoint.cli.image.layers import Layers

# Runs in the image, on its own Python. A file counts for the distribution whose RECORD names it; compiled files go with their source.
# A JAR counts by itself, also one that came with a Python distribution (Spark's do); those of Debian's packages count for these.
MEASURE = """\
import csv, glob, importlib.util, json, os, re, subprocess
packages = []
for record in glob.glob("/opt/venv/lib/python3*/site-packages/*.dist-info/RECORD") + glob.glob("/opt/lyftlearn/lib/*.dist-info/RECORD"):
    site = os.path.dirname(os.path.dirname(record))
    files = set()
    for row in csv.reader(open(record, newline="")):
        path = os.path.normpath(os.path.join(site, row[0]))
        files.add(path)
        if path.endswith(".py"):
            files.add(importlib.util.cache_from_source(path))
    size = sum(os.lstat(path).st_size for path in files if os.path.lexists(path) and not path.endswith(".jar"))
    name, version = os.path.basename(os.path.dirname(record))[: -len(".dist-info")].rsplit("-", 1)
    where = "python" if site.startswith("/opt/venv") else "operator"
    packages.append({"kind": where, "name": name, "version": version, "bytes": size})
for top in ("/opt", "/srv", "/usr/local"):
    for directory, _, names in os.walk(top):
        for name in names:
            path = os.path.join(directory, name)
            if name.endswith(".jar") and not os.path.islink(path):
                found = re.match("(.+?)-([0-9].*)[.]jar$", name)
                name, version = found.groups() if found else (name[:-4], "")
                packages.append({"kind": "jar", "name": name, "version": version, "bytes": os.lstat(path).st_size})
form = "${Package}\\t${Version}\\t${Installed-Size}\\n"
for line in subprocess.run(["dpkg-query", "-W", "-f", form], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines():
    name, version, size = line.split("\\t")
    packages.append({"kind": "debian", "name": name, "version": version, "bytes": int(size or 0) * 1024})
print(json.dumps(packages))
"""

# What gzip, and Docker, compress with where nothing else is said.
LEVEL = 6


@dataclass(frozen=True)
class Layer:
    """One layer that holds files. `size` in bytes, unpacked; `compressed` as a registry keeps it, 0 where it was not measured."""

    name: str
    size: int
    compressed: int = 0


@dataclass(frozen=True)
class Package:
    """One installed package. `kind` is python (users' environment), operator (beside the entrypoint), jar or debian; `size` in bytes."""

    kind: str
    name: str
    version: str
    size: int


def layers(history: list[dict[str, Any]]) -> list[Layer]:
    """The layers with files, lowest first, of an image's history as the Engine gives it (newest first)."""
    return [Layer(layer_name(step.get("CreatedBy", "")), step["Size"]) for step in reversed(history) if step["Size"] > 0]


def measured(client: Any, image: Any) -> tuple[list[Layer], int]:
    """(layers with files, bytes in all) of an image: as the Engine counts, or by its files where it counts blocks of its disk."""
    if not keeps_manifests(client):
        return layers(client.api.history(image.id)), image.attrs["Size"]
    from lyftlearn_entrypoint.cli.image import stored  # which knows layers by their names, as here

    found = unpacked_layers(stored.read(client, image))
    return found, sum(layer.size for layer in found)


def unpacked_layers(saved: Layers) -> list[Layer]:
    """The layers with files, lowest first."""
    sizes = Counter[str]()
    for key, member, _ in saved.files():
        sizes[key] += member.size
    return [Layer(layer.name, sizes[layer.key]) for layer in saved.layers if sizes[layer.key]]


def layer_name(created_by: str) -> str:
    """A short name for the step that made a layer: what is installed or copied, not the whole command."""
    text = re.sub(r"\s+", " ", created_by)
    copied = re.match(r"COPY (?:--\S+ )*(\S.*?)(?: # buildkit)?$", text)
    if not created_by or (copied and copied[1] == "/ /"):  # imported, or laid out anew by images/base
        return "base system"
    if copied:
        return "COPY " + copied[1]
    installed = re.search(r"apt-get install((?: -\S+)*) ([^;&|]+)", text)
    if installed:
        return "apt " + installed[2].strip()
    text = re.sub(r"^RUN (?:\|\d+ .*?)?(?:/bin/sh -\S+ (?:-c )?)", "RUN ", text)
    return text[:60]


def packages(printed: str) -> list[Package]:
    """What MEASURE printed, largest first."""
    found = [Package(row["kind"], row["name"], row["version"], row["bytes"]) for row in json.loads(printed)]
    return sorted(found, key=lambda package: (-package.size, package.name))


def kinds(found: list[Package]) -> list[tuple[str, int, int]]:
    """(kind, how many packages, bytes) of each kind, largest first."""
    sizes = {kind: [p.size for p in found if p.kind == kind] for kind in {p.kind for p in found}}
    return sorted(((kind, len(each), sum(each)) for kind, each in sizes.items()), key=lambda row: (-row[2], row[0]))


def compressed_layers(saved: Layers, made: list[Layer]) -> list[Layer]:
    """`made`, each with its size as gzip's level 6 gives it.

    Registries keep what the pushing engine compressed; its gzip differs from zlib by a few percent. Takes half a minute for each GB.
    """
    sizes = {}
    for key, stream in saved.blobs():
        squeeze = zlib.compressobj(LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        sizes[key] = 0
        while chunk := stream.read(1 << 20):
            sizes[key] += len(squeeze.compress(chunk))
        sizes[key] += len(squeeze.flush())
    # The engine's history counts files: a layer that only changes a directory has none, and is in no list of ours.
    left = [(layer.name, sizes[layer.key]) for layer in saved.layers]
    return [Layer(layer.name, layer.size, _take(left, layer.name)) for layer in made]


def _take(left: list[tuple[str, int]], name: str) -> int:
    """Remove the first entry of that name, and return its size; 0 where there is none."""
    for number, (known, size) in enumerate(left):
        if known == name:
            del left[number]
            return size
    return 0


def over_budget(made: list[Layer], total: int, budget: dict[str, Any]) -> list[str]:
    """What is larger than its budget, one line each.

    Budgets are bytes, unpacked, by the beginning of a layer's name; `total` for the whole image. Those in `compressed` are for compressed
    bytes, and count only where these were measured.
    """
    unpacked = {start: limit for start, limit in budget.items() if start != "compressed"}
    found = _limits([(layer.name, layer.size) for layer in made], total, unpacked, "unpacked")
    if any(layer.compressed for layer in made):
        squeezed = [(layer.name, layer.compressed) for layer in made]
        found += _limits(squeezed, sum(size for _, size in squeezed), budget.get("compressed", {}), "compressed")
    return found


def _limits(sizes: list[tuple[str, int]], total: int, budget: dict[str, int], how: str) -> list[str]:
    found = [(name, size, limit) for name, size in sizes for start, limit in budget.items() if name.startswith(start)]
    if "total" in budget:
        found.append(("the image", total, budget["total"]))
    return [f"{name} has {megabytes(size)} {how}, over its budget of {megabytes(limit)}" for name, size, limit in found if size > limit]


def megabytes(size: int) -> str:
    """Bytes as text in MB (10^6), one decimal."""
    return f"{size / 1e6:.1f} MB"


def print_layers(made: list[Layer], total: int) -> None:
    """One line for each layer, with its share, and one for the whole image."""
    squeezed = any(layer.compressed for layer in made)
    for layer in made:
        middle = f"{megabytes(layer.compressed):>10}  " if squeezed else ""
        click.echo(f"{megabytes(layer.size):>10}  {layer.size / max(total, 1):>5.1%}  {middle}{layer.name}")
    middle = f"{megabytes(sum(layer.compressed for layer in made)):>10}  " if squeezed else ""
    click.echo(f"{megabytes(total):>10}         {middle} in all, unpacked{' and compressed' if squeezed else ''}")


@click.command()
@click.argument("name")
@CHECKOUT
@TAG
@click.option("--top", default=15, show_default=True, help="How many packages to show.")
@click.option("--compressed", is_flag=True, help="Also what each layer weighs compressed (gzip); takes half a minute for each GB.")
@click.option("--check", is_flag=True, help="Exit 1 when images/NAME/budget.json is exceeded.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def size(name: str, checkout: Path, tag: str, top: int, compressed: bool, check: bool, as_json: bool) -> None:
    """Print each layer's share of the image, and the packages that dominate it."""
    directory = directory_of(checkout.resolve(), name)
    client = image_docker.connect()
    made = find(client, tag or tag_of(name))
    found, total = measured(client, made)
    if compressed:
        from lyftlearn_entrypoint.cli.image import stored

        found = compressed_layers(stored.read(client, made), found)
    printed = client.containers.run(
        made.id, ["-IS", "-c", MEASURE], entrypoint="/usr/bin/python3", remove=True, network_mode="none", user="0", stderr=False
    )
    inside = packages(printed.decode())
    budget = json.loads((directory / "budget.json").read_text()) if (directory / "budget.json").is_file() else {}
    over = over_budget(found, total, budget)
    if as_json:
        click.echo(json.dumps(_facts(made.id, total, found, inside, over), indent=2))
    else:
        print_layers(found, total)
        click.echo()
        for kind, number, bytes_ in kinds(inside):
            click.echo(f"{megabytes(bytes_):>10}  {kind:<8}  {number} packages")
        click.echo()
        for package in inside[:top]:
            click.echo(f"{megabytes(package.size):>10}  {package.kind:<8}  {package.name} {package.version}".rstrip())
    for line in over:
        click.echo(f"lyftlearn image: {line}", err=True)
    if check and not budget:
        raise click.UsageError(f"{directory} has no budget.json to check against")
    if check and over:
        sys.exit(1)


def _facts(image: str, total: int, found: list[Layer], inside: list[Package], over: list[str]) -> dict[str, Any]:
    def row(layer: Layer) -> dict[str, Any]:
        return {"name": layer.name, "bytes": layer.size, **({"compressed_bytes": layer.compressed} if layer.compressed else {})}

    return {
        "image": image,
        "bytes": total,
        "layers": [row(layer) for layer in found],
        "packages": [{"kind": p.kind, "name": p.name, "version": p.version, "bytes": p.size} for p in inside],
        "over_budget": over,
    }
