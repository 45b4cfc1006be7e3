"""Every file of every layer of an image, in one pass over what `docker save` prints; nothing is unpacked.

The Engine writes either its own form (20.10: a directory for each layer, named by an id of its own) or an OCI layout (25 and later:
`blobs/sha256/DIGEST`). In both `manifest.json` names the config and the layers in order, and may come last: until then a layer is known
by its path in the archive, its key. Source: moby, image/tarexport/save.go; OCI image specification, image-layout.md and layer.md.
"""

from __future__ import annotations

import gzip
import io
import json
import posixpath
import tarfile
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, cast

from lyftlearn_entrypoint.cli.image.size import layer_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# A file that is in a lower layer and gone in this one; a directory of which nothing below is left. Source: OCI layer.md, "Whiteouts".
WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
_BLOCK = 512
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Layer:
    """One layer, numbered from 0 at the bottom. `diff_id` is the digest of its unpacked tar, `name` says what made it."""

    number: int
    diff_id: str
    name: str
    key: str


class Unreadable(Exception):
    """The archive is not what `docker save` prints, or a layer is packed in a way that is not read here."""


class Chunks(io.RawIOBase):
    """An iterator of byte strings, as Docker's SDK gives an archive, as a file to read from."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = memoryview(chunk)
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


class Saved:
    """An image as `docker save` gives it. `config`, its bytes `raw_config` and `layers` are there once the archive was read to its end.

    Its streams are read from front to end.
    """

    seekable = False

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._stream = io.BufferedReader(Chunks(chunks), _CHUNK)
        self.raw_config = b""
        self.config: dict[str, Any] = {}
        self.layers: list[Layer] = []

    def blobs(self) -> Iterator[tuple[str, IO[bytes]]]:
        """Each layer once, as (key, its unpacked tar), in the order of the archive. Raises Unreadable."""
        documents: dict[str, bytes] = {}
        links: dict[str, str] = {}
        try:
            with tarfile.open(fileobj=self._stream, mode="r|", bufsize=_CHUNK) as archive:
                for member in archive:
                    if member.issym() or member.islnk():
                        base = posixpath.dirname(member.name) if member.issym() else ""
                        links[member.name] = posixpath.normpath(posixpath.join(base, member.linkname))
                        continue
                    stream = archive.extractfile(member) if member.isreg() else None
                    if stream is None:
                        continue
                    peeked = io.BufferedReader(cast("io.RawIOBase", stream), _CHUNK)
                    head = peeked.peek(_BLOCK)[:_BLOCK]
                    if (layer := _layer(member.name, head, peeked)) is not None:
                        yield member.name, layer
                    elif head[:1] in (b"{", b"["):
                        documents[member.name] = peeked.read()
        except (tarfile.TarError, EOFError) as error:
            raise Unreadable(f"the archive ends early, or is none ({type(error).__name__}: {error})") from error
        self._settle(documents, links)

    def files(self) -> Iterator[tuple[str, tarfile.TarInfo, tarfile.TarFile]]:
        """Each entry of each layer, as (the layer's key, entry, archive to read it from). Paths have no leading `./` or `/`."""
        for key, stream in self.blobs():
            try:
                with tarfile.open(fileobj=stream, mode="r|", bufsize=_CHUNK) as layer:
                    for member in layer:
                        member.name = posixpath.normpath(member.name).lstrip("/")
                        if member.name != ".":
                            yield key, member, layer
            except (tarfile.TarError, EOFError, zlib.error) as error:
                raise Unreadable(f"the layer {key} is no whole tar ({type(error).__name__}: {error})") from error

    def named(self, key: str) -> list[Layer]:
        """The layers of that key: more than one where an image holds the same layer twice."""
        return [layer for layer in self.layers if layer.key == key]

    def _settle(self, documents: dict[str, bytes], links: dict[str, str]) -> None:
        try:
            (image,) = json.loads(documents["manifest.json"])
            self.raw_config = documents[image["Config"]]
            self.config = json.loads(self.raw_config)
            self.layers = settled(self.config, [links.get(key, key) for key in image["Layers"]])
        except (KeyError, ValueError, TypeError) as error:
            raise Unreadable(f"no manifest of one image in the archive ({type(error).__name__}: {error})") from error


def settled(config: dict[str, Any], keys: list[str]) -> list[Layer]:
    """The layers of an image's config, lowest first, given their keys."""
    digests = config["rootfs"]["diff_ids"]
    made = [step for step in config.get("history", []) if not step.get("empty_layer")]
    made += [{}] * (len(digests) - len(made))
    return [
        Layer(number, digest, layer_name(step.get("created_by", "")), key)
        for number, (digest, step, key) in enumerate(zip(digests, made, keys, strict=False))
    ]


def _layer(name: str, head: bytes, stream: io.BufferedReader[Any]) -> IO[bytes] | None:
    """The unpacked tar of a member that is a layer, from its first block; None for another file. A layer may come compressed with gzip."""
    if head.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=stream))
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        raise Unreadable(f"{name} is compressed with zstd, which is not read here")
    # The empty layer is two blocks of zeros.
    return stream if head[257:262] == b"ustar" or (len(head) == _BLOCK and not any(head)) else None


def deleted(path: str) -> str:
    """What a whiteout takes away: the path of the file, or of the directory with `/` behind it; '' for any other entry."""
    directory, _, name = path.rpartition("/")
    if name == OPAQUE:
        return directory + "/"
    if name.startswith(WHITEOUT):
        return f"{directory}/{name[len(WHITEOUT) :]}".lstrip("/")
    return ""
