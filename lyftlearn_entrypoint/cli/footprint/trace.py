"""What the programs of a start did to files, from what strace printed of them. Pure.

strace is told `-f -y -ttt -s 0`: each line has the process, the time and one system call, descriptors have their path beside them, and no
data is shown. Whose calls interleave are printed in two halves. Source: strace(1), "Description"; syscalls' own manual pages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lyftlearn_entrypoint.cli.footprint.spans import Range

# System calls that touch a file's content, make processes or move positions. `?`: not every machine has it.
_CHANGING = (
    *("chmod", "fchmodat", "chown", "lchown", "fchownat", "utimensat", "truncate"),
    *("rename", "renameat", "renameat2", "link", "linkat"),
)
CALLS = (
    *("execve", "execveat", "clone", "?clone3", "?fork", "?vfork"),
    *("?open", "openat", "?openat2", "?creat", "?dup", "?dup2", "dup3", "?lseek", "?_llseek"),
    *("read", "readv", "pread64", "preadv", "?preadv2", "mmap", "sendfile", "?copy_file_range", "splice"),
    *(f"?{name}" for name in _CHANGING),
)
_LINE = re.compile(r"^(\d+) +(\d+\.\d+) (.*)$")
_HALF = re.compile(r"^<\.\.\. (\w+) resumed>")
_UNFINISHED = " <unfinished ...>"
_CALL = re.compile(r"^(\w+)\((.*)\) += (-?\d+|0x[0-9a-f]+)(?:<(/[^<>]*))?", re.DOTALL)
_DESCRIPTOR = re.compile(r"(\d+)<(/[^<>]*)>?(?:\(deleted\))?")
_DIRECTORY = re.compile(r"AT_FDCWD<(/[^<>]*)>")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f"}
# It is opened to be written, and what is in it is not thrown away: an overlay copies it whole first.
_WRITES = re.compile(r"\bO_(?:WRONLY|RDWR)\b")


@dataclass
class Touch:
    """What was done to one file. `read` and `mapped` are bytes of it, [start, end); `whole`: perhaps any byte of it was read.

    `run`: the kernel ran it, as a program or a script. Files are in the order in which they were first touched.
    """

    read: list[Range] = field(default_factory=list)
    mapped: list[Range] = field(default_factory=list)
    whole: bool = False
    run: bool = False


class _Open:
    """An open file: its path, and where the next byte is read, None where that is not known. Copies of a descriptor share it."""

    __slots__ = ("path", "position")

    def __init__(self, path: str, position: int | None = None) -> None:
        self.path = path
        self.position = position


def text(escaped: str) -> str:
    """A path as it is, from strace's form of it: C's escapes, octal ones for what is not ASCII."""
    if "\\" not in escaped:
        return escaped

    def plain(found: re.Match[bytes]) -> bytes:
        code = found[1]
        return bytes([int(code, 8) & 255]) if code.isdigit() else _LETTERS.get(code, code)

    return _ESCAPE.sub(plain, escaped.encode()).decode(errors="surrogateescape")


def calls(lines: Iterable[str], until: float | None = None) -> Iterator[tuple[str, str]]:
    """(process, finished call) of each call that began before `until` (seconds since 1970), halves put together."""
    halves: dict[str, str] = {}
    for line in lines:
        found = _LINE.match(line)
        if found is None:
            continue
        process, at, call = found.groups()
        if (half := _HALF.match(call)) is not None:
            if (first := halves.pop(process, None)) is not None:
                yield process, first + call[half.end() :]
        elif until is None or float(at) <= until:
            if call.endswith(_UNFINISHED):
                halves[process] = call[: -len(_UNFINISHED)]
            else:
                yield process, call


class Trace:
    """Follows the calls of all processes. `files` is what they touched, by absolute path, links followed, but for programs' own paths."""

    def __init__(self, lines: Iterable[str], until: float | None = None, directory: str = "/") -> None:
        made = list(calls(lines, until))
        self.files: dict[str, Touch] = {}
        self._tables: dict[str, dict[int, _Open]] = {}
        self._directory: dict[str, str] = {}
        self._start = directory
        # Whose child each process is, and whether they share their descriptors: a child's calls may stand before its birth.
        self._born: dict[str, tuple[str, bool]] = {}
        for process, call in made:
            if call.startswith(("clone", "fork", "vfork")) and (found := _CALL.match(call)) and int(found[3], 0) > 0:
                self._born[found[3]] = (process, "CLONE_FILES" in found[2])
        for process, call in made:
            if (found := _CALL.match(call)) and not found[3].startswith("-"):
                self._follow(process, found[1], found[2], int(found[3], 0), found[4] or "")

    def _follow(self, process: str, name: str, words: str, result: int, path: str) -> None:
        if (cwd := _DIRECTORY.search(words)) is not None:
            self._directory[process] = text(cwd[1])
        if name in ("execve", "execveat"):
            self._touch(self._named(process, words)).run = True
        elif name in ("open", "openat", "openat2", "creat"):
            if path:
                touch = self._touch(text(path))
                touch.whole |= bool(_WRITES.search(words)) and "O_TRUNC" not in words
                self._table(process)[result] = _Open(text(path), 0)
        elif name in _CHANGING:
            self._touch(self._named(process, words)).whole = True
        elif at := _DESCRIPTOR.findall(words):
            number, path = at[-1] if name == "sendfile" else at[0]  # there the file that is read comes second
            self._content(process, name, words, result, int(number), text(path))

    def _content(self, process: str, name: str, words: str, result: int, number: int, path: str) -> None:
        table = self._table(process)
        opened = table.get(number)
        if opened is None or opened.path != path:  # inherited through what was not followed, or received
            opened = table[number] = _Open(path)
        if name in ("dup", "dup2", "dup3"):
            table[result] = opened
        elif name in ("lseek", "_llseek"):
            opened.position = result if name == "lseek" else None
        elif name in ("read", "readv"):
            self._read(opened, opened.position, result)
            opened.position = None if opened.position is None else opened.position + result
        elif name in ("pread64", "preadv"):
            at = words.rpartition(", ")[2]
            self._read(opened, int(at) if at.isdigit() else None, result)
        elif name == "mmap":
            length = int(words.split(", ")[1])
            start = int(words.rpartition(", ")[2], 0)
            touch = self._touch(path)
            (touch.read if "MAP_POPULATE" in words else touch.mapped).append((start, start + length))
        elif result > 0:  # sendfile and its like
            self._touch(path).whole = True
            opened.position = None

    def _read(self, opened: _Open, position: int | None, size: int) -> None:
        touch = self._touch(opened.path)
        if size > 0 and position is None:
            touch.whole = True
        elif size > 0:
            touch.read.append((cast("int", position), cast("int", position) + size))

    def _touch(self, path: str) -> Touch:
        return self.files.setdefault(path, Touch())

    def _named(self, process: str, words: str) -> str:
        """The path in a call's words, made absolute."""
        found = _QUOTED.search(words)
        path = text(found[1]) if found else ""
        if path.startswith("/"):
            return path
        given = _DESCRIPTOR.match(words)
        directory = text(given[2]) if given else self._at(process)
        return f"{directory}/{path}" if path else directory

    def _at(self, process: str) -> str:
        """The working directory that a process, or one it comes from, was last seen with."""
        seen = set()
        while process not in self._directory and process in self._born and process not in seen:
            seen.add(process)  # numbers are given again, in the end
            process = self._born[process][0]
        return self._directory.get(process, self._start)

    def _table(self, process: str) -> dict[int, _Open]:
        """A process's open files: its own, those of the thread it comes from, or a copy of its parent's."""
        if process not in self._tables:
            parent, shared = self._born.get(process, ("", False))
            self._tables[process] = {}
            theirs = self._table(parent) if parent else {}
            self._tables[process] = theirs if shared else dict(theirs)
        return self._tables[process]
