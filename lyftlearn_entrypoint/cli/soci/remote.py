"""An image in a registry: its manifests are asked for, and those of its layers that are needed are fetched into a directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lyftlearn_entrypoint.errors import BadDocument, Missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from lyftlearn_entrypoint.cli.image.registry import Manifest, Registry
    from lyftlearn_entrypoint.cli.soci.blobs import Blobs


class Remote:
    """An image of a repository. `root` is its manifest, or the index of several machines' images."""

    def __init__(self, registry: Registry, reference: str, blobs: Blobs) -> None:
        """`reference` is a tag or a digest. Raises Missing (66) where the repository has none."""
        self.registry = registry
        self._blobs = blobs
        found = registry.manifest(reference)
        if found is None:
            raise Missing(f"{registry.where.name} has no {reference}", "Push it first")
        self.root = found

    def manifest(self, digest: str) -> Manifest:
        """A manifest that the root names. Raises BadDocument (65)."""
        found = self.registry.manifest(digest)
        if found is None:
            raise BadDocument(f"{self.registry.where.name}: {self.root.digest} names {digest}, which is not there")
        return found

    def config(self, digest: str) -> bytes:
        """An image's config."""
        return self.registry.blob(digest)

    def path(self, blob: dict[str, Any], tell: Callable[[int], object]) -> Path:
        """The file of a layer, which is fetched once. `tell` gets the bytes that came."""
        place = self._blobs.path(blob["digest"])
        if not place.is_file():
            place.parent.mkdir(parents=True, exist_ok=True)
            coming = place.with_name(f"{place.name}.coming")
            self.registry.fetch(blob["digest"], coming, tell)
            coming.replace(place)
        return place

    def missing(self, blobs: Iterable[dict[str, Any]]) -> int:
        """Bytes that have to be fetched first."""
        return sum({blob["digest"]: blob["size"] for blob in blobs if not self._blobs.has(blob["digest"])}.values())
