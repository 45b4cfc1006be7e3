"""What both forms of the demo begin with: a line for each thing that happens, and documents staged by the real command."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from lyftlearn_local.demo import table
from lyftlearn_local.demo.ways import Failed
from lyftlearn_local.platform import Platform


class Telling:
    """Prints lines with the seconds since it was made."""

    def __init__(self, environ: "dict[str, str]") -> None:
        self.environ = environ
        self.colour = table.colour(environ)
        self._began = time.monotonic()

    def say(self, line: str) -> None:
        print(f"{time.monotonic() - self._began:6.1f} s  {line}", flush=True)


def stage(platform: Platform, documents: "dict[str, dict[str, Any]]", path: str) -> "dict[str, str]":
    """Through the real `lyftlearn stage`, with `path` as its PATH. Gives the variables that it says to pass. Raises Failed."""
    command = [str(Path(sys.executable).parent / "lyftlearn"), "stage", "--to", f"s3://{platform.bucket}/staged", "--print", "json"]
    with tempfile.TemporaryDirectory() as directory:
        for name, document in documents.items():
            place = Path(directory) / f"{name}.json"
            place.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
            command += [f"--{name}", str(place)]
        pointers = {**platform.pointers(), "AWS_DEFAULT_REGION": platform.region, "PATH": path, "HOME": directory}
        done = subprocess.run(command, env=pointers, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise Failed(f"lyftlearn stage: exit code {done.returncode}")
    variables: dict[str, str] = json.loads(done.stdout)
    return variables
