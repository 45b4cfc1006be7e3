"""Waits for the relay of a job that has ended."""

import contextlib
import socket
import time
from typing import TYPE_CHECKING

from lyftlearn_entrypoint.adapt.statsd import DEFAULT_PORT

if TYPE_CHECKING:
    from collections.abc import Iterator


def _free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@contextlib.contextmanager
def relayed(seconds: float = 5.0) -> "Iterator[None]":
    """Around a job: afterwards waits until its relay has sent all on, which has 8125 until then. A daemon that the job left behind
    keeps the relay, for which this waits `seconds` at most; a port that is somebody else's is not waited for."""
    ours = _free(DEFAULT_PORT)
    yield
    end = time.monotonic() + seconds
    while ours and not _free(DEFAULT_PORT) and time.monotonic() < end:
        time.sleep(0.01)
