"""What was made, for people and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lyftlearn_entrypoint.cli.image.size import megabytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lyftlearn_entrypoint.cli.soci.make import Image, Made


def lines(made: Made) -> Iterator[str]:
    """A line for each layer of each image, those that are pulled whole with the reason, and one for each index."""
    for image in made.images:
        digests = f"{image.machine}: {image.manifest.digest}"
        yield digests
        for number, choice in enumerate(image.choices, 1):
            name = f"  layer {number} of {len(image.choices)}: {megabytes(choice.layer['size'])}, "
            if found := made.ztocs.get(choice.layer["digest"]):
                yield f"{name}{found.files} files in {found.spans} spans, zTOC of {megabytes(found.size)}"
            else:
                yield f"{name}pulled whole: {choice.reason}"
        for version, index in (("1", image.v1), ("2", image.v2)):
            if index:
                yield f"  SOCI index, version {version}: {index.digest}"
        if image.converted and image.v2:
            yield f"  the image that names it: {image.converted.digest}"
    if made.whole:
        yield f"image with its SOCI index: {made.whole.digest}"


def facts(made: Made) -> dict[str, Any]:
    """The same, as --json prints it; bytes are compressed ones unless it says otherwise."""
    return {"images": [_image(made, image) for image in made.images], "digest": made.whole.digest if made.whole else ""}


def _image(made: Made, image: Image) -> dict[str, Any]:
    layers = []
    for choice in image.choices:
        row: dict[str, Any] = {"digest": choice.layer["digest"], "media_type": choice.layer["mediaType"], "bytes": choice.layer["size"]}
        if found := made.ztocs.get(choice.layer["digest"]):
            ztoc = {"ztoc": found.digest, "ztoc_bytes": found.size, "spans": found.spans, "files": found.files}
            row = {**row, **ztoc, "unpacked_bytes": found.unpacked}
        else:
            row["not_indexed"] = choice.reason
        layers.append(row)
    indices = {"v1": image.v1, "v2": image.v2, "converted": image.converted}
    return {
        "machine": image.machine,
        "manifest": image.manifest.digest,
        **{name: manifest.digest for name, manifest in indices.items() if manifest},
        "layers": layers,
    }
