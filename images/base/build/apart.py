# ruff: noqa: INP001
"""Takes the packages that no notebook needs out of an environment, into a tree of their own: python apart.py ENVIRONMENT TARGET ROOT...

What ROOT... need, with all that these need, stays where it is, and so do what belongs to no package and what says that a package is
installed: JupyterLab looks through the entry points of all. The rest is moved below TARGET, in directories that are as the environment's
own, so that COPY makes a layer of it. Runs on the environment's own Python, which has `packaging`.
"""

import csv
import os
import shutil
import sys
from importlib.metadata import Distribution, distributions
from importlib.util import cache_from_source
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def needed(installed: "dict[str, Distribution]", roots: "list[str]") -> "set[str]":
    """Names of the packages that `roots` need, extras that are asked for included."""
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    left = [(canonicalize_name(root), "") for root in roots]
    while left:
        name, extra = left.pop()
        if (name, extra) in seen or name not in installed:
            continue
        seen.add((name, extra))
        found.add(name)
        for requirement in map(Requirement, installed[name].requires or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                left += [(canonicalize_name(requirement.name), each) for each in ("", *requirement.extras)]
    return found


def files(site: Path, record: Path) -> "list[Path]":
    """What is there of the files in a RECORD, and what was compiled from them, but for the directory of RECORD itself."""
    with record.open(newline="") as stream:
        listed = [Path(os.path.normpath(site / row[0])) for row in csv.reader(stream)]
    compiled = [Path(cache_from_source(str(path))) for path in listed if path.suffix == ".py"]
    return [path for path in dict.fromkeys([*listed, *compiled]) if path.parent != record.parent and (path.is_symlink() or path.is_file())]


def move(paths: "list[Path]", target: Path) -> None:
    """Below `target`, each directory with owner, mode and time of the one that it comes from."""
    made: dict[Path, os.stat_result] = {}
    times: dict[Path, os.stat_result] = {}
    for path in paths:
        for theirs in reversed([each for each in path.parents if each != Path("/")]):
            ours = target / theirs.relative_to("/")
            if ours not in made:
                times[theirs] = made[ours] = theirs.stat()
                ours.mkdir(parents=True, exist_ok=True)
                os.chown(ours, made[ours].st_uid, made[ours].st_gid)
                shutil.copymode(theirs, ours)
    for path in paths:
        os.rename(path, target / path.relative_to("/"))
    for directory, stat in {**made, **times}.items():
        os.utime(directory, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def main(environment: Path, target: Path, roots: "list[str]") -> None:
    (site,) = environment.glob("lib/python3*/site-packages")
    installed = {canonicalize_name(each.metadata["Name"]): each for each in distributions(path=[str(site)])}
    if missing := {canonicalize_name(root) for root in roots} - set(installed):
        sys.exit(f"apart: not installed: {', '.join(sorted(missing))}")
    stays = needed(installed, roots)
    records = {canonicalize_name(path.parent.name.split("-")[0]): path for path in site.glob("*.dist-info/RECORD")}
    goes = sorted(set(records) - stays)
    paths = [path for name in goes for path in files(site, records[name])]
    size = sum(path.lstat().st_size for path in paths)
    move(paths, target)
    print(f"apart: {len(stays)} packages stay, {len(goes)} go ({size / 1e6:.0f} MB): {', '.join(goes)}")


main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
