"""Server processes that live exactly as long as we do, and the port that each chose."""

import json
import os
import select
import subprocess
import time
from pathlib import Path


class DidNotStart(Exception):
    """A server ended, or told no port in time; the text ends with the last lines of its log."""


class Child:
    """A server process that prints `{"port": N}` as its first line and ends when its stdin ends.

    The pipe at its stdin is what ties its life to ours: when this process dies, however it dies, the kernel closes the pipe.
    """

    def __init__(self, name: str, command: "list[str]", environ: "dict[str, str]", log: Path) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as sink:
            self.process = subprocess.Popen(
                command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sink, start_new_session=True
            )

    def port(self, seconds: float = 240.0) -> int:
        """The port it listens on. Raises DidNotStart after `seconds`, or as soon as the process ends."""
        assert self.process.stdout is not None
        pipe = self.process.stdout.fileno()
        end = time.monotonic() + seconds
        said = b""
        while b"\n" not in said:
            left = end - time.monotonic()
            ready = select.select([pipe], [], [], left)[0] if left > 0 else []
            part = os.read(pipe, 4096) if ready else b""
            if not part:
                self.stop()
                why = "ended" if ready else f"told no port within {seconds:g} s"
                raise DidNotStart(f"{self.name} {why}:\n{self.log.read_text(errors='replace')[-2000:]}")
            said += part
        port = json.loads(said.split(b"\n")[0])["port"]
        assert isinstance(port, int)
        return port

    def stop(self) -> None:
        """Close its stdin, wait 5 s at most, then kill it."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
