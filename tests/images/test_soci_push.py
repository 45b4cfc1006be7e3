"""`lyftlearn image soci` with a registry: what is pushed, what is left alone, what a registry that misbehaves makes of it."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lyftlearn_entrypoint.cli.image.attach import fallback_tag
from lyftlearn_entrypoint.cli.image.registry import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, digest_of
from tests.images.ecr_world import COMMIT, DOWN, Make, Push, World, error, times
from tests.images.lazy_world import blob
from tests.integration.job import operator
from tests.unit.soci_made import GZIP, attested, layers, layout

pytest_plugins = ["tests.images.push_fixture"]
# Only for the programs: none of these tests starts a container.
pytestmark = pytest.mark.image("base")

SOCI = "application/vnd.amazon.soci.index."
OPTIONS = ("--min-layer-size", "2000", "--span-size", "65536")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def soci(world: World) -> Iterator[Run]:
    """soci(source, *words): the program, as a user runs it."""

    def run(*words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        command = operator("image", "soci", *words, *OPTIONS)
        environ = {**world.environ, "TMPDIR": str(temporary), **variables}
        done = subprocess.run(command, env=environ, cwd=world.home, capture_output=True, text=True, check=False, timeout=300)
        for secret in (world.password, "auth-token", "s3cr3t"):
            assert secret not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        # Gigabytes would stay there otherwise.
        assert list(temporary.iterdir()) == []
        return done

    temporary = world.directory / "tmp"
    temporary.mkdir(exist_ok=True)
    yield run
    assert list(world.home.iterdir()) == []


@pytest.fixture
def source(tmp_path: Path) -> str:
    """An image of three layers, one of them small, in an OCI layout."""
    layout(tmp_path / "in", [*layers()[:2], (GZIP, b"\x1f\x8b small")])
    return f"oci:{tmp_path / 'in'}"


def stored(world: World, repository: str, reference: str) -> Any:
    found = world.stored(repository, reference)
    assert found.status_code == 200, (reference, found.text)
    assert not reference.startswith("sha256:") or digest_of(found.content) == reference
    return found.json()


def whole(world: World, repository: str, reference: str) -> "tuple[Any, Any]":
    """The image's manifest and its SOCI index, out of what a tag or digest names; every blob that they name is there."""
    index = stored(world, repository, reference)
    assert index["mediaType"] == OCI_INDEX
    image, soci_index = (stored(world, repository, each["digest"]) for each in index["manifests"])
    assert image["annotations"]["com.amazon.soci.index-digest"] == index["manifests"][1]["digest"]
    for manifest in (image, soci_index):
        for each in [manifest["config"], *manifest["layers"]]:
            assert digest_of(blob(world, repository, each["digest"])) == each["digest"]
    assert soci_index["config"]["mediaType"] == SOCI + "v2+json"
    named = [layer["annotations"]["com.amazon.soci.image-layer-digest"] for layer in soci_index["layers"]]
    assert named == [layer["digest"] for layer in image["layers"] if layer["size"] >= 2000]
    return image, soci_index


def test_a_layout_goes_whole_into_a_repository(soci: Run, source: str, world: World, repository: str) -> None:
    done = soci(source, "--to", repository)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{repository}@sha256:")
    whole(world, repository, done.stdout.strip().partition("@")[2])
    for tag in ("1.2.3-soci", f"{COMMIT}-soci"):
        whole(world, repository, tag)
        assert f"tag {tag}: now this image" in done.stderr
    assert "layer 3 of 3: 0.0 MB, pulled whole: smaller than 0.002 MB" in done.stderr


def test_an_image_of_the_engine_comes_back_as_it_was(soci: Run, make: Make, client: Any, world: World, repository: str) -> None:
    image = make(b"a" * 3_000_000, b"b")
    done = soci(f"docker:{image.id}", "--to", repository, "--index", "both", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    found, _ = whole(world, repository, told["digest"])
    assert [layer.get("not_indexed", "") for layer in told["images"][0]["layers"]] == ["", "smaller than 0.002 MB"]
    assert told["uploaded_bytes"] > sum(layer["size"] for layer in found["layers"])
    # The image that version 1 points at: engines up to 20.10 take nothing of OCI's kinds.
    digest = told["images"][0]["manifest"]
    pulled = client.api.pull(repository, tag=digest, auth_config={"username": world.user, "password": world.password})
    assert f"Digest: {digest}" in pulled
    assert client.images.get(f"{repository}@{digest}").id == image.id


def test_an_image_that_was_pushed_gets_an_index_beside_it(soci: Run, push: Push, make: Make, world: World, repository: str) -> None:
    image = make(b"a" * 3_000_000, b"b" * 5_000_000)
    pushed = push(image=image, to=repository).stdout.strip().partition("@")[2]
    assert stored(world, repository, pushed)["mediaType"] == DOCKER_MANIFEST
    before = world.front.count("PUT", "/blobs/uploads/")
    done = soci(f"registry:{repository}@{pushed}", "--to", repository, "--index", "both", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    # Two zTOCs and `{}`: no layer, no config.
    assert world.front.count("PUT", "/blobs/uploads/") - before == 3
    assert told["uploaded_bytes"] == 2 + sum(layer["ztoc_bytes"] for layer in told["images"][0]["layers"])
    converted, _ = whole(world, repository, "1.2.3-soci")
    assert converted["layers"] == stored(world, repository, pushed)["layers"]
    # The image itself is as it was, and version 1 points at it.
    first = stored(world, repository, told["images"][0]["v1"])
    assert first["subject"]["digest"] == pushed
    assert stored(world, repository, "1.2.3")["mediaType"] == DOCKER_MANIFEST
    (entry,) = stored(world, repository, fallback_tag(pushed))["manifests"]
    assert entry["artifactType"] == SOCI + "v1+json"
    assert (entry["mediaType"], entry["digest"]) == (OCI_MANIFEST, told["images"][0]["v1"])
    assert told["listed_by"] == {entry["digest"]: fallback_tag(pushed)}


def test_a_registry_that_lists_referrers_needs_no_tag(soci: Run, source: str, world: World, repository: str) -> None:
    world.front.rules.append(world.referrers)
    done = soci(source, "--to", repository, "--index", "v1", "--tag", "{version}", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    image = told["images"][0]["manifest"]
    assert stored(world, repository, "1.2.3") == stored(world, repository, image)
    assert told["reference"] == f"{repository}@{image}"
    assert list(told["listed_by"].values()) == ["registry"]
    assert world.stored(repository, fallback_tag(image)).status_code == 404


def test_a_second_time_nothing_is_sent(soci: Run, source: str, world: World, repository: str) -> None:
    world.front.rules.append(world.immutable_tags)
    first = soci(source, "--to", repository, "--index", "both")
    assert first.returncode == 0, first.stderr
    world.front.seen.clear()
    second = soci(source, "--to", repository, "--index", "both")
    assert (second.returncode, second.stdout) == (0, first.stdout), second.stderr
    assert "tag 1.2.3-soci: already this image" in second.stderr
    assert world.front.count("POST", "/blobs/uploads/") == 0


def test_a_tag_of_another_image_ends_it_before_anything_is_sent(
    soci: Run, source: str, push: Push, make: Make, world: World, repository: str
) -> None:
    push("--tag", "taken", image=make(b"x"), to=repository)
    world.front.seen.clear()
    done = soci(source, "--to", repository, "--tag", "taken")
    assert done.returncode == 77
    assert f"{repository}:taken is another image already" in done.stderr
    assert world.front.count("POST", ".") + world.front.count("PUT", ".") == 0
    assert soci(source, "--to", repository, "--move", "taken").returncode == 0
    whole(world, repository, "taken")


def test_a_release_gives_the_image_with_its_index_another_tag(soci: Run, source: str, world: World, repository: str) -> None:
    assert soci(source, "--to", repository, "--tag", "{revision}-{architecture}-soci").returncode == 0
    command = operator("image", "merge", "--to", repository, "--tag", "{version}-{architecture}-soci", f"{COMMIT}-arm64-soci")
    done = subprocess.run(command, env=world.environ, cwd=world.home, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert world.stored(repository, "1.2.3-arm64-soci").content == world.stored(repository, f"{COMMIT}-arm64-soci").content


def test_a_registry_that_fails_now_and_then(soci: Run, source: str, world: World, repository: str, tmp_path: Path) -> None:
    world.front.rules += [
        times(1, "PUT", "/blobs/uploads/", DOWN),
        times(1, "PUT", "/manifests/", error(500, "UNKNOWN", "internal")),
        times(2, "HEAD", "/blobs/", error(429, "TOOMANYREQUESTS", "slow down")),
    ]
    done = soci(source, "--to", repository)
    assert done.returncode == 0, done.stderr
    whole(world, repository, "1.2.3-soci")
    world.front.rules += [times(1, "GET", "/blobs/", DOWN), world.token_expires_after(0, "GET /v2/.*/blobs/")]
    # The second time from the registry, where it has an index already: the same comes of it.
    again = soci(f"registry:{repository}:1.2.3-soci", "--to", repository)
    assert (again.returncode, again.stdout) == (0, done.stdout), again.stderr


@pytest.mark.parametrize("kind", ["v1", "v2", "both"])
def test_what_buildkit_attests_goes_with_its_image(kind: str, soci: Run, world: World, repository: str, tmp_path: Path) -> None:
    _, entry = layout(tmp_path / "in", layers()[:2])
    attestation = attested(tmp_path / "in", {**entry, "platform": {"architecture": "arm64", "os": "linux"}})
    done = soci(f"oci:{tmp_path / 'in'}", "--to", repository, "--index", kind, "--tag", "a")
    assert done.returncode == 0, done.stderr
    other = f"{repository}-copy"
    done = soci(f"registry:{repository}:a", "--to", other, "--index", kind, "--tag", "a", "--create-repository")
    assert done.returncode == 0, done.stderr
    for place in (repository, other):
        assert attestation in stored(world, place, "a")["manifests"]
        manifest = stored(world, place, attestation["digest"])
        for each in [manifest["config"], *manifest["layers"]]:
            assert digest_of(blob(world, place, each["digest"])) == each["digest"]


def test_into_another_repository(soci: Run, source: str, world: World, repository: str) -> None:
    assert soci(source, "--to", repository).returncode == 0
    other = f"{repository}-copy"
    done = soci(f"registry:{repository}:1.2.3-soci", "--to", other)
    assert done.returncode == 66
    assert "does not exist in the registry" in done.stderr
    done = soci(f"registry:{repository}:1.2.3-soci", "--to", other, "--create-repository")
    assert done.returncode == 0, done.stderr
    whole(world, other, "1.2.3-soci")


def test_no_room_for_the_image(source: str, world: World, tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    command = ["sh", "-c", 'ulimit -f 8; exec "$@"', "sh", *operator("image", "soci", source, *OPTIONS)]
    environ = {**world.environ, "TMPDIR": str(tmp_path / "tmp")}
    done = subprocess.run(command, env=environ, cwd=world.home, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 69, done.stderr
    assert f"there is no room for the image in {tmp_path / 'tmp'}: File too large. TMPDIR names another directory" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    "words, code, said",
    [
        (("registry:{repository}:nothing",), 66, "has no nothing"),
        (("registry:{repository}",), 78, "names no image"),
        (("elsewhere:a",), 78, "SOURCE elsewhere:a is none"),
        (("oci:/nothing",), 66, "is no OCI layout"),
        (("docker:nothing-of-the-kind:1",), 1, "there is no image"),
        (("{source}", "--tag", "a"), 78, "are for --to"),
        (("{source}", "--output", "/tmp"), 78, "is there already"),
        (("{source}", "--to", "{repository}", "--tag", "a b"), 78, "is no tag"),
        (("{source}", "--to", "{repository}", "--tag", "{{branch}}"), 78, "the image tells no {branch}"),
        (("{source}", "--to", "evil.example.com/a/b"), 78, "--trust-host"),
    ],
)
def test_what_cannot_be_done_is_told(words: "tuple[str, ...]", code: int, said: str, soci: Run, source: str, repository: str) -> None:
    done = soci(*(word.format(source=source, repository=repository) for word in words))
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert done.stdout == ""
