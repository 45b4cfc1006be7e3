"""An image of the Docker Engine as a registry would keep it: its layers compressed, and a manifest of Docker's own kind.

The Engine keeps layers unpacked (with containerd's store, as they were pulled: then they stay so). Its own push compresses with Go's
gzip, this with zlib: an image that is pushed already has other digests there, and is better read from the registry.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import posixpath
import shutil
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from lyftlearn_entrypoint.cli.image.layers import Chunks
from lyftlearn_entrypoint.cli.image.registry import DOCKER_MANIFEST, Manifest, canonical
from lyftlearn_entrypoint.cli.image.size import LEVEL
from lyftlearn_entrypoint.cli.soci.layout import Layout
from lyftlearn_entrypoint.errors import BadDocument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from lyftlearn_entrypoint.cli.soci.blobs import Blobs

_CHUNK = 1 << 20
_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class Unpacked:
    """What `docker save` gave: the config, and each layer's file, lowest first; the same file twice where a layer is."""

    config: bytes
    layers: list[Path]


def unpack(chunks: Iterable[bytes], work: Path, tell: Callable[[int], object] = lambda _: None) -> Unpacked:
    """Write the layers of an image out of `docker save` below `work`. `tell` gets the bytes read. Raises BadDocument (65)."""
    files: dict[str, Path] = {}
    links: dict[str, str] = {}
    coming = _told(chunks, tell)
    try:
        # Its members have any names; here each gets a number.
        with tarfile.open(fileobj=Chunks(coming), mode="r|", bufsize=_CHUNK) as archive:
            for member in archive:
                if member.issym() or member.islnk():
                    base = posixpath.dirname(member.name) if member.issym() else ""
                    links[member.name] = posixpath.normpath(posixpath.join(base, member.linkname))
                elif member.isreg() and (content := archive.extractfile(member)):
                    files[member.name] = work / f"saved{len(files)}"
                    with files[member.name].open("wb") as target:
                        shutil.copyfileobj(content, target, _CHUNK)
        for _ in coming:  # what pads the archive; a connection that is read to its end can be used again
            pass
        (image,) = json.loads(files["manifest.json"].read_bytes())
        return Unpacked(files[image["Config"]].read_bytes(), [files[links.get(name, name)] for name in image["Layers"]])
    except (tarfile.TarError, EOFError, KeyError, ValueError, TypeError) as error:
        raise BadDocument(f"the Docker Engine's archive is not that of one image ({type(error).__name__}: {error})") from None


def _told(chunks: Iterable[bytes], tell: Callable[[int], object]) -> Iterable[bytes]:
    for chunk in chunks:
        tell(len(chunk))
        yield chunk


def pack(file: Path, blobs: Blobs, tell: Callable[[int], object] = lambda _: None) -> dict[str, Any]:
    """Keep a layer as a blob, compressed unless it is; its descriptor. The file is gone afterwards. `tell` gets the bytes read."""
    with file.open("rb") as stream:
        head = stream.read(4)
    if head[:2] == _GZIP or head == _ZSTD:
        kind, packed = _LAYER + (".gzip" if head[:2] == _GZIP else ".zstd"), file
    else:
        kind, packed = _LAYER + ".gzip", file.with_name(f"{file.name}.gz")
        with file.open("rb") as stream, packed.open("wb") as target, _squeezed(target) as squeezed:
            while chunk := stream.read(_CHUNK):
                squeezed.write(chunk)
                tell(len(chunk))
        file.unlink()
    made = hashlib.sha256()
    with packed.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            made.update(chunk)
    size = packed.stat().st_size
    blobs.take(packed, "sha256:" + made.hexdigest())
    return {"mediaType": kind, "size": size, "digest": "sha256:" + made.hexdigest()}


def _squeezed(target: IO[bytes]) -> gzip.GzipFile:
    """No name and no time in its header: the same layer gives the same digest."""
    return gzip.GzipFile(filename="", mode="wb", compresslevel=LEVEL, fileobj=target, mtime=0)


def image(saved: Unpacked, layers: Sequence[dict[str, Any]], blobs: Blobs) -> Layout:
    """The image whose layers have been packed, lowest first."""
    config = {"mediaType": _CONFIG, **blobs.put(saved.config)}
    document = {"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": config, "layers": list(layers)}
    return Layout(blobs, Manifest(DOCKER_MANIFEST, canonical(document)))
