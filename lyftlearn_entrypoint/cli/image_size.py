"""What an image's bytes are: its layers by name, and the packages in it by size."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

# Runs in the image, on its own Python. A file counts for the distribution whose RECORD names it; compiled files go with their source.
MEASURE = """\
import csv, glob, importlib.util, json, os, subprocess
packages = []
for record in glob.glob("/opt/venv/lib/python3*/site-packages/*.dist-info/RECORD") + glob.glob("/opt/lyftlearn/lib/*.dist-info/RECORD"):
    site = os.path.dirname(os.path.dirname(record))
    files = set()
    for row in csv.reader(open(record, newline="")):
        path = os.path.normpath(os.path.join(site, row[0]))
        files.add(path)
        if path.endswith(".py"):
            files.add(importlib.util.cache_from_source(path))
    size = sum(os.lstat(path).st_size for path in files if os.path.lexists(path))
    name, version = os.path.basename(os.path.dirname(record))[: -len(".dist-info")].rsplit("-", 1)
    where = "python" if site.startswith("/opt/venv") else "operator"
    packages.append({"kind": where, "name": name, "version": version, "bytes": size})
form = "${Package}\\t${Version}\\t${Installed-Size}\\n"
for line in subprocess.run(["dpkg-query", "-W", "-f", form], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines():
    name, version, size = line.split("\\t")
    packages.append({"kind": "debian", "name": name, "version": version, "bytes": int(size or 0) * 1024})
print(json.dumps(packages))
"""


@dataclass(frozen=True)
class Layer:
    """One layer that holds files. `size` in bytes, unpacked."""

    name: str
    size: int


@dataclass(frozen=True)
class Package:
    """One installed package. `kind` is python (users' environment), operator (beside the entrypoint) or debian; `size` in bytes."""

    kind: str
    name: str
    version: str
    size: int


def layers(history: list[dict[str, Any]]) -> list[Layer]:
    """The layers with files, lowest first, of an image's history as the Engine gives it (newest first)."""
    return [Layer(layer_name(step.get("CreatedBy", "")), step["Size"]) for step in reversed(history) if step["Size"] > 0]


def layer_name(created_by: str) -> str:
    """A short name for the step that made a layer: what is installed or copied, not the whole command."""
    if not created_by:
        return "base system"
    text = re.sub(r"\s+", " ", created_by)
    copied = re.match(r"COPY (?:--\S+ )*(\S.*?)(?: # buildkit)?$", text)
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


def over_budget(made: list[Layer], total: int, budget: dict[str, int]) -> list[str]:
    """What is larger than its budget (bytes, by layer name's beginning; `total` for the whole image), one line each."""
    found = [(layer.name, layer.size, limit) for layer in made for start, limit in budget.items() if layer.name.startswith(start)]
    if "total" in budget:
        found.append(("the image", total, budget["total"]))
    return [f"{name} has {megabytes(size)}, over its budget of {megabytes(limit)}" for name, size, limit in found if size > limit]


def megabytes(size: int) -> str:
    """Bytes as text in MB (10^6), one decimal."""
    return f"{size / 1e6:.1f} MB"
