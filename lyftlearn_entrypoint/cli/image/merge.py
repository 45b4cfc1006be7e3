"""`lyftlearn image merge`: one name for the images of several machines (an index), or more tags for an image that is there.

Everything is done over the registry's API: nothing is pulled, no Docker Engine is needed. Pods on several kinds of nodes need one name; for
SageMaker, which runs one kind and documents no index, a machine's own image is named.
"""

from __future__ import annotations

import json
from typing import Any

import click

from lyftlearn_entrypoint.cli.image import tags as image_tags
from lyftlearn_entrypoint.cli.image.push import open_repository, say, say_tags
from lyftlearn_entrypoint.cli.image.registry import DOCKER_LIST, DOCKER_MANIFEST, INDICES, OCI_INDEX, Manifest, Registry, canonical
from lyftlearn_entrypoint.cli.soci.convert import is_image, machine
from lyftlearn_entrypoint.errors import BadDocument, Missing

# An image's entry in an index, and its labels.
Member = tuple[dict[str, Any], dict[str, str]]


def look(registry: Registry, given: str) -> Manifest:
    """What a tag, a digest or REPOSITORY@DIGEST names in the repository. Raises Missing (66)."""
    reference = given.rpartition("@")[2] if "@" in given else given
    found = registry.manifest(reference)
    if found is None:
        raise Missing(f"{registry.where.name} has no {reference}", "Push it first")
    return found


def member(registry: Registry, manifest: Manifest) -> Member:
    """One image's entry in an index, and its labels. Source: OCI image specification 1.1, image-index.md. Raises BadDocument (65)."""
    if manifest.media_type in INDICES:
        raise BadDocument(f"{manifest.digest} is an index itself", "Name the images of the machines")
    config = json.loads(registry.blob(manifest.config))
    platform = {key: config[key] for key in ("architecture", "os", "variant") if config.get(key)}
    if not {"architecture", "os"} <= platform.keys():
        raise BadDocument(f"{manifest.digest} does not say which machine it is for")
    return {**manifest.descriptor, "platform": platform}, config.get("config", {}).get("Labels") or {}


def build_of(members: list[Member]) -> dict[str, str]:
    """The version and revision that all of these images have. Raises BadDocument (65) where they are not of one build."""
    told = [{label: labels.get(label, "") for label in (image_tags.VERSION, image_tags.REVISION)} for _, labels in members]
    for label, value in told[0].items():
        others = sorted({each[label] for each in told} - {value})
        if others:
            raise BadDocument(f"the images are not of one build: {label} is {value or 'missing'} and {others[0] or 'missing'}")
    return told[0]


def index(members: list[Member]) -> Manifest:
    """The index of these images, in one order and without a time, so that the same images give the same digest.

    Docker's own kind where the images are Docker's: engines up to 20.10 take no other.
    Raises BadDocument (65) where two are for one machine.
    """
    machines = [machine(entry) for entry, _ in members]
    twice = sorted({each for each in machines if machines.count(each) > 1})
    if twice:
        raise BadDocument(f"two images are for {twice[0]}")
    kind = DOCKER_LIST if all(entry["mediaType"] == DOCKER_MANIFEST for entry, _ in members) else OCI_INDEX
    entries = sorted((entry for entry, _ in members), key=machine)
    return Manifest(kind, canonical({"schemaVersion": 2, "mediaType": kind, "manifests": entries}))


@click.command()
@click.option("--to", required=True, metavar="[HOST/]REPOSITORY", help="The repository that has them; the host is what ECR's API names.")
@click.option("--tag", "tags", multiple=True, help="As for push. Default: {version} and {revision}.")
@click.option("--move", multiple=True, help="As for push.")
@click.option("--allow-modified", is_flag=True, help="As for push.")
@click.option("--trust-host", is_flag=True, help="As for push.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, instead of the digest alone.")
@click.argument("references", nargs=-1, required=True)
def merge(
    to: str,
    tags: tuple[str, ...],
    move: tuple[str, ...],
    allow_modified: bool,
    trust_host: bool,
    as_json: bool,
    references: tuple[str, ...],
) -> None:
    """Make one image of several machines', and print REPOSITORY@sha256:DIGEST.

    REFERENCES are tags or digests in the repository. Images for different machines, of one version and revision, get an index. One
    reference alone gets the tags as it is, so that a release is the image that was tested, not another build. No tag is moved unless
    --move says so.
    """
    registry, _ = open_repository(to, False, trust_host)
    found = [look(registry, each) for each in references]
    alone = found[0] if len(found) == 1 else None
    if alone and alone.media_type in INDICES:
        # Not what belongs to the images in it: SOCI indices, attestations.
        found = [look(registry, entry["digest"]) for entry in alone.document["manifests"] if is_image(entry)]
    members = [member(registry, each) for each in found]
    told = image_tags.checked(build_of(members), allow_modified)
    if len(members) == 1:
        told["architecture"] = members[0][0]["platform"]["architecture"]
    manifest = alone or index(members)
    wanted = image_tags.render(tags or (() if move else image_tags.DEFAULT), told)
    moving = [tag for tag in image_tags.render(move, told) if tag not in wanted]
    there = image_tags.survey(registry, wanted, moving, lambda known: known.digest == manifest.digest)
    if not alone:
        registry.put_manifest(manifest.digest, manifest)
    put = image_tags.settle(registry, manifest, there)
    for entry, _ in members:
        say(f"{machine(entry)}: {entry['digest']}")
    say_tags(put)
    reference = f"{registry.where.name}@{manifest.digest}"
    images = [{"machine": machine(entry), "digest": entry["digest"]} for entry, _ in members]
    document = {"reference": reference, "digest": manifest.digest, "media_type": manifest.media_type, "tags": put, "images": images}
    click.echo(json.dumps(document, indent=2) if as_json else reference)
