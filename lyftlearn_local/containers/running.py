"""One container that was started: its log, its end, its address, and the program in it as this machine's kernel sees it."""

import io
import os
import re
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_LAST = 15  # lines of a log that say why
_LAUNCHER = "lyftlearn-entrypoint"


class CannotRun(Exception):
    """What cannot be run in containers here, or did not end well; the text says why, with the last lines of a log."""


class Program:
    """The user's program in a container: its variables, and `uid:gid`."""

    def __init__(self, variables: "dict[str, str]", user: str) -> None:
        self.variables = variables
        self.user = user


class Running:
    """A container that was started. `handle` is the SDK's."""

    def __init__(self, name: str, handle: Any) -> None:
        self.name = name
        self.handle = handle
        handle.reload()
        self.image = str(handle.attrs["Image"])
        self._pid = int(handle.attrs["State"]["Pid"])

    @property
    def address(self) -> str:
        """Its address on the demo's network. Raises CannotRun where it has none any more."""
        self.handle.reload()
        for network in self.handle.attrs["NetworkSettings"]["Networks"].values():
            if network["IPAddress"]:
                return str(network["IPAddress"])
        raise self.failed("it has no address")

    def log(self, stdout: bool = True, stderr: bool = True) -> str:
        return str(self.handle.logs(stdout=stdout, stderr=stderr).decode(errors="replace"))

    def read(self, path: str) -> bytes:
        """A file of it, also after its end. Raises CannotRun where it is not there."""
        import docker.errors

        try:
            parts, _ = self.handle.get_archive(path)
        except docker.errors.NotFound:
            raise self.failed(f"no file {path}") from None
        with tarfile.open(fileobj=io.BytesIO(b"".join(parts))) as archive:
            file = archive.extractfile(archive.next() or "")
            return file.read() if file else b""

    @property
    def started_in(self) -> "float | None":
        """Seconds from the entrypoint's start to exec, as the entrypoint says; None where it says nothing (a pod)."""
        found = re.search(r"entrypoint: start: .* after (\d+) ms", self.log())
        return int(found[1]) / 1000 if found else None

    @property
    def ended(self) -> bool:
        self.handle.reload()
        return self.handle.status in ("exited", "dead")

    def failed(self, what: str) -> CannotRun:
        """The error that says what was wrong, with the last lines of the log."""
        lines = self.log().splitlines()[-_LAST:]
        told = "\n".join("    " + line for line in lines) if lines else "    (nothing)"
        return CannotRun(f"{self.name}: {what}; the last lines of its log:\n{told}")

    def wait(self, seconds: float) -> int:
        """The exit code. Raises CannotRun when it runs longer than that."""
        end = time.monotonic() + seconds
        while not self.ended:
            if time.monotonic() > end:
                raise self.failed(f"still running after {seconds:g} s")
            time.sleep(0.1)
        return int(self.handle.attrs["State"]["ExitCode"])

    def succeed(self, seconds: float) -> None:
        """Waits for the end. Raises CannotRun unless the exit code is 0."""
        code = self.wait(seconds)
        if code:
            raise self.failed(f"exit code {code}")

    def until(self, healthy: Callable[[], bool], what: str, seconds: float) -> float:
        """Waits until it is healthy, gives the seconds. Raises CannotRun when it ends before, or is not within that time."""
        began = time.monotonic()
        end = began + seconds
        while not healthy():
            if self.ended:
                raise self.failed(f"it ended with exit code {self.handle.attrs['State']['ExitCode']} before {what}")
            if time.monotonic() > end:
                raise self.failed(f"not healthy after {seconds:g} s: no {what}")
            time.sleep(0.1)
        return time.monotonic() - began

    def says(self, text: str, seconds: float = 30) -> None:
        """Waits until its log holds that text."""
        self.until(lambda: text in self.log(), f"{text!r} in its log", seconds)

    def stop(self, grace: float) -> "tuple[int, float]":
        """SIGTERM, SIGKILL after `grace` seconds, as a platform stops a container: (exit code, seconds it took)."""
        began = time.monotonic()
        self.handle.stop(timeout=int(grace))
        code = self.wait(grace)
        return code, time.monotonic() - began

    def program(self, word: str) -> "Program | None":
        """The process of this container that has `word` in its command line and is no more the entrypoint; None when there is none."""
        for pid in _below(self._pid):
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
                if not any(word in one for one in words) or any(_LAUNCHER in one for one in words):
                    continue
                pairs = Path(f"/proc/{pid}/environ").read_bytes().decode("utf-8", "surrogateescape").split("\0")
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:  # it has ended, or is none of ours to look at
                continue
            variables = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
            if not variables:  # in the middle of its exec: the kernel knows the words before the variables
                continue
            ids = [re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE) for name in ("Uid", "Gid")]
            return Program(variables, ":".join(found[1] for found in ids if found))
        return None


class Watch:
    """Looks, from its making on, for the program of a container that ends by itself: `found` after it has ended."""

    def __init__(self, container: Running, word: str) -> None:
        self.found: Program | None = None
        self._container = container
        self._word = word
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while self.found is None and not self._over.wait(0.05):
            self.found = self._container.program(self._word)

    def end(self) -> "Program | None":
        self._over.set()
        self._thread.join()
        return self.found


def _below(pid: int) -> "list[int]":
    """A process and all below it, parents first. The kernel's own list of children is not in every kernel."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                continue
            parents.setdefault(parent, []).append(int(name))
    found = [pid] if pid else []
    for one in found:  # it grows while it is walked
        found += parents.get(one, [])
    return found
