"""`lyftlearn image same`: whether two images hold the same files, in whatever order their layers have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lyftlearn_entrypoint.cli.image import docker as image_docker
from lyftlearn_entrypoint.cli.image import stored
from lyftlearn_entrypoint.cli.image.common import find
from lyftlearn_entrypoint.cli.image.layers import Unreadable
from lyftlearn_entrypoint.cli.image.reproduce import Difference, compare_config, compare_layer, index

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lyftlearn_entrypoint.cli.image.layers import Layer
    from lyftlearn_entrypoint.cli.image.reproduce import Index


def compared(first: list[tuple[Layer, Index]], second: list[tuple[Layer, Index]]) -> Iterator[Difference]:
    """What differs between the files of two images' layers, one by one. The order of a layer's entries is no difference."""
    for (layer, ours), (_, theirs) in zip(first, second, strict=False):
        if ours != theirs:  # as dictionaries, so without their order
            for difference in compare_layer(ours, theirs):
                yield Difference(f"layer {layer.number} ({layer.name}) {difference.where}", difference.what)
    if len(first) != len(second):
        yield Difference("layers", f"{len(first)} -> {len(second)}")


def read(client: Any, image: Any) -> tuple[dict[str, Any], list[tuple[Layer, Index]]]:
    """An image of the engine: its config, and each layer, lowest first, with what is in it. Raises layers.Unreadable."""
    saved = stored.read(client, image)
    found = index(saved)
    return saved.config, [(layer, found[layer.diff_id]) for layer in saved.layers]


@click.command()
@click.argument("first")
@click.argument("second")
@click.option("--top", default=10, show_default=True, help="How many differences to show.")
def same(first: str, second: str, top: int) -> None:
    """Compare every file of every layer of two images of the engine, by content, owner, mode, time, links and extended attributes.

    The order of the files in a layer is no difference; exit code 1 where anything else differs, in the config too.
    """
    client = image_docker.connect()
    images = [find(client, name) for name in (first, second)]
    try:
        (config, ours), (other_config, theirs) = (read(client, image) for image in images)
    except Unreadable as error:
        raise click.ClickException(str(error)) from None
    found = [*compared(ours, theirs), *compare_config(config, other_config)]
    for difference in found[:top]:
        click.echo(f"{difference.where}: {difference.what}")
    if len(found) > top:
        click.echo(f"and {len(found) - top} more")
    if found:
        raise click.ClickException(f"{first} and {second} do not hold the same files")
    other = sum(list(a) != list(b) for (_, a), (_, b) in zip(ours, theirs, strict=True))
    click.echo(f"the same {sum(len(files) for _, files in ours)} entries of {len(ours)} layers; {other} layers have them in another order")
