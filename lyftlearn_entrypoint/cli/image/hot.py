"""`lyftlearn image hot`: writes images/NAME/hot.txt, the files that starts touch, from which a build lays out the image's large layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lyftlearn_entrypoint.cli.footprint import layers as footprint_layers
from lyftlearn_entrypoint.cli.footprint import starts as footprint_starts
from lyftlearn_entrypoint.cli.image import docker as image_docker
from lyftlearn_entrypoint.cli.image.common import CHECKOUT, TAG, directory_of, find, lineage, tag_of
from lyftlearn_entrypoint.cli.image.footprint import measure
from lyftlearn_entrypoint.cli.image.layers import Unreadable
from lyftlearn_entrypoint.cli.image.layout import HOT
from lyftlearn_entrypoint.cli.layout.order import listed

if TYPE_CHECKING:
    from pathlib import Path

_HEAD = """\
# What starts touch in the large layers of this image, in the order in which `lyftlearn image build` lays it in front of each: what more
# starts touch comes first; what the same starts touch lies together, as it is first used. Made by `lyftlearn image hot {}`
# on amd64, from the starts {}.
"""


@click.command()
@click.argument("name")
@CHECKOUT
@TAG
def hot(name: str, checkout: Path, tag: str) -> None:
    """Run the starts of the table, but for those that are held out, and write images/NAME/hot.txt from what they touch.

    The next build lays out the layers by it. Needs strace on this machine.
    """
    root = checkout.resolve()
    target = directory_of(root, name) / HOT
    client = image_docker.connect()
    made = find(client, tag or tag_of(name))
    try:
        image = footprint_layers.read(made.save())
    except Unreadable as error:
        raise click.ClickException(f"{made.id}: {error}") from None
    starts = [start for start in footprint_starts.of(lineage(root, name)) if not start.held]
    large = {layer.number for layer in image.layers if not image.weights[layer.number].eager}
    uses = {
        each.name: [use.file.path for use in each.account.uses if use.file.layer in large] for each in measure(client, made, image, starts)
    }
    paths = listed(uses)
    names = ", ".join(uses)
    target.write_text(_HEAD.format(name, names) + "".join(f"{path}\n" for path in paths), encoding="utf-8", errors="surrogateescape")
    click.echo(f"{target.relative_to(root)}: {len(paths)} files of {len(uses)} starts")
