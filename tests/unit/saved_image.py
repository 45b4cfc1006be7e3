"""Archives as `docker save` prints them, made here: the Engine's own form (20.10) and an OCI layout (25 and later)."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from typing import Any

# Path -> content; None for a directory, a string for where a symbolic link leads, a TarInfo for anything else.
Files = Mapping[str, "bytes | str | tarfile.TarInfo | None"]


def tar(files: Files, mtime: int = 1_767_225_600) -> bytes:
    """A tar of these files, in this order, all of root and of that time."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for path, content in files.items():
            member = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(path)
            if content is None:
                member.type, member.mode = tarfile.DIRTYPE, 0o755
            elif isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
            elif isinstance(content, bytes):
                member.size = len(content)
            member.mtime = mtime
            archive.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
    return made.getvalue()


def config(layers: Iterable[bytes], **settings: Any) -> dict[str, Any]:
    """An image's config over these layers: a step for each, and one without files between them."""
    history: list[dict[str, Any]] = [{"created_by": "ENV A=1", "empty_layer": True}]
    digests = ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]
    history += [{"created_by": f"COPY part{number} / # buildkit"} for number in range(len(digests))]
    return {"config": settings, "history": history, "rootfs": {"type": "layers", "diff_ids": digests}}


def engine_form(layers: list[bytes], made: dict[str, Any]) -> bytes:
    """A directory for each layer, in an order of its own; a layer that is there already is a link to the first. The manifest comes last."""
    files: dict[str, bytes | str | None] = {}
    names = [hashlib.sha256(bytes([number]) + layer).hexdigest() for number, layer in enumerate(layers)]
    first: dict[bytes, str] = {}
    for name, layer in sorted(zip(names, layers, strict=True)):
        files[name + "/"] = None
        files[f"{name}/VERSION"] = b"1.0"
        files[f"{name}/json"] = b'{"id": "x"}'
        files[f"{name}/layer.tar"] = f"../{first[layer]}/layer.tar" if layer in first else layer
        first.setdefault(layer, name)
    raw = json.dumps(made).encode()
    files[hashlib.sha256(raw).hexdigest() + ".json"] = raw
    manifest = [{"Config": list(files)[-1], "RepoTags": ["a:1"], "Layers": [f"{name}/layer.tar" for name in names]}]
    return tar({**files, "manifest.json": json.dumps(manifest).encode()})


def oci_form(layers: list[bytes], made: dict[str, Any], compress: bool = False) -> bytes:
    """Blobs by digest. With `compress` the layers are packed with gzip, as an engine with containerd's store keeps them."""
    blobs = [gzip.compress(layer, mtime=0) if compress else layer for layer in layers]
    raw = json.dumps(made).encode()
    names = ["blobs/sha256/" + hashlib.sha256(blob).hexdigest() for blob in [*blobs, raw]]
    manifest = [{"Config": names[-1], "RepoTags": None, "Layers": names[:-1]}]
    files: Files = {"blobs/": None, **dict(zip(names, [*blobs, raw], strict=True)), "index.json": b"{}", "oci-layout": b"{}"}
    return tar({**files, "manifest.json": json.dumps(manifest).encode()})


def chunks(data: bytes, size: int = 1000) -> Iterable[bytes]:
    """As Docker's SDK gives an archive: in pieces, some of them empty."""
    for start in range(0, len(data), size):
        yield data[start : start + size]
        yield b""
