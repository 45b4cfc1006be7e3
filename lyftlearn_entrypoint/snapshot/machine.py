"""Mounts, directories, the clock's zone and the locale."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lyftlearn_entrypoint.snapshot.collect import Around

_MOST = 500  # mounts
# Options of a mount that a program can notice. All others are left out: cifs and ceph have passwords and secrets among theirs.
_FLAGS = ("nosuid", "nodev", "noexec", "noatime", "nodiratime", "relatime", "nosymfollow")
DIRECTORIES = (
    "/", "/tmp", "/var/tmp", "/dev/shm", "/run", "/etc", "/opt/venv", "/opt/ml", "/opt/ml/input", "/opt/ml/input/data", "/opt/ml/model",
    "/opt/ml/output", "/opt/ml/output/data", "/opt/ml/checkpoints", "/opt/ml/processing", "/home/sagemaker-user",
)  # fmt: skip


def mounts(around: "Around") -> "dict[str, Any]":
    """By mount point, the uppermost one. Neither the source nor what the file system itself was told: both can hold secrets."""
    found: dict[str, Any] = {}
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for number, line in enumerate(file):
            if number >= _MOST:
                around.lacks(f"mounts: the first {_MOST}")
                break
            before, _, after = line.partition(" - ")
            fields, tail = before.split(), after.split()
            path = _plain(fields[4])
            flags = set(fields[5].split(","))
            found[path] = {
                "type": tail[0],
                "read_only": "ro" in flags or "ro" in (tail[2].split(",") if len(tail) > 2 else ()),
                "writable": os.access(path, os.W_OK),
                "flags": [flag for flag in _FLAGS if flag in flags],
            }
    return found


def _plain(path: str) -> str:
    """proc(5): blanks and the like are octal."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        path = path.replace(code, character)
    return path


def directories(around: "Around") -> "dict[str, Any]":
    """What can be written where, and by whom. HOME and the working directory by that name: their paths are said elsewhere."""
    places = {path: path for path in DIRECTORIES}
    places["HOME"] = around.variables.get("HOME", "")
    places["working directory"] = os.getcwd()
    return {name: _directory(path) for name, path in places.items() if path}


def _directory(path: str) -> "dict[str, Any] | None":
    try:
        found = os.stat(path)
    except OSError:
        return None
    return {
        "mode": f"{found.st_mode & 0o7777:04o}",
        "uid": found.st_uid,
        "gid": found.st_gid,
        "writable": os.access(path, os.W_OK | os.X_OK),
        "runs_programs": not os.statvfs(path).f_flag & os.ST_NOEXEC,
    }


def clock(around: "Around") -> "dict[str, Any]":
    import time

    time.tzset()
    january = time.localtime(1_767_225_600)  # 2026-01-01, 00:00 UTC: daylight saving or not, each place has its own answer
    return {"zone": list(time.tzname), "offset": january.tm_gmtoff, "localtime": os.path.exists("/etc/localtime")}


def locale(around: "Around") -> "dict[str, Any]":
    """What setlocale(3) makes of the variables, as a C program would have it."""
    import locale as locales

    if "LC_CTYPE" not in around.variables:
        os.environ.pop("LC_CTYPE", None)  # Python's own (PEP 538)
    try:
        name: str | None = locales.setlocale(locales.LC_ALL, "")
    except locales.Error:
        name = None
    return {"name": name, "codeset": locales.nl_langinfo(locales.CODESET)}
