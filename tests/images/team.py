"""Teams' images, built on ours as a team builds them: by the docker program with BuildKit. No build has a network: what a team requires
are wheels that lie in the image it builds on, and a pip.conf, given as a secret, tells pip so.
"""

import base64
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import uuid
import zipfile
from pathlib import Path
from typing import Any

from lyftlearn_entrypoint.cli.image.docker import choose, programs
from tests.images.conftest import tag

EXAMPLE = Path(__file__).parents[2] / "examples/team"
PIP_CONF = "[global]\nno-index = true\nfind-links = /wheels\n"
AT = (2026, 1, 1, 0, 0, 0)  # the time of every file in a wheel, so that the same wheel is the same bytes


def repack(directory: Path, name: str, version: str = "") -> Path:
    """A wheel of a pure Python distribution that is installed beside these tests, with another version where one is given."""
    installed = importlib.metadata.distribution(name)
    given = version or installed.version
    stem = f"{name.replace('-', '_')}-{given}"
    content: dict[str, bytes] = {}
    for file in installed.files or ():
        path, end = file.as_posix(), file.name
        if path.endswith(".pyc") or end in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json"):
            continue
        data = Path(str(installed.locate_file(file))).read_bytes()
        if ".dist-info/" in path:
            if end == "METADATA":
                data = data.replace(f"\nVersion: {installed.version}\n".encode(), f"\nVersion: {given}\n".encode(), 1)
            content[f"{stem}.dist-info/{path.partition('.dist-info/')[2]}"] = data
        elif "../share/" in path:
            content[f"{stem}.data/data/share/{path.partition('../share/')[2]}"] = data
        elif not path.startswith(".."):  # scripts: pip makes them anew
            content[path] = data
    rows = []
    for path, data in content.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(data)}")
    content[f"{stem}.dist-info/RECORD"] = "\n".join([*rows, f"{stem}.dist-info/RECORD,,", ""]).encode()
    made = directory / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for path, data in content.items():
            archive.writestr(zipfile.ZipInfo(path, AT), data)
    made.chmod(0o644)
    return made


class Builds:
    """Images that live as long as the tests, built below `directory`."""

    def __init__(self, client: Any, directory: Path) -> None:
        self._client = client
        self.directory = directory
        self._docker = choose(programs(dict(os.environ)))
        self._tags: list[str] = []
        self._pip = directory / "pip.conf"
        self._pip.write_text(PIP_CONF)

    def on(self, image: str, *wheels: Path) -> str:
        """The tag of an image that is images/IMAGE with these wheels in /wheels."""
        context = self._context()
        for made in wheels:
            shutil.copy(made, context / made.name)
        (context / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nCOPY *.whl /wheels/\n")
        return self.build(context, {"BASE": tag(image)})

    def build(self, context: Path, arguments: "dict[str, str]", dockerfile: str = "") -> str:
        """The tag of what a Dockerfile (its text, or that of the context) makes. Raises AssertionError with what the build said."""
        if dockerfile:
            copy = self._context()
            shutil.copytree(context, copy, dirs_exist_ok=True)
            (copy / "Dockerfile").write_text(dockerfile)
            context = copy
        name = f"lyftlearn-test-{uuid.uuid4().hex[:12]}"
        command = [self._docker, "build", "--network", "none", "--tag", name, "--secret", f"id=pip,src={self._pip}"]
        for key, value in arguments.items():
            command += ["--build-arg", f"{key}={value}"]
        # Nothing else of ours in the build's surroundings: neither does a team's CI have it.
        environ = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME") or key.startswith("DOCKER_")}
        done = subprocess.run(
            [*command, str(context)], env={**environ, "DOCKER_BUILDKIT": "1"}, capture_output=True, text=True, check=False, timeout=1800
        )
        assert done.returncode == 0, done.stdout + done.stderr
        self._tags.append(name)
        return name

    def _context(self) -> Path:
        made = self.directory / uuid.uuid4().hex[:12]
        made.mkdir()
        return made

    def remove(self) -> None:
        """Removes the images, last made first. What the builder keeps in its cache, its own rules remove."""
        while self._tags:
            self._client.images.remove(self._tags.pop(), force=True)
