"""`lyftlearn image push` with a real Docker Engine and a real registry: what arrives, what is told, what is left as it was."""

import hashlib
import json
import os
import uuid
from typing import Any

import pytest

from tests.images.ecr_world import COMMIT, Make, Push, World

pytest_plugins = ["tests.images.push_fixture"]
# For the Engine; the base image itself is pushed by one test alone.
pytestmark = pytest.mark.image("base")


def test_the_digest_alone_is_on_stdout_and_pulls_the_same_image(push: Push, make: Make, world: World, repository: str, client: Any) -> None:
    image = make(os.urandom(100_000), b"small")
    done = push(image=image, to=repository)
    assert done.returncode == 0, done.stderr
    reference = done.stdout.removesuffix("\n")
    name, _, digest = reference.partition("@")
    assert name == repository
    manifest = world.stored(repository, digest)
    assert digest == "sha256:" + hashlib.sha256(manifest.content).hexdigest()
    assert manifest.json()["config"]["digest"] == image.id
    for tag in ("1.2.3", COMMIT):
        assert world.stored(repository, tag).content == manifest.content
    # The Engine pushed one tag; the other was put as the same bytes.
    client.images.remove(image.tags[0])
    pulled = client.images.pull(name, tag=digest, auth_config={"username": world.user, "password": world.password})
    try:
        assert pulled.id == image.id
    finally:
        client.images.get(image.id).tag(image.tags[0].split(":")[0], image.tags[0].split(":")[1])
        client.api.remove_image(reference)


def test_each_layer_is_told(push: Push, make: Make, repository: str) -> None:
    image = make(os.urandom(3_000_000), b"small")
    done = push(image=image, to=repository)
    assert "layer 1 of 2: uploaded, 3.0 MB unpacked\n" in done.stderr
    assert "layer 2 of 2: uploaded, 0.0 MB unpacked\n" in done.stderr
    assert "tag 1.2.3: now this image\n" in done.stderr
    assert "warning" not in done.stderr
    assert ": 3.0 MB in 2 layers, 3.0 MB of it new\n" in done.stderr


def test_what_is_there_is_not_pushed_again(push: Push, make: Make, world: World, repository: str) -> None:
    image = make(os.urandom(1000))
    world.front.rules.append(world.immutable_tags)
    first = push(image=image, to=repository)
    world.front.seen.clear()
    second = push("--json", image=image, to=repository)
    assert second.returncode == 0, second.stderr
    facts = json.loads(second.stdout)
    assert facts["reference"] == first.stdout.strip()
    assert facts["tags"] == {"1.2.3": "there", COMMIT: "there"}
    assert facts["uploaded_bytes"] == 0
    assert "already there: sha256:" in second.stderr
    assert {request.method for request in world.front.seen} == {"GET"}


def test_layers_of_another_image_are_shared(push: Push, make: Make, world: World, repository: str) -> None:
    parent = make(os.urandom(200_000))
    child = make(os.urandom(1000), on=parent.tags[0], version="1.2.4")
    assert push(image=parent, to=repository).returncode == 0
    done = push("--json", "--tag", "{version}", image=child, to=repository)
    facts = json.loads(done.stdout)
    assert [layer["outcome"] for layer in facts["layers"]] == ["already there", "uploaded"]
    assert facts["uploaded_bytes"] == facts["layers"][1]["bytes"] < 5000 < facts["layers"][0]["bytes"]
    assert "layer 1 of 2: already there\n" in done.stderr
    below = world.stored(repository, "1.2.3").json()["layers"]
    assert world.stored(repository, "1.2.4").json()["layers"][:1] == below


def test_a_layer_of_another_repository_is_mounted(push: Push, make: Make, world: World, repository: str) -> None:
    image = make(os.urandom(50_000))
    assert push(image=image, to=repository).returncode == 0
    other = f"lyftlearn/{uuid.uuid4().hex[:12]}"
    world.ecr.create_repository(repositoryName=other)
    facts = json.loads(push("--json", image=image, to=f"{world.host}/{other}").stdout)
    assert [layer["outcome"] for layer in facts["layers"]] == [f"mounted from {repository.partition('/')[2]}"]
    assert facts["uploaded_bytes"] == 0


def test_facts_as_json(push: Push, make: Make, world: World, repository: str) -> None:
    image = make(os.urandom(5000))
    facts = json.loads(push("--json", image=image, to=repository).stdout)
    manifest = world.stored(repository, facts["digest"]).json()
    assert facts["repository"] == repository
    assert facts["image"] == image.id
    assert facts["architecture"] == image.attrs["Architecture"]
    assert [(layer["digest"], layer["bytes"]) for layer in facts["layers"]] == [
        (each["digest"], each["size"]) for each in manifest["layers"]
    ]
    assert facts["bytes"] == facts["uploaded_bytes"] == sum(each["size"] for each in manifest["layers"])
    assert facts["tags"] == {"1.2.3": "put", COMMIT: "put"}


def test_the_engines_names_are_as_before(push: Push, make: Make, repository: str, client: Any) -> None:
    image, other = make(b"one"), make(b"other")
    other.tag(repository, "1.2.3")
    try:
        assert push(image=image, to=repository).returncode == 0
        assert client.images.get(f"{repository}:1.2.3").id == other.id
        assert client.images.get(image.id).tags == image.tags
    finally:
        client.api.remove_image(f"{repository}:1.2.3", noprune=True)


def test_an_image_without_another_name_is_not_lost(push: Push, make: Make, repository: str, client: Any) -> None:
    image = make(os.urandom(100))
    client.api.tag(image.id, repository, "1.2.3")
    client.api.remove_image(image.tags[0], noprune=True)
    try:
        assert push(image=image.id, to=repository).returncode == 0
        assert client.images.get(image.id).tags == [f"{repository}:1.2.3"]
    finally:
        client.api.tag(image.id, *image.tags[0].split(":"))
        client.api.remove_image(f"{repository}:1.2.3", noprune=True)


def test_placeholders_and_tags_of_ones_own(push: Push, make: Make, repository: str) -> None:
    image = make(b"x")
    done = push("--json", "--tag", "{revision}-{architecture}", "--tag", "mine", image=image, to=repository)
    assert list(json.loads(done.stdout)["tags"]) == [f"{COMMIT}-{image.attrs['Architecture']}", "mine"]


@pytest.mark.slow
def test_the_base_image_and_a_child_share_every_layer(
    push: Push, make: Make, world: World, repository: str, base: str, client: Any
) -> None:
    # Past the front, which would hold each layer in memory.
    repository = repository.replace(world.host, f"127.0.0.1:{world.registry_port}")
    done = push("--allow-modified", "--json", "--tag", "base", image=base, to=repository)
    assert done.returncode == 0, done.stderr
    below = json.loads(done.stdout)
    child = make(b"a team's file", on=base)
    done = push("--json", "--tag", "child", image=child, to=repository)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert [layer["digest"] for layer in facts["layers"][:-1]] == [layer["digest"] for layer in below["layers"]]
    assert [layer["outcome"] for layer in facts["layers"]] == ["already there"] * len(below["layers"]) + ["uploaded"]
    assert facts["uploaded_bytes"] < 10_000 < 100_000_000 < below["bytes"]
