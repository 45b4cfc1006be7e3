"""What the commands of `lyftlearn image` share: where an image's files are, its name, the time it is given, and the image itself."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECKOUT = click.option(
    "--checkout", type=click.Path(file_okay=False, exists=True, path_type=Path), default=".", help="Root of a checkout."
)
# For images that are neither the checkout's newest build nor named as it is.
TAG = click.option("--tag", default="", help="Image to look at; default lyftlearn-NAME:latest.")


def tag_of(name: str) -> str:
    """The tag of images/NAME where none is given."""
    return f"lyftlearn-{name}:latest"


def directory_of(root: Path, name: str) -> Path:
    """images/NAME of a checkout. Raises click.UsageError where it has no Dockerfile."""
    directory = root / "images" / name
    if not (directory / "Dockerfile").is_file():
        known = sorted(path.parent.name for path in root.glob("images/*/Dockerfile"))
        raise click.UsageError(f"{root} has no images/{name}/Dockerfile; it has {', '.join(known) or 'none'}")
    return directory


def lineage(root: Path, name: str) -> list[str]:
    """NAME and the images of this checkout that it is built on, the nearest first, as the default of its BASE_IMAGE says."""
    found = [name]
    while parent := re.match(r"lyftlearn-([\w-]+)(?=[:@]|$)", default_of(directory_of(root, found[-1]) / "Dockerfile", "BASE_IMAGE")):
        if parent[1] in found or not (root / "images" / parent[1]).is_dir():
            break
        found.append(parent[1])
    return found


def default_of(dockerfile: Path, argument: str) -> str:
    """The default of a Dockerfile's build argument, as its first ARG line with one says; '' where there is none."""
    found = re.search(rf"^ARG {argument}=(\S+)", dockerfile.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1].strip("\"'") if found else ""


def epoch_of(root: Path, name: str, environ: Mapping[str, str] = os.environ) -> int:
    """SOURCE_DATE_EPOCH of a build of images/NAME, in seconds: the variable, else the default in its Dockerfile or its parent's.

    The Dockerfile is the one place for the default, so a plain `docker build` gives the same layers. Raises click.UsageError.
    Source: reproducible-builds.org, SOURCE_DATE_EPOCH specification.
    """
    given = environ.get("SOURCE_DATE_EPOCH", "")
    for text in (given, *(default_of(directory_of(root, image) / "Dockerfile", "SOURCE_DATE_EPOCH") for image in lineage(root, name))):
        if text:
            # Later years have five digits, which the times in an image's config have no form for.
            if not text.isdecimal() or int(text) > 253402300799:
                raise click.UsageError(f"SOURCE_DATE_EPOCH has to be whole seconds since 1970, not {text!r}")
            return int(text)
    raise click.UsageError(f"images/{name}/Dockerfile has no ARG SOURCE_DATE_EPOCH with a default: set the variable")


def cache() -> Path:
    """Where is kept what takes long to find out, and is the same the next time."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lyftlearn"


def keeps_manifests(client: Any) -> bool:
    """Whether the engine has containerd's image store: an image's id is then its manifest's digest, and sizes are those of the disk."""
    return ["driver-type", "io.containerd.snapshotter.v1"] in (client.info().get("DriverStatus") or [])


def find(client: Any, tag: str) -> Any:
    """The engine's image of that tag or id. Raises click.ClickException where it has none."""
    import docker.errors

    try:
        return client.images.get(tag)
    except docker.errors.ImageNotFound:
        raise click.ClickException(f"there is no image {tag}: build it with `lyftlearn image build`") from None
