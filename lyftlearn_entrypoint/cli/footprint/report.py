"""What `lyftlearn image footprint` prints: the facts of each start as plain data, and the same as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from lyftlearn_entrypoint.cli.footprint.spans import PAGE
from lyftlearn_entrypoint.cli.image.size import megabytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lyftlearn_entrypoint.cli.footprint.account import Account, Part
    from lyftlearn_entrypoint.cli.footprint.layers import Image
    from lyftlearn_entrypoint.cli.footprint.spans import Fetched

# The start that the entrypoint's own part is what others have over.
BARE = "python"
# Of pages and of what is fetched, in the order in which an account has them.
KINDS = ("least", "predicted", "most")
# A layer that is fetched and not touched is shown from that many bytes on.
_SHOWN = 100_000


@dataclass(frozen=True)
class Measured:
    """One start that was run: its name and title, how long it took (seconds, under strace), what it used, and Start.held."""

    name: str
    title: str
    seconds: float
    account: Account
    held: str = ""


def labels(image: Image) -> list[str]:
    """A name for each layer that no other layer has; the lowest is always called the base system."""
    made: list[str] = []
    for layer in image.layers:
        name = "base system" if layer.number == 0 else layer.name.strip()
        same = sum(each == name or each.startswith(name + " (") for each in made)
        made.append(f"{name} ({same + 1})" if same else name)
    return made


def facts(measured: Measured, owners: Mapping[str, str], bare: Account | None = None) -> dict[str, Any]:
    """One start as plain data, sizes in bytes. `least` is what was surely touched, `most` what may have been.

    `predicted` is what a lazy pull's kernel reads; it is left out where nobody could look into page tables.
    """
    image = measured.account.image
    parts = measured.account.parts
    packages = measured.account.packages(owners)
    whole = sum(weight.size for weight in image.weights)
    found: dict[str, Any] = {
        "start": measured.name,
        "title": measured.title,
        **({"held": measured.held} if measured.held else {}),
        "seconds": round(measured.seconds, 1),
        **_row(parts, whole, measured.account),
        "share": sum(part.size for part in parts) / whole if whole else 0.0,
        "layers": [
            {"layer": name, **_layer(part, weight.size, whole, measured.account), "packages": packages.get(str(part.layer), {})}
            for name, part, weight in zip(labels(image), parts, image.weights, strict=True)
        ],
    }
    if stale := measured.account.recompiled:
        found["recompiled"] = {"files": len(stale), "bytes": sum(file.size for file in stale)}
    if bare is not None:
        own = measured.account.without(bare)
        found["over_python"] = {
            "files": len(own),
            "bytes": sum(use.file.size for use in own),
            "fetched": {
                which: _more([part.fetched[at] for part in parts], [part.fetched[at] for part in bare.parts])
                for at, which in enumerate(KINDS)
                if which in _kinds(measured.account) and which in _kinds(bare)
            },
        }
    return found


def _kinds(account: Account) -> tuple[str, ...]:
    return tuple(which for which in KINDS if which != "predicted" or account.looked)


def _row(parts: list[Part], size: int, account: Account) -> dict[str, Any]:
    kinds = [(at, which) for at, which in enumerate(KINDS) if which in _kinds(account)]
    return {
        "size": size,
        "files": sum(part.files for part in parts),
        "bytes": sum(part.size for part in parts),
        "pages": {which: sum(part.pages[at] for part in parts) for at, which in kinds},
        "spans": sum(account.image.weights[part.layer].spans for part in parts),
        "fetched": {which: _fetched(part.fetched[at] for part in parts) for at, which in kinds},
    }


def _layer(part: Part, size: int, whole: int, account: Account) -> dict[str, Any]:
    shares = {"share_of_layer": part.size / size if size else 0.0, "share_of_image": part.size / whole if whole else 0.0}
    return {**_row([part], size, account), **shares}


def _fetched(each: Iterable[Fetched]) -> dict[str, int]:
    every = list(each)
    squeezed = sum(one.compressed for one in every)
    return {
        "spans": sum(one.spans for one in every),
        "bytes": sum(one.size for one in every),
        **({"compressed_bytes": squeezed} if squeezed else {}),
    }


def _more(theirs: list[Fetched], bare: list[Fetched]) -> dict[str, int]:
    less = _fetched(bare)
    return {what: size - less[what] for what, size in _fetched(theirs).items() if what != "spans"}


def print_start(found: dict[str, Any], top: int) -> None:
    """One start as text: a line for each layer of which anything was touched or is fetched, and the packages that were touched most.

    What is fetched is shown as predicted and at most; of pages and spans both bounds.
    """
    click.echo(f"{found['start']}: {found['title']} ({found['seconds']:.1f} s, traced)")
    squeezed = "compressed_bytes" in found["fetched"]["most"]
    gzip = ["gzip"] if squeezed else []
    head = ("files", "opened", "of layer", "of image", "pages", "spans", "predicted", *gzip, "at most", *gzip)
    click.echo("".join(text.rjust(width) for text, width in zip(head, _WIDTHS, strict=False)))
    for row in found["layers"]:
        if row["files"] or row["fetched"]["most"]["bytes"] >= _SHOWN:
            click.echo(f"{_numbers(row, row['share_of_layer'], row['share_of_image'])}  {row['layer']}")
    click.echo(f"{_numbers(found, None, found['share'])}  in all")
    if over := found.get("over_python"):
        more = f"{over['files']} files, {megabytes(over['bytes'])} opened, {megabytes(over['fetched']['most']['bytes'])} fetched"
        more += f", {megabytes(over['fetched']['most']['compressed_bytes'])} gzip" if squeezed else ""
        click.echo(f"    over `python3 -c pass`: {more}")
    if stale := found.get("recompiled"):
        told = f"{stale['files']} sources ({megabytes(stale['bytes'])}) were read right after their .pyc"
        click.echo(f"    {told}: these are stale, or the modules read themselves")
    packages = [(size, name) for row in found["layers"] for name, size in row["packages"].items()]
    for size, name in sorted(packages, key=lambda each: (-each[0], each[1]))[:top]:
        click.echo(f"    {megabytes(size):>10}  {name}")


_WIDTHS = (7, 11, 10, 10, 20, 16, 11, 11, 11, 11)


def _numbers(row: dict[str, Any], of_layer: float | None, of_image: float) -> str:
    least, most = row["fetched"]["least"], row["fetched"]["most"]
    pages = [row["pages"][which] * PAGE for which in ("least", "most")]
    texts = [
        str(row["files"]),
        megabytes(row["bytes"]),
        "" if of_layer is None else f"{of_layer:.1%}",
        f"{of_image:.1%}",
        f"{pages[0] / 1e6:.1f} - {megabytes(pages[1])}",
        f"{least['spans']} - {most['spans']}/{row['spans']}",
    ]
    for each in (row["fetched"].get("predicted"), most):
        texts.append(megabytes(each["bytes"]) if each else "-")
        if "compressed_bytes" in most:
            texts.append(megabytes(each.get("compressed_bytes", 0)) if each else "-")
    return "".join(text.rjust(width) for text, width in zip(texts, _WIDTHS, strict=False))
