"""Puts the modules that every start needs into one file beside the package: python -m lyftlearn_entrypoint.bundle

Fourteen small modules cost 2.4 ms to find, check, read and link one by one, and 1.5 ms as one marshalled tuple
(benchmarks/start.py); a lazily pulled image fetches one span instead of fourteen. The launcher uses the bundle where it
matches its sources, and the modules themselves where it does not: it changes nothing but time.

Not part of the start path: install.py calls it where an image or an environment is made.
"""

import marshal
import os
import subprocess
import sys

NAME = "start."  # and the cache tag: each Python has its own, as with .pyc files
PACKAGE = "lyftlearn_entrypoint"

# Modules in the order in which they can be executed, each after those that it imports.
MODULES = (
    "",
    "errors",
    "files",
    "context",
    "command",
    "settings_table",
    "settings",
    "adapt",
    "adapt.environment",
    "adapt.identity",
    "launch",
    "log",
    "process",
    "span",
    "handover",
    "boot",
)

# What the launcher executes, with `package` and `content` set. Types: content is (magic, sources, modules) as `make` builds it.
LOADER = """\
import posix, sys
from _frozen_importlib_external import MAGIC_NUMBER
def use():
    magic, sources, modules = content
    if magic != MAGIC_NUMBER:
        return False
    for file, size, modified in sources:
        found = posix.stat(package + file)
        if found.st_size != size or int(found.st_mtime) != modified:
            return False
    for name, file, path, code in modules:
        module = sys.modules[name] = type(sys)(name)
        module.__file__ = package + file
        parent, _, child = name.rpartition(".")
        if path is None:
            module.__package__ = parent
        else:
            module.__package__ = name
            module.__path__ = [package + path]
        exec(code, module.__dict__)
        if parent:
            setattr(sys.modules[parent], child, module)
    return True
used = use()
"""


def make(package: str) -> bytes:
    """The bundle of the package at this path, for the Python that runs this. The same sources give the same bytes."""
    from importlib.util import MAGIC_NUMBER

    sources, modules = [], []
    for name in MODULES:
        file, path = _file(package, name)
        real = package + file
        found = os.stat(real)
        sources.append((file, found.st_size, int(found.st_mtime)))
        with open(real, encoding="utf-8") as stream:
            # Without docstrings (optimize=2): they are a tenth of what has to be read. There is no assert to lose.
            code = compile(stream.read(), real, "exec", dont_inherit=True, optimize=2)
        modules.append((PACKAGE + "." + name if name else PACKAGE, file, path, code))
    loader = compile(LOADER, "<lyftlearn-entrypoint bundle>", "exec", dont_inherit=True, optimize=2)
    return marshal.dumps((loader, (MAGIC_NUMBER, tuple(sources), tuple(modules))))


def _file(package: str, name: str) -> "tuple[str, str | None]":
    """A module's file, and its directory if it is a package, both relative to `package` and with a leading slash."""
    directory = "/" + name.replace(".", "/") if name else ""
    if os.path.isdir(package + directory):
        return directory + "/__init__.py", directory
    return directory + ".py", None


def write(package: str, python: str) -> str:
    """Write the bundle for the interpreter `python` and return its path. Raises OSError and subprocess.CalledProcessError."""
    command = [python, "-IS", os.path.join(package, "bundle.py"), package]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def _write_for_this_python(package: str) -> str:
    path = os.path.join(package, NAME + str(sys.implementation.cache_tag))
    temporary = f"{path}.{os.getpid()}.new"
    with open(temporary, "wb") as stream:
        stream.write(make(package))
    os.chmod(temporary, 0o644)
    os.replace(temporary, path)
    return path


if __name__ == "__main__":
    print(_write_for_this_python(sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))))
