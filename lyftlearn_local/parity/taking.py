"""Snapshots in every place, each in a container that was started as its platform starts it."""

import json
import os
import secrets
from pathlib import Path
from typing import Any

from lyftlearn_local.containers.running import CannotRun, Running
from lyftlearn_local.containers.surroundings import CODE, Surroundings
from lyftlearn_local.demo import ways
from lyftlearn_local.demo.container_scene import HEALTHY_SECONDS, Scene
from lyftlearn_local.demo.jupyter import Jupyter
from lyftlearn_local.demo.opening import Opened
from lyftlearn_local.demo.places import OWN, POD, STUDIO, Places

PROGRAM = "program.py"  # does nothing: what it would see is what is wanted
_COMMAND = ["python", f"{CODE}/{PROGRAM}"]
_PLACE = "/srv/snapshot"  # the same mount in each container
_SECONDS = 600.0  # a machine may have much else to do
# In a notebook there is no start of one's own: a cell runs the program, by Python's own way to run one.
_CELL = """import subprocess
done = subprocess.run({words!r}, capture_output=True, text=True)
assert done.returncode == 0, done.stderr"""


class Taking:
    """Takes the snapshots of one opened scene. The key is drawn anew: nothing but these snapshots is compared."""

    def __init__(self, opened: Opened) -> None:
        self.scene: Scene = opened.scene
        self._places = Places(opened)
        self._key = secrets.token_hex(32)

    def all(self) -> "dict[str, bytes]":
        """By place, the pod's first. Raises CannotRun."""
        return {place: self.take(place) for place in OWN}

    def take(self, place: str) -> bytes:
        name = f"snapshot {place}"
        around = self._places.surround(place, name, [] if place == STUDIO else _COMMAND)
        shared = self.scene.directory / f"{name.replace(' ', '-')}-shared"
        shared.mkdir()
        shared.chmod(0o777)
        around.options["volumes"][str(shared)] = {"bind": _PLACE, "mode": "rw"}
        if place == STUDIO:
            self._in_a_cell(around, name, shared)
        elif place == POD:
            self._told(around)
            with self.scene.sidecar(name) as (_, beside):
                self._until_ended(around, name, beside)
        else:
            self._told(around)
            self._until_ended(around, name)
        document = shared / "snapshot.json"
        if not document.exists():
            raise CannotRun(f"{name}: it left no snapshot")
        return document.read_bytes()

    def _told(self, around: Surroundings) -> None:
        around.options["environment"].update(
            LYFTLEARN_SNAPSHOT=f"{_PLACE}/snapshot.json",
            LYFTLEARN_SNAPSHOT_KEY=self._key,
            LYFTLEARN_SNAPSHOT_PATHS=f"hyperparameters={ways.CONFIGMAP},credentials={ways.SECRETS}",
            LYFTLEARN_SNAPSHOT_IMAGE=self.scene.image,
        )

    def _until_ended(self, around: Surroundings, name: str, beside: "dict[str, Any] | None" = None) -> None:
        running = self.scene.start(name, around, beside)
        try:
            running.succeed(_SECONDS)
            self._heard(running)
        finally:
            self.scene.engine.remove(running)

    def _in_a_cell(self, around: Surroundings, name: str, shared: Path) -> None:
        key = shared / "key"
        key.write_text(self._key)
        os.chown(key, *(int(part) for part in around.options["user"].split(":")))
        key.chmod(0o400)
        environment = around.options["environment"]
        trees = []
        for tree in ("hyperparameters", "credentials"):
            trees += ["--path", f"{tree}={environment[f'LYFTLEARN_{tree.upper()}_DIR']}"]
        words = ["lyftlearn", "snapshot", "--to", f"{_PLACE}/snapshot.json", "--key-file", f"{_PLACE}/key", "--image", self.scene.image]
        app = self.scene.start(name, around)
        try:
            jupyter = Jupyter(f"http://{app.address}:8888/jupyterlab/default")
            app.until(jupyter.healthy, "answer to GET /jupyterlab/default/api/status", HEALTHY_SECONDS)
            try:
                jupyter.run("snapshot.ipynb", [_CELL.format(words=[*words, *trees, "--", *_COMMAND])], _SECONDS)
            except (OSError, ValueError) as error:
                raise app.failed(f"the notebook: {error}") from None
        finally:
            key.unlink()
            self.scene.engine.remove(app)

    def _heard(self, running: Running) -> None:
        """A snapshot never stops a start, so its warnings are ours to find."""
        for line in running.log(stdout=False).splitlines():
            if "entrypoint: warning: snapshot" in line:
                raise running.failed(line)


def write(documents: "dict[str, bytes]", directory: Path) -> "list[Path]":
    """One file for each place, whose name it has. They hold no value, so whoever may see the page may see them."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for place, data in documents.items():
        json.loads(data)
        path = directory / f"{place}.json"
        path.write_bytes(data)
        paths.append(path)
    return paths
