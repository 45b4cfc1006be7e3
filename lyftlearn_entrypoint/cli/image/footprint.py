"""`lyftlearn image footprint`: the share of an image's bytes that a start touches, and what a lazy pull fetches for it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lyftlearn_entrypoint.cli.footprint import budget as footprint_budget
from lyftlearn_entrypoint.cli.footprint import layers as footprint_layers
from lyftlearn_entrypoint.cli.footprint import report as footprint_report
from lyftlearn_entrypoint.cli.footprint import run as footprint_run
from lyftlearn_entrypoint.cli.footprint import starts as footprint_starts
from lyftlearn_entrypoint.cli.footprint import tool as footprint_tool
from lyftlearn_entrypoint.cli.footprint.account import Account, owners
from lyftlearn_entrypoint.cli.footprint.report import BARE, Measured
from lyftlearn_entrypoint.cli.footprint.tables import AROUND, looked
from lyftlearn_entrypoint.cli.footprint.trace import Trace
from lyftlearn_entrypoint.cli.image import docker as image_docker
from lyftlearn_entrypoint.cli.image import stored
from lyftlearn_entrypoint.cli.image.common import CHECKOUT, TAG, cache, directory_of, find, lineage, tag_of
from lyftlearn_entrypoint.cli.image.layers import Unreadable

if TYPE_CHECKING:
    from lyftlearn_entrypoint.cli.footprint.layers import Image
    from lyftlearn_entrypoint.cli.footprint.starts import Start

BUDGET = "footprint.json"


def measure(client: Any, made: Any, image: Image, starts: list[Start]) -> list[Measured]:
    """Run each start once, and account for what it touched. Raises click.ClickException."""
    sent = footprint_tool.tool()
    directory = made.attrs["Config"]["WorkingDir"] or "/"
    found = []
    large = [file.path for file in image.files.values() if file.size > AROUND]
    if kept := footprint_run.forget(client, made, large, sent):
        told = f"in use, so not read from the disk anew: {len(kept)}, as {kept[0]}; what is predicted of these may be too much"
        click.echo(f"lyftlearn image: files {told}", err=True)
    for start in starts:
        click.echo(f"lyftlearn image: {start.name}: {start.title}", err=True)
        traced = footprint_run.run(client, made, start, sent)
        if traced.tables is None:
            click.echo("lyftlearn image: the engine or its kernel lets nobody look into page tables: no prediction, bounds alone", err=True)
        account = Account(
            image, Trace(traced.lines, traced.until, directory).files, None if traced.tables is None else looked(traced.tables)
        )
        found.append(Measured(start.name, start.title, traced.seconds, account, start.held))
    return found


@click.command()
@click.argument("name")
@CHECKOUT
@TAG
@click.option("--start", "names", multiple=True, help="A start, repeatable; default all of the image; with --check, all it can judge.")
@click.option("--compressed", is_flag=True, help="Also compressed bytes (gzip); takes half a minute for each GB.")
@click.option("--top", default=5, show_default=True, help="How many packages to show for each start.")
@click.option("--files", type=click.Path(file_okay=False, path_type=Path), help="Write START.txt there: what it touched, in order.")
@click.option("--check", is_flag=True, help="Exit 1 when images/NAME/footprint.json is exceeded, saying by which package.")
@click.option("--update", is_flag=True, help="Write images/NAME/footprint.json from what is measured.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def footprint(
    name: str,
    checkout: Path,
    tag: str,
    names: tuple[str, ...],
    compressed: bool,
    top: int,
    files: Path | None,
    check: bool,
    update: bool,
    as_json: bool,
    command: tuple[str, ...],
) -> None:
    """Run starts of an image and print, for each layer, what they touch and what a lazy pull (SOCI) fetches for it.

    A COMMAND of your own, after `--`, is given to the image's entrypoint and measured until it ends. Needs strace on this machine.
    """
    root = checkout.resolve()
    directory = directory_of(root, name)
    budget = directory / BUDGET
    if check and not budget.is_file():
        raise click.UsageError(f"{directory} has no {BUDGET} to check against")
    try:
        starts = footprint_starts.of(lineage(root, name), names) if names or not command else []
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if command:
        starts = [*starts, footprint_starts.Start("command", " ".join(command), command)]
    limits = json.loads(budget.read_text()) if budget.is_file() else {}
    if check and not names:
        starts = footprint_budget.judged(starts, limits, compressed)
    client = image_docker.connect()
    made = find(client, tag or tag_of(name))
    began = time.monotonic()
    try:
        image = footprint_layers.read(stored.read(client, made), compressed, cache() / "weights")
    except Unreadable as error:
        raise click.ClickException(f"{made.id}: {error}") from None
    click.echo(f"lyftlearn image: {len(image.files)} files of {len(image.layers)} layers in {time.monotonic() - began:.0f} s", err=True)
    measured = measure(client, made, image, starts)
    bare = next((each.account for each in measured if each.name == BARE), None)
    owned = owners(image)
    found = [footprint_report.facts(each, owned, None if each.name == BARE else bare) for each in measured]
    if files:
        write(files, measured)
    over = [] if update else footprint_budget.over(found, limits)
    if as_json:
        click.echo(json.dumps({"image": made.id, "starts": found, "over_budget": over}, indent=2))
    else:
        for each in found:
            footprint_report.print_start(each, top)
            click.echo()
    for line in over:
        click.echo(f"lyftlearn image: {line}", err=True)
    if update:
        made_now = footprint_budget.made([each for each in found if each["start"] != "command"], limits)
        budget.write_text(json.dumps({**limits, **made_now}, indent=2) + "\n")
    if check and over:
        sys.exit(1)


def write(directory: Path, measured: list[Measured]) -> None:
    """START.txt for each start: bytes, layer's number and path of each file, in the order of first use."""
    directory.mkdir(parents=True, exist_ok=True)
    for each in measured:
        lines = [f"{use.file.size}\t{use.file.layer}\t{use.file.path}\n" for use in each.account.uses]
        (directory / f"{each.name}.txt").write_text("".join(lines), encoding="utf-8", errors="surrogateescape")
