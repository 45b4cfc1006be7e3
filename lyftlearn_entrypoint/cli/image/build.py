"""Builds images/NAME with BuildKit, the same way for `lyftlearn image build` and `reproduce`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from lyftlearn_entrypoint import __version__
from lyftlearn_entrypoint.cli.image import docker as image_docker
from lyftlearn_entrypoint.cli.image import layout as image_layout
from lyftlearn_entrypoint.cli.image import stamp as image_stamp
from lyftlearn_entrypoint.cli.image.common import default_of, directory_of, epoch_of, find, lineage

Command = TypeVar("Command", bound=Callable[..., Any])

_FILE = click.Path(dir_okay=False, path_type=Path)
_OPTIONS = (
    click.option("--base-image", default="", help="What it is built FROM; default as its Dockerfile says."),
    click.option("--ca", envvar="SSL_CERT_FILE", type=_FILE, help="PEM bundle that package indices are trusted by, during the build only."),
    click.option("--pip-config", envvar="PIP_CONFIG_FILE", type=_FILE, help="pip.conf, likewise."),
    click.option("--network", default="", help="Network of the build's steps: `host` where a proxy listens on loopback."),
    click.option("--build-arg", "build_args", multiple=True, metavar="NAME=VALUE", help="Another argument of its Dockerfile."),
    click.option(
        "--label", "labels", multiple=True, metavar="KEY=VALUE", help="Another label, such as org.opencontainers.image.source=URL."
    ),
    click.option(
        "--cache-from", "caches", multiple=True, metavar="IMAGE", help="Image built with BUILDKIT_INLINE_CACHE=1, to take layers from."
    ),
    click.option("--layout/--no-layout", default=True, help="Lay the files of hot.txt in front of each layer; default where there is one."),
    click.option("--progress", type=click.Choice(["auto", "plain", "tty"]), default="auto", show_default=True),
)


def inputs(command: Command) -> Command:
    """The options of a build that both commands have. They become keyword arguments of `build`, below."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def build(
    client: Any,
    root: Path,
    name: str,
    tags: Iterable[str],
    *,
    base_image: str = "",
    ca: Path | None = None,
    pip_config: Path | None = None,
    network: str = "",
    build_args: Iterable[str] = (),
    labels: Iterable[str] = (),
    caches: Iterable[str] = (),
    layout: bool = True,
    progress: str = "auto",
    no_cache: bool = False,
) -> Any:
    """The engine's image, built under these tags, with the time of SOURCE_DATE_EPOCH. Raises click.ClickException."""
    directory = directory_of(root, name)
    epoch = epoch_of(root, name)
    docker = image_docker.choose(image_docker.programs(dict(os.environ)))
    arguments = {"VERSION": __version__, "REVISION": image_docker.revision(root), "SOURCE_DATE_EPOCH": str(epoch)}
    if base_image:
        arguments["BASE_IMAGE"] = base_image
    secrets = {key: path.resolve() for key, path in (("ca", ca), ("pip", pip_config)) if path and path.is_file()}
    options = [f"--progress={progress}"]
    options += [f"--network={network}"] if network else []
    options += ["--no-cache"] if no_cache else [f"--cache-from={image}" for image in caches]
    arguments |= dict(pair("--build-arg", text) for text in build_args)
    for text in labels:
        options += ["--label", "=".join(pair("--label", text))]
    tags = list(tags)
    command = image_docker.build_command(docker, name, tags, arguments, secrets, options)
    # The attestation that buildx adds by itself holds the time of the build, and with containerd's store it is a part of the image.
    environ = {**os.environ, "DOCKER_BUILDKIT": "1", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    done = subprocess.run(command, cwd=root, env=environ, check=False)
    if done.returncode != 0:
        raise click.ClickException(f"the build of {name} failed (exit {done.returncode}); its last lines say where")
    made = image_stamp.stamp(client, find(client, tags[0]), epoch)
    hot = image_layout.hot_of(directory, made.attrs["Architecture"]) if layout else []
    if hot:
        try:
            under = below(client, root, name, made, base_image)
        except click.ClickException as error:
            click.echo(f"{tags[0]}: {error.message}: its layers stay in the engine's own order", err=True)
        else:
            made = image_layout.lay(client, made, tags, hot, epoch, under, fresh=no_cache)
    return made


def below(client: Any, root: Path, name: str, made: Any, base_image: str = "") -> int:
    """How many layers of an image of images/NAME are of the image of this checkout that it is built on; 0 where it is built on none.

    `base_image` is that image's name, by default what the Dockerfile says. Raises click.ClickException where the engine does not have it.
    """
    if len(lineage(root, name)) == 1:
        return 0
    parent = base_image or default_of(directory_of(root, name) / "Dockerfile", "BASE_IMAGE")
    ours, theirs = (image.attrs["RootFS"]["Layers"] for image in (made, find(client, parent)))
    if ours[: len(theirs)] != theirs:
        raise click.ClickException(f"it is not built on {parent} as the engine has it now")
    return len(theirs)


def pair(option: str, text: str) -> tuple[str, str]:
    """NAME and VALUE of an option's text. Raises click.UsageError."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise click.UsageError(f"{option} takes NAME=VALUE, not {text!r}")
    return name, value
