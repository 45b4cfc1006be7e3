"""Indices of `lyftlearn image soci`, of both versions, in use: AWS's soci-snapshotter pulls by them, over FUSE, from a real registry."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lyftlearn_entrypoint.cli.soci import manifests
from tests.images.ecr_world import World
from tests.images.lazy_world import Lazily, Made, blob, differing, put_blob, put_manifest, text
from tests.integration.job import operator
from tests.unit.soci_made import Reader, flushed, layers

pytest_plugins = ["tests.images.push_fixture", "tests.images.lazy_fixture"]
# Only for the programs: these tests need no image of ours.
pytestmark = pytest.mark.image("base")


Publish = Callable[..., Any]


@pytest.fixture
def publish(world: World, repository: str) -> Publish:
    """publish(made, *options): image and index into the registry, by the program; what it prints. `seen` has only what comes after."""

    def run(made: Made, *options: str) -> Any:
        command = operator("image", "soci", made.source, "--to", repository, "--tag", "lazy", "--json", *options)
        done = subprocess.run(command, env=world.environ, cwd=world.home, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        world.front.seen.clear()
        return json.loads(done.stdout)

    return run


def ranges(world: World, digest: str) -> "list[tuple[int, int] | None]":
    """What was asked for of a blob, as [begin, end) in the order of the requests; None is the whole."""
    asked = [each for each in list(world.front.seen) if each.method == "GET" and each.path.endswith(f"/blobs/{digest}")]
    found = [re.fullmatch(r"bytes=(\d+)-(\d+)", each.headers.get("range", "")) for each in asked]
    return [(int(each[1]), int(each[2]) + 1) if each else None for each in found]


def clients(world: World, made: Made) -> "set[str]":
    """Who has asked for layers of the image."""
    asked = (each for each in list(world.front.seen) if each.path.endswith(tuple(made.digests)))
    return {each.headers["user-agent"].partition("/")[0] for each in asked}


def spans(reader: Reader, *names: str) -> "set[tuple[int, int]]":
    """The ranges of all spans that these files lie in."""
    numbers = range(reader.count)
    begins = [reader.checkpoint(number)[1] for number in numbers] + [reader.unpacked]
    places = [(reader.files[name].offset, reader.files[name].offset + reader.files[name].size) for name in names]
    return {reader.span_range(n) for n in numbers if any(begins[n] < end and start < begins[n + 1] for start, end in places)}


def ztoc(world: World, repository: str, told: Any, digest: str) -> Reader:
    """The zTOC of a layer, as the registry has it."""
    (image,) = told["images"]
    index = world.stored(repository, image.get("v2") or image["v1"]).json()
    (named,) = (each["digest"] for each in index["layers"] if each["annotations"]["com.amazon.soci.image-layer-digest"] == digest)
    return Reader(blob(world, repository, named))


@pytest.mark.parametrize("kind, listed_by", [("v1", "tag"), ("v1", "registry"), ("v2", "image")])
def test_a_program_starts_from_the_spans_that_it_reads(
    kind: str, listed_by: str, publish: Publish, runnable: Made, world: World, repository: str, lazily: Lazily
) -> None:
    if listed_by == "registry":
        world.front.rules.append(world.referrers)
    told = publish(runnable, "--index", kind)
    below, large, above = runnable.digests
    reader = ztoc(world, repository, told, large)
    assert [each["spans"] for each in told["images"][0]["layers"] if "spans" in each] == [reader.count]
    # Version 2 is what a node looks for without being told; with it, version 1 is off.
    node = lazily(v1=kind == "v1")
    image = f"{repository}:lazy"
    node.pull(image)
    # Mounting asks whether the layer is there, and reads the head of the gzip file: no span.
    at_mount = [(0, 2), (0, reader.span_range(0)[0])]
    assert [ranges(world, each) for each in (below, large, above)] == [[None], at_mount, [None]]
    # Where it is containerd that fetches a layer, it fetches all above as well.
    assert clients(world, runnable) == {"soci-snapshotter"}
    placed = node.layers()
    assert node.fuse() == placed[1:2]
    programs = [name for name in reader.files if name.startswith(("bin/", "lib"))]
    wanted = spans(reader, *programs, "data/5")
    assert len(spans(reader, *programs)) == 1
    assert len(wanted) < reader.count
    assert node.run(image, "/bin/cat", "/data/5", "/etc/greeting") == text(5).decode() + "hello\n"
    started = ranges(world, large)[len(at_mount) :]
    assert sorted(map(str, started)) == sorted(map(str, wanted))
    # The rest when it is read, each span once, and every byte of every file.
    assert [differing(*each) for each in zip(placed, runnable.tars, strict=True)] == [{}] * 3
    assert sorted(map(str, ranges(world, large)[len(at_mount) :])) == sorted(map(str, map(reader.span_range, range(reader.count))))


def test_every_kind_of_layer(publish: Publish, world: World, repository: str, lazily: Lazily, tmp_path: Path) -> None:
    """Each tar format, each way of compressing: what a node has of each layer is what was in its tar."""
    made = Made(tmp_path / "in", layers())
    told = publish(made, "--min-layer-size", "2000", "--span-size", "65536")
    assert all(each["spans"] for each in told["images"][0]["layers"])
    node = lazily(v1=False)
    node.pull(f"{repository}:lazy")
    # A gzip file that begins with an empty block has two checkpoints at its start, in AWS's zTOC as in ours, and AWS's snapshotter takes
    # no span of nothing: it fetches that layer whole (fs/span-manager: "span offsets are non-monotonic").
    whole = [number for number, path in enumerate(node.layers()) if path not in node.fuse()]
    assert whole == [number for number, blob in enumerate(made.blobs) if blob == flushed(made.tars[number], 30_000)]
    for number, (layer, tar) in enumerate(zip(node.layers(), made.tars, strict=True)):
        assert number in whole or differing(layer, tar) == {}
    asked = [ranges(world, digest) for digest in made.digests]
    assert [number for number, each in enumerate(asked) if None in each] == whole
    assert all(len(each) > 4 for number, each in enumerate(asked) if number not in whole)


def test_a_node_that_looks_for_version_2_alone_pulls_an_image_of_version_1_whole(
    publish: Publish, runnable: Made, world: World, repository: str, lazily: Lazily
) -> None:
    publish(runnable, "--index", "v1")
    node = lazily(v1=False)
    node.pull(f"{repository}:lazy")
    assert [ranges(world, digest) for digest in runnable.digests] == [[None]] * 3
    assert clients(world, runnable) == {"containerd"}
    assert node.fuse() == []
    assert node.run(f"{repository}:lazy", "/bin/cat", "/data/8") == text(8).decode()


def test_an_index_that_is_named_needs_no_looking(publish: Publish, runnable: Made, world: World, repository: str, lazily: Lazily) -> None:
    told = publish(runnable, "--index", "v1")
    node = lazily(v1=False)
    node.pull(f"{repository}:lazy", told["images"][0]["v1"])
    assert None not in ranges(world, runnable.digests[1])
    assert node.run(f"{repository}:lazy", "/bin/cat", "/data/8") == text(8).decode()


CHANGES: "dict[str, Callable[[bytes], bytes]]" = {
    "half a zTOC": lambda content: content[: len(content) // 2],
    "none": lambda content: b"{}",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_layer_whose_ztoc_is_broken_is_fetched_whole(
    change: Callable[[bytes], bytes], publish: Publish, runnable: Made, world: World, repository: str, lazily: Lazily
) -> None:
    """By the snapshotter itself, which goes on with the other layers of the index."""
    told = publish(runnable, "--index", "v1")
    node = lazily(v1=True)
    node.pull(f"{repository}:lazy", changed(world, repository, told, change))
    assert [ranges(world, digest) for digest in runnable.digests] == [[None]] * 3
    assert clients(world, runnable) == {"soci-snapshotter"}
    assert node.fuse() == []
    assert [differing(*each) for each in zip(node.layers(), runnable.tars, strict=True)] == [{}] * 3
    assert node.run(f"{repository}:lazy", "/bin/cat", "/data/8") == text(8).decode()


def test_bytes_that_are_not_those_of_the_index_are_never_read(
    publish: Publish, runnable: Made, world: World, repository: str, lazily: Lazily
) -> None:
    told = publish(runnable, "--index", "v1")
    last = ztoc(world, repository, told, runnable.digests[1]).digests[-1].encode()
    other = b"sha256:" + last[7:][::-1]
    node = lazily(v1=True)
    node.pull(f"{repository}:lazy", changed(world, repository, told, lambda content: content.replace(last, other)))
    assert node.run(f"{repository}:lazy", "/bin/cat", "/data/0") == text(0).decode()
    with pytest.raises(SystemExit, match="/data/8: Input/output error"):
        node.run(f"{repository}:lazy", "/bin/cat", "/data/8")
    assert "span digests do not match" in (node.directory / "snapshotter.log").read_text()


def changed(world: World, repository: str, told: Any, change: Callable[[bytes], bytes]) -> str:
    """The digest of an index of version 1 whose one zTOC has been changed, in the registry."""
    index = world.stored(repository, told["images"][0]["v1"]).json()
    (layer,) = index["layers"]
    layer.update(put_blob(world, repository, change(blob(world, repository, layer["digest"]))))
    manifest = manifests.manifest(index)
    put_manifest(world, repository, manifest)
    return manifest.digest
