"""Runs a start in a container, with strace around it, and gives what strace printed.

The container gets the tools of this machine in a volume of its own (tool.py). Files go through the engine's socket, so the engine may be on
another machine.
"""

from __future__ import annotations

import io
import json
import os
import platform
import tarfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from lyftlearn_entrypoint.cli.footprint.tool import LISTED, PLACE, TABLES, TRACE
from lyftlearn_entrypoint.cli.image.layers import Chunks

if TYPE_CHECKING:
    from lyftlearn_entrypoint.cli.footprint.starts import Start
    from lyftlearn_entrypoint.cli.footprint.tool import Tool

# Seconds for a start to end, and for one to answer, both traced, on a machine that may have much else to do.
PATIENCE = 1200
_ANSWER = 900
_LAST = 15  # lines of a log that say why
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Traced:
    """What strace printed, when the start was over (seconds since 1970, None where it ended by itself), and how long it took.

    `tables` is what pagemap.py wrote; None where it could not look.
    """

    lines: list[str]
    until: float | None
    seconds: float
    tables: list[str] | None = None


def run(client: Any, image: Any, start: Start, tool: Tool) -> Traced:
    """Run a start of an image of the engine. Raises click.ClickException where it fails, or is not over in time."""
    _fits(image)
    settings = image.attrs["Config"]
    own = settings["Entrypoint"] or []
    words = list(start.words) if start.words or start.entrypoint else settings["Cmd"] or []
    options: dict[str, Any] = {
        "entrypoint": [*tool.command, *(own if start.entrypoint is None else start.entrypoint)],
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
        container.put_archive(PLACE, _archive(tool.files, ("out",)))
        if files:
            container.put_archive("/", _archive({path.lstrip("/"): text.encode() for path, text in files.items()}))
        began = time.monotonic()
        container.start()
        until = _over(container, start, tool)
        seconds = time.monotonic() - began
        return Traced(_lines(container, TRACE), until, seconds, _lines(container, TABLES) or None)
    finally:
        for each in (container, peer):
            if each:
                each.remove(force=True, v=True)


def forget(client: Any, image: Any, paths: list[str], tool: Tool) -> list[str]:
    """Take files of an image out of the engine's memory, so that the next start reads them anew. Those of which something stays there.

    The containers of an image share its files, so it is done in one of its own. Raises click.ClickException.
    """
    _fits(image)
    container = client.containers.create(
        image.id,
        entrypoint=list(tool.forget),
        environment={"LC_ALL": "C"},  # any other would have Python map a file of the image
        name=f"lyftlearn-footprint-forget-{os.getpid()}",
        user="0",
        network_mode="none",
        volumes=[PLACE],
        use_config_proxy=False,
    )
    try:
        container.put_archive(PLACE, _archive({**tool.files, LISTED: json.dumps(paths).encode()}))
        container.start()
        code = container.wait(timeout=PATIENCE)["StatusCode"]
        said = container.logs(stderr=bool(code)).decode(errors="replace")
        if code:
            raise click.ClickException(f"files could not be taken out of memory: {said.strip()}")
        kept = json.loads(said)
        assert isinstance(kept, list)
        return kept
    finally:
        container.remove(force=True, v=True)


def _fits(image: Any) -> None:
    """Raises click.ClickException for an image of another kind of machine than this."""
    machine = _MACHINES.get(platform.machine(), platform.machine())
    if image.attrs["Architecture"] != machine:
        raise click.ClickException(f"the image is for {image.attrs['Architecture']}, and this machine's strace for {machine}")


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


def _over(container: Any, start: Start, tool: Tool) -> float | None:
    """Wait until the start is over, and end it. The time at which it was, None where it ended by itself."""
    import requests.exceptions

    if start.until:
        # It waits itself, and gives up when the container ends.
        bounded = f"import signal; signal.alarm({_ANSWER})\n{start.until}"
        done = container.exec_run(["python", "-c", bounded], stderr=False)
        container.reload()
        if done.exit_code != 0 or container.status != "running":
            raise _failed(container, start, "ended" if container.status != "running" else f"was not over after {_ANSWER} s")
        looked = container.exec_run(list(tool.look))  # before its page tables go with it
        if looked.exit_code != 0:
            raise _failed(container, start, f"could not be looked at ({looked.output.decode(errors='replace').strip()})")
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


def _lines(container: Any, name: str) -> list[str]:
    """A file that the container has written there; nothing where it has not."""
    import docker.errors

    try:
        chunks, _ = container.get_archive(f"{PLACE}/{name}")
    except docker.errors.NotFound:
        return []
    with tarfile.open(fileobj=io.BufferedReader(Chunks(chunks)), mode="r|") as archive:
        for member in archive:
            stream = archive.extractfile(member)
            if stream is not None:
                return stream.read().decode("ascii", errors="replace").splitlines()
    return []
