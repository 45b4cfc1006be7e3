"""For modules whose tests use the demo's network: they wait for each other here, for as long as it takes.

Its addresses are those of the credentials of Amazon ECS's containers, so a machine has one such network. A demo waits for another's end,
but not for ever, and clears away what a killed one left: neither is for tests that pytest-xdist runs side by side.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module", autouse=True)
def alone() -> Iterator[None]:
    """Holds a lock while a module's tests run; the kernel lets go of it when their process ends, however it ends."""
    with Path(tempfile.gettempdir(), f"lyftlearn-test-demo-{os.getuid()}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
