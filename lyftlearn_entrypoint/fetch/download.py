"""An object of any size into a file: in parts, by several threads, hashed in order while it comes. Memory is a few blocks a thread."""

import _thread
import posix

from lyftlearn_entrypoint.errors import BadDocument, StartError, Unavailable
from lyftlearn_entrypoint.fetch.large import sha256
from lyftlearn_entrypoint.fetch.part import Part
from lyftlearn_entrypoint.process import where

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lyftlearn_entrypoint.deadline import Deadline
    from lyftlearn_entrypoint.fetch.aws import Aws
    from lyftlearn_entrypoint.fetch.staged import Uri

PART = 16 << 20  # bytes: what one connection fetches. boto3's are 8 MiB; here each costs a handshake
THREADS = 8  # besides the one that hashes; boto3 has 10
BLOCK = 1 << 20  # bytes read back for the hash


class Download:
    """One object on its way to `file`, an open descriptor. `start(total)` hears its size before the first byte is written and may refuse.

    `came` and `total` (bytes; -1 while nobody knows) say how far it is. `name(text)` names a thread for the trace.
    """

    def __init__(
        self,
        uri: "Uri",
        aws: "Aws",
        file: int,
        deadline: "Deadline",
        start: "Callable[[int], None]",
        name: "Callable[[str], None]" = lambda text: None,
    ) -> None:
        self._uri = uri
        self._aws = aws
        self._file = file
        self._deadline = deadline
        self._start = start
        self._name = name
        self._lock = _thread.allocate_lock()
        self._wake = _thread.allocate_lock()
        self._wake.acquire()
        self._next = PART
        self._done: set[int] = set()  # first bytes of the parts that are there
        self._error: BaseException | None = None
        self._etag = ""
        self.stopped = False
        self.came = 0
        self.total = -1

    def run(self) -> str:
        """Fetch it all; the SHA-256 in hexadecimal of what was written. Raises StartError, and OSError where it cannot be written."""
        try:
            return self._run()
        finally:
            self.stopped = True

    def _run(self) -> str:
        self._fetch(0)
        threads = 0
        for _ in range(min(THREADS, (self.total - 1) // PART)):
            try:
                _thread.start_new_thread(self._work, ())
                threads += 1
            except RuntimeError:  # a limit on processes
                break
        if not threads:
            self._work()
        digest = sha256()
        at = 0
        while at < self.total and self._there(at):
            data = posix.pread(self._file, min(BLOCK, self.total - at), at)
            if not data:
                raise OSError(5, "it became shorter while it was read")
            digest.update(data)
            at += len(data)
        if self._error is not None:
            raise self._error
        if at < self.total:
            raise Unavailable(self.unfinished(), "Give the start more time, or the job a faster network", finding="LL1203")
        return str(digest.hexdigest())

    def unfinished(self) -> str:
        """How far it is, for the message of a start that could not wait."""
        whole = " of " + str(self.total) if self.total >= 0 else ""
        return f"{self._uri}: {self.came}{whole} bytes within {self._deadline.seconds:.6g} s (LYFTLEARN_DEADLINE)"

    def _there(self, at: int) -> bool:
        """Wait for the part that holds byte `at`. False where it will not come."""
        part = at - at % PART
        while part not in self._done:
            if self._error is not None or self.stopped or self._deadline.passed():
                return False
            self._wake.acquire(timeout=min(1.0, self._deadline.remaining()))
        return True

    def _work(self) -> None:
        self._name("model part")
        while not self.stopped and self._error is None:
            with self._lock:
                first, self._next = self._next, self._next + PART
            if first >= self.total:
                return
            try:
                self._fetch(first)
            except (StartError, OSError) as error:
                self._error = error
            except BaseException as error:  # noqa: BLE001  a defect: its own text might hold a value
                self._error = StartError(
                    f"{self._uri}: unexpected {type(error).__name__}{where(error)}", "This is a defect: report this line", finding="LL0112"
                )
            try:
                self._wake.release()
            except RuntimeError:
                pass  # already awake

    def _fetch(self, first: int) -> None:
        last = first + PART - 1
        part = Part(first, last if self.total < 0 else min(last, self.total - 1), self._etag, self._put, self._begin)
        part.total = self.total
        reply = self._aws.s3_range(self._uri.bucket, self._uri.key, self._uri.version or None, part)
        if reply.status == 412:
            raise BadDocument(
                f"{self._uri} was overwritten while it was read", "Start again; a ?versionId= keeps its object", finding="LL1202"
            )
        if reply.status == 416:
            if self.total >= 0:
                raise BadDocument(
                    f"{self._uri} became shorter while it was read", "Start again; a ?versionId= keeps its object", finding="LL1202"
                )
            self._begin(0)
            return
        self._etag = self._etag or part.etag
        if part.came > PART:  # a server without ranges
            self._done.update(range(0, part.came, PART))
            self._next = self.total
        self._done.add(first)

    def _begin(self, total: int) -> None:
        self._start(total)
        self.total = total

    def _put(self, position: int, data: bytes) -> None:
        if self.stopped:
            raise Unavailable(f"{self._uri}: the start has ended", finding="LL1203")
        view = memoryview(data)
        while view:
            done = posix.pwrite(self._file, view, position)
            view, position = view[done:], position + done
        self.came += len(data)  # for messages: not exact where threads meet
