"""Layers with all that a tar may hold, an image of them in an OCI layout, and a reader of zTOCs that unpacks a file from its spans alone.

The reader is the other side of what is tested: like a node it has the zTOC and ranges of the layer, and knows nothing of how they were
made.
"""

import ctypes
import gzip
import hashlib
import io
import json
import random
import struct
import tarfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyftlearn_entrypoint.cli.image.registry import OCI_INDEX, OCI_MANIFEST
from lyftlearn_entrypoint.cli.soci import flat, ztoc
from lyftlearn_entrypoint.cli.soci.blobs import Blobs
from lyftlearn_entrypoint.cli.soci.inflate import WINDOW, _Stream, library

GZIP, PLAIN = "application/vnd.oci.image.layer.v1.tar+gzip", "application/vnd.oci.image.layer.v1.tar"
DOCKER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
NAMED = {"version": "1.2.3", "revision": "0123456789abcdef0123456789abcdef01234567"}


def content(seed: int, size: int) -> bytes:
    """Bytes of that seed that compress somewhat, as programs do."""
    made = random.Random(seed)
    words = [made.randbytes(made.randint(2, 12)) for _ in range(200)]
    parts, length = [], 0
    while length < size:
        parts.append(made.choice(words))
        length += len(parts[-1])
    return b"".join(parts)[:size]


def tar(form: int, files: int = 40, size: int = 20_000) -> bytes:
    """A layer in one of tarfile's formats: files of many sizes and owners, long names, links, devices, attributes, a whiteout."""
    made = io.BytesIO()
    pax = form == tarfile.PAX_FORMAT
    long = "d" * 60 + "/"
    with tarfile.open(fileobj=made, mode="w", format=form) as archive:

        def add(name: str, data: "bytes | None" = None, **fields: Any) -> None:
            member = tarfile.TarInfo(name)
            member.size = len(data or b"")
            for field, value in fields.items():
                setattr(member, field, value)
            archive.addfile(member, io.BytesIO(data) if data is not None else None)

        add(f"opt/{long}", type=tarfile.DIRTYPE, mode=0o1777, mtime=1_700_000_000)
        for number in range(files):
            add(
                f"opt/{long}" + f"file-{number}-" * (1 + number % 9),
                content(number, number * 7919 % size),
                uid=number % 3 * 1000,
                gid=100,
                uname="user",
                gname="gröup",
                mode=0o644 + number % 2 * 0o111,
                mtime=1_700_000_000 + (0.125 if pax and number % 5 == 0 else number),
                pax_headers={"SCHILY.xattr.user.b": "2", "SCHILY.xattr.user.a": "1"} if pax and number % 7 == 0 else {},
            )
        add("link", type=tarfile.SYMTYPE, linkname="../" * (30 if form == tarfile.USTAR_FORMAT else 60) + "x")
        add("same", type=tarfile.LNKTYPE, linkname=f"opt/{long}file-1-file-1-")
        add("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3)
        add("disk", type=tarfile.BLKTYPE, devmajor=8, devminor=17, mode=0o660)
        add("pipe", type=tarfile.FIFOTYPE)
        add("gone/.wh..wh..opq")
        if form == tarfile.GNU_FORMAT:
            add("old", content(1, 100), uid=1 << 30, mtime=-5)
    return made.getvalue()


def members(data: bytes, size: int, level: int = 6) -> bytes:
    """The same as several gzip files, one behind the other, as pigz and others may write a layer."""
    return b"".join(gzip.compress(data[start : start + size], level, mtime=0) for start in range(0, len(data), size))


def flushed(data: bytes, size: int) -> bytes:
    """With an empty block behind each piece, and at the very start."""
    made = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [made.flush(zlib.Z_SYNC_FLUSH)]
    for start in range(0, len(data), size):
        parts += [made.compress(data[start : start + size]), made.flush(zlib.Z_FULL_FLUSH)]
    return b"".join([*parts, made.flush()])


def layers() -> list[tuple[str, bytes]]:
    """Media types and blobs: each tar format, each way of compressing, each kind that an image may name."""
    gnu, pax = tar(tarfile.GNU_FORMAT), tar(tarfile.PAX_FORMAT)
    return [
        (GZIP, gzip.compress(pax, 6, mtime=0)),
        (GZIP, gzip.compress(gnu, 1, mtime=0)),
        (DOCKER_GZIP, gzip.compress(tar(tarfile.USTAR_FORMAT), 9, mtime=0)),
        (DOCKER_GZIP, members(gnu, 150_001)),
        (GZIP, flushed(pax, 30_000)),
        (GZIP, gzip.compress(pax, 0, mtime=0)),  # stored blocks
        (PLAIN, gnu),
    ]


def layout(
    root: Path,
    blobs: Iterable[tuple[str, bytes]],
    kind: str = DOCKER_MANIFEST,
    annotations: "dict[str, str] | None" = None,
    config: "dict[str, Any] | None" = None,
) -> tuple[Blobs, dict[str, Any]]:
    """An OCI layout of an image with these layers; its blobs, and the descriptor of its manifest. `config` changes what its config says."""
    made = Blobs(root)
    found = [{"mediaType": media_type, **made.put(blob)} for media_type, blob in blobs]
    labels = {f"org.opencontainers.image.{name}": value for name, value in NAMED.items()}
    machine = {"architecture": "arm64", "variant": "v8", "os": "linux"}
    config = {**machine, "config": {"Labels": labels}, "rootfs": {"type": "layers"}, **(config or {})}
    document = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", **made.put(json.dumps(config).encode())},
        "layers": found,
        **({"annotations": annotations} if annotations else {}),
    }
    entry = {"mediaType": kind, **made.put(json.dumps(document).encode())}
    name = {"annotations": {"org.opencontainers.image.ref.name": "a"}}
    (root / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [{**entry, **name}]}))
    (root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return made, entry


def attested(root: Path, entry: dict[str, Any], *more: dict[str, Any]) -> dict[str, Any]:
    """Name in the layout an index of the image, what BuildKit attests of it, and more entries; the attestation's entry.

    Source: moby/buildkit, docs/attestations/attestation-storage.md.
    """
    made, kind = Blobs(root), "application/vnd.in-toto+json"
    statement = {"mediaType": kind, **made.put(b'{"_type":"https://in-toto.io/Statement/v0.1"}')}
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", **made.put(b'{"architecture":"unknown","os":"unknown"}')}
    manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [statement]}
    told = {"vnd.docker.reference.digest": entry["digest"], "vnd.docker.reference.type": "attestation-manifest"}
    attestation = {
        "mediaType": OCI_MANIFEST,
        **made.put(json.dumps(manifest).encode()),
        "annotations": told,
        "platform": {"architecture": "unknown", "os": "unknown"},
    }
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry, attestation, *more]}
    root_entry = {"mediaType": OCI_INDEX, **made.put(json.dumps(index).encode())}
    (root / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [root_entry]}))
    return attestation


def layer(directory: Path, blob: bytes, algorithm: int = flat.GZIP) -> ztoc.Layer:
    """A blob as a file, with what a manifest says of it."""
    file = directory / "layer"
    file.write_bytes(blob)
    return ztoc.Layer(file, "sha256:" + hashlib.sha256(blob).hexdigest(), len(blob), algorithm)


@dataclass
class File:
    """A file in a zTOC."""

    name: str
    kind: str
    offset: int
    size: int
    time: str


class Reader:
    """A zTOC, read by its schema (ztoc.fbs), and files unpacked from ranges of its layer."""

    def __init__(self, document: bytes) -> None:
        import flatbuffers
        from flatbuffers.table import Table

        def root(data: bytes) -> Any:
            (start,) = struct.unpack_from("<I", data)
            return Table(data, start)

        def table(parent: Any, slot: int) -> Any:
            return Table(parent.Bytes, parent.Indirect(parent.Pos + parent.Offset(4 + 2 * slot)))

        def text(parent: Any, slot: int) -> str:
            return str(parent.String(parent.Pos + parent.Offset(4 + 2 * slot)).decode())

        def number(parent: Any, slot: int, kind: Any = flatbuffers.number_types.Int64Flags) -> int:
            place = parent.Offset(4 + 2 * slot)
            return int(parent.Get(kind, parent.Pos + place)) if place else 0

        def vector(parent: Any, slot: int) -> "Iterable[int]":
            start = parent.Vector(parent.Offset(4 + 2 * slot))
            return [start + 4 * each for each in range(parent.VectorLen(parent.Offset(4 + 2 * slot)))]

        made = root(document)
        self.version, self.tool = text(made, 0), text(made, 1)
        self.compressed, self.unpacked = number(made, 2), number(made, 3)
        contents, info = table(made, 4), table(made, 5)
        rows = [Table(contents.Bytes, contents.Indirect(place)) for place in vector(contents, 0)]
        self.files = {text(row, 0): File(text(row, 0), text(row, 1), number(row, 2), number(row, 3), text(row, 10)) for row in rows}
        self.digests = [str(info.String(place).decode()) for place in vector(info, 2)]
        start, size = info.Vector(info.Offset(10)), info.VectorLen(info.Offset(10))
        self._places = bytes(document[start : start + size])
        self.count, self.span = struct.unpack_from("<iq", self._places)

    def checkpoint(self, number: int) -> tuple[int, int, int, bytes]:
        """(compressed, unpacked, bits, window)."""
        start = 12 + number * (17 + WINDOW)
        compressed, unpacked, bits = struct.unpack_from("<qqB", self._places, start)
        return compressed, unpacked, bits, self._places[start + 17 : start + 17 + WINDOW]

    def span_range(self, number: int) -> tuple[int, int]:
        """The compressed bytes of a span."""
        compressed, _, bits, _ = self.checkpoint(number)
        end = self.checkpoint(number + 1)[0] if number + 1 < self.count else self.compressed
        return compressed - bool(bits), end

    def read(self, name: str, blob: bytes) -> bytes:
        """A file's content, from the spans that it lies in and from nothing else; each span's digest is checked."""
        file = self.files[name]
        if not file.size:
            return b""
        numbers = range(self.count)
        first = max(number for number in numbers if self.checkpoint(number)[1] <= file.offset)
        last = max(number for number in numbers if self.checkpoint(number)[1] < file.offset + file.size)
        spans = []
        for number in range(first, last + 1):
            start, end = self.span_range(number)
            assert self.digests[number] == "sha256:" + hashlib.sha256(blob[start:end]).hexdigest()
            spans.append((start, end))
        _, unpacked, bits, window = self.checkpoint(first)
        skip = file.offset - unpacked
        return restart(blob[spans[0][0] : spans[-1][1]], bits, window, skip + file.size)[skip:]


def restart(data: bytes, bits: int, window: bytes, size: int) -> bytes:
    """Unpack deflate from its middle. Source: zlib.h, inflatePrime and inflateSetDictionary."""
    call, state = library(), _Stream()
    reference = ctypes.byref(state)
    assert call.inflateInit2_(reference, -15, call.zlibVersion(), ctypes.c_int(ctypes.sizeof(state))) == 0
    if bits:
        assert call.inflatePrime(reference, bits, data[0] >> (8 - bits)) == 0
        data = data[1:]
    assert call.inflateSetDictionary(reference, window, WINDOW) == 0
    source, target = ctypes.create_string_buffer(data, len(data)), ctypes.create_string_buffer(size)
    state.next_in, state.avail_in = ctypes.addressof(source), len(data)
    state.next_out, state.avail_out = ctypes.addressof(target), size
    code = call.inflate(reference, 0)
    if code == 1 and state.avail_out:
        # The next gzip file begins behind this one's checksum and size; from there on zlib reads those itself.
        state.next_in, state.avail_in = state.next_in + 8, state.avail_in - 8
    while code == 1 and state.avail_out:
        assert call.inflateReset2(reference, 47) == 0
        code = call.inflate(reference, 0)
    call.inflateEnd(reference)
    assert code in (0, 1), code
    assert state.avail_out == 0
    return target.raw
