"""Runs a command where some directories are its own: a private mount namespace. A script, run as `python -I -S`, standard library only.

It reads one JSON object from the descriptor named by its only argument, makes the mounts, and execs: same process, no shell in between.
    {"argv": [...], "environ": {...}, "private": {"/opt/ml": "/tmp/job/opt/ml", ...}}
Where `/opt/ml` does not exist, a tmpfs goes over the nearest directory that does (`/opt`) with its entries bound back, so nothing is ever
created on the machine itself. As root a mount namespace is enough; others need a user namespace, in which they keep their own ids.
`check` as the argument tries the namespaces only: exit 0 when they are allowed.
"""

import ctypes
import json
import os
import signal
import sys

_NEWNS, _NEWUSER = 0x00020000, 0x10000000  # sched.h
_BIND, _REC, _PRIVATE, _NOSUID, _NODEV = 4096, 16384, 1 << 18, 2, 4  # sys/mount.h
_PDEATHSIG = 1  # sys/prctl.h
_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: "str | None", flags: int, data: "str | None" = None) -> None:
    encoded = [os.fsencode(text) if text is not None else None for text in (source, target, kind)]
    _checked(_libc.mount(*encoded, ctypes.c_ulong(flags), data.encode() if data else None), f"mount {target}")


def unshare() -> None:
    """A mount namespace of our own, whose mounts stay in it. Raises OSError where the kernel or its settings refuse."""
    uid, gid = os.geteuid(), os.getegid()
    try:
        _checked(_libc.unshare(_NEWNS), "unshare")
    except OSError:
        _checked(_libc.unshare(_NEWNS | _NEWUSER), "unshare")
        for name, line in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(line)
    _mount("none", "/", None, _REC | _PRIVATE)


def _own(directory: str, done: "set[str]") -> None:
    """Make `directory` possible to create: its nearest real ancestor gets a tmpfs with the same entries in it."""
    ancestor = os.path.dirname(directory)
    while not os.path.isdir(ancestor):
        ancestor = os.path.dirname(ancestor)
    if ancestor == "/":
        raise OSError(0, f"{directory}: a new directory in / cannot be made private; choose one below a directory that exists")
    if ancestor not in done:
        _copy_by_mounts(ancestor)
        done.add(ancestor)
    os.makedirs(directory)


def _copy_by_mounts(directory: str) -> None:
    keep = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    mode = os.stat(directory).st_mode & 0o7777
    entries = list(os.scandir(directory))
    _mount("tmpfs", directory, "tmpfs", _NOSUID | _NODEV, f"mode={mode:o}")
    for entry in entries:
        old, new = f"/proc/self/fd/{keep}/{entry.name}", f"{directory}/{entry.name}"
        if entry.is_symlink():
            os.symlink(os.readlink(old), new)
            continue
        if entry.is_dir():
            os.mkdir(new)
        elif entry.is_file():
            os.close(os.open(new, os.O_WRONLY | os.O_CREAT, 0o644))
        else:
            continue
        _mount(old, new, None, _BIND | _REC)
    os.close(keep)


def enclose(private: "dict[str, str]") -> None:
    """Mount each of our directories where the program looks for it."""
    done: set[str] = set()
    for target, source in sorted(private.items()):
        if not os.path.isdir(target):
            _own(target, done)
        _mount(source, target, None, _BIND | _REC)
    if os.path.isdir("/dev/shm"):  # a container has one of its own, which goes when it goes
        _mount("tmpfs", "/dev/shm", "tmpfs", _NOSUID | _NODEV, "mode=1777")


def main() -> None:
    if sys.argv[1] == "check":
        unshare()
        _mount("tmpfs", "/tmp", "tmpfs", _NOSUID | _NODEV)  # a security profile may allow the first half only
        return
    with open(int(sys.argv[1]), "rb") as file:
        order = json.load(file)
    _checked(
        _libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl"
    )  # a container does not outlive whoever holds it, unless it switches user, which clears this
    unshare()
    here = os.getcwd()
    enclose(order["private"])
    os.chdir(here)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # what this interpreter changed in itself
        signal.signal(number, signal.SIG_DFL)
    argv = [_octets(word) for word in order["argv"]]
    os.execve(argv[0], argv, {_octets(name): _octets(value) for name, value in order["environ"].items()})


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.stderr.write(f"lyftlearn local: {error.strerror or error}\n")
        sys.exit(125)
