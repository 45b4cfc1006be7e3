"""OCI layouts: an image in a directory, or in a tar of one, as skopeo, crane and containerd read and write it.

Source: OCI image specification 1.1, image-layout.md.
"""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lyftlearn_entrypoint.cli.image.registry import OCI_INDEX
from lyftlearn_entrypoint.cli.soci import manifests
from lyftlearn_entrypoint.cli.soci.blobs import Blobs
from lyftlearn_entrypoint.errors import BadDocument, BadSettings, Missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lyftlearn_entrypoint.cli.image.registry import Manifest

NAME = "org.opencontainers.image.ref.name"
_VERSION = b'{"imageLayoutVersion":"1.0.0"}'
_MEMBER = re.compile(r"(?:\./)?(oci-layout|index\.json|blobs/sha(?:256|512)/[0-9a-f]{64,128})")


class Layout:
    """An image in an OCI layout. `root` is its manifest, or the index of several machines' images."""

    def __init__(self, blobs: Blobs, root: Manifest) -> None:
        self.blobs = blobs
        self.root = root

    def manifest(self, digest: str) -> Manifest:
        """A manifest that the root names. Raises BadDocument (65)."""
        return manifests.of("", self.blobs.read(digest))

    def config(self, digest: str) -> bytes:
        """An image's config. Raises BadDocument (65)."""
        return self.blobs.read(digest)

    def path(self, blob: dict[str, Any], _tell: Callable[[int], object]) -> Path:
        """The file of a layer. Raises BadDocument (65) where the layout has none."""
        if not self.blobs.has(blob["digest"]):
            raise BadDocument(f"{self.blobs.root} has no blob {blob['digest']}")
        return self.blobs.path(blob["digest"])

    def missing(self, _blobs: Iterable[dict[str, Any]]) -> int:
        """Bytes that have to be fetched first."""
        return 0


def open_layout(given: str, work: Path) -> Layout:
    """The image that PATH[:NAME] names; a tar is unpacked below `work`. Raises Missing (66) or BadDocument (65)."""
    path, colon, name = given.rpartition(":")
    where, name = (Path(path), name) if colon and not Path(given).exists() else (Path(given), "")
    if where.is_file():
        _unpack(where, work)
        directory = work
    elif (where / "oci-layout").is_file():
        directory = where
    else:
        raise Missing(f"{where} is no OCI layout: no directory with a file oci-layout in it, and no tar of one")
    blobs = Blobs(directory)
    try:
        entries = json.loads((directory / "index.json").read_bytes())["manifests"]
        fitting = [entry for entry in entries if not name or (entry.get("annotations") or {}).get(NAME) == name]
        named = sorted({str((entry.get("annotations") or {}).get(NAME, "?")) for entry in entries})
        (root,) = fitting if len(fitting) == 1 else (None,)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise BadDocument(f"{where}: index.json is no index of images ({type(error).__name__})") from None
    if root is None:
        raise BadSettings(f"{where} has {len(fitting)} images of that name", f"Name one of {', '.join(named)}: oci:{where}:NAME")
    try:
        return Layout(blobs, manifests.of(str(root.get("mediaType", "")), blobs.read(root["digest"])))
    except (KeyError, TypeError):
        raise BadDocument(f"{where}: index.json names an image without a digest") from None


def _unpack(file: Path, work: Path) -> None:
    """The members of a layout's tar; nothing else in it is written anywhere."""
    try:
        with tarfile.open(file) as archive:
            for member in archive:
                found = _MEMBER.fullmatch(member.name)
                content = archive.extractfile(member) if found and member.isreg() else None
                if found is None or content is None:
                    continue
                place = work / found[1]
                place.parent.mkdir(parents=True, exist_ok=True)
                with place.open("wb") as target:
                    shutil.copyfileobj(content, target, 1 << 20)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BadDocument(f"{file} is no tar of an OCI layout ({type(error).__name__}: {error})") from None
    if not (work / "oci-layout").is_file():
        raise Missing(f"{file} is no OCI layout: no file oci-layout in it")


def write(target: Path, roots: Iterable[Manifest], blobs: Blobs) -> None:
    """Write a layout of what `blobs` has: a directory that is not there yet, or a tar where the name ends so. Raises BadSettings (78)."""
    if target.exists():
        raise BadSettings(f"--output {target} is there already", "Choose another name, or remove it")
    made = manifests.encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [root.descriptor for root in roots]})
    try:
        if target.suffix != ".tar":
            (target / "blobs").mkdir(parents=True)
            (target / "oci-layout").write_bytes(_VERSION)
            (target / "index.json").write_bytes(made)
            for file in _files(blobs):
                Blobs(target).link(file, f"{file.parent.name}:{file.name}")
            return
        (blobs.root / "oci-layout").write_bytes(_VERSION)
        (blobs.root / "index.json").write_bytes(made)
        with tarfile.open(target, "w") as archive:
            for file in [blobs.root / "oci-layout", blobs.root / "index.json", *_files(blobs)]:
                archive.add(file, str(file.relative_to(blobs.root)), filter=_plain)
    except OSError as error:
        raise BadSettings(f"--output {target} cannot be written: {error.strerror}") from None


def _files(blobs: Blobs) -> list[Path]:
    return sorted(file for file in (blobs.root / "blobs").glob("*/*") if file.is_file())


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Nobody's, and without a time: the same image gives the same tar."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o644
    return member
