"""An HTTP/1.1 answer, read from a function that gives its next bytes."""

from lyftlearn_entrypoint.fetch.url import HttpError, TooLarge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    # Where the body of an answer goes, told its status and headers: into what is given back, as it comes; None for Response.body.
    Into = Callable[[int, dict[str, str]], "Callable[[bytes], None] | None"]

HEAD_LIMIT = 1 << 16  # bytes of status line and headers; S3 and KMS send less than 2 KiB


class Response:
    """A whole answer. Header names are in lower case; a name that came twice has its values joined by a comma.

    `size` is the body's in bytes, also where it went elsewhere and `body` is empty."""

    __slots__ = ("body", "headers", "size", "status")

    def __init__(self, status: int, headers: "dict[str, str]", body: bytes, size: "int | None" = None) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.size = len(body) if size is None else size


class _Reader:
    __slots__ = ("_receive", "begun", "buffer", "where")

    def __init__(self, receive: "Callable[[], bytes]", where: str) -> None:
        self._receive = receive
        self.where = where
        self.begun = False
        self.buffer = b""

    def more(self) -> bool:
        data = self._receive()
        self.begun = self.begun or bool(data)
        self.buffer += data
        return bool(data)

    def until(self, mark: bytes, limit: int, what: str) -> bytes:
        """What stands before `mark`, which is dropped."""
        start = 0
        while True:
            at = self.buffer.find(mark, start)
            if at >= 0:
                if at > limit:
                    break
                found, self.buffer = self.buffer[:at], self.buffer[at + len(mark) :]
                return found
            if len(self.buffer) > limit:
                break
            start = max(0, len(self.buffer) - len(mark) + 1)
            if not self.more():
                if self.begun:
                    raise HttpError(self.where + ": closed in the middle of " + what)
                raise HttpError(self.where + ": closed without an answer", unanswered=True)
        raise HttpError(self.where + ": " + what + " of over " + str(limit) + " bytes", True)

    def take(self, size: int) -> "tuple[bytes, bool]":
        """At most `size` bytes, and whether they are all that was asked for."""
        parts = [self.buffer[:size]]
        self.buffer = self.buffer[size:]
        have = len(parts[0])
        while have < size:
            data = self._receive()
            if not data:
                return b"".join(parts), False
            self.buffer = data[size - have :]
            parts.append(data[: size - have])
            have += len(parts[-1])
        return b"".join(parts), True

    def pour(self, size: int, sink: "Callable[[bytes], None]") -> int:
        """At most `size` bytes into `sink`, as they come; how many there were."""
        have = 0
        data, self.buffer = self.buffer, b""
        while True:
            left = size - have
            if len(data) > left:
                data, self.buffer = data[:left], data[left:]
            if data:
                sink(data)
                have += len(data)
            if have == size:
                return have
            data = self._receive()
            if not data:
                return have


def read_reply(receive: "Callable[[], bytes]", method: str, where: str, limit: int, into: "Into | None" = None) -> Response:
    """The final answer (1xx are passed over). `receive` gives the next bytes, none at the end, or raises `HttpError`.

    Raises `HttpError` where it is cut short or is not HTTP, `TooLarge` where a 2xx body is over `limit` bytes; the body of any
    other status is cut at `limit`. What `into` gives for a status gets the body as it comes; its errors are let through.
    """
    reader = _Reader(receive, where)
    while True:
        status, headers = _head(reader.until(b"\r\n\r\n", HEAD_LIMIT, "the header block"), where)
        if status >= 200:
            break
    if method == "HEAD" or status in (204, 304) or (method == "CONNECT" and status < 300):
        return Response(status, headers, b"")
    strict = status < 300
    sink = into(status, headers) if into is not None else None
    coding = headers.get("transfer-encoding", "").lower()
    if coding not in ("", "identity"):
        if coding != "chunked":
            raise HttpError(where + ": a transfer coding other than chunked", True)
        return _chunked(Response(status, headers, b""), reader, limit, strict, sink)
    if "content-length" in headers:
        return _counted(Response(status, headers, b""), reader, headers["content-length"], limit, strict, sink)
    if sink is not None:
        return Response(status, headers, b"", reader.pour(limit, sink))
    body, over = reader.take(limit + 1)  # no length: the end of the connection is the end of the body
    if over and strict:
        raise TooLarge(where + ": a body of over " + str(limit) + " bytes")
    return Response(status, headers, body[:limit])


def _head(block: bytes, where: str) -> "tuple[int, dict[str, str]]":
    first, *lines = block.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    code = rest[:3]
    if not version.startswith("HTTP/1.") or len(code) != 3 or not (code.isascii() and code.isdigit()):
        raise HttpError(where + ": the answer is not HTTP/1.1")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise HttpError(where + ": a malformed header line")
        name, value = name.lower(), value.strip(" \t")
        headers[name] = headers[name] + ", " + value if name in headers else value
    return int(code), headers


def _counted(reply: Response, reader: _Reader, length: str, limit: int, strict: bool, sink: "Callable[[bytes], None] | None") -> Response:
    values = {value.strip() for value in length.split(",")}
    text = values.pop()
    if values or not (text.isascii() and text.isdigit() and len(text) < 19):
        raise HttpError(reader.where + ": a malformed Content-Length")
    size = int(text)
    if size > limit:
        if strict:
            raise TooLarge(reader.where + ": a body of " + text + " bytes, at most " + str(limit) + " are accepted", size)
        size = limit
    if sink is not None:
        reply.size = reader.pour(size, sink)
    else:
        reply.body, _ = reader.take(size)
        reply.size = len(reply.body)
    if reply.size < size:
        raise HttpError(reader.where + ": closed after " + str(reply.size) + " of " + text + " bytes")
    return reply


def _chunked(reply: Response, reader: _Reader, limit: int, strict: bool, sink: "Callable[[bytes], None] | None") -> Response:
    parts: list[bytes] = []
    while True:
        text = reader.until(b"\r\n", 1024, "a chunk's size").partition(b";")[0].strip().decode("latin-1")
        if not text or len(text) > 15 or text.strip("0123456789abcdefABCDEF"):
            raise HttpError(reader.where + ": a malformed chunk size")
        size = int(text, 16)
        if size == 0:
            while reader.until(b"\r\n", HEAD_LIMIT, "the trailer"):
                pass
            break
        if reply.size + size > limit:
            if strict:
                raise TooLarge(reader.where + ": a body of over " + str(limit) + " bytes")
            break
        have = reader.pour(size, parts.append if sink is None else sink)
        reply.size += have
        if have < size or reader.until(b"\r\n", 0, "a chunk") != b"":
            raise HttpError(reader.where + ": closed in the middle of a chunk, after " + str(reply.size) + " bytes")
    reply.body = b"".join(parts)
    return reply
