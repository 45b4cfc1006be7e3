"""Runs a program and writes down which pages of files its processes have in their page tables. It runs inside the container, by itself.

    pagemap.py OUT -- COMMAND [ARG...]     run it; exit as it does
    pagemap.py OUT                         look once, at every process that is traced just now
    pagemap.py LIST --forget               have files be read from the disk again, whose paths LIST has as JSON; print those that cannot

A seccomp filter stops each process as it is about to leave its address space, by exit_group or execve, until this program has read its
/proc/PID/maps and /proc/PID/pagemap. OUT gets a line for each look, in JSON: {path: [[start, end], ...]}, pages of the file in bytes.
Source: seccomp(2), seccomp_unotify(2), Linux's Documentation/admin-guide/mm/pagemap.rst. It needs no privilege: a process may read the
page table of another of its own user, and root with SYS_PTRACE that of any. Standard library alone, and nothing else of this package.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import mmap
import os
import platform
import re
import select
import signal
import socket
import struct
import sys
from array import array

# By machine: AUDIT_ARCH, and the numbers of seccomp, execve, execveat and exit_group. Source: Linux, uapi/linux/audit.h, syscall tables.
MACHINES = {"x86_64": (0xC000003E, 317, 59, 322, 231), "aarch64": (0xC00000B7, 277, 221, 281, 94)}
_NO_NEW_PRIVS = 38  # PR_SET_NO_NEW_PRIVS: who has it may set a filter without being root
_MODE_FILTER, _NEW_LISTENER = 1, 8  # SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000  # SECCOMP_RET_ALLOW, SECCOMP_RET_USER_NOTIF
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
# struct seccomp_notif begins with id and pid, struct seccomp_notif_resp is id, val, error and flags. Both are known by their sizes.
_REQUEST = 80
_RECEIVE, _SEND = 0xC0002100 | _REQUEST << 16, 0xC0182101  # SECCOMP_IOCTL_NOTIF_RECV, _SEND
_CONTINUE, _SINCE = 1, (5, 5)  # SECCOMP_USER_NOTIF_FLAG_CONTINUE, and the first Linux that has it
_PRESENT = 3 << 62  # in memory, or in swap
PAGE = os.sysconf("SC_PAGE_SIZE")


def program(machine: str) -> bytes:
    """The filter: struct sock_filter[] that asks for what leaves an address space and lets all else pass. Raises KeyError."""
    arch, _, *asked = MACHINES[machine]
    # The words of struct seccomp_data: the call's number at 0, the machine at 4.
    made = [(_LOAD, 0, 0, 4), (_EQUAL, 0, len(asked) + 1, arch), (_LOAD, 0, 0, 0)]
    made += [(_EQUAL, len(asked) - at, 0, number) for at, number in enumerate(asked)]
    made += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _NOTIFY)]
    return b"".join(struct.pack("=HBBI", *each) for each in made)


def version(release: str) -> tuple[int, ...]:
    """(major, minor) of a kernel's release, as "5.10.0-1-amd64"; () for anything else."""
    found = re.match(r"(\d+)\.(\d+)", release)
    return tuple(map(int, found.groups())) if found else ()


def files(maps: str) -> list[tuple[int, int, int, str]]:
    """(address, end, offset in the file, path) of each mapping of a file, from /proc/PID/maps. Source: proc_pid_maps(5)."""
    found = []
    for line in maps.split("\n"):
        words = line.split(None, 5)
        if len(words) == 6 and words[5].startswith("/") and not words[5].endswith(" (deleted)"):
            begin, _, end = words[0].partition("-")
            found.append((int(begin, 16), int(end, 16), int(words[2], 16), words[5].replace("\\012", "\n")))
    return found


def present(entries: array[int], offset: int, page: int = PAGE) -> list[tuple[int, int]]:
    """The pages that have an entry in the page table, as ranges of bytes in the file. `entries` are of /proc/PID/pagemap."""
    made: list[tuple[int, int]] = []
    for number, entry in enumerate(entries):
        if entry & _PRESENT:
            start = offset + number * page
            if made and made[-1][1] == start:
                made[-1] = (made[-1][0], start + page)
            else:
                made.append((start, start + page))
    return made


def look(process: int) -> dict[str, list[tuple[int, int]]]:
    """What a process has of files in its page table; a file that it has mapped and not looked at is there with nothing."""
    found: dict[str, list[tuple[int, int]]] = {}
    try:
        with open(f"/proc/{process}/maps", encoding="utf-8", errors="surrogateescape") as maps:
            mapped = files(maps.read())
        with open(f"/proc/{process}/pagemap", "rb", buffering=0) as table:
            for begin, end, offset, path in mapped:
                entries = array("Q", os.pread(table.fileno(), (end - begin) // PAGE * 8, begin // PAGE * 8))
                found.setdefault(path, []).extend(present(entries, offset))
    except (OSError, ValueError):  # it is gone
        pass
    return found


def _write(out: str, found: dict[str, list[tuple[int, int]]]) -> None:
    with open(out, "a", encoding="ascii") as stream:
        stream.write(json.dumps(found) + "\n")


def traced(process: int) -> bool:
    """Whether a process has a tracer, as all of a start have."""
    try:
        with open(f"/proc/{process}/status", encoding="utf-8", errors="replace") as status:
            return "\nTracerPid:\t0\n" not in status.read()
    except OSError:
        return False


def now(out: str) -> None:
    """Look at every process that has a tracer."""
    for name in os.listdir("/proc"):
        if name.isdigit() and traced(int(name)):
            _write(out, look(int(name)))


def forget(paths: list[str]) -> list[str]:
    """Take files out of the page cache. Those of which something stays: it is mapped by someone else, or locked.

    A file that was just written may lie there in pieces of up to 2 MiB, and a look at one page puts a whole piece in the page table (Linux
    6.18, mm/memory.c, finish_fault); what a mapping reads by itself comes in single pages.
    """
    os.sync()  # what is not on the disk yet stays
    kept = []
    for path in paths:
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError:
            continue
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            if _resident(descriptor):
                kept.append(path)
        finally:
            os.close(descriptor)
    return kept


def _resident(descriptor: int) -> int:
    """How many pages of a file are in memory. Source: mincore(2), which tells it to root and to the file's owner."""
    size = os.fstat(descriptor).st_size
    if not size:
        return 0
    with mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY) as mapped:
        first = ctypes.c_char.from_buffer(mapped)
        vector = ctypes.create_string_buffer(-(-size // PAGE))
        failed = ctypes.CDLL(None).mincore(ctypes.c_void_p(ctypes.addressof(first)), ctypes.c_size_t(size), vector)
        del first  # else the mapping cannot be closed
    return 0 if failed else sum(each & 1 for each in vector.raw)


def _filtered() -> int:
    """Set the filter for this process and all that come from it. The descriptor that hears of them. Raises OSError, KeyError."""
    machine = platform.machine()
    if version(platform.release()) < _SINCE:
        raise OSError(errno.ENOSYS, "the kernel cannot let a call go on")
    filters = program(machine)
    buffer = ctypes.create_string_buffer(filters, len(filters))
    given = struct.pack("HP", len(filters) // 8, ctypes.addressof(buffer))  # struct sock_fprog
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")
    descriptor = libc.syscall(MACHINES[machine][1], _MODE_FILTER, _NEW_LISTENER, given)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return int(descriptor)


def _answer(listener: int, out: str) -> None:
    """Look at one that waits, and let it go on."""
    request = bytearray(_REQUEST)
    try:
        fcntl.ioctl(listener, _RECEIVE, request, True)
        identity, process = struct.unpack_from("=QI", request)
        if traced(process):
            _write(out, look(process))
        fcntl.ioctl(listener, _SEND, struct.pack("=QqiI", identity, 0, 0, _CONTINUE))
    except (FileNotFoundError, InterruptedError):  # it was killed meanwhile; it will be asked for again
        pass


def _child(connection: socket.socket, command: list[str]) -> None:
    """Become the command, below the filter where there can be one. A kernel or engine may refuse it: then nobody looks."""
    try:
        socket.send_fds(connection, [b"."], [_filtered()])
    except (OSError, KeyError):
        connection.send(b"-")
    connection.close()
    # What Python has changed for itself: two signals, and a locale where there is none (PEP 538).
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    with open("/proc/self/environ", "rb") as stream:
        variables = (each.partition(b"=") for each in stream.read().split(b"\0") if each)
        environment = {name: value for name, _, value in variables}
    os.execve(command[0], command, environment)


def run(out: str, command: list[str]) -> int:
    """Run a command below the filter. Its exit code, or 128 and the signal that killed it."""
    mine, theirs = socket.socketpair()
    child = os.fork()
    if not child:
        mine.close()
        _child(theirs, command)
    theirs.close()
    # Who ends wakes this program up, which is the container's first and has to ask for each.
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    asked = select.poll()
    asked.register(woken, select.POLLIN)
    for listener in socket.recv_fds(mine, 1, 1)[1]:
        asked.register(listener, select.POLLIN)
    mine.close()
    while (code := _reaped(child)) is None:
        for descriptor, event in asked.poll():
            if descriptor == woken:
                os.read(woken, 512)
            elif event & select.POLLIN:
                _answer(descriptor, out)
            else:  # nobody has the filter any more
                asked.unregister(descriptor)
    return code


def _reaped(child: int) -> int | None:
    """Ask for all that have ended. The child's exit code, if it is among them."""
    while True:
        process, status = os.waitpid(-1, os.WNOHANG)
        if process == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        if not process:
            return None


if __name__ == "__main__":
    if sys.argv[2:] == ["--forget"]:
        with open(sys.argv[1], encoding="ascii") as listed:
            print(json.dumps(forget(json.load(listed))))
    elif len(sys.argv) > 2:
        sys.exit(run(sys.argv[1], sys.argv[3:]))
    else:
        now(sys.argv[1])
