"""Confidant's virtual environment: Flask 1 and friends cannot live beside moto's Flask 3. Built once, then cached."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

_HERE = Path(__file__).parent
REQUIREMENTS = _HERE / "requirements.txt"


class CannotBuild(Exception):
    """The environment could not be built; the text ends with what pip or venv said."""


def cache_directory(environ: "dict[str, str]") -> Path:
    """Where the environment is kept: $XDG_CACHE_HOME/lyftlearn, by default ~/.cache/lyftlearn (XDG Base Directory 0.8)."""
    base = environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "lyftlearn"


def python(environ: "dict[str, str]", say: Callable[[str], None], cache: "Path | None" = None) -> Path:
    """The interpreter of Confidant's environment, which is built first when it is not there (10 to 30 s).

    Two builds at once are safe: the second waits for the first's lock. A build that was cut short is thrown away.
    Raises CannotBuild.
    """
    tag = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    place = (cache or cache_directory(environ)) / f"confidant-{tag}"
    found = place / "bin" / "python"
    done = place / ".complete"
    if done.exists():
        return found
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(place.parent / f"confidant-{tag}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            say(f"building Confidant's virtual environment in {place} (once; 10 to 30 s)")
            shutil.rmtree(place, ignore_errors=True)
            _call([sys.executable, "-m", "venv", str(place)], environ)
            pip = [str(found), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
            _call([*pip, "--only-binary", ":all:", "--requirement", str(REQUIREMENTS)], environ)
            done.touch()
    return found


def _call(command: "list[str]", environ: "dict[str, str]") -> None:
    clean = {name: value for name, value in environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, env=clean, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-1500:]
        raise CannotBuild(f"Confidant's virtual environment: {' '.join(command[1:4])} ended with {done.returncode}:\n{said}")
