"""A container's life on this machine: its directory, its process, the real stop sequence, and what it left behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from lyftlearn_local.container import ENDPOINT, PROCESSING, TRAINING, TRANSFORM, Container

_REASON = 1024  # characters of FailureReason (bytes of ExitMessage); botocore 1.44 service model, FailureReason and ExitMessage
_ENCLOSURE = str(Path(__file__).resolve().parent / "enclosure.py")


def private_mounts() -> bool:
    """True where the kernel lets us make a private mount namespace, so that /opt/ml can be real for the program."""
    done = subprocess.run([sys.executable, "-I", "-S", _ENCLOSURE, "check"], capture_output=True, check=False)
    return done.returncode == 0


def lay_out(made: Container, root: Path) -> None:
    """Writes what a container finds, directories, files and links, below `root`, which stands for its /."""
    for path in (*made.private, *made.directories):
        (root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
    for path, data in made.files.items():
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    for path, target in made.links.items():
        (root / path.lstrip("/")).symlink_to(target)


class Ended:
    """How a program ended. `code` is the exit code, 128 + n after signal n, as a shell shows it."""

    def __init__(self, code: int, stopped: bool, killed: bool, seconds: float, reason: str) -> None:
        self.code = code
        self.stopped = stopped
        self.killed = killed
        self.seconds = seconds
        self.reason = reason

    @property
    def status(self) -> str:
        """The job status that the real API would show: Completed, Stopped or Failed."""
        if self.stopped:
            return "Stopped"
        return "Completed" if self.code == 0 else "Failed"


class Job:
    """Prepares a container's files below `directory` and starts it: `with Job(...) as job: job.start(); ended = job.wait()`.

    `launcher` is the words before the user's command (the entrypoint), empty for none. `mounts` says whether directories are made
    private by mounts; otherwise LYFTLEARN_ROOT moves what the entrypoint itself touches, and the program sees no /opt/ml.
    """

    def __init__(self, container: Container, launcher: "list[str]", mounts: bool, say: Callable[[str], None]) -> None:
        self.container = container
        self._launcher = launcher
        self._mounts = mounts
        self._say = say
        self._temporary = tempfile.TemporaryDirectory(prefix="lyftlearn-job-")
        self.root = Path(self._temporary.name)
        self.home = self.root / "home"
        self._asked: str = ""
        self.process: subprocess.Popen[bytes] | None = None
        try:
            self._prepare()
        except BaseException:
            self._temporary.cleanup()
            raise

    def __enter__(self) -> "Job":
        return self

    def __exit__(self, *unused: object) -> None:
        self.kill()
        self._temporary.cleanup()

    def real(self, path: str) -> Path:
        """Where the program's `path` lies on this machine."""
        return self.root / path.lstrip("/")

    def _prepare(self) -> None:
        made = self.container
        self.home.mkdir()
        made.environ.setdefault("HOME", str(self.home))
        if not self._mounts and (made.private or made.files):
            made.environ["LYFTLEARN_ROOT"] = str(self.root)
        lay_out(made, self.root)

    def start(self, stdin: "int | None" = subprocess.DEVNULL, stdout: "int | IO[bytes] | None" = None) -> None:
        """Starts the program, our direct child. `stdout` takes stdout; stderr stays ours. Raises OSError."""
        argv = [*self._launcher, *self.container.argv]
        argv[0] = shutil.which(argv[0], path=self.container.environ.get("PATH", os.defpath)) or argv[0]
        if not self._mounts:
            self.process = subprocess.Popen(argv, env=self.container.environ, stdin=stdin, stdout=stdout, start_new_session=True)
            return
        private = {path: str(self.real(path)) for path in _outermost(self.container.private)}
        order = {"argv": argv, "environ": self.container.environ, "private": private}
        reader = _memory(json.dumps(order).encode())  # in memory only: it holds the program's variables
        try:
            helper = [sys.executable, "-I", "-S", _ENCLOSURE, str(reader)]
            self.process = subprocess.Popen(helper, env={}, stdin=stdin, stdout=stdout, pass_fds=(reader,), start_new_session=True)
        finally:
            os.close(reader)

    def ask_to_stop(self, why: str) -> None:
        """Asks for the stop sequence; `wait` carries it out. Safe in a signal handler."""
        self._asked = self._asked or why

    def wait(self, stop_after: "float | None" = None) -> Ended:
        """Waits for the end; after `stop_after` seconds, or once asked, SIGTERM, the context's grace, then SIGKILL."""
        process = self.process
        assert process is not None
        start = time.monotonic()
        while True:
            try:
                process.wait(0.05)
                break
            except subprocess.TimeoutExpired:
                if stop_after is not None and time.monotonic() - start >= stop_after:
                    self.ask_to_stop(f"{stop_after:g} s are over")
                if self._asked:
                    break
        killed = process.poll() is None and self._stop(process)
        seconds = time.monotonic() - start
        self.kill()
        code = process.returncode
        return Ended(code if code >= 0 else 128 - code, bool(self._asked), killed, seconds, self.reason(code))

    def _stop(self, process: "subprocess.Popen[bytes]") -> bool:
        """SIGTERM to the program alone, as the container runtime does; True when SIGKILL was needed."""
        grace = self.container.grace
        self._say(f"{self._asked}: SIGTERM, and SIGKILL in {grace:g} s")
        sent = time.monotonic()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill()
            self._say(f"still running {grace:g} s after SIGTERM: SIGKILL")
            return True
        self._say(f"ended {time.monotonic() - sent:.1f} s after SIGTERM, {_ending(process.returncode)}")
        return False

    def kill(self) -> None:
        """SIGKILL for the program and its process group. A descendant that made a session of its own survives: docs/local.md."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        self.process.wait()

    def reason(self, returncode: int) -> str:
        """FailureReason or ExitMessage as the API would show it; '' where there is none."""
        path = self.container.reason_file
        if not path:
            return ""
        try:
            data = self.real(path).read_bytes()
        except OSError:
            data = b""
        if self.container.context == PROCESSING:
            try:
                return data.decode("utf-8").encode()[:_REASON].decode("utf-8", "ignore")
            except UnicodeDecodeError:
                return "ClientError: the exit message is not UTF-8, and the real job fails with that alone"
        if returncode == 0 or self._asked:
            return ""
        code = returncode if returncode >= 0 else 128 - returncode
        text = data.decode("utf-8", "replace")[:_REASON]
        return f"AlgorithmError: {text}, exit code: {code}"[:_REASON]

    def difference(self) -> str:
        """One line on what is not as on the real platform; '' when nothing is."""
        if self._mounts or not self.container.private:
            return ""
        places = ", ".join(_outermost(self.container.private))
        line = f"no private mount namespace here: {places} lie below {self.root} instead (LYFTLEARN_ROOT); the program does not see them"
        return line + " under their own names"

    @property
    def is_job(self) -> bool:
        return self.container.context in (TRAINING, PROCESSING, TRANSFORM, ENDPOINT)


def _ending(returncode: int) -> str:
    return f"by {signal.Signals(-returncode).name}" if returncode < 0 else f"exit code {returncode}"


def _outermost(paths: "list[str]") -> "list[str]":
    """Without those that lie below another one, which is mounted with all that is in it."""
    return [p for p in dict.fromkeys(paths) if not any(p != q and p.startswith(q.rstrip("/") + "/") for q in paths)]


def _memory(data: bytes) -> int:
    """A descriptor from which `data` can be read, held in memory only."""
    reader = os.memfd_create("order")
    os.write(reader, data)
    os.lseek(reader, 0, os.SEEK_SET)
    return reader
