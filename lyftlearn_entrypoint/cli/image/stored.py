"""An image's layers as the engine keeps them on this machine, any part of them at once: nothing is saved, copied or held in memory.

The Engine unpacks each layer, and keeps its tar's headers apart, so that it can give the same tar again. Where this process may read the
engine's own directory (root, same machine) a layer is put together here as the Engine does it, but from any place on: `docker save`
writes all of an image to the disk first, and takes a minute for 6 GB. Anywhere else `docker save` it is.
Sources: moby, layer/filestore.go and daemon/graphdriver/overlay2; vbatts/tar-split, tar/storage/entry.go; tried on Engine 20.10.
"""

from __future__ import annotations

import base64
import bisect
import contextlib
import gzip
import hashlib
import io
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from lyftlearn_entrypoint.cli.image.layers import Saved, Unreadable, settled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Kinds of entries: a file's content, and what stands between.
_FILE, _SEGMENT = 1, 2
_CHUNK = 1 << 20

# Bytes, or a file and how many bytes it has to have.
_Piece = bytes | tuple[str, int]


class Assembled(io.RawIOBase):
    """A layer's tar, to be read from anywhere. `directory` has the files. Reading raises layers.Unreadable for files that changed."""

    def __init__(self, directory: Path, pieces: Iterable[_Piece]) -> None:
        self._directory = os.path.realpath(directory)
        self._pieces: list[_Piece] = []
        self._starts: list[int] = []
        self._end = self._at = 0
        for piece in pieces:
            self._pieces.append(piece)
            self._starts.append(self._end)
            self._end += len(piece) if isinstance(piece, bytes) else piece[1]
        self._open: tuple[str, IO[bytes]] | None = None
        self._plain: set[str] = set()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        if self._open:
            self._open[1].close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        """Up to the end of a file, or of what stands between two."""
        if self._at >= self._end:
            return 0
        number = bisect.bisect_right(self._starts, self._at) - 1
        piece, within = self._pieces[number], self._at - self._starts[number]
        if isinstance(piece, bytes):
            size = min(len(buffer), len(piece) - within)
            buffer[:size] = piece[within : within + size]
        else:
            stream = self._file(*piece)
            stream.seek(within)
            size = cast("Any", stream).readinto(memoryview(buffer)[: piece[1] - within])
            if not size:
                raise Unreadable(f"{piece[0]} ended while it was read")
        self._at += size
        return int(size)

    def _file(self, name: str, size: int) -> IO[bytes]:
        if self._open and self._open[0] == name:
            return self._open[1]
        if self._open:
            self._open[1].close()
            self._open = None
        path = os.path.join(self._directory, name)
        parent = os.path.dirname(path)
        # A link on the way could lead out of the layer. It is found once for each directory.
        if parent not in self._plain:
            if os.path.realpath(parent) != os.path.normpath(parent):
                raise Unreadable(f"{path} lies behind a link")
            self._plain.add(parent)
        try:
            number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise Unreadable(f"{path}: {error.strerror}") from error
        self._open = (name, cast("IO[bytes]", io.FileIO(number)))
        if os.fstat(number).st_size != size:
            raise Unreadable(f"{path} has not the size that its layer says")
        return self._open[1]


class Stored:
    """What `layers.Saved` gives of an image, read out of the engine's own directory `root`; its streams can be read from anywhere.

    Raises layers.Unreadable where that is not there, or is not as it is read here.
    """

    seekable = True

    def __init__(self, root: Path, image_id: str) -> None:
        base = root / "image" / "overlay2"
        self.raw_config = config(base, image_id)
        if not self.raw_config:
            raise Unreadable(f"{base} does not have {image_id}")
        self.config: dict[str, Any] = json.loads(self.raw_config)
        self.layers = settled(self.config, self.config["rootfs"]["diff_ids"])
        self._tars: dict[str, tuple[Path, Path]] = {}
        chain = ""
        for layer in self.layers:
            chain = "sha256:" + hashlib.sha256(f"{chain} {layer.diff_id}".encode()).hexdigest() if chain else layer.diff_id
            kept = base / "layerdb" / "sha256" / chain.partition(":")[2]
            try:
                if (kept / "diff").read_text() != layer.diff_id:
                    raise Unreadable(f"{kept} is another layer")
                content = root / "overlay2" / (kept / "cache-id").read_text() / "diff"
            except OSError as error:
                raise Unreadable(f"{kept}: {error.strerror}") from error
            if not content.is_dir() or not (kept / "tar-split.json.gz").is_file():
                raise Unreadable(f"{kept} has no content here")
            self._tars[layer.key] = (content, kept / "tar-split.json.gz")

    def blobs(self) -> Iterator[tuple[str, IO[bytes]]]:
        """Each layer once, as (key, its unpacked tar), lowest first."""
        for key, (content, headers) in self._tars.items():
            made = Assembled(content, _pieces(headers))
            if not made.seek(0, os.SEEK_END):  # the empty layer is two blocks of zeros
                raise Unreadable(f"{headers} is empty")
            made.seek(0)
            yield key, cast("IO[bytes]", io.BufferedReader(made, _CHUNK))


def _pieces(headers: Path) -> Iterator[_Piece]:
    """A layer's tar-split: lines of JSON, compressed."""
    try:
        with gzip.open(headers, "rb") as lines:
            for line in lines:
                entry = json.loads(line)
                if entry["type"] == _SEGMENT:
                    yield base64.b64decode(entry["payload"] or "")
                elif entry["type"] == _FILE and entry.get("size"):
                    # A name that is not UTF-8 stands there as its bytes.
                    raw = entry.get("name_raw")
                    yield (os.fsdecode(base64.b64decode(raw)) if raw else entry["name"]), entry["size"]
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"{headers} is not as it is read here ({type(error).__name__}: {error})") from error


def config(base: Path, image_id: str) -> bytes:
    """An image's config, byte for byte, below the engine's directory for one driver; empty where it cannot be read there."""
    algorithm, _, digest = image_id.partition(":")
    try:
        found = (base / "imagedb" / "content" / algorithm / digest).read_bytes()
    except OSError:
        return b""
    return found if hashlib.sha256(found).hexdigest() == digest else b""


def read(client: Any, image: Any) -> Stored | Saved:
    """The image, as quickly as it can be read here."""
    told = client.info()
    if told["Driver"] == "overlay2":
        try:
            return Stored(Path(told["DockerRootDir"]), image.id)
        except Unreadable:
            pass
    return Saved(image.save())


@contextlib.contextmanager
def opened(client: Any, image: Any) -> Iterator[tuple[Stored | Saved, dict[str, IO[bytes]]]]:
    """The image, and each of its layers by its key, to be read from anywhere; as copies where it has to be saved.

    Raises layers.Unreadable.
    """
    with tempfile.TemporaryDirectory(prefix="lyftlearn-layers-") as directory, contextlib.ExitStack() as stack:
        saved = read(client, image)
        tars: dict[str, IO[bytes]] = {}
        for number, (key, stream) in enumerate(saved.blobs()):
            if saved.seekable:
                tars[key] = stack.enter_context(stream)
                continue
            tars[key] = stack.enter_context(Path(directory, str(number)).open("w+b"))
            shutil.copyfileobj(stream, tars[key], _CHUNK)
        yield saved, tars
