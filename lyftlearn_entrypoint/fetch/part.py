"""A part of an object on its way to a file: what to ask for, and where each byte of the answer belongs."""

from lyftlearn_entrypoint.fetch.url import HttpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Part:
    """Bytes `first` to `last`, or to the object's end, for `put(position, data)`. What has come is not asked for again.

    `etag` pins the object as it was when its first part came ('' for that one). `start(total)` is told the object's size before the first
    byte of it is put. Source of the headers: RFC 9110, sections 13.1.1 and 14.
    """

    __slots__ = ("_put", "_start", "came", "etag", "first", "last", "total")

    def __init__(
        self, first: int, last: int, etag: str, put: "Callable[[int, bytes], None]", start: "Callable[[int], None]" = lambda total: None
    ) -> None:
        self.first = first
        self.last = last
        self.etag = etag
        self.came = 0  # bytes
        self.total = -1  # bytes of the whole object; -1 where nobody has said
        self._put = put
        self._start = start

    def headers(self) -> "dict[str, str]":
        """Those of the next try."""
        pinned = {"If-Match": self.etag} if self.etag else {}
        return {"Range": "bytes=" + str(self.first + self.came) + "-" + str(self.last), **pinned}

    def into(self, status: int, headers: "dict[str, str]") -> "Callable[[bytes], None] | None":
        """Where the body of this answer goes. Raises HttpError where it is not what was asked for."""
        if status == 206:
            begin, end, total = content_range(headers.get("content-range", ""))
            if begin != self.first + self.came or end > self.last or end >= total or (self.total >= 0 and total != self.total):
                raise HttpError("the answer holds other bytes than were asked for", True, finding="LL0717")
        elif status == 200 and self.first == 0 and headers.get("content-length", "").isdigit():
            # A server that knows no ranges gives all of it, each time.
            total = int(headers["content-length"])
            end, self.came, self.last = total - 1, 0, max(total - 1, 0)
        elif status == 200:
            raise HttpError("the answer holds the whole object where a part was asked for", True, finding="LL0717")
        else:
            return None
        if self.total < 0:
            self._start(total)
        self.total = total
        self.etag = self.etag or headers.get("etag", "")
        self.last = min(self.last, total - 1)
        return lambda data: self._take(data, end)

    def _take(self, data: bytes, end: int) -> None:
        position = self.first + self.came
        if position + len(data) > end + 1:
            raise HttpError("the answer is longer than it says", True, finding="LL0717")
        self._put(position, data)
        self.came += len(data)


def content_range(value: str) -> "tuple[int, int, int]":
    """First byte, last byte and size of the whole in `bytes 0-99/1234`. Raises HttpError."""
    unit, _, rest = value.partition(" ")
    numbers = rest.replace("/", "-").split("-")
    if unit != "bytes" or len(numbers) != 3 or not all(n.isascii() and n.isdigit() and len(n) < 19 for n in numbers):
        raise HttpError("an answer with a part of an object does not say which part", True, finding="LL0717")
    first, last, total = (int(number) for number in numbers)
    return first, last, total
