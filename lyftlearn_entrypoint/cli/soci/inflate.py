"""A gzip stream, unpacked piece by piece, with the checkpoints from which a reader can start in its middle.

A checkpoint is the first border between deflate blocks that lies more than a span behind the last one: its place in the compressed and in
the unpacked bytes, the bits of a shared byte, and the 32 KiB before it. zlib alone tells these borders (`inflate` with Z_BLOCK) and
Python's module does not pass that on, so the system's zlib is called itself: nothing is compiled, and a layer is never in memory whole.
Sources: zlib.h, "inflate", "inflateInit2"; awslabs/soci-snapshotter 0.16.1, ztoc/compression/gzip_zinfo.c, generate_zinfo_from_fp.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from lyftlearn_entrypoint.errors import BadDocument, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

WINDOW = 32768
_INPUT = 1 << 16
_OUTPUT = 1 << 18
_AUTOMATIC = 47  # windowBits: 15, and the header tells whether it is gzip's or zlib's
_NO_FLUSH, _BLOCK = 0, 5
_OK, _END, _MEMORY, _BUFFER = 0, 1, -4, -5
_BORDER, _LAST, _BITS = 128, 64, 7  # in data_type


class Readable(Protocol):
    """What bytes can be read from."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Checkpoint:
    """Where reading can start: bytes before it, compressed and unpacked; `bits` of the byte before it belong to it too (0 to 7)."""

    compressed: int
    unpacked: int
    bits: int
    window: bytes

    @property
    def start(self) -> int:
        """The first compressed byte that is needed from here on."""
        return self.compressed - (1 if self.bits else 0)


class _Stream(ctypes.Structure):
    """z_stream of zlib.h."""

    _fields_ = (
        ("next_in", ctypes.c_void_p),
        ("avail_in", ctypes.c_uint),
        ("total_in", ctypes.c_ulong),
        ("next_out", ctypes.c_void_p),
        ("avail_out", ctypes.c_uint),
        ("total_out", ctypes.c_ulong),
        ("msg", ctypes.c_char_p),
        ("state", ctypes.c_void_p),
        ("zalloc", ctypes.c_void_p),
        ("zfree", ctypes.c_void_p),
        ("opaque", ctypes.c_void_p),
        ("data_type", ctypes.c_int),
        ("adler", ctypes.c_ulong),
        ("reserved", ctypes.c_ulong),
    )


def library() -> Any:
    """The system's zlib. Raises Unavailable (69)."""
    for name in ("libz.so.1", "libz.dylib"):
        try:
            found = ctypes.CDLL(name)
        except OSError:
            continue
        found.zlibVersion.restype = ctypes.c_char_p
        return found
    raise Unavailable("there is no zlib (libz.so.1) on this machine", "Install it (Debian's package zlib1g)")


class Inflate:
    """Reads a gzip file from its beginning. `checkpoints` are complete, and `unpacked` is the size, once `pieces` has ended."""

    def __init__(self, stream: Readable, span: int, size: int = _OUTPUT) -> None:
        """`span`: bytes unpacked between two checkpoints, at least. `size`: bytes of a piece, at most."""
        self.checkpoints: list[Checkpoint] = []
        self.unpacked = 0
        self._stream = stream
        self._span = span
        self._size = size
        self._tail = bytes(WINDOW)

    def pieces(self) -> Iterator[bytes]:
        """The unpacked bytes, in order. Raises BadDocument (65) where it is no whole gzip file."""
        zlib, state = library(), _Stream()
        code = zlib.inflateInit2_(ctypes.byref(state), _AUTOMATIC, zlib.zlibVersion(), ctypes.c_int(ctypes.sizeof(state)))
        if code != _OK:
            raise Unavailable(f"zlib could not start ({code})")
        try:
            yield from self._pieces(zlib, state)
        finally:
            zlib.inflateEnd(ctypes.byref(state))

    def _pieces(self, zlib: Any, state: Any) -> Iterator[bytes]:
        source, target = ctypes.create_string_buffer(_INPUT), ctypes.create_string_buffer(self._size)
        view, reference = memoryview(target), ctypes.byref(state)
        read, code = 0, _OK
        while True:
            if not state.avail_in:
                data = self._stream.read(_INPUT)
                if not data:
                    break
                read += len(data)
                ctypes.memmove(source, data, len(data))
                state.next_in, state.avail_in = ctypes.addressof(source), len(data)
            if code == _END:
                # Some tools write a layer as several gzip files, one behind the other.
                zlib.inflateReset2(reference, _AUTOMATIC)
            # Up to where the next checkpoint may lie no border matters; from there on, each one is looked at.
            left = self._left()
            state.next_out, state.avail_out = ctypes.addressof(target), min(left, self._size) if left else self._size
            wanted = state.avail_out
            code = zlib.inflate(reference, _NO_FLUSH if left else _BLOCK)
            if code not in (_OK, _END, _BUFFER):
                if code == _MEMORY:
                    raise MemoryError
                raise BadDocument(f"no gzip file, or a damaged one: {(state.msg or b'a dictionary is missing').decode()}")
            if got := wanted - state.avail_out:
                piece = bytes(view[:got])
                self.unpacked += got
                self._tail = piece[-WINDOW:] if got >= WINDOW else self._tail[got:] + piece
                yield piece
            if code != _END and state.data_type & _BORDER and not state.data_type & _LAST and self._is_due():
                self.checkpoints.append(Checkpoint(read - state.avail_in, self.unpacked, state.data_type & _BITS, self._tail))
        if code != _END:
            raise BadDocument("a gzip file that ends too early")

    def _left(self) -> int:
        """Bytes that come before borders need to be looked at."""
        if not self.unpacked or not self.checkpoints:
            return 0
        return max(self.checkpoints[-1].unpacked + self._span - self.unpacked, 0)

    def _is_due(self) -> bool:
        """Whether a border here is a checkpoint."""
        return not self.unpacked or self.unpacked - self.checkpoints[-1].unpacked > self._span
