"""Run tasks side by side, under one deadline."""

import _thread
import time

from lyftlearn_entrypoint.deadline import Deadline
from lyftlearn_entrypoint.errors import StartError, Unavailable
from lyftlearn_entrypoint.process import where

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

OPTIONAL = ("statsd", "spark")  # neither metrics nor the place of a notebook's executors ever stop a start
LINGER = 2.0  # seconds


class Task:
    """One thing to fetch: the step it belongs to, what it asks (for messages), and the function that does it."""

    __slots__ = ("asks", "ended", "error", "result", "run", "started", "step", "thread")

    def __init__(self, step: str, asks: str, run: "Callable[[], object]") -> None:
        self.step = step
        self.asks = asks
        self.run = run
        self.result: object = None
        self.error: StartError | None = None
        self.started = self.ended = 0.0
        self.thread = 0

    @property
    def milliseconds(self) -> int:
        return round((self.ended - self.started) * 1000)


def run_all(tasks: "list[Task]", deadline: "Deadline", fatal: "Callable[[Task], bool]") -> "list[Task]":
    """Run all tasks in threads and return those that ended in time. Returns at the deadline, or as soon as a task failed whose failure
    is `fatal`, whatever still runs: a name lookup cannot be interrupted, and need not be, since exec or exit ends it.

    Optional tasks (the metrics gateway's name) get LINGER seconds more than the others, not the whole deadline.
    """
    ended: list[Task] = []
    wake = _thread.allocate_lock()
    wake.acquire()

    def work(task: Task) -> None:
        task.started = time.monotonic()
        task.thread = _thread.get_ident()
        try:
            task.result = task.run()
        except StartError as error:
            if isinstance(error, Unavailable) and deadline.passed():
                return  # cut short by the deadline, not failed: who is told first, this thread or the other, must not matter
            task.error = error
        except Exception as error:  # noqa: BLE001  a defect must end the start with a line, not hang it; its text might hold a value
            task.error = StartError(
                task.asks + ": unexpected " + type(error).__name__ + where(error),
                "This is a defect of the entrypoint: report this line",
                finding="LL0112",
            )
        task.ended = time.monotonic()
        ended.append(task)
        try:
            wake.release()
        except RuntimeError:
            pass  # already awake

    for task in tasks:
        try:
            _thread.start_new_thread(work, (task,))
        except RuntimeError:  # a limit on processes: one after the other, then
            work(task)
    needed = [task for task in tasks if task.step not in OPTIONAL]
    until = deadline
    while len(ended) < len(tasks):
        if any(task.error is not None and fatal(task) for task in list(ended)):
            break
        if until is deadline and all(task in ended for task in needed):
            until = Deadline(min(LINGER, deadline.remaining()))
        if not wake.acquire(timeout=until.remaining()) and until.passed():
            break
    return list(ended)
