"""One deadline for everything that happens before exec, and the pauses between tries inside it."""

import _thread
import posix
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lyftlearn_entrypoint.errors import Unavailable


class Deadline:
    """A point in time, on the monotonic clock, that every wait respects.

    `seconds` is the whole budget. `clock` gives seconds and `sleep` waits for some: both are passed in so that tests need
    not wait.
    """

    __slots__ = ("_clock", "_sleep", "end", "failed", "seconds")

    def __init__(
        self,
        seconds: float,
        clock: "Callable[[], float]" = time.monotonic,
        sleep: "Callable[[float], None]" = time.sleep,
    ) -> None:
        self.seconds = seconds
        self.end = clock() + seconds
        self.failed: dict[int, Unavailable] = {}  # thread -> how its last try failed
        self._clock = clock
        self._sleep = sleep

    def remaining(self) -> float:
        """Seconds that are left, never below zero."""
        return max(0.0, self.end - self._clock())

    def passed(self) -> bool:
        return self.remaining() <= 0

    def try_again(self, attempt: int, failed: "Unavailable", base: float, cap: float = 5.0, at_least: float = 0.0) -> None:
        """Pause as `pause` does, or raise `failed`, at once.

        The error is kept: should the deadline pass before the next try has an answer, it is what a start says. So what it says does
        not depend on how late a busy machine wakes a thread that sleeps. What the deadline itself cut short is no failure.
        """
        if not self.passed():
            self.failed[_thread.get_ident()] = failed
        if not self.pause(attempt, base, cap, at_least):
            raise failed

    def answered(self) -> None:
        """This thread's last try was a good one."""
        self.failed.pop(_thread.get_ident(), None)

    def pause(self, attempt: int, base: float = 0.1, cap: float = 5.0, at_least: float = 0.0) -> bool:
        """Wait before try number `attempt` + 1; False, at once, when the deadline would pass meanwhile.

        Full jitter (a wait between nothing and base * 2^attempt, at most `cap` seconds): hundreds of hosts that start
        together must not come back together. `at_least` is a server's Retry-After, in seconds.
        """
        share = int.from_bytes(posix.urandom(4), "big") / 2**32
        wait = max(at_least, share * min(cap, base * 2**attempt))
        if wait >= self.remaining():
            return False
        self._sleep(wait)
        return True
