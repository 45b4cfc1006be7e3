"""A standalone cluster across the hosts of one job: who is what, and the processes that keep it. The start path begins
them with keeper.py.

The primary's keeper runs beside the program, starts the master and a worker, and ends with the program, whichever way that ends.
On every other host the keeper is what runs instead of the program: it starts a worker, and ends with exit code 0 when the primary is
gone, whatever its result. Keepers are ordinary Python: the start path loads none of this.
"""

import json
import os
import select
import signal
import sys
import time
from pathlib import Path

from lyftlearn_entrypoint.spark import daemon, link, sizing, together

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

UP = b"up"
TOGETHER = 120.0  # seconds; a job's hosts start within seconds of each other
CAME_NOT = 69  # errors.EXIT_CODES: something needed could not be reached in time


class Host:
    """What one host's keeper has to know. Plain data, passed on the command line: nothing in it is secret."""

    def __init__(
        self,
        home: str,
        address: str,
        primary: str,
        cores: int,
        memory: int,
        directory: str,
        offer: "Sequence[int]",
        defaults: str,
        others: int = 0,
        patience: float = 600.0,
    ) -> None:
        self.home = home  # Spark's directory
        self.address = address  # of this host, where other hosts reach it
        self.primary = primary  # the primary's name or address
        self.cores = cores
        self.memory = memory  # bytes offered to executors
        self.directory = directory  # of this user's own: logs, executors' work
        self.offer = offer  # as together.agree takes it
        self.defaults = defaults  # the program's spark-defaults.conf
        self.others = others  # hosts beside the primary
        self.patience = patience  # seconds until a primary that never came is an error; smspark waits as long

    @property
    def master_url(self) -> str:
        return "spark://" + self.primary + ":" + str(daemon.MASTER_PORT)

    def worker(self) -> daemon.Daemon:
        """Start this host's worker."""
        place = Path(self.directory)
        words = daemon.worker(self.home, self.address, self.master_url, self.cores, self.memory, str(place / "work"))
        return daemon.Daemon("worker", words, daemon.environment(dict(os.environ), sizing.DAEMON_HEAP), place / "worker.log")


def say(message: str) -> None:
    """One line on stderr, in the form of the start's own."""
    sys.stderr.write("lyftlearn-entrypoint: " + message + "\n")
    sys.stderr.flush()


class Program:
    """The program beside which a keeper runs. By a descriptor of the process where the kernel has them (5.3, and some seccomp profiles
    refuse them); else by its entry in /proc, with the time when it began: its number may be another process's later."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._poll: select.poll | None = None
        try:
            descriptor = os.pidfd_open(number)
        except OSError:
            self._began = self._when()
        else:
            self._poll = select.poll()
            self._poll.register(descriptor, select.POLLIN)

    def ended(self, seconds: float) -> bool:
        """Wait until it has ended, so long at most."""
        if self._poll is not None:
            return bool(self._poll.poll(seconds * 1000))
        end = time.monotonic() + seconds
        while self._when() == self._began and self._began:
            if time.monotonic() >= end:
                return False
            time.sleep(0.2)
        return True

    def _when(self) -> str:
        """Its start time as the kernel counts it (proc(5), stat, field 22); '' for one that is over, a zombie too."""
        try:
            fields = Path(f"/proc/{self._number}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] in "ZX" else fields[19]


class Kept:
    """This host's worker. One that dies is started again, but not for ever: three times within a minute means that it cannot run,
    and then the job goes on without this host."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.times: list[float] = []
        self.worker: daemon.Daemon | None = None

    def keep(self) -> None:
        """Start the worker where none runs."""
        if self.worker is not None:
            code = self.worker.ended()
            if code is None or len(self.times) >= 3:
                return
            now = time.monotonic()
            self.times = [*(moment for moment in self.times if now - moment < 60), now]
            again = (
                "and is started again" if len(self.times) < 3 else "for the third time within a minute: the job goes on without this host"
            )
            say("warning: Spark's worker ended (" + _code(code) + ") " + again + ". Its last words: " + self.worker.last_words())
            self.worker.stop()
            if len(self.times) >= 3:
                return
        self.worker = self.host.worker()

    def stop(self) -> None:
        if self.worker is not None:
            self.worker.stop()


def keep_primary(host: Host, program: int, ready: int) -> int:
    """Beside the program (its process id), until it ends. Writes to `ready` UP or what went wrong, and closes it."""
    watched = Program(program)
    master = worker = None
    try:
        try:
            workers = link.Primary(host.address)  # its port first: it tells two starts on one host apart
            words = daemon.master(host.home, host.address)
            place = Path(host.directory) / "master.log"
            master = daemon.Daemon("master", words, daemon.environment(dict(os.environ), sizing.DAEMON_HEAP), place)
            problem = _listens(master, host.address) or _gather(host, workers, watched)
            if not problem:
                _agree(host, workers)
        except OSError as error:
            problem = "Spark's cluster: " + (f"{error.filename}: " if error.filename else "") + (error.strerror or str(error))
        os.write(ready, problem.encode() or UP)
        os.close(ready)
        if problem or master is None:
            return 1
        worker = Kept(host)
        worker.keep()
        while not watched.ended(link.BEAT):
            workers.accept()
            workers.say()
            worker.keep()
        workers.end()
        return 0
    finally:
        for process in (worker, master):
            if process is not None:
                process.stop()


def _gather(host: Host, workers: link.Primary, watched: Program) -> str:
    """Wait for the other hosts, TOGETHER seconds at most. A program that is over before a host has come would leave that host waiting."""
    began = time.monotonic()
    while len(workers.offers) < host.others:
        if watched.ended(0.1):
            return "the start ended before its cluster was up"
        workers.accept()
        workers.say()
        workers.hear()
        if time.monotonic() - began > TOGETHER:
            lacking = host.others - len(workers.workers)
            say(f"warning: {lacking} of {host.others + 1} hosts have not come after {TOGETHER:.0f} s: the program starts without them")
            break
    return ""


def _agree(host: Host, workers: link.Primary) -> None:
    """Give executors the size with which most of the hosts that are here is used. Raises OSError."""
    found = together.agree([host.offer, *workers.offers])
    if found and together.settle(Path(host.defaults), found):
        cores = int(found["spark.executor.cores"])
        number = int(found["spark.cores.max"]) // cores
        say(
            f"spark: {len(workers.offers) + 1} hosts have room for {number} executors of {cores} cores and {found['spark.executor.memory']}"
        )


def _listens(master: daemon.Daemon, address: str, seconds: float = 300.0) -> str:
    """Wait until the master takes connections. Returns what went wrong, or ''."""
    import socket

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        code = master.ended()
        if code is not None:
            return "Spark's master ended (" + _code(code) + "): " + master.last_words()
        try:
            socket.create_connection((address, daemon.MASTER_PORT), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return ""
    return f"Spark's master does not listen on port {daemon.MASTER_PORT} after {seconds:.0f} s: " + master.last_words()


def keep_worker(host: Host) -> int:
    """Instead of the program, on every host but the primary. The exit code of this host's container."""
    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: stopped.append(number))
    executors, cores, offered, left = host.offer
    connection = link.Worker(host.primary, offer=link.line(executors, cores, offered, left))
    began = time.monotonic()
    told = 10.0
    while problem := connection.connect(2.0):
        waited = time.monotonic() - began
        if stopped:
            return 128 + stopped[0]
        if waited > host.patience:
            say(
                f"error: the primary, {host.primary}, never came: port {link.PORT} does not answer after {waited:.0f} s ({problem}). "
                "Look at its log; the hosts of a job must reach each other (exit 69)"
            )
            return CAME_NOT
        if waited > told:
            say(f"waiting for the primary, {host.primary}, since {waited:.0f} s: {problem}")
            told *= 3
        time.sleep(0.2)
    say(f"a Spark worker of the cluster at {host.master_url}: {host.cores} cores, {host.memory >> 20} MiB for executors")
    worker = Kept(host)
    try:
        while not stopped:
            worker.keep()
            time.sleep(0.5)
            if not connection.alive() and (connection.ended or connection.connect(2.0)):
                say("the primary has ended" if connection.ended else "the primary is gone: this host has nothing more to do")
                return 0
        return 128 + stopped[0]
    finally:
        worker.stop()


def _code(code: int) -> str:
    return "signal " + str(-code) if code < 0 else "exit " + str(code)


def main(arguments: "list[str]") -> int:
    """`worker HOST 0`, or `primary HOST PROGRAM`: the latter returns when the cluster is up (0) or cannot be (1), and leaves its keeper."""
    role, text, program = arguments
    host = Host(**json.loads(text))
    if role == "worker":
        return keep_worker(host)
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(reading)
        os.setsid()
        os._exit(keep_primary(host, int(program), writing))
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        answer = stream.read()
    if answer == UP:
        return 0
    say("error: " + (answer.decode() or "Spark's keeper ended before its cluster was up"))
    return 1
