"""What is sent into a container to see what a start does: this machine's strace, and its Python with pagemap.py, each with its libraries.

Both are run through this machine's own loader, so nothing of the image is used for them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from lyftlearn_entrypoint.cli.footprint import pagemap
from lyftlearn_entrypoint.cli.footprint.trace import CALLS

PLACE = "/.lyftlearn-footprint"
# What strace and pagemap.py write there.
TRACE, TABLES = "out/trace", "out/tables"
LISTED = "listed"
_LIBRARY = re.compile(r"^\s*(?:(\S+) => )?(/\S+) \(0x", re.MULTILINE)
# Runs the program that it reads, but for its main part, and prints where the modules are that this has imported, codecs included. They are
# looked for by name: what stands in sys.modules may be another than what was found (collections.abc, from Python 3.13 on).
_PROBE = """\
import sys, encodings.ascii, encodings.latin_1, encodings.utf_8
exec(compile(sys.stdin.read(), "pagemap.py", "exec"), {"__name__": "probe"})
found = []
for name in list(sys.modules):
    parent = name.rpartition(".")[0]
    path = getattr(sys.modules.get(parent), "__path__", []) if parent else None
    spec = sys.meta_path[-1].find_spec(name, path)
    if spec and spec.has_location:
        found.append(spec.origin)
import json, sysconfig
print(json.dumps([sysconfig.get_path("stdlib"), found]))
"""


@dataclass(frozen=True)
class Tool:
    """What is sent: `files` are names to bytes. Words: `command` runs a program under it; `look` looks at page tables as they are, once;
    `forget` takes the files out of memory that are named in LISTED, as JSON, and prints those that stay.
    """

    files: dict[str, bytes]
    command: tuple[str, ...]
    look: tuple[str, ...] = ()
    forget: tuple[str, ...] = ()


def tool(program: str = "strace") -> Tool:
    """This machine's strace and Python. Raises click.ClickException where it has no strace."""
    found = shutil.which(program)
    if not found:
        raise click.ClickException("there is no strace on PATH: install it (Debian's package strace); the image needs none")
    files, through = _with_libraries("strace", found)
    # No data (-s 0), so no secret; no signals, nobody's coming and going.
    options = ("-f", "-y", "-qq", "-ttt", "-s", "0", "-e", "signal=none", "-e", "trace=" + ",".join(CALLS), "-o", f"{PLACE}/{TRACE}")
    more, python = _python()
    look = (*python, f"{PLACE}/{TABLES}")
    return Tool(
        files | more,
        (*look, "--", *through, f"{PLACE}/strace", *options, "--"),
        look,
        (*python, f"{PLACE}/{LISTED}", "--forget"),
    )


def _python() -> tuple[dict[str, bytes], tuple[str, ...]]:
    """The Python that runs this, with what pagemap.py imports, and the words that run that program there."""
    source = Path(pagemap.__file__).read_text(encoding="utf-8")
    program = os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)  # a virtual environment's own is a link
    words = [program, "-I", "-S", "-X", "frozen_modules=off", "-c", _PROBE]
    done = subprocess.run(words, input=source, stdout=subprocess.PIPE, text=True, check=True)
    library, modules = json.loads(done.stdout)
    files, through = _with_libraries("bin/python3", program, *(place for place in modules if place.endswith(".so")))
    # Python finds its modules beside the program's directory. Source: Python, Modules/getpath.py.
    home = f"{sys.platlibdir}/{Path(library).name}"
    files |= {f"{home}/{os.path.relpath(place, library)}": Path(place).read_bytes() for place in modules}
    files["pagemap.py"] = source.encode()
    return files, (*through, f"{PLACE}/bin/python3", "-I", "-S", "-B", f"{PLACE}/pagemap.py")


def _with_libraries(name: str, program: str, *modules: str) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """A program of this machine and the libraries of it and its modules, and the words that run it there but for its own name."""
    files = {name: Path(program).read_bytes()}
    through: tuple[str, ...] = ()
    for each in (program, *modules):
        listed = subprocess.run(["ldd", each], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
        for known, place in _LIBRARY.findall(listed):
            files[(known or place).rpartition("/")[2]] = Path(place).read_bytes()
            if not known and not through:
                through = (f"{PLACE}/{Path(place).name}", "--library-path", PLACE)
    return files, through
