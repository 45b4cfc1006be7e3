"""Files beside an image, one name for several machines, a release's tags: `--attach` and `lyftlearn image merge`, on a real registry."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from lyftlearn_entrypoint.cli.image.attach import attach, fallback_tag, read
from lyftlearn_entrypoint.cli.image.ecr import Destination, Login, Tokens
from lyftlearn_entrypoint.cli.image.registry import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Manifest, Registry, canonical
from lyftlearn_entrypoint.errors import BadDocument
from tests.images.ecr_world import COMMIT, DOWN, World, times
from tests.integration.job import operator

pytest_plugins = ["tests.images.push_fixture"]
# Only for the programs: none of these tests starts a container.
pytestmark = pytest.mark.image("base")

BOM = json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []}).encode()
Merge = Callable[..., "subprocess.CompletedProcess[str]"]


class Fixed(Tokens):
    """The registry's password, without ECR's API."""

    def __init__(self, login: Login) -> None:
        self._known = login

    def get(self) -> Login:
        return self._known

    def renew(self) -> Login:
        return self._known


@pytest.fixture
def registry(world: World, repository: str) -> Registry:
    path = repository.partition("/")[2]
    return Registry(Destination(world.host, path), Fixed(Login(world.user, world.password)), sleep=lambda _: None)


def image(
    registry: Registry,
    architecture: str,
    revision: str = COMMIT,
    version: str = "1.2.3",
    layer: bytes = b"layer",
    kind: str = DOCKER_MANIFEST,
) -> Manifest:
    """A small image for a machine, pushed without an Engine."""
    labels = {"org.opencontainers.image.version": version, "org.opencontainers.image.revision": revision}
    config = canonical({"architecture": architecture, "os": "linux", "config": {"Labels": labels}, "rootfs": {"type": "layers"}})
    document = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", **registry.put_blob(config)},
        "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", **registry.put_blob(layer)}],
    }
    made = Manifest(kind, canonical(document))
    registry.put_manifest(made.digest, made)
    return made


@pytest.fixture
def merge(world: World, repository: str) -> Merge:
    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        command = operator("image", "merge", "--to", repository, *words)
        done = subprocess.run(command, env=world.environ, cwd=world.home, capture_output=True, text=True, check=False, timeout=300)
        assert world.password not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run


def blob(world: World, repository: str, digest: str) -> bytes:
    path = repository.partition("/")[2]
    url = f"http://127.0.0.1:{world.registry_port}/v2/{path}/blobs/{digest}"
    return requests.get(url, auth=(world.user, world.password), timeout=120).content


def test_a_file_is_found_by_the_tag_that_lists_it(world: World, repository: str, registry: Registry, tmp_path: Path) -> None:
    subject = image(registry, "amd64")
    (tmp_path / "sbom.cdx.json").write_bytes(BOM)
    (tmp_path / "licences.md").write_text("# Licences\n")
    made = [attach(registry, subject, read(str(tmp_path / name))) for name in ("sbom.cdx.json", "licences.md")]
    tag = f"sha256-{subject.digest.partition(':')[2]}"
    assert [each.listed_by for each in made] == [tag, tag]
    listed = registry.manifest(tag)
    assert listed is not None
    assert listed.media_type == OCI_INDEX
    entries = listed.document["manifests"]
    assert [entry["artifactType"] for entry in entries] == ["application/vnd.cyclonedx+json", "text/markdown"]
    assert [entry["annotations"]["org.opencontainers.image.title"] for entry in entries] == ["sbom.cdx.json", "licences.md"]
    found = registry.manifest(entries[0]["digest"])
    assert found is not None
    assert entries[0]["size"] == len(found.content)
    assert found.document["subject"] == {"mediaType": DOCKER_MANIFEST, "digest": subject.digest, "size": len(subject.content)}
    assert found.document["artifactType"] == "application/vnd.cyclonedx+json"
    (layer,) = found.document["layers"]
    assert blob(world, repository, layer["digest"]) == BOM
    assert blob(world, repository, found.document["config"]["digest"]) == b"{}"
    assert "data" not in found.document["config"]


def test_the_same_file_twice_is_one_artifact(registry: Registry, tmp_path: Path) -> None:
    subject = image(registry, "amd64")
    (tmp_path / "sbom.json").write_bytes(BOM)
    first, second = (attach(registry, subject, read(str(tmp_path / "sbom.json"))) for _ in range(2))
    assert first.digest == second.digest
    assert (first.new, second.new) == (True, False)
    listed = registry.manifest(fallback_tag(subject.digest))
    assert listed is not None
    assert len(listed.document["manifests"]) == 1


def test_an_attachment_that_broke_off_is_listed_by_the_next_try(world: World, registry: Registry, tmp_path: Path) -> None:
    subject = image(registry, "amd64")
    (tmp_path / "sbom.json").write_bytes(BOM)
    file = read(str(tmp_path / "sbom.json"))
    world.front.rules.append(times(4, "PUT", "/manifests/sha256-", DOWN))
    with pytest.raises(Exception, match="did not answer PUT manifests/sha256-"):
        attach(registry, subject, file)
    assert attach(registry, subject, file).listed_by == fallback_tag(subject.digest)
    listed = registry.manifest(fallback_tag(subject.digest))
    assert listed is not None
    assert len(listed.document["manifests"]) == 1


def test_a_registry_that_lists_referrers_gets_no_tag(world: World, registry: Registry, tmp_path: Path) -> None:
    world.front.rules.append(world.referrers)
    subject = image(registry, "amd64")
    (tmp_path / "sbom.json").write_bytes(BOM)
    assert attach(registry, subject, read(str(tmp_path / "sbom.json"))).listed_by == "registry"
    assert registry.manifest(fallback_tag(subject.digest)) is None


def test_a_tag_of_that_name_that_is_no_list_is_left_alone(registry: Registry, tmp_path: Path) -> None:
    subject = image(registry, "amd64")
    registry.put_manifest(fallback_tag(subject.digest), subject)
    (tmp_path / "sbom.json").write_bytes(BOM)
    with pytest.raises(BadDocument, match="is no list of referrers"):
        attach(registry, subject, read(str(tmp_path / "sbom.json")))
    assert registry.manifest(fallback_tag(subject.digest)) == subject


def test_push_attaches(push: Any, make: Any, world: World, repository: str, tmp_path: Path) -> None:
    (tmp_path / "sbom.cdx.json").write_bytes(BOM)
    (tmp_path / "licences.txt").write_text("Apache-2.0\n")
    words = ("--json", "--attach", str(tmp_path / "sbom.cdx.json"), "--attach", f"{tmp_path}/licences.txt:text/vnd.example.licences")
    done = push(*words, image=(built := make(b"x")), to=repository)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert [each["media_type"] for each in facts["attached"]] == ["application/vnd.cyclonedx+json", "text/vnd.example.licences"]
    assert [each["size"] for each in facts["attached"]] == [len(BOM), 11]
    assert {each["listed_by"] for each in facts["attached"]} == {fallback_tag(facts["digest"])}
    assert "beside it: sbom.cdx.json (application/vnd.cyclonedx+json), sha256:" in done.stderr
    again = json.loads(push(*words, image=built, to=repository).stdout)
    assert [each["new"] for each in again["attached"]] == [False, False]


def test_a_file_that_is_not_there_is_missed_before_anything_is_pushed(push: Any, make: Any, world: World, repository: str) -> None:
    done = push("--attach", "nothing.json", image=make(b"x"), to=repository)
    assert (done.returncode, done.stdout) == (66, "")
    assert "--attach nothing.json: nothing.json cannot be read: No such file or directory" in done.stderr
    assert world.api.seen == []


def test_two_machines_get_one_name(merge: Merge, world: World, repository: str, registry: Registry) -> None:
    arm, amd = image(registry, "arm64"), image(registry, "amd64")
    done = merge(f"{repository}@{arm.digest}", amd.digest)
    assert done.returncode == 0, done.stderr
    name, _, digest = done.stdout.strip().partition("@")
    assert name == repository
    found = registry.manifest(digest)
    assert found is not None
    assert found.media_type == DOCKER_LIST
    entries = found.document["manifests"]
    assert [entry["platform"] for entry in entries] == [{"architecture": arch, "os": "linux"} for arch in ("amd64", "arm64")]
    assert [entry["digest"] for entry in entries] == [amd.digest, arm.digest]
    assert [entry["size"] for entry in entries] == [len(amd.content), len(arm.content)]
    assert registry.manifest("1.2.3") == registry.manifest(COMMIT) == found
    # In the other order, and again in an immutable repository: the same, and nothing is put.
    world.front.rules.append(world.immutable_tags)
    again = merge("--json", amd.digest, arm.digest)
    assert json.loads(again.stdout)["digest"] == digest
    assert json.loads(again.stdout)["tags"] == {"1.2.3": "there", COMMIT: "there"}


def test_images_of_the_oci_kind_get_an_index_of_that_kind(merge: Merge, registry: Registry) -> None:
    done = merge(*(image(registry, machine, kind=OCI_MANIFEST).digest for machine in ("amd64", "arm64")))
    found = registry.manifest(done.stdout.strip().partition("@")[2])
    assert found is not None
    assert found.media_type == found.document["mediaType"] == OCI_INDEX


def test_the_engine_pulls_its_own_machines_image(merge: Merge, push: Any, make: Any, world: World, repository: str, client: Any) -> None:
    built = make(b"x")
    mine = built.attrs["Architecture"]
    pushed = json.loads(push("--json", "--tag", f"{{revision}}-{mine}", image=built, to=repository).stdout)
    other_registry = Registry(Destination(world.host, repository.partition("/")[2]), Fixed(Login(world.user, world.password)))
    other = image(other_registry, "riscv64", version="1.2.3")
    reference = merge(pushed["digest"], other.digest).stdout.strip()
    client.images.remove(built.tags[0])
    pulled = client.images.pull(
        repository, tag=reference.partition("@")[2], auth_config={"username": world.user, "password": world.password}
    )
    assert pulled.id == built.id
    pulled.tag(*built.tags[0].split(":"))
    client.api.remove_image(reference)


@pytest.mark.parametrize(
    ("second", "says"),
    [
        ({"architecture": "amd64", "layer": b"another"}, "two images are for linux/amd64"),
        ({"architecture": "arm64", "revision": "f" * 40}, "the images are not of one build: org.opencontainers.image.revision is"),
        (
            {"architecture": "arm64", "version": "1.2.4"},
            "the images are not of one build: org.opencontainers.image.version is 1.2.3 and 1.2.4",
        ),
    ],
)
def test_what_does_not_belong_together(merge: Merge, registry: Registry, second: "dict[str, Any]", says: str) -> None:
    done = merge(image(registry, "amd64").digest, image(registry, **second).digest)
    assert (done.returncode, done.stdout) == (65, "")
    assert says in done.stderr
    assert registry.manifest("1.2.3") is None


def test_an_index_in_an_index_is_refused(merge: Merge, registry: Registry) -> None:
    first = merge(image(registry, "amd64").digest, image(registry, "arm64").digest)
    assert first.returncode == 0, first.stderr
    done = merge("--tag", "more", "1.2.3", image(registry, "riscv64").digest)
    assert (done.returncode, done.stdout) == (65, "")
    assert "is an index itself" in done.stderr


def test_a_release_is_the_image_that_was_tested(merge: Merge, registry: Registry) -> None:
    """By its commit's tag; the version is the one that the images' own labels tell."""
    tested = merge("--tag", "{revision}", image(registry, "amd64").digest, image(registry, "arm64").digest).stdout.strip()
    assert registry.manifest("1.2.3") is None
    released = merge("--tag", "{version}", "--move", "latest", COMMIT)
    assert released.returncode == 0, released.stderr
    assert released.stdout.strip() == tested
    assert registry.manifest("1.2.3") == registry.manifest("latest") == registry.manifest(COMMIT)
    single = image(registry, "amd64", version="2.0.0")
    assert merge("--tag", "{version}-{architecture}", single.digest).stdout.strip().endswith("@" + single.digest)
    assert registry.manifest("2.0.0-amd64") == single


def test_a_tag_of_another_index_is_not_moved(merge: Merge, registry: Registry) -> None:
    assert merge(image(registry, "amd64").digest, image(registry, "arm64").digest).returncode == 0
    before = registry.manifest("1.2.3")
    done = merge(image(registry, "amd64", layer=b"another").digest, image(registry, "arm64").digest)
    assert (done.returncode, done.stdout) == (77, "")
    assert ":1.2.3 is another image already, " in done.stderr
    assert registry.manifest("1.2.3") == before


def test_a_reference_that_is_not_there(merge: Merge, repository: str) -> None:
    done = merge("sha256:" + "0" * 64)
    assert (done.returncode, done.stdout) == (66, "")
    assert f"{repository} has no sha256:000" in done.stderr


def test_a_push_does_not_take_an_index_for_its_image(merge: Merge, push: Any, make: Any, registry: Registry, repository: str) -> None:
    """A single machine's image must not take the place of the index."""
    built = make(b"x")
    pushed = json.loads(push("--json", "--tag", "one", image=built, to=repository).stdout)
    assert merge(pushed["digest"], image(registry, "riscv64").digest).returncode == 0
    done = push(image=built, to=repository)
    assert (done.returncode, done.stdout) == (77, "")
    assert ":1.2.3 is another image already" in done.stderr


def test_the_registrys_word_is_not_taken_for_a_digest(world: World, registry: Registry) -> None:
    """What comes back for a digest is hashed."""
    subject = image(registry, "amd64")
    other = image(registry, "arm64")
    path = f"/v2/{registry.where.repository}/manifests/"

    def swap(request: Any, pass_on: Any) -> Any:
        if request.path == path + subject.digest:
            request.path = path + other.digest
        return None

    world.front.rules.append(swap)
    with pytest.raises(BadDocument, match=f"asked for {subject.digest}, the registry gave {other.digest}"):
        registry.manifest(subject.digest)
