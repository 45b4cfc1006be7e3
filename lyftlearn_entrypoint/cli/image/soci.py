"""`lyftlearn image soci`: the index by which a node runs an image before it has pulled it, beside the image in its registry."""

from __future__ import annotations

import contextlib
import errno
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lyftlearn_entrypoint.cli.footprint.spans import SMALLEST, SPAN
from lyftlearn_entrypoint.cli.image import docker as image_docker
from lyftlearn_entrypoint.cli.image import tags as image_tags
from lyftlearn_entrypoint.cli.image.common import find, tag_of
from lyftlearn_entrypoint.cli.image.push import open_repository, say, say_tags
from lyftlearn_entrypoint.cli.image.size import megabytes
from lyftlearn_entrypoint.cli.soci import engine, layout, make, parallel, push, report, ztoc
from lyftlearn_entrypoint.cli.soci.blobs import Blobs
from lyftlearn_entrypoint.cli.soci.remote import Remote
from lyftlearn_entrypoint.errors import BadSettings, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lyftlearn_entrypoint.cli.image.registry import Registry
    from lyftlearn_entrypoint.cli.soci.make import Made, Source

DEFAULT = tuple(f"{template}-soci" for template in image_tags.DEFAULT)


def open_source(given: str, work: Path, processes: int, trust_host: bool) -> Source:
    """The image that SOURCE names; what is read of it goes below `work`. Raises StartError or click.ClickException."""
    kind, colon, rest = given.partition(":")
    if not colon:
        return from_engine(tag_of(given), work, processes)
    if kind == "docker":
        return from_engine(rest, work, processes)
    if kind == "oci":
        return layout.open_layout(rest, work / "layout")
    if kind == "registry":
        repository, reference = split(rest)
        return Remote(open_repository(repository, False, trust_host)[0], reference, Blobs(work / "layout"))
    raise BadSettings(f"SOURCE {given} is none", "It is NAME, docker:IMAGE, oci:PATH or registry:[HOST/]REPOSITORY:TAG (or @DIGEST)")


def split(reference: str) -> tuple[str, str]:
    """REPOSITORY:TAG or REPOSITORY@DIGEST in two. Raises BadSettings (78)."""
    repository, at, digest = reference.partition("@")
    if at:
        return repository, digest
    repository, colon, tag = reference.rpartition(":")
    if not colon or "/" in tag:
        raise BadSettings(f"registry:{reference} names no image", "Give REPOSITORY:TAG or REPOSITORY@sha256:DIGEST")
    return repository, tag


def from_engine(tag: str, work: Path, processes: int) -> Source:
    """An image of the Docker Engine, its layers compressed in parallel."""
    image = find(image_docker.connect(), tag)
    with parallel.bar("reading the image", image.attrs["Size"]) as shown:
        saved = engine.unpack(image.save(), work, shown.update)
    files = sorted(set(saved.layers), key=lambda file: -file.stat().st_size)
    blobs = Blobs(work / "layout")
    total = sum(file.stat().st_size for file in files)
    packed = parallel.run("compressing layers", total, pack, [(file, blobs.root) for file in files], processes)
    made = dict(zip(files, packed, strict=True))
    return engine.image(saved, [made[file] for file in saved.layers], blobs)


def pack(file: Path, root: Path) -> dict[str, Any]:
    """`engine.pack`, in a process of its own."""
    return engine.pack(file, Blobs(root), parallel.tell)


def publish(registry: Registry, source: Source, made: Made, blobs: Blobs, tags: tuple[tuple[str, ...], tuple[str, ...]]) -> dict[str, Any]:
    """Push what was made, under these tags: those that are not to move, and those that may. Raises StartError."""
    root = made.whole or source.root
    there = image_tags.survey(registry, tags[0], tags[1], lambda known: known.digest == root.digest)
    sent = push.send(registry, source, made, blobs)
    listed_by = push.store(registry, source, made)
    put = image_tags.settle(registry, root, there)
    say_tags(put)
    for digest, who in listed_by.items():
        say(f"beside the image: {digest}, listed by {'the registry' if who == 'registry' else 'the tag ' + who}")
    say(f"the registry has {root.digest}: {megabytes(sent)} of it new")
    reference = f"{registry.where.name}@{root.digest}"
    return {"reference": reference, "tags": put, "uploaded_bytes": sent, "listed_by": listed_by}


@click.command()
@click.argument("source")
@click.option("--to", metavar="[HOST/]REPOSITORY", help="Push the image and its indices there; the host as for push.")
@click.option("--tag", "tags", multiple=True, help="As for push. Default with v2: {version}-soci and {revision}-soci; with v1 alone: none.")
@click.option("--move", multiple=True, help="As for push.")
@click.option("--output", type=click.Path(path_type=Path), help="Write an OCI layout: a directory, or a tar (.tar).")
@click.option("--index", "kind", type=click.Choice(["v1", "v2", "both"]), default="v2", show_default=True, help="Which form of index.")
@click.option("--span-size", type=click.IntRange(1), default=SPAN, show_default=True, help="Bytes that are fetched at once.")
@click.option("--min-layer-size", type=click.IntRange(0), default=SMALLEST, show_default=True, help="Smaller layers are pulled whole.")
@click.option("--build-tool", default=ztoc.TOOL, show_default=True, help="What the index says it was made by.")
@click.option("--jobs", type=click.IntRange(1), help="Layers worked on at a time; default as many as there are processors.")
@click.option("--create-repository", is_flag=True, help="As for push.")
@click.option("--allow-modified", is_flag=True, help="As for push.")
@click.option("--trust-host", is_flag=True, help="As for push.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, instead of the digest alone.")
def soci(
    source: str,
    to: str | None,
    tags: tuple[str, ...],
    move: tuple[str, ...],
    output: Path | None,
    kind: str,
    span_size: int,
    min_layer_size: int,
    build_tool: str,
    jobs: int | None,
    create_repository: bool,
    allow_modified: bool,
    trust_host: bool,
    as_json: bool,
) -> None:
    """Make the SOCI index of an image, so that nodes can run it before they have pulled it, and print its digest.

    SOURCE is NAME (lyftlearn-NAME:latest of the Docker Engine), docker:IMAGE, oci:PATH[:NAME] (an OCI layout, or a tar of one) or
    registry:[HOST/]REPOSITORY:TAG (or @DIGEST). Nothing leaves this machine without --to.

    v2 makes one OCI index of the image and its SOCI index, as `soci convert` does; the image in it has a new digest, so sign it afterwards.
    v1 is stored beside the image, whose digest stays.

    Exit codes: 65 the image or what the registry has is not what it should be, or no layer can be indexed, 66 no such image, 69 not reached
    or failing, 77 refused, or a tag is another image's, 78 settings.
    """
    if not to and (tags or move or create_repository):
        raise BadSettings("--tag, --move and --create-repository are for --to")
    if output and output.exists():
        raise BadSettings(f"--output {output} is there already", "Choose another name, or remove it")
    began = time.monotonic()
    processes = jobs or parallel.processors()
    kinds = ("v1", "v2") if kind == "both" else (kind,)
    registry = open_repository(to, create_repository, trust_host)[0] if to else None
    with room() as work:
        blobs = Blobs(work / "layout")
        opened = open_source(source, work, processes, trust_host)
        found = make.images(opened, min_layer_size)
        names = wanted(found, tags, move, kinds, allow_modified) if registry else ((), ())
        ztocs = make.ztocs(opened, found, blobs, span_size, build_tool, processes)
        made = make.indices(opened, found, ztocs, blobs, kinds, span_size, build_tool)
        for line in report.lines(made):
            say(line)
        told = report.facts(made)
        if output:
            write(output, opened, made, blobs)
        if registry:
            told = {**told, **publish(registry, opened, made, blobs, names)}
    told["seconds"] = round(time.monotonic() - began, 1)
    digest = (made.whole or opened.root).digest
    click.echo(json.dumps(told, indent=2) if as_json else told.get("reference", digest))


@contextlib.contextmanager
def room() -> Iterator[Path]:
    """A directory for what is read and made, as long as the block runs. Raises Unavailable (69) where there is no room in it."""
    with tempfile.TemporaryDirectory(prefix="lyftlearn-soci-") as directory:
        try:
            yield Path(directory)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            raise Unavailable(
                f"there is no room for the image in {tempfile.gettempdir()}: {error.strerror}", "TMPDIR names another directory"
            ) from None


def wanted(
    found: list[make.Image], tags: tuple[str, ...], move: tuple[str, ...], kinds: tuple[str, ...], allow_modified: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The tags that are not to move, and those that may. Raises StartError where the image does not tell what they ask for."""
    told = image_tags.checked(found[0].labels, allow_modified or not (tags or move or "v2" in kinds))
    if len(found) == 1:
        told["architecture"] = found[0].entry["platform"]["architecture"]
    given = tags or (() if move or "v2" not in kinds else DEFAULT)
    fixed = image_tags.render(given, told)
    return tuple(fixed), tuple(tag for tag in image_tags.render(move, told) if tag not in fixed)


def write(output: Path, source: Source, made: Made, blobs: Blobs) -> None:
    """Write everything as an OCI layout. Raises StartError."""
    for blob in push.needed(source, made, blobs):
        if not blobs.has(blob["digest"]):
            blobs.link(source.path(blob, lambda _: None), blob["digest"])
    roots = [made.whole or source.root]
    for image in made.images:
        if image.v1 or not made.whole:
            blobs.put(image.manifest.content)
        if image.v1:
            roots.append(image.v1)
    if not made.whole:
        blobs.put(source.root.content)
    layout.write(output, roots, blobs)
    say(f"{output}: an OCI layout of {len(roots)} image{'s' * (len(roots) != 1)}")
