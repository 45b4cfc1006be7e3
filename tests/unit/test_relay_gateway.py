"""The relay's way to the gateway, with real sockets on loopback."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lyftlearn_entrypoint.relay.gateway import PAYLOAD, Gateway
from lyftlearn_entrypoint.relay.report import Report

Make = Callable[..., Gateway]
FREE = 20_000 + os.getpid() % 10_000  # a port that the kernel gives to nobody who asks for any


def listen(address: str = "127.0.0.1", port: int = 0) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((address, port))
    made.settimeout(60)
    return made


@pytest.fixture
def there() -> Iterator[socket.socket]:
    with listen() as made:
        yield made


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes gateways, as its class does, and closes them."""
    made = []

    def one(*args: Any) -> Gateway:
        made.append(Gateway(*args))
        return made[-1]

    yield one
    for gateway in made:
        gateway.close()


@pytest.fixture
def report() -> Report:
    return Report("local", "dogstatsd", lambda: 0.0)


class Names:
    """A name server: `found` is what it answers, None for an error; `asked` counts; it waits for `answer` where that is set."""

    def __init__(self, *found: str) -> None:
        self.found: list[str] | None = list(found)
        self.asked = 0
        self.answer: threading.Event | None = None

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        if self.answer is not None:
            self.answer.wait(60)
        if self.found is None:
            raise OSError("nobody knows it")
        return self.found


def settled(names: Names, gateway: Gateway, asked: int) -> None:
    """Wait until the thread of the look-up number `asked` is done."""
    end = time.monotonic() + 60
    while (names.asked < asked or gateway.looking) and time.monotonic() < end:
        time.sleep(0.001)
    assert names.asked == asked


def port(of: socket.socket) -> int:
    number: int = of.getsockname()[1]
    return number


def test_it_sends_and_counts(make: Make, there: socket.socket, report: Report) -> None:
    gateway = make("gateway.test", port(there), "127.0.0.1", report, 0.0, Names())
    gateway.send(b"a:1|c\nb:1|c", 2)
    assert there.recv(100) == b"a:1|c\nb:1|c"
    assert (report.sent, report.dropped, report.packets) == (2, 0, 1)
    assert gateway.limit == PAYLOAD


def test_without_an_address_it_drops_and_sends_nowhere(make: Make, there: socket.socket, report: Report) -> None:
    gateway = make("gateway.test", port(there), "", report, 0.0, Names())
    gateway.send(b"a:1|c", 1)
    assert (report.sent, report.dropped, report.packets) == (0, 1, 0)
    assert not gateway.tell(b"x")
    there.settimeout(0.05)
    with pytest.raises(TimeoutError):
        there.recv(100)


def test_a_refusal_is_counted_once_and_what_comes_next_is_sent(make: Make, report: Report) -> None:
    with listen("127.0.0.1", FREE) as first:  # nobody else is there when it is closed
        number = port(first)
    gateway = make("gateway.test", number, "127.0.0.1", report, 0.0, Names("127.0.0.1"))
    gateway.send(b"a", 3)  # refused, as the next call learns
    assert (report.sent, report.dropped) == (3, 0)
    gateway.settle()
    assert (report.sent, report.dropped) == (0, 3)
    gateway.settle()
    assert (report.sent, report.dropped) == (0, 3)
    gateway.send(b"b", 1)  # refused too
    with listen("127.0.0.1", number) as again:
        gateway.send(b"c", 1)
        assert again.recv(100) == b"c"
    assert (report.sent, report.dropped, report.packets) == (1, 4, 3)


def test_a_line_that_no_datagram_can_hold_is_dropped(make: Make, there: socket.socket, report: Report) -> None:
    names = Names("127.0.0.1")
    gateway = make("gateway.test", port(there), "127.0.0.1", report, 0.0, names)
    gateway.send(b"x" * 65536, 1)
    assert (report.sent, report.dropped) == (0, 1)
    gateway.tend(5.0)
    assert names.asked == 0  # which is nothing that another address would mend
    gateway.send(b"x" * 60000, 1)
    assert len(there.recv(65536)) == 60000


def test_the_way_to_itself_is_no_way(make: Make, report: Report) -> None:
    for address in ("127.0.0.1", "::1", "0.0.0.0", "::"):
        gateway = make("gateway.test", 8125, address, report, 0.0, Names())
        gateway.send(b"a", 1)
    assert (report.sent, report.dropped) == (0, 4)


# When it asks ----------------------------------------------------------------------------------------------------------------------------


def test_a_name_is_looked_up_every_half_minute_while_there_is_traffic(make: Make, there: socket.socket, report: Report) -> None:
    names = Names("127.0.0.1")
    gateway = make("gateway.test", port(there), "127.0.0.1", report, 0.0, names)
    for now in (0.1, 10.0, 29.9):
        gateway.tend(now)
    assert names.asked == 0
    gateway.tend(30.0)
    settled(names, gateway, 1)
    gateway.tend(59.9)
    assert names.asked == 1
    gateway.tend(1000.0)  # nobody asked while there was nothing to send
    settled(names, gateway, 2)


def test_a_number_is_never_looked_up_once_it_is_connected(make: Make, there: socket.socket, report: Report) -> None:
    names = Names("127.0.0.1")
    gateway = make("127.0.0.1", port(there), "127.0.0.1", report, 0.0, names)
    gateway.tend(1000.0)
    assert names.asked == 0


def test_a_name_that_nobody_knew_is_asked_for_at_once_then_ever_less_often(make: Make, there: socket.socket, report: Report) -> None:
    names = Names()
    names.found = None
    gateway = make("gateway.test", port(there), "", report, 0.0, names)
    times, now = [], 0.0
    while now < 100:
        gateway.send(b"lost", 1)
        before = names.asked
        gateway.tend(now)
        if gateway.looking or names.asked > before:
            settled(names, gateway, before + 1)
            times.append(now)
        now += 0.5
    assert times[:6] == [0.0, 2.0, 6.0, 14.0, 30.0, 60.0]
    names.found = ["127.0.0.1"]
    gateway.send(b"lost", 1)
    gateway.tend(now + 30)
    settled(names, gateway, len(times) + 1)
    gateway.send(b"found", 1)
    assert there.recv(100) == b"found"


def test_trouble_asks_soon_and_no_more_than_once_a_second(make: Make, report: Report) -> None:
    with listen("127.0.0.1", FREE) as first:  # nobody else is there when it is closed
        number = port(first)
    names = Names("127.0.0.1")
    gateway = make("gateway.test", number, "127.0.0.1", report, 0.0, names)
    for now in (0.2, 0.4, 0.9):
        gateway.send(b"a", 1)
        gateway.tend(now)
    assert names.asked == 0
    gateway.send(b"a", 1)
    gateway.tend(1.0)
    settled(names, gateway, 1)


def test_an_address_that_is_still_one_of_several_stays(make: Make, there: socket.socket, report: Report) -> None:
    names = Names("127.0.0.9", "127.0.0.1")
    gateway = make("gateway.test", port(there), "127.0.0.1", report, 0.0, names)
    gateway.tend(30.0)
    settled(names, gateway, 1)
    gateway.send(b"a", 1)
    assert there.recv(100) == b"a"


def test_a_new_address_takes_over_in_both_families(make: Make, there: socket.socket, report: Report) -> None:
    names = Names("127.0.0.2")
    gateway = make("gateway.test", port(there), "127.0.0.1", report, 0.0, names)
    descriptor = gateway.fileno()
    with listen("127.0.0.2", port(there)) as second, listen("::1", port(there)) as third:
        for asked, (address, at) in enumerate((("127.0.0.2", second), ("::1", third), ("127.0.0.1", there)), 1):
            names.found = [address]
            gateway.tend(30.0 * asked)
            settled(names, gateway, asked)
            gateway.send(address.encode(), 1)
            assert at.recv(100) == address.encode()
            assert gateway.fileno() == descriptor
    assert (report.sent, report.dropped) == (3, 0)


def test_a_name_server_that_hangs_holds_nothing_up_and_is_asked_once(make: Make, there: socket.socket, report: Report) -> None:
    names = Names("127.0.0.1")
    names.answer = threading.Event()
    gateway = make("gateway.test", port(there), "127.0.0.1", report, 0.0, names)
    began = time.monotonic()
    for number in range(100):
        gateway.tend(30.0 + number)
        gateway.send(b"%d" % number, 1)
        assert there.recv(100) == b"%d" % number
    assert time.monotonic() - began < 30
    names.answer.set()
    settled(names, gateway, 1)
