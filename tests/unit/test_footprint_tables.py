"""What page tables tell: which pages of mapped files processes looked at."""

import json
import mmap
import os
import platform
import shutil
import struct
import subprocess
import sys
import time
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

from lyftlearn_entrypoint.cli.footprint import pagemap
from lyftlearn_entrypoint.cli.footprint.tables import around, looked, within

PRESENT, SWAPPED = 1 << 63, 1 << 62
PAGE = os.sysconf("SC_PAGE_SIZE")
KIB = 1024
MAPS = """\
55d0c0000000-55d0c0002000 r--p 00000000 08:01 12 /usr/bin/python3.11
55d0c0002000-55d0c0003000 r-xp 00002000 08:01 12 /usr/bin/python3.11
55d0c1000000-55d0c1021000 rw-p 00000000 00:00 0 [heap]
7f0000000000-7f0000001000 rw-p 00000000 00:00 0
7f0000002000-7f0000003000 r--s 00000000 00:01 99 /memfd:doublemapper (deleted)
7f0000004000-7f0000005000 r--p 00000000 08:01 13 /opt/a name
7f0000006000-7f0000007000 r--p 00000000 08:01 14 /opt/two\\012lines
7fff00000000-7fff00021000 rw-p 00000000 00:00 0 [stack]
"""


def test_mappings_of_files() -> None:
    assert pagemap.files(MAPS) == [
        (0x55D0C0000000, 0x55D0C0002000, 0, "/usr/bin/python3.11"),
        (0x55D0C0002000, 0x55D0C0003000, 0x2000, "/usr/bin/python3.11"),
        (0x7F0000004000, 0x7F0000005000, 0, "/opt/a name"),
        (0x7F0000006000, 0x7F0000007000, 0, "/opt/two\nlines"),
    ]


def test_pages_that_have_an_entry() -> None:
    assert pagemap.present(array("Q", [0, PRESENT | 7, PRESENT, 0, SWAPPED, 1]), 0x2000, 4096) == [(0x3000, 0x5000), (0x6000, 0x7000)]
    assert pagemap.present(array("Q", [0, 1 << 61]), 0, 4096) == []


@pytest.mark.parametrize("machine", sorted(pagemap.MACHINES))
def test_the_filter_asks_for_what_leaves_an_address_space_and_for_nothing_else(machine: str) -> None:
    """The filter is run here as the kernel does. Source: Linux, Documentation/networking/filter.rst."""
    arch, _, *asked = pagemap.MACHINES[machine]
    steps = [struct.unpack_from("=HBBI", pagemap.program(machine), at) for at in range(0, len(pagemap.program(machine)), 8)]

    def answer(number: int, of: int) -> int:
        data = {0: number, 4: of}
        loaded = at = 0
        while True:
            code, yes, no, value = (int(each) for each in steps[at])
            at += 1
            if code == 0x06:
                return value
            if code == 0x20:
                loaded = data[value]
            else:
                at += yes if loaded == value else no

    asks, passes = 0x7FC00000, 0x7FFF0000
    assert {number for number in range(600) if answer(number, arch) == asks} == set(asked)
    assert {answer(number, arch) for number in range(600)} == {asks, passes}
    assert {answer(number, arch + 1) for number in range(600)} == {passes}


@pytest.mark.parametrize(("release", "found"), [("6.18.44-x", (6, 18)), ("5.4.0-1-amd64", (5, 4)), ("10.0", (10, 0)), ("odd", ())])
def test_a_kernels_version(release: str, found: "tuple[int, ...]") -> None:
    assert pagemap.version(release) == found


def test_what_all_looks_saw_together() -> None:
    lines = [
        json.dumps({"/a": [[0, 4096], [8192, 12_288]], "/b": []}),
        "",
        '{"/a": [[4',
        json.dumps({"/a": [[4096, 8192]], "/c": [[0, 1]]}),
    ]
    assert looked(lines) == {"/a": [(0, 12_288)], "/b": [], "/c": [(0, 1)]}


def test_what_is_read_around_a_page() -> None:
    assert around([(4096, 8192)]) == [(0, 72 * KIB)]
    assert around([(100 * KIB, 104 * KIB), (200 * KIB, 204 * KIB)]) == [(36 * KIB, 268 * KIB)]
    assert around([]) == []


def test_what_two_lists_have_in_common() -> None:
    assert within([(0, 10), (20, 30)], [(5, 25), (28, 40)]) == [(5, 10), (20, 25), (28, 30)]
    assert within([(0, 10)], [(10, 20)]) == []


# It maps a file of 100 pages and looks at two of them; with an argument, and then becomes another program.
LOOKS = """\
import mmap, os, sys
with open(sys.argv[1], "rb") as file:
    mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
mapped[0], mapped[80 * mmap.PAGESIZE]
if len(sys.argv) > 2:
    os.execvp(sys.argv[2], sys.argv[2:])
os._exit(0)  # before Python itself unmaps it
"""


def run(tmp_path: Path, *words: str) -> "tuple[int, list[str]]":
    out = tmp_path / "tables"
    done = subprocess.run(
        [sys.executable, "-I", "-S", pagemap.__file__, str(out), "--", *words], check=False, timeout=120, stdout=subprocess.PIPE
    )
    return done.returncode, out.read_text().splitlines() if out.exists() else []


@pytest.fixture
def possible(need: Callable[[object, str], None], tmp_path: Path) -> None:
    """Here and now: this kernel, this machine, and what this process may do."""
    need(shutil.which("strace"), "no strace on PATH")
    need(platform.machine() in pagemap.MACHINES, "no seccomp filter for this machine")
    need(pagemap.version(platform.release()) >= (5, 5), "the kernel is older than 5.5")
    need(subprocess.run(["strace", "-o", str(tmp_path / "x"), "true"], check=False).returncode == 0, "strace may not trace here")


@pytest.mark.usefixtures("possible")
@pytest.mark.parametrize("then", [(), ("true",)])
def test_a_process_is_looked_at_before_it_leaves(tmp_path: Path, then: "tuple[str, ...]") -> None:
    """By its end or another program. strace is there, since of a start all have a tracer."""
    data = tmp_path / "data"
    data.write_bytes(bytes(100 * PAGE))
    pagemap.forget([str(data)])
    code, lines = run(
        tmp_path, "/usr/bin/env", "strace", "-f", "-o", str(tmp_path / "trace"), sys.executable, "-c", LOOKS, str(data), *then
    )
    assert code == 0
    (ranges,) = [ranges for path, ranges in looked(lines).items() if path == str(data)]
    seen = {number for start, end in ranges for number in range(start // PAGE, end // PAGE)}
    assert {0, 80} <= seen
    # What is around them comes with them, up to 64 KiB; what lies between does not.
    assert seen & set(range(20, 60)) == set()


@pytest.mark.parametrize(("program", "code"), [("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 15)", 128 + 15)])
def test_it_ends_as_its_program_does(tmp_path: Path, program: str, code: int) -> None:
    assert run(tmp_path, sys.executable, "-c", program)[0] == code


def test_where_the_kernel_is_too_old_the_program_is_run_and_nobody_looks(tmp_path: Path, need: Callable[[object, str], None]) -> None:
    """setarch (util-linux) has a kernel of today call itself 2.6 to a program."""
    need(shutil.which("setarch"), "no setarch on PATH")
    out = tmp_path / "tables"
    words = ["setarch", "--uname-2.6", sys.executable, "-I", "-S", pagemap.__file__, str(out), "--", "/bin/sh", "-c", "exit 3"]
    done = subprocess.run(words, check=False, timeout=120)
    assert (done.returncode, out.exists()) == (3, False)


def test_the_program_has_what_it_would_have_without(tmp_path: Path) -> None:
    """Its environment, and the signals that Python ignores for itself."""
    program = "cat /proc/self/environ; grep SigIgn /proc/self/status"
    out = tmp_path / "out"
    with out.open("wb") as stream:
        done = subprocess.run(
            [sys.executable, "-I", "-S", pagemap.__file__, str(tmp_path / "tables"), "--", "/bin/sh", "-c", program],
            check=True,
            timeout=120,
            stdout=stream,
            env={"LC_ALL": "", "A": "1=2"},
        )
    assert done.returncode == 0
    environment, _, ignored = out.read_bytes().rpartition(b"\0")
    assert (
        {b"LC_ALL=", b"A=1=2"} <= set(environment.split(b"\0")) <= {b"LC_ALL=", b"A=1=2", b"PWD=" + os.getcwdb(), b"OLDPWD=", b"_=/bin/cat"}
    )
    assert int(ignored.split()[1], 16) & (1 << 12 | 1 << 24) == 0  # SIGPIPE, SIGXFSZ


def test_children_that_nobody_waits_for_hold_nothing_up(tmp_path: Path) -> None:
    program = "import os, time\nif os.fork() == 0:\n    os.setsid(); time.sleep(0.3); open(r'{0}', 'w').close()"
    left = tmp_path / "left"
    assert run(tmp_path, sys.executable, "-c", program.format(left))[0] == 0
    end = time.monotonic() + 60
    while not left.exists():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_file_is_forgotten_unless_it_is_in_use(tmp_path: Path) -> None:
    free, used = tmp_path / "free", tmp_path / "used"
    for path in (free, used):
        path.write_bytes(bytes(50 * PAGE))
    with used.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert mapped[0] == 0
        assert pagemap.forget([str(free), str(used), str(tmp_path / "none"), os.devnull]) == [str(used)]
    assert pagemap.forget([str(used)]) == []
