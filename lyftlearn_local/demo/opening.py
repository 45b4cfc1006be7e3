"""Opens a scene: an engine with a network of its own, the platform on it, and the documents in it. All of it goes at the end."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyftlearn_local.containers.engine import PREFIX, CannotRun, Engine
from lyftlearn_local.demo import inputs
from lyftlearn_local.demo.container_scene import Scene
from lyftlearn_local.demo.telling import stage
from lyftlearn_local.platform import Platform

_SERVICE = "screening-training"


@dataclass
class Opened:
    """A scene, the documents that are staged in it, and the variables that `lyftlearn stage` said to pass."""

    scene: Scene
    environment: dict[str, str]
    hyperparameters: dict[str, Any]
    staged: dict[str, str]


@contextlib.contextmanager
def opened(say: Callable[[str], None], environ: "dict[str, str]", tag: str, fill: Callable[[Path], None]) -> Iterator[Opened]:
    """A scene with the image of that tag. `fill` puts the team's program into the directory that it is given.

    Raises CannotRun, ways.Failed and what a platform's start raises; nothing is left in the engine then either.
    """
    if os.geteuid():
        raise CannotRun("--docker needs root: it looks into the containers' programs, and gives them files as each platform does")
    if "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" in environ:
        raise CannotRun("this machine is a container with credentials at 169.254.170.2 itself; the demo would take that address from it")
    os.umask(0o022)  # what is mounted is read by other users; the directory around it is ours alone
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # a Secret volume's files are never on a disk
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-", dir=memory, ignore_cleanup_errors=True) as place:
        directory = Path(place)
        with Engine(say, directory) as engine:
            image = engine.image(tag)
            labels = image.labels or {}
            version = labels.get("org.opencontainers.image.version", "unknown")
            revision = labels.get("org.opencontainers.image.revision", "unknown")
            say(f"image {tag}: {image.id}, {image.attrs['Size'] / 1e6:.0f} MB, version {version}, revision {revision[:12]}")
            code = directory / "code"
            code.mkdir()
            fill(code)
            environment, hyperparameters = inputs.environment(), inputs.hyperparameters()
            try:
                platform = Platform(say, host=engine.host)
                platform.start()
            except OSError as error:
                raise CannotRun(
                    f"{engine.host}, the network's gateway, is no address of this machine ({error}): the engine runs elsewhere"
                ) from None
            try:
                say(f"platform: moto, Confidant, StatsD gateway, credentials endpoint, on {engine.host} of the demo's own network alone")
                secrets = inputs.Secrets(platform.confidant, _SERVICE)
                search = environ.get("PATH", "/usr/bin:/bin")
                staged = stage(platform, {"environment": environment, "hyperparameters": hyperparameters}, search)
                counted = f"{len(environment)} variables, {len(hyperparameters)} hyperparameters staged"
                say(f"{len(secrets.injected)} secrets in Confidant; {counted}")
                scene = Scene(engine, platform, secrets, _SERVICE, directory, code, tag, image.id, say)
                yield Opened(scene, environment, hyperparameters, staged)
            finally:
                platform.stop()
