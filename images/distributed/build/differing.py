# ruff: noqa: INP001
"""Prints the packages of a lock that this environment lacks or has in another version: python differing.py LOCK

With --installed: those of them that it has in another version, which have to go first.
"""

import re
import sys
from importlib.metadata import distributions
from pathlib import Path


def canonical(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main(words: "list[str]") -> None:
    installed = {canonical(found.metadata["Name"]): found.version for found in distributions()}
    locked = dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", Path(words[-1]).read_text(), re.MULTILINE))
    for name, version in sorted(locked.items()):
        if installed.get(canonical(name)) != version and (canonical(name) in installed or "--installed" not in words):
            print(name)


main(sys.argv[1:])
