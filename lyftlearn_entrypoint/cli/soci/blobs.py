"""Blobs in a directory, each under its digest, as an OCI layout has them: the layers of an image, and all that is made for it.

Source: OCI image specification 1.1, image-layout.md.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from typing import TYPE_CHECKING, Any

from lyftlearn_entrypoint.cli.image.registry import digest_of
from lyftlearn_entrypoint.errors import BadDocument

if TYPE_CHECKING:
    from pathlib import Path

_DIGEST = re.compile(r"(sha256|sha512):[0-9a-f]{64,128}")


class Blobs:
    """The blobs below `root`, which is a layout's directory."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, digest: str) -> Path:
        """Where a blob of that digest is, or would be. Raises BadDocument (65) for a digest that is none."""
        if not _DIGEST.fullmatch(digest):
            raise BadDocument(f"{digest!r} is no digest")
        algorithm, _, encoded = digest.partition(":")
        return self.root / "blobs" / algorithm / encoded

    def has(self, digest: str) -> bool:
        return self.path(digest).is_file()

    def put(self, content: bytes) -> dict[str, Any]:
        """Keep these bytes; their digest and size."""
        digest = digest_of(content)
        place = self.path(digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        beside = place.with_name(f"{place.name}.{os.getpid()}")
        beside.write_bytes(content)
        beside.replace(place)
        return {"digest": digest, "size": len(content)}

    def take(self, file: Path, digest: str) -> None:
        """Move a file in that is known to have that digest."""
        place = self.path(digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        file.replace(place)

    def link(self, file: Path, digest: str) -> None:
        """A second name for a file, or a copy of it where file systems differ."""
        place = self.path(digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists():
            return
        try:
            os.link(file, place)
        except OSError:
            shutil.copyfile(file, place)

    def read(self, digest: str) -> bytes:
        """A small blob, checked. Raises BadDocument (65) where it is not there, or not what its digest says."""
        try:
            content = self.path(digest).read_bytes()
        except OSError as error:
            raise BadDocument(f"{self.root} has no blob {digest}: {error.strerror}") from None
        algorithm, _, encoded = digest.partition(":")
        if hashlib.new(algorithm, content).hexdigest() != encoded:
            raise BadDocument(f"{self.root}: the blob {digest} has other content than its digest says")
        return content
