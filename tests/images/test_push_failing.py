"""`lyftlearn image push` where the registry, its token or the network fails: tried again within bounds, and one clear line."""

import hashlib
import json
import os
from typing import Any

import pytest

from tests.images.ecr_world import COMMIT, DOWN, Make, Push, Reply, World, error, port_of, reserved, times

pytest_plugins = ["tests.images.push_fixture"]
# For the Engine.
pytestmark = pytest.mark.image("base")


def test_a_wrong_password(push: Push, make: Make, world: World, repository: str) -> None:
    """moto gives the account's token; the registry has another password."""
    right = world.password
    world.kill_registry()
    world.password = "another"
    world.start_registry()
    try:
        done = push(image=make(b"x"), to=repository)
    finally:
        world.kill_registry()
        world.password = right
        world.start_registry()
    assert (done.returncode, done.stdout) == (77, "")
    assert "was answered 401" in done.stderr
    assert "Check that --to is in the account and region" in done.stderr
    assert world.tokens() == 2


def test_a_token_that_expires_in_mid_push(push: Push, make: Make, world: World, repository: str) -> None:
    image = make(os.urandom(1000), os.urandom(1000))
    world.front.rules.append(world.token_expires_after(1, "^PATCH "))
    done = push("--json", image=image, to=repository)
    assert done.returncode == 0, done.stderr
    assert "the registry refuses the token; trying once with a new one" in done.stderr
    assert world.tokens() == 2
    assert world.stored(repository, json.loads(done.stdout)["digest"]).status_code == 200


def test_a_token_that_expires_after_the_engines_push(push: Push, make: Make, world: World, repository: str) -> None:
    world.front.rules.append(world.token_expires_after(1, "^PUT .*/manifests/"))
    done = push(image=make(b"x"), to=repository)
    assert done.returncode == 0, done.stderr
    assert world.tokens() == 2
    assert world.stored(repository, COMMIT).status_code == 200


def test_a_token_that_is_never_good_is_tried_twice(push: Push, make: Make, world: World, repository: str) -> None:
    expired = error(403, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")
    world.front.rules.append(times(1000, "PATCH", "", expired))
    done = push(image=make(b"x"), to=repository)
    assert (done.returncode, done.stdout) == (77, "")
    assert "Your authorization token has expired" in done.stderr
    assert world.tokens() == 2


def test_a_missing_permission_is_not_tried_again(push: Push, make: Make, world: World, repository: str) -> None:
    said = "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: ecr:InitiateLayerUpload on resource: x"
    world.front.rules.append(times(1000, "POST", "/blobs/uploads/", error(403, "DENIED", said)))
    done = push(image=make(b"x"), to=repository)
    assert (done.returncode, done.stdout) == (77, "")
    assert "not authorized to perform: ecr:InitiateLayerUpload" in done.stderr
    assert world.tokens() == 1


def test_a_registry_that_fails_for_a_moment(push: Push, make: Make, world: World, repository: str) -> None:
    """The Engine does not try a manifest again; we do. Our own requests are tried again too."""
    world.front.rules += [times(1, "PUT", "/manifests/", error(503, "UNAVAILABLE", "busy")), times(2, "GET", "/manifests/", DOWN)]
    done = push(image=make(b"x"), to=repository)
    assert done.returncode == 0, done.stderr
    assert "; trying again\n" in done.stderr


def test_a_registry_that_fails_for_good(push: Push, make: Make, world: World, repository: str) -> None:
    world.front.rules.append(times(1000, "PUT", "/manifests/", error(503, "UNAVAILABLE", "busy")))
    done = push(image=make(b"x"), to=repository)
    assert (done.returncode, done.stdout) == (69, "")
    assert world.front.count("PUT", "/manifests/") == 3
    assert done.stderr.splitlines()[-1].startswith(f"lyftlearn: error: the push to {repository} failed: ")


def test_a_registry_that_dies_before_the_manifest(push: Push, make: Make, world: World, repository: str) -> None:
    def die(request: Any, pass_on: Any) -> Any:
        if request.method == "PUT" and "/manifests/" in request.path:
            world.kill_registry()
            return DOWN
        return None

    world.front.rules.append(die)
    image = make(b"x")
    try:
        done = push(image=image, to=repository)
    finally:
        world.reset()
        world.start_registry()
    assert (done.returncode, done.stdout) == (69, "")
    (line,) = [line for line in done.stderr.splitlines() if "error" in line]
    # It is not pushed to again: it is asked whether it is there at all.
    assert f"{world.host} did not answer GET manifests/1.2.3: " in line
    # What arrived stays: the next push has only the manifest to send.
    again = json.loads(push("--json", image=image, to=repository).stdout)
    assert [layer["outcome"] for layer in again["layers"]] == ["already there"]


@pytest.mark.slow
def test_a_registry_that_dies_in_a_layer(push: Push, make: Make, world: World, repository: str) -> None:
    """The Engine tries five times, for most of a minute; then it is over at once, with one line."""

    def die(request: Any, pass_on: Any) -> Any:
        if request.method == "PATCH":
            world.kill_registry()
            return DOWN
        return None

    world.front.rules.append(die)
    try:
        done = push(image=make(os.urandom(1000)), to=repository)
    finally:
        world.reset()
        world.start_registry()
    assert (done.returncode, done.stdout) == (69, "")
    assert "the upload broke off; retrying in" in done.stderr
    assert "_state" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("lyftlearn: error: ")]) == 1


def test_the_registry_is_asked_whether_it_has_what_the_engine_sent(push: Push, make: Make, world: World, repository: str) -> None:
    world.front.rules.append(times(1000, "GET", "/manifests/sha256:", error(404, "MANIFEST_UNKNOWN", "manifest unknown")))
    done = push(image=make(b"x"), to=repository)
    assert (done.returncode, done.stdout) == (65, "")
    assert "the Docker Engine says it pushed sha256:" in done.stderr
    # Only the tag that the Engine pushed is there.
    assert world.stored(repository, "1.2.3").status_code == 200
    assert world.stored(repository, COMMIT).status_code == 404


def test_a_tag_is_read_back(push: Push, make: Make, world: World, repository: str) -> None:
    """Somebody else's push may have taken it meanwhile."""

    def taken(request: Any, pass_on: Any) -> Any:
        put = world.front.count("PUT", COMMIT)
        return Reply(200, b'{"schemaVersion": 2}') if put and request.method == "GET" and request.path.endswith(COMMIT) else None

    world.front.rules.append(taken)
    done = push(image=make(b"x"), to=repository)
    assert (done.returncode, done.stdout) == (65, "")
    other = hashlib.sha256(b'{"schemaVersion": 2}').hexdigest()
    assert f"{repository}:{COMMIT} is sha256:{other} after it was put, not sha256:" in done.stderr


def test_no_registry_at_all(push: Push, make: Make, world: World) -> None:
    with reserved() as nobody:
        done = push(image=make(b"x"), to=f"127.0.0.1:{port_of(nobody)}/a/b")
    assert (done.returncode, done.stdout) == (69, "")
    assert "Connection refused" in done.stderr


def test_no_credentials(push: Push, make: Make, repository: str) -> None:
    none = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"}
    done = push(image=make(b"x"), to=repository, **none)
    assert (done.returncode, done.stdout) == (78, "")
    assert "Unable to locate credentials" in done.stderr


def test_no_region(push: Push, make: Make, repository: str) -> None:
    done = push(image=make(b"x"), to=repository, AWS_REGION="", AWS_DEFAULT_REGION="")
    assert (done.returncode, done.stdout) == (78, "")
    assert "You must specify a region" in done.stderr
