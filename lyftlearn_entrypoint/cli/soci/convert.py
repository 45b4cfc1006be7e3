"""Version 2: the image with a note of its SOCI index in it, and one OCI index that holds both, so that a copy of it is whole.

The note changes the image's digest: what was signed under the old one has to be signed again. Layers and config stay as they are.
Source: awslabs/soci-snapshotter 0.16.1, soci/soci_convert.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lyftlearn_entrypoint.cli.image.registry import INDICES, Manifest
from lyftlearn_entrypoint.cli.soci import manifests
from lyftlearn_entrypoint.cli.soci.index import INDEX_DIGEST, MANIFEST_DIGEST, TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

# (architecture, variant) in a config -> what containerd makes of it. Source: containerd/platforms 1.0, database.go.
_NAMES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386", "armhf": "arm", "armel": "arm"}
_VARIANTS = {
    "amd64": {"v1": ""},
    "arm64": {"8": "", "v8": "", "v8.0": "", "9": "v9", "9.0": "v9", "v9.0": "v9"},
    "arm": {"": "v7", "5": "v5", "6": "v6", "7": "v7", "8": "v8"},
}


def platform(config: Mapping[str, Any]) -> dict[str, Any]:
    """The machine of an image, out of its config, as containerd writes it."""
    told, variant = str(config.get("architecture", "")).lower(), str(config.get("variant", "")).lower()
    if told in ("i386", "armhf", "armel"):
        variant = "v6" if told == "armel" else ""
    architecture = _NAMES.get(told, told)
    found = {
        "architecture": architecture,
        "os": str(config.get("os", "")).lower() or "linux",
        "os.version": config.get("os.version"),
        "os.features": sorted(set(config.get("os.features") or [])),
        "variant": _VARIANTS.get(architecture, {}).get(variant, variant),
    }
    return {key: value for key, value in found.items() if value}


def machine(entry: Mapping[str, Any]) -> str:
    """OS/ARCHITECTURE[/VARIANT] of an index's entry, as `docker build --platform` has it."""
    found = entry["platform"]
    return "/".join(found[key] for key in ("os", "architecture", "variant") if key in found)


def is_index_of_soci(entry: Mapping[str, Any]) -> bool:
    """Whether an index's entry is a SOCI index, and no image."""
    return entry.get("artifactType") in TYPES.values()


def is_image(entry: Mapping[str, Any]) -> bool:
    """Whether an index's entry is an image: no SOCI index, no attestation of BuildKit's (its machine is `unknown`), no index."""
    machine = entry.get("platform") or {}
    return not is_index_of_soci(entry) and machine.get("os") != "unknown" and entry.get("mediaType") not in INDICES


def annotated(image: Manifest, index: Manifest | None) -> Manifest:
    """The image's manifest as OCI's kind, with the digest of its SOCI index where it has one."""
    document = image.document
    document["config"]["mediaType"] = manifests.OCI_CONFIG
    if index is not None:
        document["annotations"] = {**(document.get("annotations") or {}), INDEX_DIGEST: index.digest}
    return manifests.manifest(document)


def whole(root: Manifest, entry: dict[str, Any], images: Mapping[str, tuple[Manifest, Manifest | None]]) -> Manifest:
    """The OCI index of the image and its SOCI indices.

    `root` is the image as it was, an index or a manifest; `entry` is its descriptor with its platform, for a manifest.
    `images`: digest of an image's manifest -> what `annotated` made of it, and its SOCI index.
    """
    document: dict[str, Any] = root.document if root.media_type in INDICES else {"manifests": [entry]}
    kept, added = [], []
    for each in document["manifests"]:
        if is_index_of_soci(each):
            continue
        made, index = images.get(each["digest"], (None, None))
        if made is None:
            kept.append(each)
            continue
        found = {**each, **made.descriptor, "annotations": made.document.get("annotations")}
        kept.append(found)
        if index is not None:
            added.append(
                {
                    **index.descriptor,
                    "annotations": {MANIFEST_DIGEST: made.digest},
                    "platform": found.get("platform"),
                    "artifactType": TYPES["v2"],
                }
            )
    return manifests.index({**document, "manifests": [*kept, *added]})
