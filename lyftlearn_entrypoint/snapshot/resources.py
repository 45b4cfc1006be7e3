"""How much a runtime believes to have: processors and memory, as Python, Java and BLAS find out, and what control groups allow."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lyftlearn_entrypoint.snapshot.collect import Around

_GROUPS = "/sys/fs/cgroup"
_ENDLESS = 1 << 60  # version 1 writes "no limit" as a number near 2^63


def resources(around: "Around") -> "dict[str, Any]":
    affinity = len(os.sched_getaffinity(0))
    limit = memory_limit(_GROUPS)
    quota = cpu_quota(_GROUPS)
    shared = None
    try:
        found = os.statvfs("/dev/shm")
        shared = found.f_blocks * found.f_frsize
    except OSError:
        pass
    return {
        "cpu_count": os.cpu_count(),
        "affinity": affinity,
        "cpu_quota": quota,
        # Java, and whoever asks like it: the quota rounded up, at most the affinity (OpenJDK 17, cgroupSubsystem_linux.cpp)
        "cpus_as_java": min(affinity, max(1, -int(-quota // 1))) if quota else affinity,
        "memory_limit": limit,
        "pids_limit": _number("pids.max", "pids/pids.max"),
        "cgroup": 2 if os.path.exists(_GROUPS + "/cgroup.controllers") else 1,
        "shared_memory": shared,
    }


def memory_limit(root: str) -> "int | None":
    """Bytes, None for no limit."""
    return _number("memory.max", "memory/memory.limit_in_bytes", root)


def cpu_quota(root: str) -> "float | None":
    """Processors, None for no limit."""
    both = _read(root + "/cpu.max")
    if both is None:
        quota, period = _read(root + "/cpu/cpu.cfs_quota_us"), _read(root + "/cpu/cpu.cfs_period_us")
        both = f"{quota} {period}" if quota and period else "max 1"
    quota, _, period = both.partition(" ")
    if not quota.lstrip("-").isdigit() or int(quota) <= 0 or not int(period or 0):
        return None
    return int(quota) / int(period)


def _number(second: str, first: str, root: str = _GROUPS) -> "int | None":
    text = _read(f"{root}/{second}") or _read(f"{root}/{first}")
    return int(text) if text and text.isdigit() and int(text) < _ENDLESS else None


def _read(path: str) -> "str | None":
    try:
        with open(path, encoding="ascii") as file:
            return file.read(200).strip()
    except OSError:
        return None
