"""How a keeper knows that its program has ended, with and without descriptors of processes."""

import subprocess
import sys
import time

import pytest

from lyftlearn_entrypoint.spark.cluster import Program


@pytest.mark.parametrize("descriptors", [True, False])
def test_a_program_that_ends(descriptors: bool) -> None:
    with subprocess.Popen([sys.executable, "-ISc", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as process:
        watched = Program(process.pid)
        if not descriptors:
            watched._poll = None
            watched._began = watched._when()
        assert not watched.ended(0.2)
        assert process.stdin
        process.stdin.close()
        began = time.monotonic()
        assert watched.ended(60)  # a zombie until now: nobody has waited for it
        assert time.monotonic() - began < 30


def test_a_program_that_is_not_there() -> None:
    watched = Program(2**22 + 1)  # above the kernel's largest number
    assert watched.ended(0.1)
