"""Where the settings of a start are found once it is over. Pure, but for reads through `files`.

A start takes its settings out of the program's environment (docs/environment.md), and execve(2) replaces what /proc/PID/environ
shows. What is left: process 1 where it is the image's init (tini) and not the program, with all that the container was given; and the
StatsD relay, which was forked from the start, so that its environment is the start's own. Each only where this user may read it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lyftlearn_entrypoint.settings_table import NAMES, PREFIX, TABLE, variable

if TYPE_CHECKING:
    from lyftlearn_entrypoint.files import Files

RELAY = b"lyftlearn-stats"  # /proc/PID/comm has 15 bytes of its name (relay/become.py)
_SETTINGS = frozenset(variable(name) for name in NAMES)
_TAKEN = frozenset(variable(row[0]) for row in TABLE if row[3])
# What a start reads beside its settings. A login shell has lost them where the container was given them.
_ALSO = (
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
    "SAGEMAKER_BATCH",
    "SAGEMAKER_APP_TYPE",
    "TRAINING_JOB_ARN",
    "TRAINING_JOB_NAME",
    "TRANSFORM_JOB_ARN",
)


@dataclass
class Sources:
    """The environment of a start, pieced together. `found` says which names came from where; `hidden` what could not be read."""

    environ: dict[str, str]
    started: bool  # a start ran before this process
    found: list[tuple[str, list[str]]] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)

    seen: bool = False  # the relay showed all that the start was given

    @property
    def lost(self) -> bool:
        """Whether a start ran here, and nothing shows which settings it took away."""
        return self.started and not self.seen and not any(name in _TAKEN for _, names in self.found for name in names)


def gather(environ: dict[str, str], own: int, files: Files) -> Sources:
    """The environment of the start that ran in this container, as far as it can be seen. `own` is this process's id.

    What this process has itself wins. Raises nothing.
    """
    sources = Sources(dict(environ), "LYFTLEARN_CONTEXT" in environ)
    mine = sorted(name for name in environ if name in _SETTINGS and name != "LYFTLEARN_CONTEXT")
    if mine:
        sources.found.append(("this process", mine))
    for pid, who in _candidates(own, files):
        sources.started = sources.started or pid != 1  # a shell of `docker exec` is no program of the start's
        given = _environ(pid, files)
        if given is None:
            sources.hidden.append(who)
            continue
        sources.seen = sources.seen or pid != 1
        new = {name: value for name, value in given.items() if name not in sources.environ and _wanted(name)}
        if new:
            sources.environ.update(new)
            sources.found.append((who, sorted(new)))
    return sources


def _wanted(name: str) -> bool:
    return (name.startswith(PREFIX) and name in _SETTINGS) or name in _ALSO


def _candidates(own: int, files: Files) -> list[tuple[int, str]]:
    """(process id, what to call it): process 1, then relays."""
    found = [] if own == 1 else [(1, "process 1")]
    try:
        pids = sorted(int(name) for name in os.listdir(files.real("/proc")) if name.isdigit())
    except OSError:
        return []
    for pid in pids:
        try:
            name = (files.read(f"/proc/{pid}/comm") or b"").strip()
        except OSError:
            continue
        if name == RELAY:
            found.append((pid, f"the relay (process {pid})"))
    # Nobody else's: a host sees the processes of all containers, and a pod may share their ids.
    mounts, depth = _mounts("self", files), _depth("self", files)
    return [(pid, who) for pid, who in found if mounts and _mounts(str(pid), files) in (mounts, "") and _depth(str(pid), files) == depth]


def _depth(pid: str, files: Files) -> int:
    """In how many namespaces a process has an id, of those seen from here: more than we have is a container's (proc(5), NSpid)."""
    try:
        text = files.read(f"/proc/{pid}/status") or b""
    except OSError:
        return 0
    return next((len(line.split()) for line in text.splitlines() if line.startswith(b"NSpid:")), 0)


def _mounts(pid: str, files: Files) -> str:
    """A process's mount namespace, '' where this user may not see it."""
    try:
        return os.readlink(files.real(f"/proc/{pid}/ns/mnt"))
    except OSError:
        return ""


def _environ(pid: int, files: Files) -> dict[str, str] | None:
    """What a process was given, None where this user may not see it or there is none."""
    try:
        block = files.read(f"/proc/{pid}/environ", 1 << 22)
    except OSError:
        return None
    if block is None:
        return None
    pairs = (entry.decode("utf-8", "surrogateescape").partition("=") for entry in block.split(b"\0") if entry)
    return {name: value for name, _, value in pairs if name}
