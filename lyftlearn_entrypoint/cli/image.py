"""`lyftlearn image`: build, test and measure the images below images/. BuildKit through the docker program, all else through the SDK."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import click

from lyftlearn_entrypoint import __version__
from lyftlearn_entrypoint.cli import image_docker, image_size
from lyftlearn_entrypoint.cli.image_common import CHECKOUT, directory_of, find, tag_of


@click.group()
def image() -> None:
    """Build, test and measure the images."""


@image.command()
@click.argument("name")
@CHECKOUT
@click.option("--tag", "tags", multiple=True, help="Name of the image, repeatable; default lyftlearn-NAME:latest.")
@click.option("--base-image", default="", help="What it is built FROM; default as its Dockerfile says.")
@click.option(
    "--ca",
    envvar="SSL_CERT_FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="PEM bundle that package indices are trusted by, during the build only.",
)
@click.option("--pip-config", envvar="PIP_CONFIG_FILE", type=click.Path(dir_okay=False, path_type=Path), help="pip.conf, likewise.")
@click.option("--network", default="", help="Network of the build's steps: `host` where a proxy listens on loopback.")
@click.option("--no-cache", is_flag=True, help="Make every layer again.")
@click.option("--progress", type=click.Choice(["auto", "plain", "tty"]), default="auto", show_default=True)
def build(
    name: str,
    checkout: Path,
    tags: tuple[str, ...],
    base_image: str,
    ca: Path | None,
    pip_config: Path | None,
    network: str,
    no_cache: bool,
    progress: str,
) -> None:
    """Build images/NAME with BuildKit, its progress shown, and print its layers."""
    root = checkout.resolve()
    directory_of(root, name)
    docker = image_docker.choose(image_docker.programs(dict(os.environ)))
    arguments = {"VERSION": __version__, "REVISION": image_docker.revision(root)}
    if base_image:
        arguments["BASE_IMAGE"] = base_image
    if os.environ.get("SOURCE_DATE_EPOCH"):
        arguments["SOURCE_DATE_EPOCH"] = os.environ["SOURCE_DATE_EPOCH"]
    secrets = {key: path.resolve() for key, path in (("ca", ca), ("pip", pip_config)) if path and path.is_file()}
    options = [f"--progress={progress}"]
    options += [f"--network={network}"] if network else []
    options += ["--no-cache"] if no_cache else []
    tags = tags or (tag_of(name),)
    began = time.monotonic()
    command = image_docker.build_command(docker, name, tags, arguments, secrets, options)
    done = subprocess.run(command, cwd=root, env={**os.environ, "DOCKER_BUILDKIT": "1"}, check=False)
    if done.returncode != 0:
        raise click.ClickException(f"the build of {name} failed (exit {done.returncode}); its last lines say where")
    client = image_docker.connect()
    made = find(client, tags[0])
    click.echo(f"{tags[0]}: {made.id}, built in {time.monotonic() - began:.0f} s")
    _print_layers(image_size.layers(client.api.history(made.id)), made.attrs["Size"])


@image.command()
@click.argument("name")
@CHECKOUT
@click.option("--tag", default="", help="Image to test; default lyftlearn-NAME:latest.")
@click.argument("arguments", nargs=-1)
def test(name: str, checkout: Path, tag: str, arguments: tuple[str, ...]) -> None:
    """Run tests/images for NAME; further ARGUMENTS, after `--`, go to pytest. The exit code is pytest's."""
    root = checkout.resolve()
    directory_of(root, name)
    files = sorted(str(path.relative_to(root)) for path in root.glob(f"tests/images/test_{name}_*.py"))
    if not files:
        raise click.UsageError(f"{root} has no tests/images/test_{name}_*.py")
    find(image_docker.connect(), tag or tag_of(name))
    # Here nothing may be skipped: that the image is missing is known by now.
    environ = {**os.environ, "LYFTLEARN_TEST_IMAGES": "required", f"LYFTLEARN_TEST_IMAGE_{name.upper()}": tag or tag_of(name)}
    sys.exit(subprocess.run([sys.executable, "-m", "pytest", *files, *arguments], cwd=root, env=environ, check=False).returncode)


@image.command()
@click.argument("name")
@CHECKOUT
@click.option("--tag", default="", help="Image to measure; default lyftlearn-NAME:latest.")
@click.option("--top", default=15, show_default=True, help="How many packages to show.")
@click.option("--check", is_flag=True, help="Exit 1 when images/NAME/budget.json is exceeded.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def size(name: str, checkout: Path, tag: str, top: int, check: bool, as_json: bool) -> None:
    """Print each layer's share of the image, and the packages that dominate it."""
    directory = directory_of(checkout.resolve(), name)
    client = image_docker.connect()
    made = find(client, tag or tag_of(name))
    layers = image_size.layers(client.api.history(made.id))
    total = made.attrs["Size"]
    printed = client.containers.run(
        made.id, ["-IS", "-c", image_size.MEASURE], entrypoint="/usr/bin/python3", remove=True, network_mode="none", stderr=False
    )
    packages = image_size.packages(printed.decode())
    budget = json.loads((directory / "budget.json").read_text()) if (directory / "budget.json").is_file() else {}
    over = image_size.over_budget(layers, total, budget)
    if as_json:
        facts = {
            "image": made.id,
            "bytes": total,
            "layers": [{"name": layer.name, "bytes": layer.size} for layer in layers],
            "packages": [{"kind": p.kind, "name": p.name, "version": p.version, "bytes": p.size} for p in packages],
            "over_budget": over,
        }
        click.echo(json.dumps(facts, indent=2))
    else:
        _print_layers(layers, total)
        click.echo()
        for package in packages[:top]:
            click.echo(f"{image_size.megabytes(package.size):>10}  {package.kind:<8}  {package.name} {package.version}")
    for line in over:
        click.echo(f"lyftlearn image: {line}", err=True)
    if check and not budget:
        raise click.UsageError(f"{directory} has no budget.json to check against")
    if check and over:
        sys.exit(1)


def _print_layers(layers: list[image_size.Layer], total: int) -> None:
    for layer in layers:
        click.echo(f"{image_size.megabytes(layer.size):>10}  {layer.size / max(total, 1):>5.1%}  {layer.name}")
    click.echo(f"{image_size.megabytes(total):>10}          in all, unpacked")


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
