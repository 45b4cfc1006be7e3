# ruff: noqa: INP001
"""Makes a layer of what a step of the build added to /opt/venv: python layer.py BEFORE TARGET

BEFORE is what `find /opt/venv -printf '%y\\t%s\\t%T@\\t%p\\n'` printed before that step. What is new is made as images/base has it
(group 100 may write, compiled, nothing younger than SOURCE_DATE_EPOCH), loses its static libraries, and is moved below TARGET, so
that COPY can put it into a layer of its own. A file of images/base that is gone or another one ends the build: its versions stay.
"""

import csv
import os
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

VENV = Path("/opt/venv")
GROUP = "100"


def changed(before: "dict[Path, str]") -> "list[str]":
    """Files that were there and are not what they were. A value of `before` is type (as find has it), size (bytes) and time (s)."""
    wrong = []
    for path, line in before.items():
        kind, size, time = line.split("\t")
        if kind == "f" and (not path.is_file() or path.stat().st_size != int(size) or int(path.stat().st_mtime) != int(float(time))):
            wrong.append(str(path))
    return wrong


def added(directory: Path, known: "set[Path]") -> "list[Path]":
    """Files and directories that are not `known`, none inside another."""
    found: list[Path] = []
    for path in sorted(directory.iterdir()):
        if path not in known:
            found.append(path)
        elif path.is_dir() and not path.is_symlink():
            found += added(path, known)
    return found


def strip(entries: "list[Path]") -> int:
    """Take away static libraries: no program of this image links one. RECORD stays true. Returns bytes."""
    gone: dict[Path, int] = {}
    for entry in entries:
        for path in entry.rglob("*.a"):
            if path.is_file():
                gone[path] = path.stat().st_size
                path.unlink()
    for record in [entry / "RECORD" for entry in entries if entry.suffix == ".dist-info"]:
        with record.open(newline="") as stream:
            rows = list(csv.reader(stream))
        kept = [row for row in rows if Path(os.path.normpath(entry_of(record, row[0]))) not in gone]
        if len(kept) < len(rows):
            with record.open("w", newline="") as stream:
                csv.writer(stream, lineterminator="\n").writerows(kept)
    return sum(gone.values())


def entry_of(record: Path, name: str) -> Path:
    """The file that a line of RECORD names, relative to site-packages (PEP 376)."""
    return record.parent.parent / name


def compiled(entries: "list[Path]") -> "list[str]":
    """Compile as settle.sh of images/base does. Returns what this Python cannot read: torch has a module in the syntax of a later one."""
    refused = []
    for entry in entries:
        for path in sorted(entry.rglob("*.py")) if entry.is_dir() else [entry]:
            if path.suffix == ".py":
                try:
                    py_compile.compile(str(path), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
                except py_compile.PyCompileError:
                    refused.append(str(path))
    return refused


def over(paths: "list[Path]", *command: str, then: "tuple[str, ...]" = ()) -> None:
    """Run a command on the paths; `then` are its words behind them."""
    subprocess.run([*command, *map(str, paths), *then], check=True)


def move(entries: "list[Path]", target: Path) -> None:
    """Below `target`, in directories that are as the venv's own."""
    made: dict[Path, None] = {}
    for entry in entries:
        for theirs in reversed([parent for parent in entry.parents if parent != Path("/")]):
            ours = target / theirs.relative_to("/")
            if not ours.exists():
                ours.mkdir(parents=True)
                os.chown(ours, theirs.stat().st_uid, theirs.stat().st_gid)
                shutil.copymode(theirs, ours)
                made[ours] = None
        os.rename(entry, target / entry.relative_to("/"))
    over(list(made), "touch", f"--date=@{os.environ['SOURCE_DATE_EPOCH']}")


def main(listing: Path, target: Path) -> None:
    lines = (line.rpartition("\t") for line in listing.read_text().splitlines())
    before = {Path(path): rest for rest, _, path in lines}
    wrong = changed(before)
    if wrong:
        sys.exit(f"layer: {len(wrong)} files of images/base are gone or another one, such as {wrong[0]}: does the lock hold its versions?")
    stripped = strip(added(VENV, set(before)))
    refused = compiled(added(VENV / "lib", set(before)))
    entries = added(VENV, set(before))  # now with compiled files that lie beside those of images/base
    stamp = f"@{os.environ['SOURCE_DATE_EPOCH']}"
    over(entries, "chgrp", "-hR", GROUP)
    over(entries, "chmod", "-R", "u=rwX,g=rwX,o=rX")
    over(entries, "find", then=("-type", "d", "-exec", "chmod", "g+s", "{}", "+"))
    over(entries, "find", then=("-newermt", stamp, "-exec", "touch", "--no-dereference", f"--date={stamp}", "{}", "+"))
    move(entries, target)
    print(f"layer: {len(entries)} entries to {target}, {stripped / 1e6:.0f} MB of static libraries taken away, not compiled: {refused}")


main(Path(sys.argv[1]), Path(sys.argv[2]))
