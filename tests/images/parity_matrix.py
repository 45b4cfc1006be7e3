"""Runs `lyftlearn local parity` as people do."""

import subprocess
import sys
from pathlib import Path


def matrix(name: str, image: str, out: Path) -> "subprocess.CompletedProcess[str]":
    words = [str(Path(sys.executable).with_name("lyftlearn")), "local", "parity", name, "--tag", image, "--out", str(out)]
    return subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=2400, check=False)
