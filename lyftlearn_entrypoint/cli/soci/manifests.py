"""Manifests and indices of images, byte for byte as AWS's tool writes them: Go's order of fields, its escapes, nothing unknown to it.

A digest is over the bytes, so the form decides whether two tools make the same image. Sources: opencontainers/image-spec 1.1.1,
specs-go/v1 (manifest.go, index.go, descriptor.go); Go 1.26, encoding/json.
"""

from __future__ import annotations

import json
from typing import Any

from lyftlearn_entrypoint.cli.image.registry import DOCKER_LIST, DOCKER_MANIFEST, INDICES, OCI_INDEX, OCI_MANIFEST, Manifest
from lyftlearn_entrypoint.errors import BadDocument

KINDS = {OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST}
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
_DESCRIPTOR = ("mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType")
_PLATFORM = ("architecture", "os", "os.version", "os.features", "variant")
_ALWAYS = {"mediaType", "digest", "size", "architecture", "os"}
# encoding/json escapes what HTML could misread.
_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def encode(document: dict[str, Any]) -> bytes:
    """A document as Go's json.Marshal writes it, its fields in the order that they have."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).translate(_ESCAPES).encode()


def of(media_type: str, content: bytes) -> Manifest:
    """A manifest or an index of that type. Raises BadDocument (65) for anything else."""
    try:
        document = json.loads(content)
    except ValueError:
        document = None
    kind = media_type or (document.get("mediaType", "") if isinstance(document, dict) else "")
    entries = document.get("manifests" if kind in INDICES else "layers") if isinstance(document, dict) else None
    config = document.get("config", {}) if isinstance(document, dict) else None
    if kind not in KINDS or not _are_descriptors(entries) or not (kind in INDICES or _are_descriptors([config])):
        raise BadDocument(f"what should be an image's manifest is none (media type {kind or 'missing'})")
    return Manifest(kind, content)


def _are_descriptors(found: Any) -> bool:
    return isinstance(found, list) and all(
        isinstance(each, dict)
        and isinstance(each.get("digest"), str)
        and isinstance(each.get("size"), int)
        and isinstance(each.get("mediaType", ""), str)
        and isinstance(each.get("annotations") or {}, dict)
        and isinstance(each.get("platform") or {}, dict)
        for each in found
    )


def manifest(document: dict[str, Any]) -> Manifest:
    """An image's manifest, as OCI's kind."""
    made: dict[str, Any] = {"schemaVersion": 2, "mediaType": OCI_MANIFEST}
    if document.get("artifactType"):
        made["artifactType"] = document["artifactType"]
    made["config"] = descriptor(document["config"])
    made["layers"] = [descriptor(layer) for layer in document["layers"]]
    return _finished(OCI_MANIFEST, made, document)


def index(document: dict[str, Any]) -> Manifest:
    """An index of manifests, as OCI's kind."""
    made: dict[str, Any] = {"schemaVersion": 2, "mediaType": OCI_INDEX}
    if document.get("artifactType"):
        made["artifactType"] = document["artifactType"]
    made["manifests"] = [descriptor(entry) for entry in document["manifests"]]
    return _finished(OCI_INDEX, made, document)


def _finished(kind: str, made: dict[str, Any], document: dict[str, Any]) -> Manifest:
    if document.get("subject"):
        made["subject"] = descriptor(document["subject"])
    if document.get("annotations"):
        made["annotations"] = dict(sorted(document["annotations"].items()))
    return Manifest(kind, encode(made))


def descriptor(found: dict[str, Any]) -> dict[str, Any]:
    """A descriptor's fields in Go's order, those without a value left out."""
    full = {"mediaType": "", **found}
    if platform := full.get("platform"):
        full["platform"] = _ordered({"architecture": "", "os": "", **platform}, _PLATFORM)
    if annotations := full.get("annotations"):
        full["annotations"] = dict(sorted(annotations.items()))
    return _ordered(full, _DESCRIPTOR)


def _ordered(found: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: found[name] for name in names if found.get(name) or (name in _ALWAYS and name in found)}
