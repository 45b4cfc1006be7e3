"""Which tags and repositories `lyftlearn image push` takes, and which it refuses before anything is pushed."""

import json
import os
import uuid

import pytest

from tests.images.ecr_world import ACCOUNT, COMMIT, Make, Push, World

pytest_plugins = ["tests.images.push_fixture"]
# For the Engine.
pytestmark = pytest.mark.image("base")


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ({"revision": COMMIT + "-modified"}, f"its revision is {COMMIT}-modified"),
        ({"revision": "unknown"}, "its revision is unknown"),
        ({"revision": ""}, "the image has no label org.opencontainers.image.revision"),
        ({"version": ""}, "the image has no label org.opencontainers.image.version"),
    ],
)
def test_an_image_of_no_commit_is_refused(push: Push, make: Make, world: World, repository: str, labels: dict[str, str], says: str) -> None:
    image = make(b"x", **labels)
    done = push(image=image, to=repository)
    assert (done.returncode, done.stdout) == (65, "")
    assert says in done.stderr
    assert world.front.seen == world.api.seen == []
    if labels.get("revision"):
        done = push("--allow-modified", image=image, to=repository)
        assert done.returncode == 0, done.stderr
        assert world.stored(repository, labels["revision"]).status_code == 200


def test_a_tag_of_another_image_is_found_before_anything_is_pushed(push: Push, make: Make, world: World, repository: str) -> None:
    first, second = make(os.urandom(100)), make(os.urandom(100), revision="f" * 40)
    digest = push(image=first, to=repository).stdout.strip().partition("@")[2]
    world.front.seen.clear()
    done = push(image=second, to=repository)
    assert (done.returncode, done.stdout) == (77, "")
    assert f"{repository}:1.2.3 is another image already, {digest}. Build again under another version" in done.stderr
    assert len(done.stderr.splitlines()) == 2
    assert {request.method for request in world.front.seen} == {"GET"}
    assert world.stored(repository, "f" * 40).status_code == 404


def test_a_tag_moves_when_that_is_asked_for(push: Push, make: Make, world: World, repository: str) -> None:
    first, second = make(os.urandom(100)), make(os.urandom(100), version="1.2.4", revision="f" * 40)
    assert push("--tag", "{version}", "--move", "latest", image=first, to=repository).returncode == 0
    done = push("--json", "--tag", "{version}", "--move", "latest", image=second, to=repository)
    assert json.loads(done.stdout)["tags"] == {"1.2.4": "put", "latest": "put"}
    assert world.stored(repository, "latest").content == world.stored(repository, "1.2.4").content
    assert world.stored(repository, "latest").content != world.stored(repository, "1.2.3").content


def test_a_moving_tag_in_an_immutable_repository(push: Push, make: Make, world: World, repository: str) -> None:
    first, second = make(os.urandom(100)), make(os.urandom(100), version="1.2.4")
    world.front.rules.append(world.immutable_tags)
    assert push("--tag", "{version}", "--move", "latest", image=first, to=repository).returncode == 0
    done = push("--tag", "{version}", "--move", "latest", image=second, to=repository)
    assert (done.returncode, done.stdout) == (77, "")
    assert "The image tag 'latest' already exists in the" in done.stderr
    assert "Build again under another version, or choose another --tag" in done.stderr
    # The same, said by the Engine.
    done = push(
        "--move",
        "latest",
        image=second,
        to=repository,
    )
    assert done.returncode == 77
    assert "because the repository is immutable" in done.stderr


def test_a_repository_that_is_not_there(push: Push, make: Make, world: World) -> None:
    done = push(image=make(b"x"), to=f"{world.host}/not/there")
    assert (done.returncode, done.stdout) == (66, "")
    assert f"The repository with name 'not/there' does not exist in the registry with id '{ACCOUNT}'" in done.stderr
    assert "give --create-repository" in done.stderr
    assert world.front.count("POST", "") == 0


def test_a_repository_is_made_when_that_is_asked_for(push: Push, make: Make, world: World) -> None:
    name = f"made/{uuid.uuid4().hex[:8]}"
    image = make(b"x")
    done = push("--create-repository", image=image, to=f"{world.host}/{name}")
    assert done.returncode == 0, done.stderr
    (made,) = world.ecr.describe_repositories(repositoryNames=[name])["repositories"]
    assert made["imageTagMutability"] == "IMMUTABLE"
    assert made["imageScanningConfiguration"] == {"scanOnPush": True}
    assert f"{name}: made, with immutable tags and scan on push\n" in done.stderr
    done = push("--create-repository", image=image, to=f"{world.host}/{name}")
    assert done.returncode == 0
    assert f"{name}: there already" in done.stderr


def test_the_token_is_sent_to_the_host_that_ecr_names(push: Push, make: Make, world: World) -> None:
    done = push(image=make(b"x"), to="registry.example.com/a/b")
    assert (done.returncode, done.stdout) == (78, "")
    assert "--to names registry.example.com, but ECR's token is for 123456789012." in done.stderr


def test_a_local_image_that_is_not_there(push: Push, world: World) -> None:
    done = push(image="lyftlearn-nothing:1", to=f"{world.host}/a/b")
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no image lyftlearn-nothing:1" in done.stderr
