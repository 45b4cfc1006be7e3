"""The program as a process: its words, user, rights, signals, limits and descriptors. Source of the files read: proc(5)."""

import fcntl
import os
import resource
import signal
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lyftlearn_entrypoint.snapshot.collect import Around

_MOST = 256  # descriptors
_SETS = {"CapInh": "inheritable", "CapPrm": "permitted", "CapEff": "effective", "CapBnd": "bounding", "CapAmb": "ambient"}
# linux/capability.h, by bit
CAPABILITIES = (
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "linux_immutable",
    "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner", "sys_module", "sys_rawio", "sys_chroot",
    "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice", "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease",
    "audit_write", "audit_control", "setfcap", "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read",
    "perfmon", "bpf", "checkpoint_restore",
)  # fmt: skip
_KINDS = {
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


def program(around: "Around") -> "dict[str, Any]":
    order = around.order
    return {
        "argv": [around.mask.of("argv", str(number), word) for number, word in enumerate(order["argv"])],
        "file": order["program"],
        "cwd": os.getcwd(),
    }


def user(around: "Around") -> "dict[str, Any]":
    import pwd

    try:
        entry = pwd.getpwuid(os.getuid())
        named: dict[str, Any] = {"name": entry.pw_name, "home": entry.pw_dir, "shell": entry.pw_shell}
    except KeyError:
        named = {"name": None, "home": None, "shell": None}
    home = around.variables.get("HOME")
    return {
        "uid": list(os.getresuid()),
        "gid": list(os.getresgid()),
        "groups": sorted(os.getgroups()),
        "passwd": named,
        "home": home,
        "home_usable": bool(home) and os.path.isdir(home or "") and os.access(home or "", os.W_OK | os.X_OK),
    }


def process(around: "Around") -> "dict[str, Any]":
    order, status = around.order, fields(_text("/proc/self/status"))
    return {
        "umask": status.get("Umask"),
        "is_pid_1": order["pid"] == 1,
        "pid_1": _comm(1) if order["pid"] != 1 else "the program",
        "parent": _comm(order["parent"]) if order["parent"] else None,
        "leads_session": order["leads_session"],
        "leads_group": order["leads_group"],
        "has_terminal": _has_terminal(),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "oom_score_adj": int(_text("/proc/self/oom_score_adj")),
        "no_new_privileges": status.get("NoNewPrivs") == "1",
        "seccomp": status.get("Seccomp"),
    }


def capabilities(around: "Around") -> "dict[str, list[str]]":
    status = fields(_text("/proc/self/status"))
    return {name: capability_names(int(status[key], 16)) for key, name in _SETS.items()}


def capability_names(bits: int) -> "list[str]":
    """The capabilities of a mask; one that is newer than this list as its bit."""
    return [CAPABILITIES[bit] if bit < len(CAPABILITIES) else f"bit {bit}" for bit in range(64) if bits >> bit & 1]


def signals(around: "Around") -> "dict[str, list[str]]":
    """Ignored and blocked ones, as they were right before exec: those two stay over it, and handlers do not (execve(2))."""
    status = fields(around.status)
    return {name: _signals(int(status[key], 16)) for key, name in (("SigBlk", "blocked"), ("SigIgn", "ignored"))}


def _signals(bits: int) -> "list[str]":
    names = []
    for number in range(1, 65):
        if bits >> (number - 1) & 1:
            try:
                names.append(signal.Signals(number).name)
            except ValueError:
                names.append(f"signal {number}")
    return names


def limits(around: "Around") -> "dict[str, list[int]]":
    """Soft and hard; -1 for none."""
    names = sorted(name for name in dir(resource) if name.startswith("RLIMIT_") and name != "RLIMIT_OFILE")
    return {name[7:].lower(): list(resource.getrlimit(getattr(resource, name))) for name in names}


def descriptors(around: "Around") -> "dict[str, Any]":
    found: dict[str, Any] = {}
    numbers = sorted(int(name) for name in os.listdir("/proc/self/fd"))
    if len(numbers) > _MOST:
        around.lacks(f"descriptors: {_MOST} of {len(numbers)}")
    for number in numbers[:_MOST]:
        if number in around.own:
            continue
        try:
            if not os.get_inheritable(number):
                continue  # the collector's own: what came over exec has no FD_CLOEXEC, and what Python opens has
            found[str(number)] = _descriptor(number)
        except OSError:
            continue  # that of the listing
    return found


def _descriptor(number: int) -> "dict[str, Any]":
    mode = os.fstat(number)
    kind = _KINDS.get(stat.S_IFMT(mode.st_mode), "anonymous")
    if kind == "device":
        null = mode.st_rdev == os.stat("/dev/null").st_rdev
        kind = "null" if null else "terminal" if os.isatty(number) else kind
    access = ("read", "write", "both", "path")[fcntl.fcntl(number, fcntl.F_GETFL) & 3]
    return {
        "kind": kind,
        "access": access,
        "can_be_reopened": os.access(f"/proc/self/fd/{number}", os.R_OK if access == "read" else os.W_OK),
    }


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _comm(number: int) -> "str | None":
    """The name of a process, never its arguments: they may hold anything."""
    try:
        return _text(f"/proc/{number}/comm").strip()
    except OSError:
        return None


def fields(text: str) -> "dict[str, str]":
    return {name: rest.strip() for name, _, rest in (line.partition(":") for line in text.splitlines())}


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(1 << 16)
