"""The SOCI index of an image: a manifest that names the zTOC of each layer that has one.

Version 1 points at its image, and is found as one of its referrers. Version 2 points at nothing: the image, and the index that holds
both, name it (convert.py). Sources: awslabs/soci-snapshotter 0.16.1, soci/soci_index.go; containerd 2.2, core/images/mediatypes.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lyftlearn_entrypoint.cli.soci import flat, manifests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lyftlearn_entrypoint.cli.image.registry import Manifest

TYPES = {"v1": "application/vnd.amazon.soci.index.v1+json", "v2": "application/vnd.amazon.soci.index.v2+json"}
EMPTY = b"{}"
EMPTY_DIGEST = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
_OF = "com.amazon.soci."
INDEX_DIGEST = _OF + "index-digest"
MANIFEST_DIGEST = _OF + "image-manifest-digest"
_GZIP = {
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
}
_PLAIN = {"application/vnd.oci.image.layer.v1.tar", "application/vnd.docker.image.rootfs.diff.tar"}


@dataclass(frozen=True)
class Choice:
    """What becomes of one layer: `algorithm` is flat's where it gets a zTOC, else `reason` says why it is pulled whole."""

    layer: dict[str, Any]
    algorithm: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Indexed:
    """The zTOC of a layer, as a blob. `spans` and `files` count what is in it; `unpacked` in bytes."""

    digest: str
    size: int
    spans: int
    files: int
    unpacked: int


def choose(layer: dict[str, Any], smallest: int) -> Choice:
    """Whether a layer gets a zTOC, by what the manifest says of it. `smallest` in bytes, compressed."""
    kind = layer.get("mediaType", "")
    if layer["size"] < smallest:
        return Choice(layer, reason=f"smaller than {smallest / 1e6:g} MB")
    if kind in _GZIP:
        return Choice(layer, flat.GZIP)
    if kind in _PLAIN:
        return Choice(layer, flat.UNCOMPRESSED)
    if kind.endswith(("zstd", ".zst")):
        return Choice(layer, reason="compressed with zstd, which SOCI has no form for")
    return Choice(layer, reason=f"a kind that SOCI has no form for ({kind or 'not told'})")


def build(version: str, layers: Sequence[tuple[dict[str, Any], Indexed]], image: Manifest, span: int, tool: str) -> Manifest:
    """The SOCI index of an image; `layers` are those with a zTOC, lowest first. `version` is v1 or v2."""
    document: dict[str, Any] = {
        "config": {"mediaType": TYPES[version], "digest": EMPTY_DIGEST, "size": len(EMPTY)},
        "layers": [
            {
                "mediaType": "application/octet-stream",
                "digest": ztoc.digest,
                "size": ztoc.size,
                "annotations": {
                    _OF + "image-layer-digest": layer["digest"],
                    _OF + "image-layer-mediaType": layer["mediaType"],
                    _OF + "span-size": str(span),
                },
            }
            for layer, ztoc in layers
        ],
        "annotations": {_OF + "build-tool-identifier": tool},
    }
    if version == "v1":
        document["subject"] = image.descriptor
    return manifests.manifest(document)
