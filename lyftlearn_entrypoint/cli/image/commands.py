"""`lyftlearn image`: build, test and look into the images below images/. BuildKit through the docker program, all else through the SDK."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click

from lyftlearn_entrypoint.cli.image import build as image_build
from lyftlearn_entrypoint.cli.image import docker as image_docker
from lyftlearn_entrypoint.cli.image import size as image_size
from lyftlearn_entrypoint.cli.image import testing
from lyftlearn_entrypoint.cli.image.common import CHECKOUT, TAG, directory_of, find, tag_of

# Command -> module; the command has its own name there. Each is imported when it is asked for.
ELSEWHERE = {
    "size": "lyftlearn_entrypoint.cli.image.size",
    "reproduce": "lyftlearn_entrypoint.cli.image.reproduce",
    "sbom": "lyftlearn_entrypoint.cli.image.sbom",
    "scan": "lyftlearn_entrypoint.cli.image.scan",
    "hot": "lyftlearn_entrypoint.cli.image.hot",
    "same": "lyftlearn_entrypoint.cli.image.same",
    "footprint": "lyftlearn_entrypoint.cli.image.footprint",
    "push": "lyftlearn_entrypoint.cli.image.push",
    "merge": "lyftlearn_entrypoint.cli.image.merge",
    "soci": "lyftlearn_entrypoint.cli.image.soci",
}


class _Commands(click.Group):
    """The commands of this module, and those of modules that are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.commands, *ELSEWHERE]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        command = getattr(importlib.import_module(ELSEWHERE[cmd_name]), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Commands)
def image() -> None:
    """Build, test and measure the images, and look into them."""


@image.command()
@click.argument("name")
@CHECKOUT
@click.option("--tag", "tags", multiple=True, help="Name of the image, repeatable; default lyftlearn-NAME:latest.")
@image_build.inputs
@click.option("--no-cache", is_flag=True, help="Make every layer again.")
@click.option("--sbom", type=click.Path(file_okay=False, path_type=Path), help="Also write the bill of materials and the licences there.")
def build(name: str, checkout: Path, tags: tuple[str, ...], sbom: Path | None, **options: Any) -> None:
    """Build images/NAME with BuildKit, its progress shown, and print its layers."""
    root = checkout.resolve()
    directory_of(root, name)
    client = image_docker.connect()
    tags = tags or (tag_of(name),)
    began = time.monotonic()
    made = image_build.build(client, root, name, tags, **options)
    click.echo(f"{tags[0]}: {made.id}, built in {time.monotonic() - began:.0f} s")
    image_size.print_layers(image_size.layers(client.api.history(made.id)), made.attrs["Size"])
    if sbom:
        from lyftlearn_entrypoint.cli.image.sbom import write

        write(client, made, root, name, sbom)


@image.command()
@click.argument("name")
@CHECKOUT
@TAG
@click.argument("arguments", nargs=-1)
def test(name: str, checkout: Path, tag: str, arguments: tuple[str, ...]) -> None:
    """Run tests/images for NAME; further ARGUMENTS, after `--`, go to pytest. The exit code is pytest's.

    Its own tests, what holds for each image, and a team's image built on it. What compares it with the image below is left out where
    that one is not there.
    """
    root = checkout.resolve()
    directory_of(root, name)
    files = testing.files(root, name)
    client = image_docker.connect()
    find(client, tag or tag_of(name))

    def there(wanted: str) -> bool:
        try:
            find(client, wanted)
        except click.ClickException:
            return False
        return True

    environ = testing.environment(root, name, tag, os.environ, there)
    # pytest's own script: `python -m pytest` would put the checkout on sys.path, before the installed wheel.
    command = [str(Path(sys.executable).with_name("pytest")), *files, *arguments]
    sys.exit(subprocess.run(command, cwd=root, env=environ, check=False).returncode)


@image.command()
@click.argument("name")
@CHECKOUT
@click.option("--upgrade", is_flag=True, help="Move every package to its newest version.")
def lock(name: str, checkout: Path, upgrade: bool) -> None:
    """Resolve each .in file of images/NAME again, and write the lock with hashes beside it. Needs uv on PATH.

    The lock holds for amd64 and arm64: the two are resolved apart, and must agree.
    """
    for source in sorted(directory_of(checkout.resolve(), name).glob("*.in")):
        target = source.with_suffix(".txt")
        pinned = "" if upgrade or not target.is_file() else target.read_text()
        made = {machine: _resolve(source, machine, pinned) for machine in ("x86_64", "aarch64")}
        if made["x86_64"] != made["aarch64"]:
            raise click.ClickException(f"{source.name} resolves differently for amd64 and arm64: pin what differs in it")
        target.write_text(made["x86_64"])
        click.echo(f"{target.name}: {made['x86_64'].count('==')} packages")


def _resolve(source: Path, machine: str, pinned: str) -> str:
    """The lock of one .in file for one machine; versions that `pinned` has stay. Raises click.ClickException."""
    import tempfile

    command = ["uv", "pip", "compile", "--no-config", "--quiet", "--python-version", "3.11", "--generate-hashes"]
    command += ["--python-platform", f"{machine}-manylinux_2_28", "--no-emit-index-url", "--no-emit-find-links", "--no-header"]
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory, "lock.txt")
        output.write_text(pinned)
        # Without its directory, so that the comments of the lock are the same everywhere.
        done = subprocess.run(
            [*command, source.name, "--output-file", str(output)], cwd=source.parent, stdout=subprocess.DEVNULL, check=False
        )
        if done.returncode != 0:
            raise click.ClickException(f"uv could not resolve {source.name} for {machine} (exit {done.returncode})")
        return output.read_text()
