"""Whose are the containers and networks that carry our label: the process that made them, and whether it still runs."""

import os
from pathlib import Path

LABEL = "lyftlearn.demo"  # its value is an owner


def me() -> str:
    """This process: its PID namespace, its number there, and when it began (a number is used again, the pair is not)."""
    return f"{_namespace()}:{os.getpid()}:{_began(os.getpid())}"


def runs(owner: str) -> bool:
    """Whether that process still runs. True also where that cannot be seen from here: it is not ours to clear away."""
    parts = owner.split(":")
    if len(parts) != 3 or parts[0] != _namespace() or not parts[1].isdigit():
        return True
    return _began(int(parts[1])) == parts[2]


def number(owner: str) -> str:
    """The process's number, for people."""
    return owner.split(":")[1] if owner.count(":") == 2 else "unknown"


def _namespace() -> str:
    return str(os.stat("/proc/self/ns/pid").st_ino)


def _began(pid: int) -> str:
    """Clock ticks after boot at which a process began: field 22 of proc(5)'s stat. '' for one that is gone, or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
