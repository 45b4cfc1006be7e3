"""The server's end of a WebSocket (RFC 6455): how a Kubernetes client watches."""

import base64
import hashlib
import struct
import threading
from typing import BinaryIO

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


def accept(key: str) -> str:
    """Sec-WebSocket-Accept for a client's Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()


class WebSocket:
    """Sends texts; answers pings; `closed` is set when the client has gone. Made after the handshake."""

    def __init__(self, reader: BinaryIO, writer: BinaryIO) -> None:
        self._reader = reader
        self._writer = writer
        self._lock = threading.Lock()
        self.closed = threading.Event()

    def send(self, text: str) -> None:
        """Raises OSError when the connection is gone."""
        self._frame(TEXT, text.encode())

    def close(self) -> None:
        """Say that all is well and over (1000)."""
        self._frame(CLOSE, struct.pack("!H", 1000))

    def read(self) -> None:
        """Read until the client closes or goes. Runs in a thread of its own."""
        try:
            while True:
                kind, data = self._receive()
                if kind == CLOSE:
                    break
                if kind == PING:
                    self._frame(PONG, data)
        except (OSError, EOFError, ValueError):
            pass
        self.closed.set()

    def _frame(self, kind: int, data: bytes) -> None:
        size = len(data)
        if size < 126:
            head = bytes([0x80 | kind, size])
        elif size < 1 << 16:
            head = bytes([0x80 | kind, 126]) + struct.pack("!H", size)
        else:
            head = bytes([0x80 | kind, 127]) + struct.pack("!Q", size)
        with self._lock:
            self._writer.write(head + data)
            self._writer.flush()

    def _receive(self) -> "tuple[int, bytes]":
        first, second = self._exactly(2)
        size = second & 127
        if size == 126:
            (size,) = struct.unpack("!H", self._exactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._exactly(8))
        mask = self._exactly(4) if second & 128 else bytes(4)
        return first & 15, bytes(byte ^ mask[position % 4] for position, byte in enumerate(self._exactly(size)))

    def _exactly(self, size: int) -> bytes:
        data = self._reader.read(size)
        if len(data) < size:
            raise EOFError
        return data
