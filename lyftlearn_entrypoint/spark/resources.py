"""What this container really has: processors and memory, as the kernel will enforce them.

Spark sizes nothing by itself, and what a machine shows (os.cpu_count, MemTotal) is the node's, not the container's. Limits are
those of control groups, of version 1 and 2, of every group above this one too (a pod's limit is on its parent), and the
affinity mask. Sources: Documentation/admin-guide/cgroup-v1/memory.rst, cgroup-v2.rst and sched-bwc.rst of the kernel.
"""

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.files import Reader

# cgroup v1 has no word for "no limit": it is LONG_MAX rounded down to a page. Nothing that large is a limit.
_NO_LIMIT = 1 << 60


class Resources:
    """Processors (whole ones, at least 1) and memory in bytes that this container may use."""

    __slots__ = ("cpus", "memory")

    def __init__(self, cpus: int, memory: int) -> None:
        self.cpus = cpus
        self.memory = memory


def measure(files: "Reader", affinity: "int | None" = None) -> Resources:
    """The resources of this container. `affinity`: how many processors this process may run on; asked of the kernel by default.

    A quota of 2.5 processors counts as 3, as the JVM counts it (os::active_processor_count), so that local[*] and we agree.
    """
    processors = affinity or len(posix.sched_getaffinity(0))
    memory = _total(files)
    for controller, paths in _groups(files).items():
        for path in paths:
            if controller == "cpu":
                quota = _quota(files, path)
                if quota is not None:
                    processors = min(processors, quota)
            else:
                limit = _limit(files, path)
                if limit is not None:
                    memory = min(memory, limit) if memory else limit
    return Resources(max(processors, 1), memory)


def _groups(files: "Reader") -> "dict[str, list[str]]":
    """Directories to ask, by controller: this process's group and each one above it, as far as they are visible here.

    A container may see its own group as the root (a namespace, or Docker's bind mount), so the root is always among them.
    """
    found: dict[str, list[str]] = {"cpu": [], "memory": []}
    for line in (files.read("/proc/self/cgroup", 65536) or b"").decode("utf-8", "replace").splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if number == "0" and not names:
            for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
                if files.stat(root + "/cgroup.controllers") is not None:
                    for controller in found:
                        found[controller] += _upwards(root, path)
                    break
        else:
            for controller in names.split(","):
                if controller in found:
                    # `cpu,cpuacct` is one directory; each name is a link to it.
                    found[controller] += _upwards("/sys/fs/cgroup/" + controller, path)
    return found


def _upwards(root: str, path: str) -> "list[str]":
    parts = [part for part in path.split("/") if part and part != ".."]
    return ["/".join([root, *parts[:length]]) for length in range(len(parts), -1, -1)]


def _quota(files: "Reader", directory: str) -> "int | None":
    new = _words(files, directory + "/cpu.max")
    if len(new) == 2:
        quota, period = new
    else:
        quota = "".join(_words(files, directory + "/cpu.cfs_quota_us"))
        period = "".join(_words(files, directory + "/cpu.cfs_period_us"))
    if not quota.isdigit() or not period.isdigit() or int(quota) <= 0 or int(period) <= 0:
        return None  # `max`, or -1
    return -(-int(quota) // int(period))


def _limit(files: "Reader", directory: str) -> "int | None":
    for name in ("/memory.max", "/memory.limit_in_bytes"):
        words = _words(files, directory + name)
        if len(words) == 1 and words[0].isdigit() and int(words[0]) < _NO_LIMIT:
            return int(words[0])
    return None


def _words(files: "Reader", path: str) -> "list[str]":
    try:
        return (files.read(path, 4096) or b"").decode("ascii", "replace").split()
    except OSError:
        return []


def _total(files: "Reader") -> int:
    """MemTotal in bytes; 0 where the kernel does not say."""
    for line in (files.read("/proc/meminfo", 65536) or b"").splitlines():
        if line.startswith(b"MemTotal:"):
            return int(line.split()[1]) << 10
    return 0
