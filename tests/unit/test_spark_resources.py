"""What a container has, told from the files that a kernel shows: cgroup v1, v2 and both, nested limits, and none."""

import pytest

from lyftlearn_entrypoint.files import Files
from lyftlearn_entrypoint.spark.resources import measure

GIB = 1 << 30


class Kernel:
    """A file system that holds these files and no others."""

    def __init__(self, **files: str) -> None:
        self.files = {"/proc/meminfo": f"MemTotal:       {64 * GIB >> 10} kB\nMemFree: 1 kB\n"}
        self.files.update(files)

    def put(self, path: str, text: str) -> "Kernel":
        self.files[path] = text
        return self

    def read(self, path: str, limit: int = 0) -> "bytes | None":
        text = self.files.get(path)
        return None if text is None else text.encode()

    def stat(self, path: str) -> "object | None":
        return object() if path in self.files else None

    def is_dir(self, path: str) -> bool:
        return any(name.startswith(path + "/") for name in self.files)


def measured(kernel: Kernel, affinity: int = 16) -> "tuple[int, int]":
    found = measure(kernel, affinity)  # type: ignore[arg-type]  # only what it asks for
    return found.cpus, found.memory


def v2(path: str = "/") -> Kernel:
    return Kernel().put("/proc/self/cgroup", f"0::{path}\n").put("/sys/fs/cgroup/cgroup.controllers", "cpu memory\n")


def v1(path: str) -> Kernel:
    return Kernel().put("/proc/self/cgroup", f"9:memory:{path}\n5:cpu,cpuacct:{path}\n1:name=systemd:{path}\n0::{path}\n")


def test_no_limit_at_all() -> None:
    """A SageMaker job: the whole machine."""
    assert measured(Kernel()) == (16, 64 * GIB)


def test_version_2() -> None:
    kernel = v2().put("/sys/fs/cgroup/memory.max", str(8 * GIB)).put("/sys/fs/cgroup/cpu.max", "400000 100000\n")
    assert measured(kernel) == (4, 8 * GIB)


def test_version_2_without_limits() -> None:
    kernel = v2().put("/sys/fs/cgroup/memory.max", "max\n").put("/sys/fs/cgroup/cpu.max", "max 100000\n")
    assert measured(kernel) == (16, 64 * GIB)


@pytest.mark.parametrize(
    ("quota", "cpus"),
    [("50000 100000", 1), ("100000 100000", 1), ("250000 100000", 3), ("3200000 100000", 16), ("x 100000", 16), ("-1", 16)],
)
def test_a_part_of_a_processor_counts_as_a_whole_one(quota: str, cpus: int) -> None:
    assert measured(v2().put("/sys/fs/cgroup/cpu.max", quota))[0] == cpus


def test_the_smallest_limit_on_the_way_up_holds() -> None:
    """A pod's limit may stand on the group above the container's."""
    kernel = v2("/kubepods/pod1/c1")
    kernel.put("/sys/fs/cgroup/kubepods/pod1/c1/memory.max", "max").put("/sys/fs/cgroup/kubepods/pod1/memory.max", str(4 * GIB))
    kernel.put("/sys/fs/cgroup/kubepods/memory.max", str(32 * GIB)).put("/sys/fs/cgroup/kubepods/pod1/cpu.max", "200000 100000")
    kernel.put("/sys/fs/cgroup/kubepods/pod1/c1/cpu.max", "600000 100000")
    assert measured(kernel) == (2, 4 * GIB)


def test_version_1_with_its_own_mount_as_the_root() -> None:
    """Docker binds the container's group over the mount: the path in /proc is not there."""
    kernel = v1("/docker/0123").put("/sys/fs/cgroup/memory/memory.limit_in_bytes", str(2 * GIB))
    kernel.put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "150000").put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000")
    assert measured(kernel) == (2, 2 * GIB)


def test_version_1_says_no_limit_with_a_huge_number() -> None:
    kernel = v1("/docker/0123").put("/sys/fs/cgroup/memory/docker/0123/memory.limit_in_bytes", "9223372036854771712")
    kernel.put("/sys/fs/cgroup/cpu/docker/0123/cpu.cfs_quota_us", "-1").put("/sys/fs/cgroup/cpu/docker/0123/cpu.cfs_period_us", "100000")
    assert measured(kernel) == (16, 64 * GIB)


def test_both_versions_at_once() -> None:
    """A hybrid system: processors by version 2, memory by version 1."""
    kernel = v1("/a").put("/sys/fs/cgroup/unified/cgroup.controllers", "").put("/sys/fs/cgroup/unified/a/cpu.max", "300000 100000")
    kernel.put("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", str(GIB))
    assert measured(kernel) == (3, GIB)


def test_affinity() -> None:
    assert measured(v2().put("/sys/fs/cgroup/cpu.max", "800000 100000"), affinity=2)[0] == 2


def test_what_cannot_be_read_limits_nothing() -> None:
    assert measured(Kernel(**{"/proc/self/cgroup": "garbage\n:::\n"})) == (16, 64 * GIB)
    assert measured(v2("/../../etc").put("/sys/fs/cgroup/memory.max", "many")) == (16, 64 * GIB)


def test_this_machine() -> None:
    found = measure(Files())
    assert found.cpus >= 1
    assert found.memory > 1 << 28
