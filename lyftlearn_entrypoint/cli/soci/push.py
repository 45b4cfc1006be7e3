"""SOCI indices into a registry, with their image: what they name goes first, tags come last, and each index where a node looks for it.

Version 1 is stored with the image as its subject; a registry that does not list such referrers itself gets the fallback tag that does
(attach.py). Version 2 is one OCI index, which any tool copies whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lyftlearn_entrypoint.cli.image.attach import list_beside
from lyftlearn_entrypoint.cli.image.registry import INDICES
from lyftlearn_entrypoint.cli.soci import index, parallel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lyftlearn_entrypoint.cli.image.registry import Registry
    from lyftlearn_entrypoint.cli.soci.blobs import Blobs
    from lyftlearn_entrypoint.cli.soci.make import Made, Source


def needed(source: Source, made: Made, blobs: Blobs) -> Iterator[dict[str, Any]]:
    """Every blob that the manifests name, each once: configs, layers, zTOCs. Layers that no registry keeps (`urls`) are not among them."""
    seen = set()
    for blob in _named(source, made, blobs):
        if blob["digest"] not in seen and not blob.get("urls"):
            seen.add(blob["digest"])
            yield blob


def _named(source: Source, made: Made, blobs: Blobs) -> Iterator[dict[str, Any]]:
    for image in made.images:
        config = image.manifest.document["config"]
        if not blobs.has(config["digest"]):
            blobs.put(source.config(config["digest"]))
        yield from (choice.layer for choice in image.choices)
        yield config
    yield from ({"digest": each.digest, "size": each.size} for each in made.ztocs.values())
    yield {"digest": index.EMPTY_DIGEST, "size": len(index.EMPTY)}
    for manifest in made.kept:
        if manifest.media_type not in INDICES:
            yield from (manifest.document["config"], *manifest.document["layers"])


def send(registry: Registry, source: Source, made: Made, blobs: Blobs) -> int:
    """Send every blob that the registry lacks; how many bytes that were. Raises StartError."""
    lacking = [blob for blob in needed(source, made, blobs) if not registry.has_blob(blob["digest"])]
    if not lacking:
        return 0
    with parallel.bar("sending", sum(blob["size"] for blob in lacking)) as shown:
        for blob in lacking:
            file = blobs.path(blob["digest"]) if blobs.has(blob["digest"]) else source.path(blob, lambda _: None)
            registry.put_file(file, blob["digest"], shown.update)
    return sum(blob["size"] for blob in lacking)


def store(registry: Registry, source: Source, made: Made) -> dict[str, str]:
    """Store the manifests, those that others name first. Raises StartError.

    For each index of version 1, who lists it: 'registry' or a tag.
    """
    listed_by = {}
    for image in made.images:
        if image.v1:
            # The subject has to be there, or a registry may not list what points at it.
            registry.put_manifest(image.manifest.digest, image.manifest)
            listed = registry.put_manifest(image.v1.digest, image.v1)
            listed_by[image.v1.digest] = "registry" if listed else list_beside(registry, image.manifest, image.v1)
        for manifest in (image.v2, image.converted):
            if manifest:
                registry.put_manifest(manifest.digest, manifest)
    for manifest in made.kept:
        registry.put_manifest(manifest.digest, manifest)
    if made.whole:
        registry.put_manifest(made.whole.digest, made.whole)
    elif source.root.media_type in INDICES:
        for image in made.images:
            registry.put_manifest(image.manifest.digest, image.manifest)
        registry.put_manifest(source.root.digest, source.root)
    return listed_by
