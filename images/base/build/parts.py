# ruff: noqa: INP001
"""Finds the part of the system that each start touches: python3 parts.py PACKAGE TARGET, or python3 parts.py --remove LIST.

TARGET/start gets what the entrypoint (PACKAGE, its directory) needs: the interpreter, what that maps and imports, tini, names of users,
certificates. TARGET/taken lists it; --remove takes these files away where the rest of the system is. So one small layer, which a lazy pull
(SOCI) fetches whole, holds what every start reads of the system. Found by running it, not from a list: it holds for every machine and for
the next Python. `lyftlearn image footprint` measures what it is worth, and a test that nothing is missing.
"""

import ast
import glob
import os
import subprocess
import sys
from pathlib import Path

# Imports the modules that are named, and prints each file behind what is imported and mapped then.
_SHOW = """\
import sys
for name in sys.argv[1:]:
    try:
        __import__(name)
    except ImportError:
        pass  # of another version of Python
files = [getattr(each, "__cached__", None) or getattr(each, "__file__", None) for each in list(sys.modules.values())]
with open("/proc/self/maps") as maps:
    files += [line.split(None, 5)[5].strip() for line in maps if "/" in line]
print("\\n".join(sorted({file for file in files if file and file[0] == "/"})))
"""
# Read by the C library and by OpenSSL, or run (Python's `platform` runs uname); no module shows them.
_START = (
    "/usr/bin/tini",
    "/usr/bin/uname",
    "/etc/group",
    "/etc/host.conf",
    "/etc/ld.so.cache",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/ssl/certs/*",
    "/usr/lib/locale/C.utf8/LC_CTYPE",
    "/usr/lib/ssl/openssl.cnf",
    "/usr/lib/*-linux-gnu/gconv/gconv-modules.cache",
    "/usr/share/zoneinfo/Etc/UTC",
)


def named(source: str) -> "set[str]":
    """Modules of the standard library that a source imports anywhere, but for those that only a type checker needs."""
    found: set[str] = set()
    left: list[ast.AST] = [ast.parse(source)]
    while left:
        node = left.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            left += node.orelse
            continue
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        left += ast.iter_child_nodes(node)
    return {name for name in found if name.partition(".")[0] in sys.stdlib_module_names}


def shown(command: "list[str]") -> "list[str]":
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()


def start(package: Path) -> "set[str]":
    """Files of a start: the start path is all of the package but the commands and what makes the bundle."""
    sources = [path for path in package.rglob("*.py") if "cli" not in path.parts and path.name not in ("install.py", "bundle.py")]
    modules = sorted(set().union(*(named(path.read_text()) for path in sources)))
    files = shown(["/usr/bin/python3", "-ISXutf8", "-c", _SHOW, *modules])
    return plain([*files, *(path for pattern in _START for path in glob.glob(pattern))])


def plain(paths: "list[str]") -> "set[str]":
    """Regular files, links followed."""
    real = {os.path.realpath(path) for path in paths}
    return {path for path in real if os.path.isfile(path) and not path.startswith(("/opt/", "/proc/", "/tmp/"))}


def remove(taken: Path) -> None:
    """Take files away; the directories that they were in keep their times. Nothing may run after it: the C library goes too."""
    paths = taken.read_text().splitlines()
    times = {directory: os.stat(directory).st_mtime_ns for directory in {os.path.dirname(path) for path in paths}}
    for path in paths:
        os.unlink(path)
    for directory, time in times.items():
        os.utime(directory, ns=(time, time))


def main(package: Path, target: Path) -> None:
    paths = sorted(start(package))
    (target / "start").mkdir(parents=True)
    command = ["xargs", "-d", "\n", "cp", "-a", "--parents", "-t", str(target / "start")]
    subprocess.run(command, input="\n".join(paths), text=True, check=True)
    (target / "taken").write_text("\n".join(paths) + "\n")
    print(f"parts: start: {len(paths)} files, {sum(os.path.getsize(path) for path in paths) / 1e6:.1f} MB")


if sys.argv[1] == "--remove":
    remove(Path(sys.argv[2]))
else:
    main(Path(sys.argv[1]), Path(sys.argv[2]))
