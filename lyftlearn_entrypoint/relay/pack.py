"""Joins metric lines into datagrams. A line is never cut, and what comes from one socket leaves in the order in which it came."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Packer:
    """Takes datagrams by `add` and hands full ones to `send(payload, count)`; `count` is the number of datagrams whose last line is in it.

    `limit` is the largest payload, in bytes; it may be changed at any time. Nothing waits in here for a clock: whoever adds flushes.
    """

    __slots__ = ("_count", "_pieces", "_send", "_size", "limit")

    def __init__(self, limit: int, send: "Callable[[bytes, int], None]") -> None:
        self.limit = limit
        self._send = send
        self._pieces: list[bytes] = []
        self._size = 0  # of the pieces, with one byte between each two
        self._count = 0

    def add(self, data: bytes) -> None:
        """One datagram, of one line or of several. One that is larger than `limit` is taken apart between its lines."""
        size = self._size + len(data) + 1
        if size - 1 > self.limit:
            self.flush()
            size = len(data) + 1
            if size - 1 > self.limit:
                self._add_large(data)
                return
        self._pieces.append(data)
        self._size = size
        self._count += 1

    def flush(self) -> None:
        """Hand over what is there."""
        pieces = self._pieces
        if not pieces:
            return
        if len(pieces) == 1:
            payload = pieces[0]  # as it came
        else:
            payload = b"\n".join(pieces)
            if b"\n\n" in payload:  # some clients end each datagram with a newline
                payload = payload.replace(b"\n\n", b"\n")
        count = self._count
        self._pieces = []
        self._size = self._count = 0
        self._send(payload, count)

    def _add_large(self, data: bytes) -> None:
        for line in data.split(b"\n"):
            if line:
                if self._size + len(line) > self.limit:
                    self.flush()
                self._pieces.append(line)  # one line that is too large goes alone, as it came
                self._size += len(line) + 1
        self._count += 1
