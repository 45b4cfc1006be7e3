"""The entries of a layer's tar, each with the place of its content, as the zTOC has them.

What reads the index compares with Go's archive/tar, so a name keeps its last `/`, a time its fraction, and all extended records are kept:
Python's tarfile gives none of these. Sources: POSIX.1-2017, pax; Go 1.26, archive/tar (reader.go, strconv.go, format.go);
awslabs/soci-snapshotter 0.16.1, ztoc/toc_builder.go.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from lyftlearn_entrypoint.errors import BadDocument

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BLOCK = 512
_ZERO = bytes(BLOCK)
_LONGEST = 1 << 20  # bytes of extended records, or of a GNU name; more is an error in Go, too
KINDS = {b"0": b"reg", b"1": b"hardlink", b"2": b"symlink", b"3": b"char", b"4": b"block", b"5": b"dir", b"6": b"fifo"}
_WITHOUT_CONTENT = frozenset(b"123456")
_NUMBER = re.compile(rb"[+-]?[0-9]+")
_TIME = re.compile(rb"(?P<seconds>[+-]?[0-9]+)(?:\.(?P<fraction>[0-9]*))?")
_TEXTS = (b"path", b"linkpath", b"uname", b"gname")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Unsupported(Exception):
    """A tar that SOCI has no form for. Its text says what is in it."""


@dataclass(frozen=True)
class Entry:
    """One entry. `offset` and `size` are bytes in the unpacked tar; `time` as RFC 3339 has it; `records` are all of pax's, by name."""

    name: bytes
    kind: bytes
    offset: int
    size: int
    link: bytes
    mode: int
    uid: int
    gid: int
    user: bytes
    group: bytes
    time: bytes
    major: int
    minor: int
    records: list[tuple[bytes, bytes]] = field(default_factory=list)


class Tape:
    """Pieces of bytes as a stream that is read once, from its beginning. `position` counts what was read."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.position = 0
        self._pieces = iter(pieces)
        self._piece = memoryview(b"")

    def read(self, size: int) -> bytes:
        """So many bytes, fewer at the end alone."""
        parts = []
        while size:
            if not self._piece:
                following = next(self._pieces, None)
                if following is None:
                    break
                self._piece = memoryview(following)
                continue
            part, self._piece = self._piece[:size], self._piece[size:]
            parts.append(part)
            size -= len(part)
            self.position += len(part)
        return parts[0].tobytes() if len(parts) == 1 else b"".join(parts)

    def skip(self, size: int) -> int:
        """Leave out so many bytes; how many were there."""
        wanted = size
        while size:
            if not self._piece:
                following = next(self._pieces, None)
                if following is None:
                    break
                self._piece = memoryview(following)
            part = min(size, len(self._piece))
            self._piece = self._piece[part:]
            self.position += part
            size -= part
        return wanted - size


def entries(tape: Tape) -> Iterator[Entry]:
    """The entries of a tar, in its order. Raises BadDocument (65) where it is none, Unsupported where SOCI cannot have it."""
    records: dict[bytes, bytes] = {}
    long_name = long_link = b""
    while (head := _header(tape)) is not None:
        size = _number(head[124:136])
        kind = head[156:157]
        if kind == b"x":
            records = _records(_special(tape, size))
        elif kind in (b"L", b"K"):
            text = _special(tape, size).partition(b"\0")[0]
            long_name, long_link = (text, long_link) if kind == b"L" else (long_name, text)
        else:
            entry = _entry(head, kind, tape.position, records, long_name, long_link)
            yield entry
            if kind[0] not in _WITHOUT_CONTENT:
                _pass(tape, entry.size)
            records, long_name, long_link = {}, b"", b""


def _header(tape: Tape) -> bytes | None:
    """The next header; None at the archive's end, behind its blocks of zeros."""
    head = tape.read(BLOCK)
    if head == _ZERO:
        head = tape.read(BLOCK)
        if head and head != _ZERO:
            raise BadDocument("a tar with a lone block of zeros in it")
        return None
    if not head:
        return None
    if len(head) < BLOCK:
        raise BadDocument("a tar that ends within a header")
    said, plain = _octal(head[148:156]), sum(head[:148]) + sum(head[156:]) + 8 * ord(" ")
    if said != plain:
        # Old programs took bytes for signed.
        over = sum(byte > 127 for byte in head[:148] + head[156:])
        if said != plain - 256 * over:
            raise BadDocument("a tar with a header whose checksum is wrong")
    return head


def _pass(tape: Tape, size: int) -> None:
    if size < 0 or tape.skip(size) < size:
        raise BadDocument("a tar that ends within a file")
    tape.skip(-size % BLOCK)


def _special(tape: Tape, size: int) -> bytes:
    if not 0 <= size <= _LONGEST:
        raise BadDocument("a tar with extended records that are too long")
    content = tape.read(size)
    if len(content) < size:
        raise BadDocument("a tar that ends within extended records")
    tape.skip(-size % BLOCK)
    return content


def _entry(head: bytes, kind: bytes, offset: int, records: dict[bytes, bytes], long_name: bytes, long_link: bytes) -> Entry:
    name, magic = _text(head[:100]), head[257:263]
    user = group = b""
    major = minor = 0
    if magic == b"ustar\0" or head[257:265] == b"ustar  \0":
        user, group = _text(head[265:297]), _text(head[297:329])
        major, minor = _number(head[329:337]), _number(head[337:345])
        prefix = b""
        if magic == b"ustar\0":
            prefix = _text(head[345:476] if head[508:512] == b"tar\0" else head[345:500])
        if prefix:
            name = prefix + b"/" + name
    told = {key: value for key, value in records.items() if value}
    if told.keys() & {b"GNU.sparse.major", b"GNU.sparse.minor", b"GNU.sparse.map", b"GNU.sparse.offset"} or kind == b"S":
        raise Unsupported("a sparse file")
    name = long_name or told.get(b"path", name)
    if kind == b"\0":
        kind = b"5" if name.endswith(b"/") else b"0"
    if kind not in KINDS:
        raise Unsupported(f"an entry of type {kind.decode('latin-1')!r}")
    return Entry(
        name=name,
        kind=KINDS[kind],
        offset=offset,
        size=_decimal(told[b"size"]) if b"size" in told else _number(head[124:136]),
        link=long_link or told.get(b"linkpath", _text(head[157:257])),
        mode=_number(head[100:108]),
        uid=_decimal(told[b"uid"]) if b"uid" in told else _number(head[108:116]),
        gid=_decimal(told[b"gid"]) if b"gid" in told else _number(head[116:124]),
        user=told.get(b"uname", user),
        group=told.get(b"gname", group),
        time=_time(told[b"mtime"]) if b"mtime" in told else moment(_number(head[136:148])),
        major=major,
        minor=minor,
        records=sorted(records.items()),
    )


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0").partition(b"\0")[0]
    try:
        return int(digits, 8) if digits.isdigit() else _none(digits)
    except ValueError:
        raise BadDocument("a tar with a header that has no number where one belongs") from None


def _none(digits: bytes) -> int:
    if digits:
        raise ValueError
    return 0


def _number(field: bytes) -> int:
    """Octal digits, or binary where the first bit is set (GNU's way for large and negative numbers)."""
    if not field[0] & 0x80:
        return _octal(field)
    value = int.from_bytes(field, "big", signed=False) & ((1 << (8 * len(field) - 1)) - 1)
    if field[0] & 0x40:
        value -= 1 << (8 * len(field) - 1)
    if not -(1 << 63) <= value < 1 << 63:
        raise BadDocument("a tar with a number that is too large")
    return value


def _decimal(text: bytes) -> int:
    if not _NUMBER.fullmatch(text):
        raise BadDocument("a tar with extended records that have no number where one belongs")
    return int(text)


def _records(content: bytes) -> dict[bytes, bytes]:
    """pax's extended records: `LENGTH KEY=VALUE\\n`, the length over all of it."""
    found: dict[bytes, bytes] = {}
    while content:
        length, _, rest = content.partition(b" ")
        end = int(length) - len(length) - 1 if length.isdigit() else 0
        record = rest[: max(end, 0)]
        key, equals, value = record[:-1].partition(b"=")
        if not (end > 0 and len(record) == end and record.endswith(b"\n") and equals and key) or b"\0" in (value if key in _TEXTS else key):
            raise BadDocument("a tar with damaged extended records")
        found[key] = value
        content = rest[end:]
    return found


def _time(text: bytes) -> bytes:
    if not (found := _TIME.fullmatch(text)):
        raise BadDocument("a tar with an extended time that is none")
    nanoseconds = int((found["fraction"] or b"")[:9].ljust(9, b"0"))
    return moment(int(found["seconds"]), -nanoseconds if text.startswith(b"-") else nanoseconds)


def moment(seconds: int, nanoseconds: int = 0) -> bytes:
    """A time in RFC 3339, with as much of a fraction as it has; empty for a year that has not four digits, as Go's library gives it."""
    if nanoseconds < 0:
        seconds, nanoseconds = seconds - 1, nanoseconds + 10**9
    try:
        text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    except OverflowError:
        return b""
    fraction = f".{nanoseconds:09}".rstrip("0") if nanoseconds else ""
    return f"{text.rjust(19, '0')}{fraction}Z".encode()
