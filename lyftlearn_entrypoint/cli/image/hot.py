"""`lyftlearn image hot`: writes images/NAME/hot.txt, the files that starts touch, from which a build lays out the image's large layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lyftlearn_entrypoint.cli.footprint import layers as footprint_layers
from lyftlearn_entrypoint.cli.footprint import starts as footprint_starts
from lyftlearn_entrypoint.cli.image import docker as image_docker
from lyftlearn_entrypoint.cli.image import stored
from lyftlearn_entrypoint.cli.image.build import below
from lyftlearn_entrypoint.cli.image.common import CHECKOUT, TAG, directory_of, find, lineage, tag_of
from lyftlearn_entrypoint.cli.image.footprint import measure
from lyftlearn_entrypoint.cli.image.layers import Unreadable
from lyftlearn_entrypoint.cli.image.layout import HOT
from lyftlearn_entrypoint.cli.layout import gain, tape
from lyftlearn_entrypoint.cli.layout.order import listed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lyftlearn_entrypoint.cli.footprint.account import Use
    from lyftlearn_entrypoint.cli.footprint.spans import Range
    from lyftlearn_entrypoint.cli.image.layers import Layer
    from lyftlearn_entrypoint.cli.layout.order import Entry

_HEAD = """\
# What starts touch in the large layers of this image, in the order in which `lyftlearn image build` lays it in front of each: what more
# starts touch comes first; what the same starts touch lies together, as it is first used. Made by `lyftlearn image hot {}`
# on amd64, from the starts {}.
"""


@click.command()
@click.argument("name")
@CHECKOUT
@TAG
@click.option("--base-image", default="", help="What it is built FROM; default as its Dockerfile says.")
def hot(name: str, checkout: Path, tag: str, base_image: str) -> None:
    """Run the starts of the table, but for those that are held out, and write images/NAME/hot.txt from what they touch.

    The next build lays out the layers by it, but for those of the image that it is built on, which has a list of its own, and those in
    which it would spare no start anything. Needs strace on this machine.
    """
    root = checkout.resolve()
    target = directory_of(root, name) / HOT
    client = image_docker.connect()
    made = find(client, tag or tag_of(name))
    under = below(client, root, name, made, base_image)
    try:
        image = footprint_layers.read(stored.read(client, made))
    except Unreadable as error:
        raise click.ClickException(f"{made.id}: {error}") from None
    starts = [start for start in footprint_starts.of(lineage(root, name)) if not start.held]
    large = {layer.number for layer in image.layers[under:] if not image.weights[layer.number].eager}
    found = measure(client, made, image, starts)
    uses = {each.name: [use for use in each.account.uses if use.file.layer in large] for each in found}
    paths = listed({start: [use.file.path for use in each] for start, each in uses.items()})
    with stored.opened(client, made) as (saved, tars):
        for layer in saved.layers:
            if layer.number in large and not worth(layer, tape.entries(tars[layer.key]), paths, uses):
                large.remove(layer.number)
    paths = listed({start: [use.file.path for use in each if use.file.layer in large] for start, each in uses.items()})
    names = ", ".join(uses)
    target.write_text(_HEAD.format(name, names) + "".join(f"{path}\n" for path in paths), encoding="utf-8", errors="surrogateescape")
    click.echo(f"{target.relative_to(root)}: {len(paths)} files of {len(uses)} starts")


def worth(layer: Layer, entries: list[Entry], paths: list[str], uses: Mapping[str, list[Use]]) -> bool:
    """Whether some start fetches enough less of this layer when it is laid out. Says so."""
    ranges: dict[str, dict[str, list[Range]]] = {}
    for start, each in uses.items():
        mine = [use for use in each if use.file.layer == layer.number]
        ranges[start] = {use.file.path: [(use.file.offset + a, use.file.offset + b) for a, b in use.most] for use in mine}
    found = gain.gains(entries, paths, ranges)
    start, most = max(found.items(), key=lambda pair: pair[1].plain - pair[1].hot)
    left = all(each.share < gain.WORTH for each in found.values())
    told = f"{layer.name}: {start} fetches {most.plain} spans in the engine's order, {most.hot} hot-first"
    click.echo(f"lyftlearn image: {told}{': left as it is' if left else ''}", err=True)
    return not left
