"""How the hosts of one job know of each other: each worker keeps a connection to the primary, and its end is the job's end.

The primary's side sends one byte every BEAT seconds and the word END when its program is over. A closed connection, a refused one, or
silence for GONE seconds means that the primary is gone: SageMaker ends a job's containers without a word, and a network without a
FIN must not keep the others alive. A worker says one line, what it offers, and nothing else is read from it: whoever connects learns
only that the job goes on.
"""

import re
import socket
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PORT = 7070
BEAT = 2.0  # seconds
GONE = 15.0  # seconds
ALIVE, END = b".", b"!"
LINE = re.compile(rb"([1-9]\d{0,4}) ([1-9]\d{0,4}) ([1-9]\d{0,8}) ([1-9]\d{0,8})\n")


def line(executors: int, cores: int, offered: int, left: int) -> bytes:
    """What a worker offers: executors, each one's cores, and as mebibytes memory for heaps alone and for all of it."""
    return f"{executors} {cores} {offered >> 20} {left >> 20}\n".encode()


class Primary:
    """The primary's side: a listening socket and the workers that are connected."""

    def __init__(self, address: str, port: int = PORT) -> None:
        """Raises OSError when the port is taken."""
        self.listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.listener.bind((address, port))
        except OSError:
            self.listener.close()
            raise
        self.listener.setblocking(False)
        self.listener.listen(512)
        self.workers: list[socket.socket] = []
        self._heard: dict[socket.socket, bytes] = {}

    @property
    def offers(self) -> "list[tuple[int, int, int, int]]":
        """What the workers offer that have said it, as `line` has it."""
        found = (LINE.match(self._heard.get(worker, b"")) for worker in self.workers)
        return [(int(each[1]), int(each[2]), int(each[3]) << 20, int(each[4]) << 20) for each in found if each]

    def hear(self) -> None:
        """Read what workers say first."""
        for worker in self.workers:
            heard = self._heard.get(worker, b"")
            if len(heard) < 64:
                try:
                    self._heard[worker] = heard + worker.recv(64 - len(heard))
                except OSError:
                    pass  # it has said nothing yet

    def accept(self) -> None:
        """Take who has come, and tell them that the job goes on."""
        while True:
            try:
                worker, _ = self.listener.accept()
            except OSError:
                return
            worker.setblocking(False)
            self.workers.append(worker)
            self._tell(worker, ALIVE)

    def say(self, word: bytes = ALIVE) -> None:
        """Tell every worker; those that cannot be told are gone."""
        self.workers = [worker for worker in self.workers if self._tell(worker, word)]

    def _tell(self, worker: socket.socket, word: bytes) -> bool:
        try:
            worker.send(word)
        except BlockingIOError:
            pass  # it has not read for a long time, and may again
        except OSError:
            worker.close()
            return False
        return True

    def end(self) -> None:
        """Tell every worker that the job is over."""
        self.accept()
        self.say(END)
        for worker in self.workers:
            worker.close()
        self.listener.close()


class Worker:
    """A worker's side. It says `offer` first. `clock` gives seconds."""

    def __init__(self, address: str, port: int = PORT, clock: "Callable[[], float]" = time.monotonic, offer: bytes = b"") -> None:
        self.address = address
        self.port = port
        self.offer = offer
        self.clock = clock
        self.heard = clock()
        self.ended = False  # the primary itself said so
        self.connection: socket.socket | None = None

    def connect(self, timeout: float) -> str:
        """Connect within so many seconds. Returns what went wrong, or ''."""
        try:
            self.connection = socket.create_connection((self.address, self.port), timeout)
            self.connection.sendall(self.offer)
        except OSError as error:
            self.close()
            return "it timed out" if isinstance(error, TimeoutError) else error.strerror or str(error)
        self.connection.setblocking(False)
        self.heard = self.clock()
        return ""

    def alive(self) -> bool:
        """Whether the primary still lives, by what it said until now. False once it ended, closed or fell silent."""
        while self.connection is not None:
            try:
                said = self.connection.recv(4096)
            except BlockingIOError:
                if self.clock() - self.heard < GONE:
                    return True
                said = b""
            except OSError:
                said = b""
            self.heard = self.clock()
            if END in said:
                self.ended = True
            if not said or self.ended:
                self.close()
        return False

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None
