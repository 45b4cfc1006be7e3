"""What the commands of `lyftlearn image` share: where an image's files are, what it is called, and the image itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

CHECKOUT = click.option(
    "--checkout", type=click.Path(file_okay=False, exists=True, path_type=Path), default=".", help="Root of a checkout."
)


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


def find(client: Any, tag: str) -> Any:
    """The engine's image of that tag or id. Raises click.ClickException where it has none."""
    import docker.errors

    try:
        return client.images.get(tag)
    except docker.errors.ImageNotFound:
        raise click.ClickException(f"there is no image {tag}: build it with `lyftlearn image build`") from None
