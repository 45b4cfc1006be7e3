"""`lyftlearn image sbom`: what is in an image, as a CycloneDX bill of materials for machines and a list of licences for people.

Both are the same for the same image, byte for byte: the serial number comes from the image's id, the time is the image's own.
Sources: CycloneDX 1.6; NTIA, "The Minimum Elements For a Software Bill of Materials".
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from dataclasses import replace
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lyftlearn_entrypoint import __version__
from lyftlearn_entrypoint.cli.image import docker as image_docker
from lyftlearn_entrypoint.cli.image.common import CHECKOUT, TAG, directory_of, find, tag_of
from lyftlearn_entrypoint.cli.image.packages import KINDS, Inventory, Package, inventory

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

# What the packages themselves do not say: images/licences.json.
TABLE = "licences.json"
UNKNOWN = "not known"


def table(root: Path) -> dict[str, Any]:
    """images/licences.json of a checkout: `groups` (artifact to Maven group) and `licences` (pattern of a purl to licence and why)."""
    file = root / "images" / TABLE
    found: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    return {"groups": found.get("groups", {}), "licences": found.get("licences", {})}


def completed(packages: list[Package], licences: dict[str, dict[str, Any]]) -> list[Package]:
    """The packages, with a licence of the table where one says none, or where the table's entry is meant `instead` of what it says.

    A pattern is for the purl without its version, or with it where the pattern has an `@`.
    """
    made = []
    for package in packages:
        bare = package.purl.partition("@")[0]
        fitting = (entry for pattern, entry in licences.items() if fnmatchcase(package.purl if "@" in pattern else bare, pattern))
        if entry := next((each for each in fitting if not package.licence or each.get("instead")), None):
            package = replace(package, licence=entry["licence"], told_by=f"images/{TABLE}: {entry['why']}")
        made.append(package)
    return made


def bill(image: dict[str, Any], name: str, found: Inventory) -> str:
    """The bill of materials of an image, as the Engine describes it, in CycloneDX 1.6 as JSON. Raises click.ClickException."""
    try:
        from cyclonedx.model import Property
        from cyclonedx.model.bom import Bom
        from cyclonedx.model.component import Component, ComponentType
        from cyclonedx.output.json import JsonV1Dot6
    except ModuleNotFoundError:
        raise click.ClickException("CycloneDX's library is missing: pip install cyclonedx-python-lib") from None
    labels = image["Config"].get("Labels") or {}
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, image["Id"]))
    bom.metadata.timestamp = datetime.strptime(image["Created"][:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    bom.metadata.tools.components.add(Component(type=ComponentType.APPLICATION, name="lyftlearn", version=__version__))
    properties = [("image:id", image["Id"]), ("image:platform", f"{image['Os']}/{image['Architecture']}")]
    properties += [(f"image:layer:{number:02}", digest) for number, digest in enumerate(image["RootFS"]["Layers"])]
    properties += [(f"image:label:{key}", value) for key, value in labels.items()]
    root = Component(
        type=ComponentType.CONTAINER,
        name=labels.get("org.opencontainers.image.title") or f"lyftlearn-{name}",
        version=labels.get("org.opencontainers.image.version"),
        bom_ref="image",
        licenses=_licences(labels.get("org.opencontainers.image.licenses", "")),
        properties=[Property(name=f"lyftlearn:{key}", value=value) for key, value in properties],
    )
    bom.metadata.component = root
    system = Component(type=ComponentType.OPERATING_SYSTEM, name=found.distribution[0], version=found.distribution[1], bom_ref="system")
    components = {package.purl: _component(package) for package in found.packages}
    bom.components.update([system, *components.values()])
    needed = {url for package in found.packages for url in package.needs}
    bom.register_dependency(root, [system, *(each for url, each in components.items() if url not in needed)])
    for package in found.packages:
        bom.register_dependency(components[package.purl], [components[url] for url in package.needs if url in components])
    document = _ordered(json.loads(JsonV1Dot6(bom).output_as_string()))
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _ordered(value: Any) -> Any:
    """A document in one order: what the library keeps as sets comes out of it in any. No list in a bill of materials means its order."""
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return sorted((_ordered(each) for each in value), key=lambda each: json.dumps(each, sort_keys=True))
    return value


def _component(package: Package) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.component_evidence import ComponentEvidence, Occurrence
    from packageurl import PackageURL

    group = PackageURL.from_string(package.purl).namespace if package.kind in {"jar", "npm"} else None
    return Component(
        type=ComponentType.APPLICATION if package.kind == "own" else ComponentType.LIBRARY,
        group=group,
        name=package.name.rpartition("/")[2] if package.kind == "npm" else package.name,
        version=package.version,
        purl=PackageURL.from_string(package.purl),
        bom_ref=package.purl,
        licenses=_licences(package.licence),
        hashes=[HashType(alg=HashAlgorithm(kind), content=content) for kind, content in package.hashes],
        evidence=ComponentEvidence(occurrences=[Occurrence(location=f"/{place}") for place in package.places]),
        properties=[Property(name="lyftlearn:kind", value=package.kind)]
        + ([Property(name="lyftlearn:licence:told-by", value=package.told_by)] if package.licence else []),
    )


def _licences(expression: str) -> list[Any]:
    """An SPDX id as such, so that every tool knows it; all else as an expression."""
    from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
    from cyclonedx.spdx import is_supported_id

    if not expression:
        return []
    return [DisjunctiveLicense(id=expression) if is_supported_id(expression) else LicenseExpression(expression)]


def listing(image: dict[str, Any], name: str, packages: list[Package]) -> str:
    """The licences of an image as Markdown: how many packages each has, then each package, those without one first of all."""
    labels = image["Config"].get("Labels") or {}
    title = labels.get("org.opencontainers.image.title") or f"lyftlearn-{name}"
    lines = [f"# Licences in {title} {labels.get('org.opencontainers.image.version', '')}".rstrip(), ""]
    lines += [
        f"Image `{image['Id']}`, {len(packages)} packages. Where one package has files under several licences, all of them are named.",
        "",
    ]
    unknown = [package for package in packages if not package.licence]
    if unknown:
        lines += [f"## {UNKNOWN.capitalize()}: {len(unknown)}", *(f"- `{package.purl}`" for package in unknown), ""]
    counts = Counter(package.licence or UNKNOWN for package in packages)
    lines += ["## How many packages", "| licence | packages |", "|---|---|"]
    lines += [f"| {licence} | {number} |" for licence, number in sorted(counts.items(), key=lambda row: (-row[1], row[0]))]
    for kind, heading in KINDS.items():
        rows = [package for package in packages if package.kind == kind]
        if rows:
            lines += ["", f"## {heading}: {len(rows)}", "| package | version | licence | told by |", "|---|---|---|---|"]
            lines += [f"| {p.name} | {p.version} | {p.licence or UNKNOWN} | {p.told_by} |" for p in rows]
    return "\n".join(lines) + "\n"


def write(client: Any, image: Any, root: Path, name: str, directory: Path) -> None:
    """Write NAME.cdx.json and NAME-licences.md for an image of the engine, and say what is in them."""
    told = table(root)
    container = client.containers.create(image.id, ["true"], network_mode="none")
    try:
        found = inventory(container.export(), told["groups"])
    finally:
        container.remove()
    found.packages = completed(found.packages, told["licences"])
    directory.mkdir(parents=True, exist_ok=True)
    bill_file, list_file = directory / f"{name}.cdx.json", directory / f"{name}-licences.md"
    bill_file.write_text(bill(image.attrs, name, found), encoding="utf-8")
    list_file.write_text(listing(image.attrs, name, found.packages), encoding="utf-8")
    kinds = Counter(package.kind for package in found.packages)
    unknown = sum(not package.licence for package in found.packages)
    click.echo(f"{bill_file}: {', '.join(f'{kinds[kind]} {kind}' for kind in KINDS if kinds[kind])}")
    click.echo(f"{list_file}: {len(found.packages)} packages, {unknown} without a licence that is known")


@click.command()
@click.argument("name")
@CHECKOUT
@TAG
@click.option("--to", "directory", type=click.Path(file_okay=False, path_type=Path), required=True, help="Directory for the two files.")
def sbom(name: str, checkout: Path, tag: str, directory: Path) -> None:
    """Write the bill of materials (CycloneDX 1.6, NAME.cdx.json) and the licences (NAME-licences.md) of images/NAME."""
    root = checkout.resolve()
    directory_of(root, name)
    client = image_docker.connect()
    write(client, find(client, tag or tag_of(name)), root, name, directory)
