"""What the relay counts of itself, and when it tells it."""

import pytest

from lyftlearn_entrypoint.relay.report import Report, line, timings


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def report(clock: Clock) -> Report:
    return Report("studio", "dogstatsd", clock)


def told(report: Report) -> dict[str, int]:
    """What it tells now, by name."""
    lines, totals = report.lines()
    report.told(totals)
    report.rest()
    return {
        text.partition(":")[0].rpartition(".")[2]: int(text.partition(":")[2].partition("|")[0])
        for text in lines.decode().split("\n")
        if text
    }


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [("dogstatsd", b"a.b:7|c|#context:studio"), ("influx", b"a.b,context=studio:7|c"), ("name", b"a.b.studio:7|c")],
)
def test_a_line_as_the_gateway_reads_it(tags: str, wanted: bytes) -> None:
    assert line("a.b", 7, "c", "studio", tags) == wanted


def test_times_are_milliseconds() -> None:
    spans = [("total", 1.0, 1.5), ("fetch", 1.1, 1.1004567)]
    assert timings(spans, "studio", "name") == b"lyftlearn.entrypoint.total.studio:500.000|ms\nlyftlearn.entrypoint.fetch.studio:0.457|ms"


def test_only_what_is_new_is_told(report: Report) -> None:
    report.sent, report.packets = 5, 2
    assert told(report) == {"received": 5, "sent": 5, "packets": 2}
    assert told(report) == {}
    report.sent, report.packets, report.dropped, report.overflowed = 6, 3, 2, 10
    assert told(report) == {"received": 13, "sent": 1, "dropped": 12, "packets": 1}


def test_what_was_not_told_is_told_later(report: Report) -> None:
    report.sent = 5
    report.lines()
    report.sent = 7
    assert told(report) == {"received": 7, "sent": 7}


def test_what_was_refused_afterwards_is_taken_off_the_next(report: Report) -> None:
    """A counter cannot be taken back: the sum is right again once as much was sent."""
    report.sent = 10
    first = told(report)
    report.sent, report.dropped = 8, 2  # the gateway refused the last payload
    second = told(report)
    report.sent = 15
    third = told(report)
    sums = {name: first.get(name, 0) + second.get(name, 0) + third.get(name, 0) for name in ("received", "sent", "dropped")}
    assert sums == {"received": 17, "sent": 15, "dropped": 2}


def test_nothing_is_due_without_traffic(report: Report, clock: Clock) -> None:
    assert (report.wait(), report.due()) == (None, False)
    clock.now += 1000
    assert (report.wait(), report.due()) == (None, False)


def test_soon_after_traffic_and_ever_less_often(report: Report, clock: Clock) -> None:
    pauses = []
    for _ in range(7):
        report.traffic()
        pauses.append(report.wait())
        report.traffic()  # more of it puts nothing off
        assert report.wait() == pauses[-1]
        clock.now += (pauses[-1] or 0) / 1000
        assert report.due()
        report.rest()
        assert not report.due()
    assert pauses == [1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]


def test_the_times_of_the_start_go_out_at_once_and_once(report: Report) -> None:
    assert not report.due()
    report.start(["total 12.345", "fetch 3.000"])
    assert report.due()
    lines, totals = report.lines()
    assert lines == b"lyftlearn.entrypoint.total:12.345|ms|#context:studio\nlyftlearn.entrypoint.fetch:3.000|ms|#context:studio"
    assert report.lines()[0] == lines  # not told yet
    report.told(totals)
    assert report.lines()[0] == b""
