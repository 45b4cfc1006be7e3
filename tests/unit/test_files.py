"""Reads of the platform's files."""

import os
import threading
from pathlib import Path

import pytest

from lyftlearn_entrypoint.files import Files


@pytest.mark.parametrize("written", [None, b"", b'{"A": "b"}'], ids=["no writer", "silent writer", "writer"])
def test_a_fifo_never_holds_a_read(tmp_path: Path, written: "bytes | None") -> None:
    """No step may wait beyond the deadline, and opening a FIFO waits for its other side (fifo(7))."""
    path = tmp_path / "environment.json"
    os.mkfifo(path)
    other = os.open(path, os.O_RDWR) if written is not None else -1
    if written:
        os.write(other, written)
    outcome: list[object] = []

    def read() -> None:
        try:
            outcome.append(Files().read(str(path)))
        except OSError as error:
            outcome.append(type(error))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(30)
    if other >= 0:
        os.close(other)
    assert outcome == [b"" if written is None else BlockingIOError]


def test_a_file_is_read_to_one_byte_over_the_limit(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100)
    assert Files(str(tmp_path)).read("/file", 10) == b"x" * 11
    assert Files(str(tmp_path)).read("/file") == b"x" * 100
    assert Files(str(tmp_path)).read("/none") is None
