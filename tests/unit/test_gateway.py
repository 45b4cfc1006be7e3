"""lyftlearn_local.gateway: that all which was sent before is counted, wherever the machine's firewall says it came from."""

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from lyftlearn_local.gateway import Gateway, Sidecar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Masquerade:
    """Passes datagrams on from a socket of its own, each `times` times: the receiver sees that address, as where a firewall masquerades."""

    def __init__(self, to: int, times: int = 1) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._to = to
        self._times = times
        self._thread = threading.Thread(target=self._pass_on)
        self._thread.start()

    def _pass_on(self) -> None:
        while (data := self._socket.recv(65535)) != b"end":
            for _ in range(self._times):
                self._socket.sendto(data, ("127.0.0.1", self._to))

    def end(self) -> None:
        self._socket.sendto(b"end", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()


@pytest.fixture
def masquerade() -> "Iterator[Callable[..., Masquerade]]":
    made: list[Masquerade] = []

    def make(to: int, times: int = 1) -> Masquerade:
        made.append(Masquerade(to, times))
        return made[-1]

    yield make
    for each in made:
        each.end()


def send(port: int, *lines: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for line in lines:
            client.sendto(line, ("127.0.0.1", port))


def within(seconds: float, action: "Callable[[], object]") -> None:
    """Fails where the action takes longer; it is left behind then."""
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), f"not done after {seconds} s"


def test_a_marker_from_another_address_is_known(masquerade: "Callable[..., Masquerade]") -> None:
    gateway = Gateway()
    gateway.port = masquerade(gateway.port).port
    send(gateway.port, b"a:1|c", b"a:1|c\nb:2|g", b"")
    within(60, gateway.stop)
    counts = gateway.counts()
    assert counts.metrics == {"a": 2, "b": 1}
    assert (counts.datagrams, counts.octets) == (3, 16)


def test_a_sidecar_passes_no_marker_on(masquerade: "Callable[..., Masquerade]") -> None:
    gateway = Gateway()
    sidecar = Sidecar(gateway.port, port=0)
    sidecar.port = masquerade(sidecar.port).port
    send(sidecar.port, b"a:1|c")
    within(60, sidecar.stop)
    assert gateway.take().facts() == {"datagrams": 1, "lines": 1, "bytes": 5, "metrics": {"a": 1}}
    gateway.stop()


def test_an_earlier_marker_that_comes_twice_is_neither_counted_nor_believed(masquerade: "Callable[..., Masquerade]") -> None:
    gateway = Gateway()
    gateway.port = masquerade(gateway.port, times=2).port
    taken: list[dict[str, int]] = []

    def take() -> None:
        for _ in range(100):
            send(gateway.port, b"a:1|c")
            taken.append(gateway.take().metrics)

    within(60, take)
    assert taken == [{"a": 2}] * 100
    within(60, gateway.stop)
    assert gateway.counts().datagrams == 0
