"""How long a start took, seen from outside: from the launcher's exec to the program's, by the kernel's own view of the process."""

import time
from collections.abc import Callable
from pathlib import Path


def start_seconds(pid: int, launcher: str, ended: Callable[[], bool], limit: float = 60.0) -> "float | None":
    """Seconds during which the process `pid` was the launcher; None when that was never seen.

    Looks about four times a millisecond; the start that is timed has the rest of the processor.
    """
    path = Path(f"/proc/{pid}/cmdline")
    word = b"\0" + launcher.encode() + b"\0"
    began: float | None = None
    end = time.monotonic() + limit
    while time.monotonic() < end:
        try:
            words = path.read_bytes()
        except OSError:
            return None
        now = time.monotonic()
        if word in words:
            began = now if began is None else began
        elif words and began is not None:
            return now - began
        elif not words and ended():  # empty for a moment during each exec, and for good in a zombie
            return None
        time.sleep(0.00015)
    return None
