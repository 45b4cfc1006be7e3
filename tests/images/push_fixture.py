"""Fixtures of the tests of `lyftlearn image push`: the servers, a repository, the program, and small images to push."""

import io
import os
import shutil
import subprocess
import tarfile
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.images.ecr_world import COMMIT, Make, Push, World
from tests.integration.job import operator

LABELS = {"version": "1.2.3", "revision": COMMIT}


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[World | None]":
    if not shutil.which("docker-registry") or not shutil.which("htpasswd"):
        yield None
        return
    made = World(tmp_path_factory.mktemp("ecr"))
    yield made
    made.close()


@pytest.fixture
def world(servers: "World | None", need: Callable[[object, str], None]) -> World:
    need(servers, "docker-registry and htpasswd (apache2-utils)")
    assert servers is not None
    servers.reset()
    servers.front.rules.append(servers.repositories_must_exist)
    return servers


@pytest.fixture
def repository(world: World) -> str:
    """A repository of its own for each test, which ECR knows."""
    name = f"lyftlearn/{uuid.uuid4().hex[:12]}"
    world.ecr.create_repository(repositoryName=name)
    return f"{world.host}/{name}"


@pytest.fixture
def push(world: World) -> Push:
    """push(*words, image=..., to=..., **variables): the program, as a user runs it."""

    def run(*words: str, image: Any, to: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        command = operator("image", "push", "any", "--image", image if isinstance(image, str) else image.id, "--to", to, *words)
        environ = {name: value for name, value in {**world.environ, **variables}.items() if value}
        done = subprocess.run(command, env=environ, cwd=world.home, capture_output=True, text=True, check=False, timeout=300)
        # The token, in whatever form, is nowhere to be seen, and in no file.
        for secret in (world.password, "auth-token", "s3cr3t"):
            assert secret not in done.stdout + done.stderr
        assert list(world.home.iterdir()) == []
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture
def make(client: Any) -> "Iterator[Make]":
    """make(*files, on=..., **labels): a small image FROM scratch, or on another, with a layer for each file.

    Each file gets bytes that are in no other, so that the Engine has never pushed the layer.
    """
    made: list[str] = []

    def build(*files: bytes, on: str = "scratch", **labels: str) -> Any:
        lines = [f"FROM {on}", *(f"COPY {number} /{on[:8]}{number}" for number in range(len(files)))]
        lines += [f"LABEL org.opencontainers.image.{name}={value}" for name, value in {**LABELS, **labels}.items() if value]
        context = io.BytesIO()
        with tarfile.open(fileobj=context, mode="w") as archive:
            for name, content in [
                ("Dockerfile", "\n".join(lines).encode()),
                *((str(n), each + os.urandom(16)) for n, each in enumerate(files)),
            ]:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        context.seek(0)
        tag = f"lyftlearn-push-test:{uuid.uuid4().hex[:12]}"
        for line in client.api.build(fileobj=context, custom_context=True, tag=tag, decode=True, rm=True):
            assert "error" not in line, line
        found = client.images.get(tag)
        made.append(found.id)
        return found

    yield build
    # By id: a push leaves a name with the digest, too.
    for each in reversed(made):
        client.images.remove(each, force=True)
