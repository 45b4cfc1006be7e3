"""The Engine's own directory (20.10, overlay2) with one image, made here: configs, layers' headers as tar-split, and their files."""

import base64
import gzip
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

from tests.unit import saved_image


def split(layer: bytes, content: Path) -> bytes:
    """A layer's tar-split, and its files below `content`. As vbatts/tar-split does: what is no content of a file is a segment."""
    entries: list[dict[str, Any]] = []
    at = 0
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        for member in archive:
            raw = os.fsencode(member.name)
            named = {"name": member.name} if raw.isascii() else {"name_raw": base64.b64encode(raw).decode()}
            entries.append({"type": 2, "payload": base64.b64encode(layer[at : member.offset_data]).decode()})
            at = member.offset_data + (member.size if member.isreg() else 0)
            path = content / member.name
            if member.isdir():
                path.mkdir(parents=True)
            elif member.isreg():
                path.write_bytes(layer[member.offset_data : at])
            entries.append({"type": 1, **named, **({"size": member.size, "payload": "AAAAAAAAAAA="} if at > member.offset_data else {})})
    entries.append({"type": 2, "payload": base64.b64encode(layer[at:]).decode()})
    return gzip.compress("".join(json.dumps({**entry, "position": number}) + "\n" for number, entry in enumerate(entries)).encode())


class Engine:
    """An engine's directory with one image, and what is asked of a client."""

    def __init__(self, root: Path, layers: "list[bytes]") -> None:
        self.root = root
        made = saved_image.config(layers, Env=["A=é"])
        self.raw = json.dumps(made).encode()
        self.id = "sha256:" + hashlib.sha256(self.raw).hexdigest()
        base = root / "image/overlay2"
        (base / "imagedb/content/sha256").mkdir(parents=True)
        (base / "imagedb/content/sha256" / self.id[7:]).write_bytes(self.raw)
        self.kept, self.content, chain = [], [], ""
        for number, (layer, diff_id) in enumerate(zip(layers, made["rootfs"]["diff_ids"], strict=True)):
            chain = "sha256:" + hashlib.sha256(f"{chain} {diff_id}".encode()).hexdigest() if number else diff_id
            kept, content = base / "layerdb/sha256" / chain[7:], root / "overlay2" / f"cache{number}" / "diff"
            kept.mkdir(parents=True)
            content.mkdir(parents=True)
            (kept / "diff").write_text(diff_id)
            (kept / "cache-id").write_text(f"cache{number}")
            (kept / "tar-split.json.gz").write_bytes(split(layer, content))
            self.kept.append(kept)
            self.content.append(content)
        self.saved = saved_image.engine_form(layers, made)
        self.driver = "overlay2"

    def info(self) -> "dict[str, str]":
        return {"Driver": self.driver, "DockerRootDir": str(self.root)}

    def save(self) -> "list[bytes]":
        return [self.saved]
