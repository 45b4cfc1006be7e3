"""The footprint of images whose every file is known: built from nothing, with `cat`, its libraries and a few files to print."""

import io
import json
import os
import random
import re
import shutil
import tarfile
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner

from lyftlearn_entrypoint.cli.footprint import layers as footprint_layers
from lyftlearn_entrypoint.cli.footprint import run as footprint_run
from lyftlearn_entrypoint.cli.footprint import starts as footprint_starts
from lyftlearn_entrypoint.cli.footprint import tool as footprint_tool
from lyftlearn_entrypoint.cli.image import footprint as image_footprint
from lyftlearn_entrypoint.cli.image import stored

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.image, pytest.mark.skipif(not shutil.which("strace"), reason="no strace on PATH")]

MIB = 1 << 20
ROOT = Path(__file__).parents[2]
# 13 MiB in a layer that is not fetched whole, then one file anew in a layer of its own.
FILES = {"data/a": 5 * MIB, "data/b": 3 * MIB + 1, "data/c": 5 * MIB}
AGAIN = {"data/b": 70_001}


def noise(name: str, size: int) -> bytes:
    return random.Random(name).randbytes(size)


def linked(client: Any, base: str) -> "list[str]":
    """What the loader maps for cat, itself included, as it is called in the base image."""
    printed = client.containers.run(base, ["/usr/bin/cat"], entrypoint=["/usr/bin/ldd"], remove=True, network_mode="none").decode()
    return re.findall(r"(/\S+) \(0x", printed)


@pytest.fixture(scope="module")
def parts(client: Any, base: str) -> "list[str]":
    return ["/usr/bin/cat", *linked(client, base)]


@pytest.fixture(scope="module")
def made(client: Any, base: str, parts: "list[str]") -> "Iterator[Any]":
    """The image; the classic builder makes it, which needs neither a docker program nor a network."""
    dockerfile = [f"FROM {base} AS base", "FROM scratch", *(f"COPY --from=base {path} {path}" for path in parts)]
    dockerfile += ["COPY first/ /", "COPY again/ /", 'ENTRYPOINT ["/usr/bin/cat"]', "WORKDIR /data"]
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        content = {f"first/{path}": noise(path, size) for path, size in FILES.items()}
        content |= {f"again/{path}": noise(path, size) for path, size in AGAIN.items()}
        for path, data in {**content, "Dockerfile": "\n".join(dockerfile).encode()}.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        link = tarfile.TarInfo("first/data/link")
        link.type, link.linkname = tarfile.SYMTYPE, "../data/a"
        archive.addfile(link)
    context.seek(0)
    name = f"lyftlearn-test-{uuid.uuid4().hex[:12]}"
    image, _ = client.images.build(fileobj=context, custom_context=True, tag=name, rm=True, forcerm=True)
    yield image
    client.images.remove(name, force=True)


def measured(image: Any, *words: str, options: "tuple[str, ...]" = ()) -> "dict[str, Any]":
    """What the command prints as JSON for one start of our own."""
    done = CliRunner().invoke(
        image_footprint.footprint, ["base", "--checkout", str(ROOT), "--tag", image.tags[0], "--json", *options, "--", *words]
    )
    assert done.exit_code == 0, done.output
    (start,) = json.loads(done.stdout)["starts"]
    assert isinstance(start, dict)
    return start


@pytest.fixture(scope="module")
def sizes(client: Any, made: Any, parts: "list[str]") -> "dict[str, int]":
    """Bytes of each program and library, read from the image in another way than the command does."""
    container = client.containers.create(made.id, ["x"])
    try:
        return {path: container.get_archive(path)[1]["size"] for path in parts}
    finally:
        container.remove()


def test_exactly_the_files_that_are_read(made: Any, sizes: "dict[str, int]", tmp_path: Path) -> None:
    found = measured(made, "link", "/data/b", options=("--files", str(tmp_path)))
    listed = [line.split("\t") for line in (tmp_path / "command.txt").read_text().splitlines()]
    files = {path: int(size) for size, _, path in listed}
    assert files == {**sizes, "/data/a": FILES["data/a"], "/data/b": AGAIN["data/b"]}
    assert next(iter(files)) == "/usr/bin/cat"
    assert list(files)[-2:] == ["/data/a", "/data/b"]
    assert found["files"] == len(files)
    assert found["bytes"] == sum(files.values())


def test_each_layer_has_its_own(made: Any, sizes: "dict[str, int]") -> None:
    found = measured(made, "/data/a", "/data/b")
    *programs, first, again = found["layers"]
    assert [row["bytes"] for row in programs] == list(sizes.values())
    assert (first["files"], first["bytes"]) == (1, FILES["data/a"])
    assert (again["files"], again["bytes"]) == (1, AGAIN["data/b"])
    assert first["packages"] == {"file /data/a": FILES["data/a"]}
    # cat reads both to their ends: nothing of them is uncertain.
    assert first["pages"] == dict.fromkeys(("least", "predicted", "most"), FILES["data/a"] // 4096)
    assert again["pages"] == dict.fromkeys(("least", "predicted", "most"), -(-AGAIN["data/b"] // 4096))


def test_what_a_lazy_pull_fetches(made: Any) -> None:
    """The layer's tar has a directory and the three files in order, each behind a header: a begins at 1 KiB, c behind 8 MiB."""
    (first,) = [row for row in measured(made, "/data/a")["layers"] if row["files"] and row["size"] > 13 * MIB]
    assert first["spans"] == 4
    assert first["fetched"] == {which: {"spans": 2, "bytes": 8 * MIB} for which in ("least", "predicted", "most")}
    again = measured(made, "/data/c", options=("--compressed",))
    (first,) = [row for row in again["layers"] if row["files"] and row["size"] > 13 * MIB]
    rest = first["size"] - 8 * MIB
    assert first["fetched"]["most"]["spans"] == 2
    assert first["fetched"]["most"]["bytes"] == rest
    assert first["fetched"]["most"]["compressed_bytes"] == pytest.approx(rest, rel=0.01)  # noise does not get smaller


def test_the_loader_is_among_what_is_touched(made: Any, parts: "list[str]", tmp_path: Path) -> None:
    """No system call of a program opens it: the kernel does, before the program runs."""
    measured(made, "/data/b", options=("--files", str(tmp_path)))
    touched = {line.split("\t")[2] for line in (tmp_path / "command.txt").read_text().splitlines()}
    (loader,) = [path for path in parts if "/ld-" in path]
    assert loader in touched


def test_a_start_that_fails_is_said_with_its_last_words(made: Any) -> None:
    done = CliRunner().invoke(image_footprint.footprint, ["base", "--checkout", str(ROOT), "--tag", made.tags[0], "--", "/data/none"])
    assert done.exit_code == 1
    assert "the start command ended with exit code 1; the last lines of its log:" in done.output
    assert "/data/none: No such file" in done.output


def test_nothing_is_left_behind(client: Any, made: Any) -> None:
    measured(made, "/data/b")
    names = [each.name for each in client.containers.list(all=True, ignore_removed=True)]
    assert [name for name in names if name.startswith("lyftlearn-footprint-") and name.endswith(f"-{os.getpid()}")] == []


def test_an_image_for_another_machine_is_refused(client: Any, made: Any) -> None:
    other = SimpleNamespace(attrs={**made.attrs, "Architecture": "s390x"})
    start = footprint_starts.Start("command", "", ("/data/b",))
    with pytest.raises(click.ClickException, match="the image is for s390x"):
        footprint_run.run(client, other, start, footprint_tool.Tool({}, ()))
    with pytest.raises(click.ClickException, match="the image is for s390x"):
        footprint_run.forget(client, other, [], footprint_tool.Tool({}, ()))


def test_the_image_is_read_the_same_way_twice(client: Any, made: Any) -> None:
    one, two = (footprint_layers.read(stored.read(client, client.images.get(made.id))) for _ in range(2))
    assert one.files == two.files
    assert one.weights == two.weights
