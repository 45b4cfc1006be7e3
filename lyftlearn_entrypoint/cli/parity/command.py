"""`lyftlearn parity A B...`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from lyftlearn_entrypoint.cli.parity import page, show
from lyftlearn_entrypoint.cli.parity.compare import compare
from lyftlearn_entrypoint.cli.parity.contract import DEFAULT, load
from lyftlearn_entrypoint.cli.parity.facts import Snapshot, read
from lyftlearn_entrypoint.cli.parity.table import table
from lyftlearn_entrypoint.errors import BadSettings

_FILE = click.Path(path_type=Path)


@click.command()
@click.option("--contract", type=_FILE, default=DEFAULT, help="YAML of the differences that are meant; by default our own.")
@click.option("--image", default="", help="Name of the image, for explanations that are of some images alone: base, say.")
@click.option("--strict", is_flag=True, help="A stale explanation is a failure too.")
@click.option("--names-only", is_flag=True, help="Compare what is there and not its values: for snapshots without one key.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--html", type=_FILE, help="Also write one self-contained page.")
@click.option("--all", "everything", is_flag=True, help="Show each explained difference with its values.")
@click.option("--docs", is_flag=True, help="Print the contract as the table of docs/parity.md instead.")
@click.argument("snapshots", nargs=-1, type=_FILE)
def parity(
    contract: Path,
    image: str,
    strict: bool,
    names_only: bool,
    as_json: bool,
    html: Path | None,
    everything: bool,
    docs: bool,
    snapshots: tuple[Path, ...],
) -> None:
    """Compare SNAPSHOTS, files of `lyftlearn snapshot`, with the first of them.

    Exit code 0 if every difference is explained by the contract, else 1. With --strict also 1 where an explanation explains nothing.
    """
    explanations = load(contract)
    if docs:
        click.echo(table(explanations), nl=False)
        return
    if len(snapshots) < 2:
        raise click.UsageError("two snapshots at least: lyftlearn parity POD.json JOB.json")
    comparison = compare(labelled([read(path) for path in snapshots]), explanations, image, names_only)
    if html:
        try:
            html.write_text(page.render(comparison, strict), encoding="utf-8")
        except OSError as error:
            raise BadSettings(f"{html} cannot be written: {error.strerror}", "Name another file with --html") from None
    if as_json:
        click.echo(json.dumps({**comparison.facts(), "good": comparison.good(strict)}, indent=2))
    else:
        click.echo("\n".join(show.lines(comparison, everything)))
    sys.exit(0 if comparison.good(strict) else 1)


def labelled(snapshots: list[Snapshot]) -> list[Snapshot]:
    """Names that tell them apart: the files', with a number where two are one."""
    seen: dict[str, int] = {}
    told = []
    for snapshot in snapshots:
        seen[snapshot.label] = seen.get(snapshot.label, 0) + 1
        label = snapshot.label if seen[snapshot.label] == 1 else f"{snapshot.label} ({seen[snapshot.label]})"
        told.append(Snapshot(label, snapshot.context, snapshot.key, snapshot.taken, snapshot.rows))
    return told
