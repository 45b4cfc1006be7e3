"""Fixtures of tests that pull lazily: an image that runs, and nodes that leave nothing behind."""

import gzip
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import pytest

from tests.images.ecr_world import World
from tests.images.lazy_world import SOCI, Lazily, LazyNode, Made, add, text
from tests.lazy_node import Enclosure, lacking
from tests.unit.soci_made import GZIP


@pytest.fixture
def lazily(world: World, need: Callable[[object, str], None]) -> Iterator[Lazily]:
    """lazily(v1): a node that has nothing yet. Nothing of it is left when the test is over."""
    lacks = lacking(Path(SOCI).parent)
    need(not lacks, lacks)
    made: list[LazyNode] = []
    with ExitStack() as stack:

        def start(v1: bool) -> LazyNode:
            # A socket's path may have 107 bytes, and pytest's are long.
            directory = Path(tempfile.mkdtemp(prefix="lazy-"))
            stack.callback(shutil.rmtree, directory)
            enclosure = Enclosure()
            node = LazyNode(directory, enclosure, world, v1)
            stack.callback(node.forget)
            stack.callback(node.stop)
            stack.callback(enclosure.close)
            made.append(node)
            node.start()
            return node

        yield start
    for node in made:
        assert str(node.directory) not in Path("/proc/mounts").read_text()
        running = [each for each in os.listdir("/proc") if str(node.directory).encode() in told(Path("/proc", each, "cmdline"))]
        assert not running
        # os.walk passes over what goes meanwhile, which a glob of pathlib's does not: others' containers come and go.
        assert not [where for where, names, _ in os.walk("/sys/fs/cgroup") if node.namespace in names]


def told(file: Path) -> bytes:
    """A file of a process that may have ended."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


@pytest.fixture(scope="session")
def runnable(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """An image of three layers, the second over 10 MiB: this machine's /bin/cat with its libraries, and /data/0 to /data/8."""
    linked = subprocess.run(["ldd", "/bin/cat"], capture_output=True, text=True, check=True).stdout
    programs = ["/bin/cat", *re.findall(r"(/\S+) \(0x", linked)]
    below, large, above = BytesIO(), BytesIO(), BytesIO()
    with tarfile.open(fileobj=large, mode="w") as archive:
        for path in programs:
            add(archive, path.lstrip("/"), Path(path).read_bytes(), 0o755)
        for number in range(9):
            add(archive, f"data/{number}", text(number), 0o640)
    for small, name in ((below, "etc/name"), (above, "etc/greeting")):
        with tarfile.open(fileobj=small, mode="w") as archive:
            add(archive, name, b"hello\n", 0o644)
    packed = [(GZIP, gzip.compress(each.getvalue(), 6, mtime=0)) for each in (below, large, above)]
    assert len(packed[1][1]) > 10 << 20
    return Made(tmp_path_factory.mktemp("lazy") / "in", packed)
