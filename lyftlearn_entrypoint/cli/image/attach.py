"""Files beside an image in its registry: each an artifact that points at the image, found by its digest (`oras discover`, ECR's console).

ECR lists them itself; a registry that does not gets the tag `sha256-HEX`, which is an index of them. Source: OCI image specification 1.1,
manifest.md, "Guidelines for Artifact Usage"; distribution specification 1.1, "Pushing Manifests with Subject", "Referrers Tag Schema".
"""

from __future__ import annotations

import json
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyftlearn_entrypoint.cli.image.registry import INDICES, OCI_INDEX, OCI_MANIFEST, Manifest, Registry, canonical
from lyftlearn_entrypoint.errors import BadDocument, BadSettings, Missing

_EMPTY = b"{}"
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_LIMIT = 64 << 20  # bytes; a bill of materials has a few MB
_TITLE = "org.opencontainers.image.title"


@dataclass(frozen=True)
class Attached:
    """One file beside an image. `listed_by` is 'registry', or the tag that lists it; `new` is False where it was there."""

    file: str
    media_type: str
    size: int
    digest: str
    listed_by: str
    new: bool


@dataclass(frozen=True)
class Attachment:
    """A file to attach: its name, media type and bytes."""

    name: str
    media_type: str
    content: bytes


def read(given: str) -> Attachment:
    """What --attach FILE[:TYPE] names; without TYPE it is told from the content or the name. Raises Missing (66) or BadSettings (78)."""
    name, colon, media_type = given.rpartition(":")
    typed = bool(colon) and "/" in media_type and not Path(given).exists()
    path = Path(name if typed else given)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Missing(f"--attach {given}: {path} cannot be read: {error.strerror}") from None
    if not 0 < len(content) <= _LIMIT:
        # ECR takes no blob without bytes.
        raise BadSettings(f"--attach {path}: it has {len(content)} bytes; 1 to {_LIMIT} can be attached")
    return Attachment(path.name, media_type if typed else type_of(path.name, content), content)


def type_of(name: str, content: bytes) -> str:
    """The media type of a file: that of the bill of materials it is, else by the end of its name."""
    try:
        document = json.loads(content) if content[:1] == b"{" else {}
    except ValueError:
        document = {}
    if isinstance(document, dict) and document.get("bomFormat") == "CycloneDX":
        return "application/vnd.cyclonedx+json"
    if isinstance(document, dict) and "spdxVersion" in document:
        return "application/spdx+json"
    return {".md": "text/markdown"}.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"


def artifact(subject: Manifest, file: Attachment, layer: dict[str, Any], empty: dict[str, Any]) -> Manifest:
    """The manifest of an artifact; the same file beside the same image gives the same digest, so it holds no time.

    No descriptor has `data`: ECR refuses manifests with it (405; aws/containers-roadmap issue 2023).
    """
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": file.media_type,
        "config": {"mediaType": _EMPTY_TYPE, **empty},
        "layers": [{"mediaType": file.media_type, **layer, "annotations": {_TITLE: file.name}}],
        "subject": subject.descriptor,
        "annotations": {_TITLE: file.name},
    }
    return Manifest(OCI_MANIFEST, canonical(document))


def attach(registry: Registry, subject: Manifest, file: Attachment) -> Attached:
    """Store a file beside `subject`, once. Raises StartError."""
    layer = registry.put_blob(file.content)
    made = artifact(subject, file, layer, registry.put_blob(_EMPTY))
    new = registry.manifest(made.digest) is None
    # Put again also where it is there: a first try may have ended before it was listed.
    listed = registry.put_manifest(made.digest, made)
    listed_by = "registry" if listed else list_beside(registry, subject, made)
    return Attached(file.name, file.media_type, len(file.content), made.digest, listed_by, new)


def fallback_tag(digest: str) -> str:
    """The tag that lists the referrers of a digest where the registry does not."""
    algorithm, _, encoded = digest.partition(":")
    return f"{algorithm[:32]}-{encoded[:64]}"


def list_beside(registry: Registry, subject: Manifest, made: Manifest) -> str:
    """Add an artifact to the index under the subject's tag; that tag. For registries that do not list referrers.

    Two clients that do so at one moment can lose one entry: the specification has no cure for it.
    """
    tag = fallback_tag(subject.digest)
    there = registry.manifest(tag)
    if there is not None and there.media_type not in INDICES:
        raise BadDocument(f"{registry.where.name}: the tag {tag} is no list of referrers", "Remove that tag, and attach again")
    document: dict[str, Any] = there.document if there else {"schemaVersion": 2, "mediaType": OCI_INDEX}
    known: list[Any] = list(document.get("manifests", []))
    if made.digest not in [entry.get("digest") for entry in known]:
        # Without a type of its own an artifact is of its config's. Source: distribution specification 1.1, "Listing Referrers".
        kind = made.document.get("artifactType") or made.document["config"]["mediaType"]
        entry = {**made.descriptor, "artifactType": kind, "annotations": made.document.get("annotations") or {}}
        registry.put_manifest(tag, Manifest(OCI_INDEX, canonical({**document, "manifests": [*known, entry]})))
    return tag
