"""One deadline: what is left of it, and pauses that never run over it."""

import statistics

from lyftlearn_entrypoint.deadline import Deadline


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def deadline(self, seconds: float) -> Deadline:
        return Deadline(seconds, self, self.sleep)


def test_remaining_goes_down_to_nothing_and_no_further() -> None:
    clock = Clock()
    deadline = clock.deadline(10)
    assert (deadline.remaining(), deadline.passed(), deadline.seconds) == (10, False, 10)
    clock.now += 9.5
    assert (deadline.remaining(), deadline.passed()) == (0.5, False)
    clock.now += 0.5
    assert (deadline.remaining(), deadline.passed()) == (0, True)
    clock.now += 100
    assert deadline.remaining() == 0


def test_pause_that_would_run_over_is_refused_at_once() -> None:
    clock = Clock()
    deadline = clock.deadline(5)
    assert not deadline.pause(1, at_least=5)
    assert not deadline.pause(1, at_least=60)
    assert clock.slept == []
    assert deadline.pause(1, at_least=4.9)
    assert not deadline.pause(9, base=1000, cap=1000, at_least=0.2)


def test_tries_end_at_the_deadline() -> None:
    clock = Clock()
    deadline = clock.deadline(30)
    tries = 1
    while deadline.pause(tries):
        tries += 1
        assert tries < 10_000
    assert clock.now <= deadline.end
    assert tries > 5


def test_jitter_is_full_and_grows_to_the_cap() -> None:
    clock = Clock()
    deadline = clock.deadline(1e9)
    means = []
    for attempt in range(8):
        clock.slept.clear()
        for _ in range(400):
            assert deadline.pause(attempt, base=0.1, cap=5.0)
        bound = min(5.0, 0.1 * 2**attempt)
        assert 0 <= min(clock.slept) < 0.2 * bound  # hosts that failed together do not come back together
        assert 0.8 * bound < max(clock.slept) <= bound
        means.append(statistics.mean(clock.slept))
    assert bound == 5.0  # the last two are under the cap
    assert means[:-1] == sorted(means[:-1])
    assert abs(means[-1] - means[-2]) < 0.6  # of 400 waits each: six standard deviations


def test_retry_after_is_respected() -> None:
    clock = Clock()
    deadline = clock.deadline(100)
    assert deadline.pause(0, at_least=7.0)
    assert clock.slept == [7.0]


def test_real_clock() -> None:
    deadline = Deadline(60)
    assert 30 < deadline.remaining() <= 60
    assert deadline.pause(0, base=0.001)
