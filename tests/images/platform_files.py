"""What a platform puts into a container, laid out on this machine for a bind mount: the same description that `lyftlearn local` uses."""

import os
from pathlib import Path
from typing import Any

from lyftlearn_local.container import Passed, contain

USER = (1000, 100)


class Mounted:
    """The container of a context, with its /opt/ml below `directory`."""

    def __init__(self, directory: Path, context: str, passed: Passed) -> None:
        self.made = contain(context, "image-test", passed, {}, "", 8080)
        self.root = directory / "root"
        self.ml = self.root / "opt/ml"
        self.ml.mkdir(parents=True)
        for path in self.made.directories:
            (self.root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
        for name, data in self.made.files.items():
            place = self.root / name.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)

    def options(self, programs: Path, **more: Any) -> "dict[str, Any]":
        """Options of docker's SDK: variables, /opt/ml as the platform mounts it, and the user's programs below /code."""
        volumes = {str(self.ml): {"bind": "/opt/ml", "mode": "rw"}, str(programs): {"bind": "/code", "mode": "ro"}}
        environment = {name: value for name, value in self.made.environ.items() if name != "HOSTNAME"}
        return {"volumes": volumes, "environment": {**environment, **more.pop("environment", {})}, **more}


def readable(directory: Path) -> Path:
    """Make a directory below pytest's own, which are the tester's alone: the containers' users have to get in."""
    directory.mkdir(exist_ok=True)
    for path in (directory, *directory.parents):
        if path == Path("/tmp") or path.stat().st_uid != os.getuid():
            break
        path.chmod(path.stat().st_mode | 0o055)
    return directory
