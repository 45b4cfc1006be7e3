"""Images made by hand, as `docker save` gives them, and the lines that strace prints."""

import hashlib
import io
import json
import struct
import tarfile
from typing import TYPE_CHECKING

from lyftlearn_entrypoint.cli.footprint.layers import Image, read
from lyftlearn_entrypoint.cli.image.layers import Saved

if TYPE_CHECKING:
    from collections.abc import Iterator

EXECUTABLE = 0o755


def layer(content: "dict[str, bytes | str | None]", behind: int = 0) -> bytes:
    """A layer's tar. Files may all be run.

    A member is its bytes, "-> target" for a symbolic link, "= target" for a hard link, None for a directory. `behind` are bytes of
    zeros that follow the archive's end.
    """
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, data in content.items():
            member = tarfile.TarInfo(path.lstrip("/"))
            member.mode = EXECUTABLE
            if data is None:
                member.type = tarfile.DIRTYPE
            elif isinstance(data, str):
                sign, _, member.linkname = data.partition(" ")
                member.type = tarfile.SYMTYPE if sign == "->" else tarfile.LNKTYPE
                member.linkname = member.linkname if sign == "->" else member.linkname.lstrip("/")
            else:
                member.size = len(data)
            archive.addfile(member, io.BytesIO(data) if isinstance(data, bytes) else None)
    return made.getvalue() + bytes(behind)


def saved(*layers: "dict[str, bytes | str | None]", behind: int = 0) -> "Iterator[bytes]":
    """What `docker save` prints for an image of these layers, in pieces."""
    tars = [layer(content, behind) for content in layers]
    digests = ["sha256:" + hashlib.sha256(tar).hexdigest() for tar in tars]
    history = [{"created_by": f"COPY /{number}/ / # buildkit"} for number in range(len(tars))]
    files = {f"{number}/layer.tar": tar for number, tar in enumerate(tars)}
    files["config.json"] = json.dumps({"rootfs": {"diff_ids": digests}, "history": history, "config": {}}).encode()
    manifest = [{"Config": "config.json", "Layers": [f"{number}/layer.tar" for number in range(len(tars))]}]
    files["manifest.json"] = json.dumps(manifest).encode()
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for path, data in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    whole = made.getvalue()
    return (whole[at : at + 10_007] for at in range(0, len(whole), 10_007))


def image(*layers: "dict[str, bytes | str | None]", compress: bool = False) -> Image:
    return read(Saved(saved(*layers)), compress)


def elf(size: int, interpreter: str = "", segments: "tuple[tuple[int, int], ...]" = ()) -> bytes:
    """An ELF file of that many bytes, which no kernel would run: (offset, length) of each segment that is mapped."""
    name = interpreter.encode() + b"\0"
    headers = [(1, offset, length) for offset, length in segments]
    headers += [(3, 512, len(name))] if interpreter else []
    data = bytearray(size)
    data[:6] = b"\x7fELF\x02\x01"
    struct.pack_into("<Q", data, 32, 64)
    struct.pack_into("<HH", data, 54, 56, len(headers))
    for number, (kind, offset, length) in enumerate(headers):
        struct.pack_into("<IIQQQQ", data, 64 + 56 * number, kind, 4, offset, 0, 0, length)
    data[512 : 512 + len(name)] = name
    return bytes(data)


def printed(*calls: str) -> "list[str]":
    """Lines of strace: each is `PROCESS CALL`; they come a second after one another, from 1000 on."""
    words = [call.partition(" ") for call in calls]
    return [f"{process:<5} {1000 + number}.000000 {call}" for number, (process, _, call) in enumerate(words)]
