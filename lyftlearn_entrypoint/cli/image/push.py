"""`lyftlearn image push`: an image of the Engine into a repository of Amazon ECR, and its one digest on stdout.

First what would stand in the way is looked for: a revision that is no commit's, a repository that is not there, a tag that names another
image. Then the Engine pushes under one tag, the registry is asked whether it has what the Engine says it sent, and only then are the other
tags put and files attached.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from lyftlearn_entrypoint.cli.image import attach as image_attach
from lyftlearn_entrypoint.cli.image import docker as image_docker
from lyftlearn_entrypoint.cli.image import ecr as image_ecr
from lyftlearn_entrypoint.cli.image import engine_push as image_engine_push
from lyftlearn_entrypoint.cli.image import tags as image_tags
from lyftlearn_entrypoint.cli.image.common import find, tag_of
from lyftlearn_entrypoint.cli.image.registry import DOCKER_MANIFEST, Manifest, Registry
from lyftlearn_entrypoint.cli.image.size import megabytes
from lyftlearn_entrypoint.errors import BadDocument, BadSettings

if TYPE_CHECKING:
    from collections.abc import Mapping


def say(line: str) -> None:
    """A line for people: on stderr, since stdout has the digest alone."""
    click.echo(line, err=True)


def say_tags(put: Mapping[str, str]) -> None:
    """What became of each tag, as `tags.settle` tells it."""
    for tag, how in put.items():
        say(f"tag {tag}: {'now this image' if how == 'put' else 'already this image'}")


def open_repository(to: str, create: bool, trust_host: bool) -> tuple[Registry, image_ecr.Tokens]:
    """The repository that --to names, with a token for it, made where that was asked for. Raises StartError."""
    client = image_ecr.connect()
    tokens = image_ecr.Tokens(client)
    tokens.get()
    where = image_ecr.destination(to, tokens.endpoint, trust_host)
    if create:
        made = image_ecr.create_repository(client, where)
        say(f"{where.repository}: " + ("made, with immutable tags and scan on push" if made else "there already, with the settings it has"))
    return Registry(where, tokens), tokens


def is_image(manifest: Manifest, image_id: str) -> bool:
    """Whether a manifest is of this image of the Engine's.

    An id is the digest of the image's config, or, in an Engine with containerd's store, of its manifest or index.
    """
    return image_id in (manifest.config, manifest.digest)


def verify(registry: Registry, digest: str, image: Any) -> Manifest:
    """The manifest of that digest, out of the registry; it has to be of the image, whole. Raises BadDocument (65)."""
    manifest = registry.manifest(digest)
    if manifest is None:
        raise BadDocument(f"the Docker Engine says it pushed {digest}, and {registry.where.name} does not have it")
    layers = manifest.document.get("layers")
    if not is_image(manifest, image.id) or (layers is not None and len(layers) != len(image.attrs["RootFS"]["Layers"])):
        raise BadDocument(f"{registry.where.name}@{digest} is not the image {image.id}")
    return manifest


def doubt(manifest: Manifest) -> str:
    """Why SageMaker may refuse this image; '' where it should not.

    CreateModel answers "Unsupported manifest media type" to OCI's kinds.
    Source: aws/amazon-sagemaker-feedback issue 180, mlflow/mlflow issue 13834.
    """
    if manifest.media_type == DOCKER_MANIFEST:
        return ""
    return (
        f"the image is stored as {manifest.media_type}, which SageMaker refuses for endpoints: push from an Engine without containerd's"
        " image store, which stores Docker's kind"
    )


def facts(registry: Registry, image: Any, manifest: Manifest, pushed: image_engine_push.Pushed) -> dict[str, Any]:
    """What a push came to, as --json prints it. Bytes are compressed ones, as the registry keeps them."""
    shorts = [str(layer).removeprefix("sha256:")[:12] for layer in image.attrs["RootFS"]["Layers"]]
    stored = manifest.document.get("layers") or []
    layers = [
        {"digest": layer["digest"], "bytes": layer["size"], "outcome": pushed.layers.get(short, "already there")}
        for short, layer in zip(shorts, stored, strict=False)
    ]
    return {
        "reference": f"{registry.where.name}@{manifest.digest}",
        "repository": registry.where.name,
        "digest": manifest.digest,
        "media_type": manifest.media_type,
        "image": image.id,
        "architecture": image.attrs.get("Architecture", ""),
        "layers": layers,
        "bytes": sum(layer["bytes"] for layer in layers),
        "uploaded_bytes": sum(layer["bytes"] for layer in layers if layer["outcome"] == "uploaded"),
    }


@click.command()
@click.argument("name")
@click.option("--to", required=True, metavar="[HOST/]REPOSITORY", help="Where it goes; the host is what ECR's API names, if left out.")
@click.option("--image", "given", default="", help="Image of the Docker Engine; default lyftlearn-NAME:latest.")
@click.option(
    "--tag",
    "tags",
    multiple=True,
    help="Tag in the repository, repeatable; {version}, {revision} and {architecture} are filled in. Default: {version} and {revision}.",
)
@click.option("--move", multiple=True, help="Likewise, and taken from the image that has it now, such as `latest`.")
@click.option("--attach", multiple=True, metavar="FILE[:TYPE]", help="A file to keep beside the image, such as its bill of materials.")
@click.option("--create-repository", is_flag=True, help="Make the repository if it is not there: immutable tags, scan on push.")
@click.option("--allow-modified", is_flag=True, help="Push an image that was built from no commit as it stands.")
@click.option("--trust-host", is_flag=True, help="Send ECR's token to the host in --to although ECR's API names another.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, instead of the digest alone.")
def push(
    name: str,
    to: str,
    given: str,
    tags: tuple[str, ...],
    move: tuple[str, ...],
    attach: tuple[str, ...],
    create_repository: bool,
    allow_modified: bool,
    trust_host: bool,
    as_json: bool,
) -> None:
    """Push images/NAME to Amazon ECR, and print REPOSITORY@sha256:DIGEST.

    The token comes from ECR's API, with whatever credentials boto3 finds, and goes into no file. No tag is moved unless --move says so;
    an image that is there already is not pushed again. Progress and all else goes to stderr.
    Exit codes: 65 the image or what the registry has is not what it should be, 66 no such repository or file, 69 not reached or failing,
    77 refused, or a tag is another image's, 78 settings.
    """
    began = time.monotonic()
    files = [image_attach.read(each) for each in attach]
    client = image_docker.connect()
    image = find(client, given or tag_of(name))
    told = image_tags.checked(image.labels, allow_modified)
    told["architecture"] = str(image.attrs.get("Architecture", ""))
    wanted = image_tags.render(tags or (() if move else image_tags.DEFAULT), told)
    moving = [tag for tag in image_tags.render(move, told) if tag not in wanted]
    if not wanted + moving:
        raise BadSettings("an image needs a tag to be pushed under")
    registry, tokens = open_repository(to, create_repository, trust_host)
    size = f"{told['architecture']}, {megabytes(image.attrs['Size'])} unpacked"
    say(f"{(image.tags or ['image'])[0]} ({image.id[7:19]}, {size}) to {registry.where.name}")

    there = image_tags.survey(registry, wanted, moving, lambda manifest: is_image(manifest, image.id))
    known = next((manifest for manifest in there.values() if manifest is not None), None)
    pushed = image_engine_push.Pushed()
    if known is not None:
        first = ""
        manifest = verify(registry, known.digest, image)
        say(f"already there: {known.digest}")
    else:
        first = next(iter(there))
        pushed = image_engine_push.push(client, image, registry, first, tokens, say)
        manifest = verify(registry, pushed.digest, image)
    found = facts(registry, image, manifest, pushed)
    found["tags"] = image_tags.settle(registry, manifest, there, [first])
    say_tags(found["tags"])
    number = len(found["layers"])
    stored = f": {megabytes(found['bytes'])} in {number} layer{'s' * (number != 1)}, {megabytes(found['uploaded_bytes'])} of it new"
    say(f"the registry has {manifest.digest}" + (stored if found["layers"] else ""))
    if trouble := doubt(manifest):
        say(f"lyftlearn: warning: {trouble}")
    attached = [image_attach.attach(registry, manifest, file) for file in files]
    for each in attached:
        say(f"beside it: {each.file} ({each.media_type}), {each.digest}" + ("" if each.new else ", already there"))
    found["attached"] = [asdict(each) for each in attached]
    found["seconds"] = round(time.monotonic() - began, 1)
    click.echo(json.dumps(found, indent=2) if as_json else found["reference"])
