"""What the kernel reads of a file to run it: an ELF program's segments and loader, or a script's first line. No system call shows it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

# The kernel reads a page of it. Source: Linux, fs/exec.c (BINPRM_BUF_SIZE is 256, read through the page cache) and fs/binfmt_elf.c.
HEAD = 4096
_LINE = 256
_LOAD, _INTERPRETER = 1, 3


@dataclass(frozen=True)
class Program:
    """`interpreter` is what else is opened to run it: the loader of an ELF file, the program of a script's first line, '' for none.

    `segments` are the ranges of the file, in bytes, that are mapped; `script` is run by opening it again.
    """

    interpreter: str = ""
    segments: tuple[tuple[int, int], ...] = ()
    script: bool = False


def program(head: bytes) -> Program | None:
    """What the first HEAD bytes of a file say; None for anything but a script or an ELF file of 64 bits, least byte first."""
    if head.startswith(b"#!"):
        words = head[2:_LINE].split(b"\n")[0].split(None, 1)
        return Program(words[0].decode(errors="surrogateescape"), script=True) if words else None
    # Class and byte order. Source: elf(5); the offsets below are those of Elf64_Ehdr and Elf64_Phdr.
    if head[:6] != b"\x7fELF\x02\x01" or len(head) < 64:
        return None
    (table,) = struct.unpack_from("<Q", head, 32)
    size, number = struct.unpack_from("<HH", head, 54)
    interpreter, segments = "", []
    for at in range(table, table + size * number, size or 1):
        if at + 56 > len(head):
            break
        kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", head, at)
        if kind == _LOAD and length:
            segments.append((offset, offset + length))
        elif kind == _INTERPRETER:
            interpreter = head[offset : offset + length].rstrip(b"\0").decode(errors="surrogateescape")
    return Program(interpreter, tuple(segments))
