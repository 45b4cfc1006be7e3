"""Which docker program can build with BuildKit, and what it is told. The engine itself is asked through Docker's SDK.

The SDK knows only the old builder, which refuses `RUN --mount`. A docker program of 23 or later without its buildx plugin falls
back to that builder without a word; older ones have BuildKit inside and need DOCKER_BUILDKIT=1.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

# Runs a command and returns (exit code, stdout).
Run = Callable[[list[str]], tuple[int, str]]


def run(command: list[str]) -> tuple[int, str]:
    """Run a command and return its exit code and stdout; 127 where there is no such program."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False, timeout=120)
    except (OSError, subprocess.TimeoutExpired):
        return 127, ""
    return done.returncode, done.stdout.strip()


def connect() -> Any:
    """A client of the Docker Engine that DOCKER_HOST names. Raises click.ClickException where there is no SDK, or no engine answers."""
    try:
        import docker
        import docker.errors
    except ModuleNotFoundError:
        raise click.ClickException("Docker's SDK is missing: pip install docker") from None
    host = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    try:
        if host.startswith("unix://"):
            # Tried here first: the SDK leaves its socket open when nobody answers.
            with socket.socket(socket.AF_UNIX) as tried:
                tried.connect(host.removeprefix("unix://"))
        return docker.from_env(timeout=120)
    except (docker.errors.DockerException, OSError) as error:
        raise click.ClickException(f"no Docker Engine answers at {host} ({type(error).__name__}): start it, or set DOCKER_HOST") from None


def programs(environ: dict[str, str]) -> list[str]:
    """Every docker program there is to try, in order: the one that DOCKER names, then each on PATH."""
    if environ.get("DOCKER"):
        return [environ["DOCKER"]]
    places = [Path(directory) / "docker" for directory in environ.get("PATH", os.defpath).split(os.pathsep) if directory]
    return list(dict.fromkeys(str(place) for place in places if os.access(place, os.X_OK)))


def choose(candidates: Iterable[str], run: Run = run) -> str:
    """The first program that builds with BuildKit. Raises click.ClickException saying what each one lacks."""
    lacking = []
    for program in candidates:
        if run([program, "buildx", "version"])[0] == 0:
            return program
        # It prints its own version also where no engine answers.
        version = run([program, "version", "--format", "{{.Client.Version}}"])[1]
        major = version.partition(".")[0]
        if major.isdigit() and 18 < int(major) < 23:
            return program
        lacking.append(f"{program} ({version or 'does not answer'}) has no buildx plugin")
    if not lacking:
        raise click.ClickException("there is no docker program on PATH; install one, with its buildx plugin")
    raise click.ClickException("no docker program with BuildKit: " + "; ".join(lacking) + ". Install the plugin, or name another in DOCKER")


def build_command(
    docker: str,
    image: str,
    tags: Iterable[str],
    arguments: dict[str, str],
    secrets: dict[str, Path],
    options: Iterable[str] = (),
) -> list[str]:
    """The words that build images/IMAGE from the root of a checkout. A secret goes in as a file and stays in no layer."""
    command = [docker, "build", "--file", f"images/{image}/Dockerfile"]
    for tag in tags:
        command += ["--tag", tag]
    for name, value in arguments.items():
        command += ["--build-arg", f"{name}={value}"]
    for name, path in secrets.items():
        command += ["--secret", f"id={name},src={path}"]
    return [*command, *options, "."]


def revision(root: Path, run: Run = run) -> str:
    """The commit of a checkout, with `-modified` after it where files differ from it; 'unknown' without git."""
    code, commit = run(["git", "-C", str(root), "rev-parse", "HEAD"])
    if code != 0:
        return "unknown"
    changed = run(["git", "-C", str(root), "status", "--porcelain", "--untracked-files=no"])[1]
    return commit + ("-modified" if changed else "")
