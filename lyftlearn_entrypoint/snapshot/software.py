"""What is installed: Pythons on PATH with their packages, the system's packages, Spark's settings, and which image this is.

Nothing of the user's is imported: an interpreter is asked for its version alone, isolated, and a package's name and version are in the
name of its metadata directory.
"""

import functools
import hashlib
import json
import os
import re
import signal
import subprocess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lyftlearn_entrypoint.snapshot.collect import Around

_MOST = 5000  # packages
_STATUS = "/var/lib/dpkg/status"
_SECONDS = 5
_DEFAULT_PATH = "/bin:/usr/bin"  # confstr(_CS_PATH)
_METADATA = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._]*?)-(?P<version>[^-]+)(-py[0-9.]+)?\.(dist|egg)-info$")
_ASK = "import sys; print('.'.join(map(str, sys.version_info[:3])), sys.implementation.name, sys.base_prefix)"


def python(around: "Around") -> "dict[str, Any]":
    """What `python` and `python3` are, as a shell would find them."""
    return {name: _python(around, name) for name in ("python", "python3")}


def packages(around: "Around") -> "dict[str, str]":
    """Those of the `python` that a program gets, else of `python3`, and of PYTHONPATH."""
    program = _which(around, "python") or _which(around, "python3")
    places = [place for place in around.variables.get("PYTHONPATH", "").split(":") if place.startswith("/")]
    places += _site(program) if program else []
    found: dict[str, str] = {}
    for place in places:
        try:
            names = sorted(os.listdir(place))
        except OSError:
            continue
        for name in names:
            if (match := _METADATA.match(name)) and len(found) < _MOST:
                found.setdefault(match["name"].lower().replace("_", "-").replace(".", "-"), match["version"])
    if len(found) >= _MOST:
        around.lacks(f"packages: the first {_MOST}")
    return found


def os_packages(around: "Around") -> "dict[str, str]":
    found: dict[str, str] = {}
    try:
        with open(_STATUS, encoding="utf-8", errors="replace") as file:
            name = ""
            for line in file:
                if line.startswith("Package: "):
                    name = line[9:].strip()
                elif line.startswith("Version: ") and name and len(found) < _MOST:
                    found[name] = line[9:].strip()
    except OSError:
        pass
    return found


def system(around: "Around") -> "dict[str, Any]":
    release: dict[str, str] = {}
    try:
        with open("/etc/os-release", encoding="utf-8", errors="replace") as file:
            release = dict(line.strip().split("=", 1) for line in file if "=" in line)
    except OSError:
        pass
    machine = os.uname()
    return {
        "id": release.get("ID", "").strip('"'),
        "version": release.get("VERSION_ID", "").strip('"'),
        "machine": machine.machine,
        "page_size": os.sysconf("SC_PAGE_SIZE"),
    }


def spark(around: "Around") -> "dict[str, str | None]":
    """Names of the settings in spark-defaults.conf, and each value's keyed hash."""
    directory = around.variables.get("SPARK_CONF_DIR") or (around.variables.get("SPARK_HOME", "/opt/spark") + "/conf")
    found: dict[str, str | None] = {}
    try:
        with open(directory + "/spark-defaults.conf", encoding="utf-8", errors="surrogateescape") as file:
            for line in file.read(1 << 20).splitlines():
                if line.strip() and not line.lstrip().startswith("#"):
                    name, _, value = line.strip().replace("\t", " ").replace("=", " ", 1).partition(" ")
                    found[name] = around.mask.of("spark", name, value.strip())
    except OSError:
        pass
    return found


def image(around: "Around") -> "dict[str, Any]":
    """The digest where somebody knows it: whoever took the snapshot, or a processing job's own description. A container itself is not
    told which image it was made of; `content` is equal where packages and entrypoint are."""
    digest = around.order["image"]
    if not digest:
        try:
            with open("/opt/ml/config/processingjobconfig.json", "rb") as file:
                digest = str(json.load(file)["AppSpecification"]["ImageUri"])
        except (OSError, ValueError, KeyError, TypeError):
            digest = ""
        digest = digest.partition("@")[2]
    content = hashlib.sha256()
    for name, version in sorted({**os_packages(around), **packages(around)}.items()):
        content.update(f"{name} {version}\n".encode())
    content.update(around.order["package"].encode())
    return {"digest": digest or None, "content": "sha256:" + content.hexdigest()}


def _python(around: "Around", name: str) -> "dict[str, Any] | None":
    program = _which(around, name)
    if not program:
        return None
    version = implementation = None
    if (said := _answer(program)) is not None:
        version, implementation, _ = said
    return {"file": program, "version": version, "implementation": implementation, "environment": _environment(program)}


def _which(around: "Around", name: str) -> str:
    for place in (around.variables.get("PATH") or _DEFAULT_PATH).split(":"):
        path = os.path.join(place or ".", name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return ""


@functools.cache
def _answer(program: str) -> "list[str] | None":
    """Version, implementation and prefix, said by the interpreter itself: isolated, so that nothing of the user's runs."""
    command = [program, "-I", "-S", "-c", _ASK]
    try:
        # A group of its own: a wrapper that hangs may have children, which hold the pipe.
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}, start_new_session=True
        ) as asked:
            try:
                said = asked.communicate(timeout=_SECONDS)[0]
            except subprocess.TimeoutExpired:
                os.killpg(asked.pid, signal.SIGKILL)
                return None
    except OSError:
        return None
    words = said.decode("utf-8", "replace").strip().split(" ", 2)
    return words if asked.returncode == 0 and len(words) == 3 else None


def _environment(program: str) -> "str | None":
    """The virtual environment that an interpreter belongs to."""
    home = os.path.dirname(os.path.dirname(os.path.abspath(program)))
    return home if os.path.isfile(home + "/pyvenv.cfg") else None


def _site(program: str) -> "list[str]":
    """The directories in which an interpreter's packages are."""
    answer = _answer(program)
    if answer is None:
        return []
    short = ".".join(answer[0].split(".")[:2])
    home = _environment(program)
    if home:
        return [f"{home}/lib/python{short}/site-packages"]
    prefix = answer[2]
    return [
        f"{p}/{d}"
        for p in (prefix, "/usr/local")
        for d in (f"lib/python{short}/site-packages", f"lib/python{short}/dist-packages", "lib/python3/dist-packages")
    ]
