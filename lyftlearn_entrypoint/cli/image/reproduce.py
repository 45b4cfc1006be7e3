"""`lyftlearn image reproduce`: builds an image again from nothing, and says in which file of which layer the two differ."""

from __future__ import annotations

import hashlib
import sys
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import click

from lyftlearn_entrypoint.cli.image import build as image_build
from lyftlearn_entrypoint.cli.image import docker as image_docker
from lyftlearn_entrypoint.cli.image.common import CHECKOUT, TAG, directory_of, find, tag_of
from lyftlearn_entrypoint.cli.image.layers import Saved, deleted
from lyftlearn_entrypoint.cli.image.stamp import config_of, moment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Fields of a file in a layer, in the order in which a difference is told.
FIELDS = ("kind", "mode", "owner", "mtime", "link", "size", "content", "attributes")
_KINDS = {
    b"0": "file",
    b"\0": "file",
    b"1": "hard link",
    b"2": "symbolic link",
    b"3": "device",
    b"4": "device",
    b"5": "directory",
    b"6": "fifo",
}

# Path -> what FIELDS say of it, in the order of the layer's tar.
Index = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Difference:
    """One thing that differs: `where` (layer and path, or the config's key) and `what` (which field, first and second value)."""

    where: str
    what: str


def index(saved: Saved) -> dict[str, Index]:
    """What each layer holds, by its diff id."""
    found: dict[str, Index] = {}
    for key, member, archive in saved.files():
        content = archive.extractfile(member) if member.isreg() else None
        found.setdefault(key, {})[member.name] = (
            _KINDS.get(member.type, "other"),
            f"{member.mode:04o}",
            f"{member.uid}:{member.gid}",
            "" if deleted(member.name) else moment(int(member.mtime)),  # what is gone has no time
            member.linkname,
            str(member.size),
            _digest(content) if content else "",
            " ".join(f"{name}={value!r}" for name, value in sorted(member.pax_headers.items()) if name.startswith("SCHILY.xattr.")),
        )
    return {layer.diff_id: found.get(layer.key, {}) for layer in saved.layers}


def _digest(stream: IO[bytes]) -> str:
    made = hashlib.sha256()
    while chunk := stream.read(1 << 20):
        made.update(chunk)
    return made.hexdigest()


def compare_layer(first: Index, second: Index) -> Iterator[Difference]:
    """What differs between two indices of one layer; one Difference for each path."""
    for path in [*first, *(path for path in second if path not in first)]:
        if path not in second or path not in first:
            yield Difference(f"/{path}", f"only in the {'first' if path in first else 'second'}")
            continue
        changes = [(field, a, b) for field, a, b in zip(FIELDS, first[path], second[path], strict=True) if a != b]
        if changes:
            told = ("content" if field == "content" else f"{field} {a or 'none'} -> {b or 'none'}" for field, a, b in changes)
            yield Difference(f"/{path}", ", ".join(told))
    if first == second:
        yield Difference(
            "/", "the same files in another order" if list(first) != list(second) else "the same files, with other tar headers"
        )


def compare_config(first: dict[str, Any], second: dict[str, Any]) -> Iterator[Difference]:
    """The keys of two images' configs whose values differ; the layers' digests are not among them."""
    flat_first, flat_second = (dict(_flat({**config, "rootfs": {}})) for config in (first, second))
    for key in [*flat_first, *(key for key in flat_second if key not in flat_first)]:
        a, b = flat_first.get(key, "nothing"), flat_second.get(key, "nothing")
        if a != b:
            yield Difference(f"config {key}", f"{a} -> {b}")


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key in sorted(value):
            yield from _flat(value[key], f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value:
        for number, each in enumerate(value):
            yield from _flat(each, f"{path}[{number}]")
    else:
        yield path, repr(value)


def compare(client: Any, first: Any, second: Any) -> Iterator[Difference]:
    """Every difference between two images of the engine, lowest layer first, then the config. Reads layers only where digests differ."""
    import json

    digests = [image.attrs["RootFS"]["Layers"] for image in (first, second)]
    if digests[0] != digests[1]:
        saved = [Saved(image.save()) for image in (first, second)]
        indices = [index(each) for each in saved]
        for a, b in zip(saved[0].layers, saved[1].layers, strict=False):
            if a.diff_id != b.diff_id:
                for difference in compare_layer(indices[0][a.diff_id], indices[1][b.diff_id]):
                    yield Difference(f"layer {a.number} ({a.name}) {difference.where}", difference.what)
        if len(digests[0]) != len(digests[1]):
            yield Difference("layers", f"{len(digests[0])} -> {len(digests[1])}")
    yield from compare_config(*(json.loads(config_of(client, image)) for image in (first, second)))


@click.command()
@click.argument("name")
@CHECKOUT
@TAG
@image_build.inputs
@click.option("--top", default=10, show_default=True, help="How many differences to show.")
@click.option("--keep", is_flag=True, help="Keep the second image, lyftlearn-NAME:reproduced.")
def reproduce(name: str, checkout: Path, tag: str, top: int, keep: bool, **options: Any) -> None:
    """Build images/NAME again without any cache, and compare it with the image that is there: exit 1 where a byte differs.

    The checkout, the base image and the options have to be those of the first build. The images are equal when their ids are.
    """
    root = checkout.resolve()
    directory_of(root, name)
    client = image_docker.connect()
    first = find(client, tag or tag_of(name))
    second_tag = f"lyftlearn-{name}:reproduced"
    began = time.monotonic()
    second = image_build.build(client, root, name, [second_tag], no_cache=True, **options)
    try:
        click.echo(f"{tag or tag_of(name)}: {first.id}\n{second_tag}: {second.id}, built in {time.monotonic() - began:.0f} s")
        found = [] if first.id == second.id else list(compare(client, first, second))
    finally:
        if not keep:
            client.images.remove(second_tag)
    for difference in found[:top]:
        click.echo(f"{difference.where}: {difference.what}")
    if len(found) > top:
        click.echo(f"and {len(found) - top} more")
    if first.id != second.id:
        raise click.ClickException(
            "the same inputs gave another image" if found else "the images differ in a way that is not in their files"
        )
    click.echo("the same image, byte for byte")
    sys.exit(0)
