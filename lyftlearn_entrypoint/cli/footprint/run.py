"""Runs a start in a container, with strace around it, and gives what strace printed.

The container gets the strace of this machine with its libraries, in a volume of its own, and runs it through its own loader: nothing of the
image is used for it. Files go through the engine's socket, so the engine may be on another machine.
"""

from __future__ import annotations

import io
import json
import os
import platform
import re
import shutil
import subprocess
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lyftlearn_entrypoint.cli.footprint.trace import CALLS
from lyftlearn_entrypoint.cli.image.layers import Chunks

if TYPE_CHECKING:
    from lyftlearn_entrypoint.cli.footprint.starts import Start

PLACE = "/.lyftlearn-footprint"
_TRACE = "out/trace"
# Seconds for a start to end, and for one to answer: the engine's client waits 120 s for a program that prints nothing.
PATIENCE = 300
_ANSWER = 110
_LAST = 15  # lines of a log that say why
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_LIBRARY = re.compile(r"^\s*(?:(\S+) => )?(/\S+) \(0x", re.MULTILINE)


@dataclass(frozen=True)
class Tool:
    """strace as it is sent into a container: `files` are names to bytes, `command` runs it there."""

    files: dict[str, bytes]
    command: tuple[str, ...]


@dataclass(frozen=True)
class Traced:
    """What strace printed, when the start was over (seconds since 1970, None where it ended by itself), and how long it took."""

    lines: list[str]
    until: float | None
    seconds: float


def tool(program: str = "strace") -> Tool:
    """This machine's strace. Raises click.ClickException where it has none."""
    found = shutil.which(program)
    if not found:
        raise click.ClickException("there is no strace on PATH: install it (Debian's package strace); the image needs none")
    listed = subprocess.run(["ldd", found], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
    places = [(name, Path(place)) for name, place in _LIBRARY.findall(listed)]
    files = {(name or place.name).rpartition("/")[2]: place.read_bytes() for name, place in places}
    files["strace"] = Path(found).read_bytes()
    loader = [place.name for name, place in places if not name]
    through = (f"{PLACE}/{loader[0]}", "--library-path", PLACE) if loader else ()
    # No data (-s 0), so no secret; no signals, nobody's coming and going.
    options = ("-f", "-y", "-qq", "-ttt", "-s", "0", "-e", "signal=none", "-e", "trace=" + ",".join(CALLS), "-o", f"{PLACE}/{_TRACE}")
    return Tool(files, (*through, f"{PLACE}/strace", *options, "--"))


def run(client: Any, image: Any, start: Start, strace: Tool) -> Traced:
    """Run a start of an image of the engine. Raises click.ClickException where it fails, or is not over in time."""
    machine = _MACHINES.get(platform.machine(), platform.machine())
    if image.attrs["Architecture"] != machine:
        raise click.ClickException(f"the image is for {image.attrs['Architecture']}, and this machine's strace for {machine}")
    settings = image.attrs["Config"]
    own = settings["Entrypoint"] or []
    words = list(start.words) if start.words or start.entrypoint else settings["Cmd"] or []
    options: dict[str, Any] = {
        "entrypoint": [*strace.command, *(own if start.entrypoint is None else start.entrypoint)],
        "environment": start.environment,
        "network_mode": "none",
        "cap_add": ["SYS_PTRACE"],  # to see the descriptors of a program that has switched its user
        "volumes": [PLACE],
        "use_config_proxy": False,
    }
    if start.user:
        options["user"] = start.user
    if start.pod:
        options |= {"cap_drop": ["ALL"], "read_only": True, "tmpfs": {"/tmp": "mode=1777"}, "security_opt": ["no-new-privileges"]}
    name = f"lyftlearn-footprint-{start.name}-{os.getpid()}"
    files = dict(start.files)
    peer = _peer(client, image, start, name + "-peer") if start.peer else None
    container = None
    try:
        if peer:
            files |= _ready(peer, start)
            options["network_mode"] = f"container:{peer.id}"
        container = client.containers.create(image.id, words or None, name=name, **options)
        container.put_archive(PLACE, _archive(strace.files, ("out",)))
        if files:
            container.put_archive("/", _archive({path.lstrip("/"): text.encode() for path, text in files.items()}))
        began = time.monotonic()
        container.start()
        until = _over(container, start)
        seconds = time.monotonic() - began
        return Traced(_lines(container), until, seconds)
    finally:
        for each in (container, peer):
            if each:
                each.remove(force=True, v=True)


def _peer(client: Any, image: Any, start: Start, name: str) -> Any:
    return client.containers.run(
        image.id, ["-I", "-c", start.peer], entrypoint=["/usr/bin/python3"], name=name, user="0", network_mode="none", detach=True
    )


def _ready(peer: Any, start: Start) -> dict[str, str]:
    """The files that the peer prints when it is ready. Raises click.ClickException."""
    end = time.monotonic() + _ANSWER
    while b"\n" not in (said := peer.logs(stderr=False)):
        peer.reload()
        if peer.status != "running" or time.monotonic() > end:
            raise _failed(peer, start, "has no peer to talk to")
        time.sleep(0.1)
    files = json.loads(said)
    assert isinstance(files, dict)
    return files


def _archive(files: dict[str, bytes], directories: tuple[str, ...] = ()) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name in directories:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
            archive.addfile(entry)
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755
            archive.addfile(entry, io.BytesIO(data))
    return made.getvalue()


def _over(container: Any, start: Start) -> float | None:
    """Wait until the start is over, and end it. The time at which it was, None where it ended by itself."""
    import requests.exceptions

    if start.until:
        # It waits itself, and gives up when the container ends.
        bounded = f"import signal; signal.alarm({_ANSWER})\n{start.until}"
        done = container.exec_run(["python", "-c", bounded], stderr=False)
        container.reload()
        if done.exit_code != 0 or container.status != "running":
            raise _failed(container, start, "ended" if container.status != "running" else f"was not over after {_ANSWER} s")
        container.kill()
        container.wait(timeout=PATIENCE)
        return float(done.output.split()[-1])
    try:
        code = container.wait(timeout=PATIENCE)["StatusCode"]
    except requests.exceptions.RequestException:
        raise _failed(container, start, f"was not over after {PATIENCE} s") from None
    if code != 0:
        raise _failed(container, start, f"ended with exit code {code}")
    return None


def _failed(container: Any, start: Start, how: str) -> click.ClickException:
    last = container.logs().decode(errors="replace").splitlines()[-_LAST:]
    told = "\n".join("    " + line for line in last) if last else "    (nothing)"
    return click.ClickException(f"the start {start.name} {how}; the last lines of its log:\n{told}")


def _lines(container: Any) -> list[str]:
    chunks, _ = container.get_archive(f"{PLACE}/{_TRACE}")
    with tarfile.open(fileobj=io.BufferedReader(Chunks(chunks)), mode="r|") as archive:
        for member in archive:
            stream = archive.extractfile(member)
            if stream is not None:
                return stream.read().decode("ascii", errors="replace").splitlines()
    return []
