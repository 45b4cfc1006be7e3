"""From an image to its SOCI indices: its machines' images, the zTOC of each layer, the indices, and the image that names them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from lyftlearn_entrypoint.cli.image.registry import INDICES
from lyftlearn_entrypoint.cli.soci import convert, index, manifests, parallel, ztoc
from lyftlearn_entrypoint.cli.soci.blobs import Blobs
from lyftlearn_entrypoint.cli.soci.index import Choice, Indexed
from lyftlearn_entrypoint.cli.soci.tape import Unsupported
from lyftlearn_entrypoint.errors import BadDocument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from lyftlearn_entrypoint.cli.image.registry import Manifest


class Source(Protocol):
    """Where an image comes from: layout.Layout or remote.Remote."""

    root: Manifest

    def manifest(self, digest: str, /) -> Manifest: ...
    def config(self, digest: str, /) -> bytes: ...
    def path(self, blob: dict[str, Any], tell: Callable[[int], object], /) -> Path: ...
    def missing(self, blobs: Iterable[dict[str, Any]], /) -> int: ...


@dataclass
class Image:
    """One machine's image: `entry` is its descriptor with its platform, `choices` say what becomes of each layer, lowest first.

    `v1` and `v2` are its SOCI indices, `converted` its manifest with the note of the second; none of them before they are made.
    """

    manifest: Manifest
    entry: dict[str, Any]
    labels: dict[str, str]
    choices: list[Choice]
    v1: Manifest | None = None
    v2: Manifest | None = None
    converted: Manifest | None = None

    @property
    def machine(self) -> str:
        """OS/ARCHITECTURE[/VARIANT]."""
        return convert.machine(self.entry)


@dataclass
class Made:
    """What came of an image. `ztocs` by the layer's digest; `whole` is version 2's OCI index, None where only version 1 is made.

    `kept` are the manifests that the index names beside those of `images`, as they were: attestations. What one of them names comes first.
    """

    images: list[Image]
    ztocs: dict[str, Indexed] = field(default_factory=dict)
    whole: Manifest | None = None
    kept: list[Manifest] = field(default_factory=list)


def images(source: Source, smallest: int) -> list[Image]:
    """The images of a source, one for each machine. Raises BadDocument (65)."""
    root = manifests.of(source.root.media_type, source.root.content)
    if root.media_type in INDICES:
        entries = [entry for entry in root.document["manifests"] if convert.is_image(entry)]
        found = [_image(source, manifests.of("", source.manifest(entry["digest"]).content), entry, smallest) for entry in entries]
    else:
        found = [_image(source, root, root.descriptor, smallest)]
    if not found:
        raise BadDocument(f"{root.digest} holds no image")
    return found


def _image(source: Source, manifest: Manifest, entry: dict[str, Any], smallest: int) -> Image:
    try:
        config = json.loads(source.config(manifest.config))
        labels = (config.get("config") or {}).get("Labels") or {}
    except (ValueError, AttributeError):
        raise BadDocument(f"{manifest.digest} is no image: its config cannot be read") from None
    machine = entry.get("platform") or convert.platform(config)
    choices = [index.choose(layer, smallest) for layer in manifest.document["layers"]]
    return Image(manifest, {**entry, "platform": machine}, labels, choices)


def ztocs(source: Source, found: list[Image], blobs: Blobs, span: int, tool: str, processes: int) -> dict[str, Indexed]:
    """Make the zTOC of each layer that gets one, as a blob; by the layer's digest.

    A layer with a tar that SOCI has no form for is left out, and its choice says so. Raises BadDocument (65) where no layer is left.
    """
    wanted = {choice.layer["digest"]: choice for image in found for choice in image.choices if choice.algorithm}
    # The largest first, so that none is begun when the others are done.
    order = sorted(wanted.values(), key=lambda choice: -int(choice.layer["size"]))
    if total := source.missing(choice.layer for choice in order):
        with parallel.bar("fetching layers", total) as shown:
            files = [source.path(choice.layer, shown.update) for choice in order]
    else:
        files = [source.path(choice.layer, lambda _: None) for choice in order]
    jobs = [
        (blobs.root, ztoc.Layer(file, choice.layer["digest"], choice.layer["size"], choice.algorithm), span, tool)
        for choice, file in zip(order, files, strict=True)
    ]
    built = parallel.run("indexing layers", sum(choice.layer["size"] for choice in order), build, jobs, processes) if jobs else []
    made, reasons = {}, {}
    for choice, each in zip(order, built, strict=True):
        if isinstance(each, Indexed):
            made[choice.layer["digest"]] = each
        else:
            reasons[choice.layer["digest"]] = each
    for image in found:
        image.choices = [
            Choice(choice.layer, reason=reasons[choice.layer["digest"]]) if choice.layer["digest"] in reasons else choice
            for choice in image.choices
        ]
    if not made:
        told = "; ".join(f"{choice.layer['digest']}: {choice.reason}" for choice in found[0].choices)
        raise BadDocument(f"no layer of the image can be indexed: {told or 'it has none'}", "--min-layer-size takes smaller ones")
    return made


def build(root: Path, layer: ztoc.Layer, span: int, tool: str) -> Indexed | str:
    """The zTOC of one layer, kept as a blob, in a process of its own; or why SOCI has no form for the layer."""
    try:
        made = ztoc.build(layer, span, tool, parallel.tell)
    except Unsupported as error:
        return f"{error}, which SOCI has no form for"
    except BadDocument as error:
        raise BadDocument(f"the layer {layer.digest}: {error.what}") from None
    kept = Blobs(root).put(made.content)
    return Indexed(kept["digest"], kept["size"], made.spans, made.files, made.unpacked)


def indices(source: Source, found: list[Image], made: dict[str, Indexed], blobs: Blobs, kinds: Iterable[str], span: int, tool: str) -> Made:
    """The SOCI indices of the images, for v2 the image that names them, and what else it names; all kept as blobs.

    Raises BadDocument (65) where the source's index names what the source does not have.
    """
    blobs.put(index.EMPTY)
    for image in found:
        layers = [(choice.layer, made[choice.layer["digest"]]) for choice in image.choices if choice.layer["digest"] in made]
        # A machine whose layers are all small has no index, as others may have.
        if layers and "v1" in kinds:
            image.v1 = index.build("v1", layers, image.manifest, span, tool)
            blobs.put(image.v1.content)
        if layers and "v2" in kinds:
            image.v2 = index.build("v2", layers, image.manifest, span, tool)
            blobs.put(image.v2.content)
    if "v2" not in kinds:
        return _with_kept(source, Made(found, made), blobs)
    for image in found:
        image.converted = convert.annotated(image.manifest, image.v2)
        blobs.put(image.converted.content)
    pairs = {image.manifest.digest: (image.converted, image.v2) for image in found if image.converted}
    whole = convert.whole(source.root, found[0].entry, pairs)
    blobs.put(whole.content)
    return _with_kept(source, Made(found, made, whole), blobs)


def _with_kept(source: Source, made: Made, blobs: Blobs) -> Made:
    root = made.whole or source.root
    own = {each.digest for image in made.images for each in (image.manifest, image.v2, image.converted) if each}
    made.kept = list(_beside(source, root, own)) if root.media_type in INDICES else []
    for each in made.kept:
        blobs.put(each.content)
    return made


def _beside(source: Source, root: Manifest, own: set[str]) -> Iterator[Manifest]:
    """What an index names, those of these digests left out."""
    for entry in root.document["manifests"]:
        if entry["digest"] not in own:
            found = manifests.of(entry.get("mediaType", ""), source.manifest(entry["digest"]).content)
            if found.media_type in INDICES:
                yield from _beside(source, found, own)
            yield found
