"""Connections: which address of a name, and those that are dialled before they are needed."""

import _socket
import socket
import threading
import time
from collections.abc import Callable

import pytest

from lyftlearn_entrypoint.deadline import Deadline
from lyftlearn_entrypoint.fetch import dial
from lyftlearn_entrypoint.fetch.http import Http, HttpError
from tests.fake_http import Hang, answer, closed_port, serve


def client() -> Http:
    return Http({}, Deadline(20))


def test_an_address_that_is_dead_does_not_kill_the_name() -> None:
    """Linux drops what is sent to a full accept queue: the first address never answers, the second does."""
    black_hole = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    fillers: list[_socket.socket] = []
    with serve(lambda _: answer(200, b"alive")) as server:
        black_hole.bind(("127.0.0.1", 0))
        black_hole.listen(0)
        dead = black_hole.getsockname()
        try:
            for _ in range(3):
                filler = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
                fillers.append(filler)
                filler.setblocking(False)
                filler.connect_ex(dead)

            def resolve(_host: str, _port: int) -> list[tuple[int, object]]:
                return [(_socket.AF_INET, dead), (_socket.AF_INET, ("127.0.0.1", server.port))]

            http = Http({}, Deadline(20), dial=lambda host, port, wait: dial.dial(host, port, wait, resolve))
            start = time.monotonic()
            assert http.request("GET", "http://two-addresses.invalid/", {}, connect_timeout=4.0).body == b"alive"
            assert 1.9 < time.monotonic() - start < 15
        finally:
            for filler in fillers:
                filler.close()
            black_hole.close()


def test_addresses_of_both_families_are_tried_in_turn() -> None:
    assert dial.resolve("127.0.0.1", 80) == [(_socket.AF_INET, ("127.0.0.1", 80))]
    assert dial.alternate([(6, "a"), (6, "b"), (6, "c"), (4, "d")]) == [(6, "a"), (4, "d"), (6, "b"), (6, "c")]
    assert dial.alternate([]) == []


def settled(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "never became true"
        time.sleep(0.01)


def test_a_connection_dialled_early_is_used_once() -> None:
    with serve(lambda _: answer(200, b"x")) as server:
        http = client()
        http.dial_early(server.url + "/later")
        settled(lambda: server.connections == 1)
        assert http.request("GET", server.url + "/one", {}).body == b"x"
        assert server.connections == 1
        assert http.request("GET", server.url + "/two", {}).body == b"x"
        assert server.connections == 2


def test_an_early_connection_that_the_server_gave_up_is_dialled_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        http = client()
        http.dial_early(url)
        listener.accept()[0].close()

        def serve_second() -> None:
            second, _ = listener.accept()
            with second:
                second.recv(65536)
                second.sendall(answer(200, b"second"))

        thread = threading.Thread(target=serve_second)
        thread.start()
        assert http.request("GET", url, {}).body == b"second"
        thread.join()


def test_an_early_connection_that_fails_is_not_noticed() -> None:
    http = client()
    port = closed_port()
    http.dial_early(f"http://127.0.0.1:{port}/")
    http.dial_early("not a URL")
    with pytest.raises(HttpError, match="connection refused"):
        http.request("GET", f"http://127.0.0.1:{port}/", {})


def test_a_timeout_on_an_early_connection_is_not_tried_again() -> None:
    with serve(lambda _: Hang()) as server:
        http = client()
        http.dial_early(server.url)
        with pytest.raises(HttpError, match="timed out"):
            http.request("GET", server.url, {}, read_timeout=0.2)
        settled(lambda: len(server.requests) == 1)
    assert server.connections == 1


def test_close_gives_up_early_connections() -> None:
    with serve(lambda _: answer()) as server:
        http = client()
        http.dial_early(server.url)
        settled(lambda: server.connections == 1)
        http.close()
        http.request("GET", server.url, {})
        assert server.connections == 2


def test_an_early_connection_that_comes_too_late_is_closed() -> None:
    go_on = threading.Event()
    opened: list[dial.Connection] = []

    def slow_once(host: str, port: int, wait: float) -> dial.Connection:
        if threading.current_thread() is not threading.main_thread():
            go_on.wait(60)
        connection = dial.dial(host, port, wait)
        opened.append(connection)
        return connection

    with serve(lambda _: answer(200, b"x")) as server:
        http = Http({}, Deadline(20), dial=slow_once)
        http.dial_early(server.url)
        assert http.request("GET", server.url, {}, connect_timeout=1.0).body == b"x"
        go_on.set()
        settled(lambda: len(opened) == 2)
        settled(lambda: opened[1].fileno() == -1)
