"""What strace prints, read: which bytes of which file were read or mapped, by whom, and when."""

import pytest

from lyftlearn_entrypoint.cli.footprint.trace import Touch, Trace, calls, text
from tests.unit.footprint_made import printed

OPEN = '7 openat(AT_FDCWD</home/x>, "a", O_RDONLY|O_CLOEXEC) = 3</data/a>'


def files(*lines: str, until: "float | None" = None) -> "dict[str, Touch]":
    return Trace(printed(*lines), until).files


def test_a_file_is_known_by_the_path_that_the_kernel_gives() -> None:
    assert files(OPEN) == {"/data/a": Touch()}


def test_what_fails_touches_nothing() -> None:
    assert (
        files(
            '7 openat(AT_FDCWD</>, "a", O_RDONLY) = -1 ENOENT (No such file or directory)',
            '7 execve("/bin/none", [...], 0x7ffd /* 3 vars */) = -1 ENOENT (No such file or directory)',
            "7 read(4</data/a>, 0x7ffd, 10) = -1 EAGAIN (Resource temporarily unavailable)",
            "7 exit_group(0) = ?",
            "7 +++ exited with 0 +++",
        )
        == {}
    )


def test_reads_follow_one_another() -> None:
    lines = (OPEN, '7 read(3</data/a>, ""..., 100) = 100', '7 read(3</data/a>, ""..., 100) = 40', '7 read(3</data/a>, ""..., 100) = 0')
    assert files(*lines)["/data/a"].read == [(0, 100), (100, 140)]


def test_a_position_is_moved() -> None:
    lines = (OPEN, "7 lseek(3</data/a>, -16, SEEK_END) = 984", '7 read(3</data/a>, ""..., 16) = 16')
    assert files(*lines)["/data/a"].read == [(984, 1000)]


def test_a_read_at_a_place_does_not_move_the_position() -> None:
    lines = (OPEN, '7 pread64(3</data/a>, ""..., 784, 64) = 784', '7 read(3</data/a>, ""..., 8) = 8')
    assert files(*lines)["/data/a"].read == [(64, 848), (0, 8)]


def test_vectors() -> None:
    lines = (
        OPEN,
        '7 readv(3</data/a>, [{iov_base=""..., iov_len=4}, {iov_base=""..., iov_len=6}], 2) = 10',
        '7 preadv(3</data/a>, [{iov_base=""..., iov_len=4}], 1, 500) = 4',
    )
    assert files(*lines)["/data/a"].read == [(0, 10), (500, 504)]


def test_a_mapping_may_have_been_looked_at() -> None:
    lines = (OPEN, "7 mmap(NULL, 8192, PROT_READ|PROT_EXEC, MAP_PRIVATE|MAP_FIXED|MAP_DENYWRITE, 3</data/a>, 0x26000) = 0x7f65")
    assert files(*lines)["/data/a"] == Touch(mapped=[(0x26000, 0x28000)])


def test_a_populated_mapping_was_read() -> None:
    lines = (OPEN, "7 mmap(NULL, 4096, PROT_READ, MAP_SHARED|MAP_POPULATE, 3</data/a>, 0) = 0x7f65")
    assert files(*lines)["/data/a"] == Touch(read=[(0, 4096)])


def test_memory_of_no_file_is_nothing() -> None:
    assert files("7 mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f65") == {}


def test_sockets_and_pipes_are_no_files() -> None:
    assert files('7 read(3<socket:[123]>, ""..., 10) = 10', '7 read(4<pipe:[5]>, ""..., 10) = 10') == {}


def test_sendfile_reads_its_second_file() -> None:
    found = files(OPEN, "7 sendfile(4</tmp/out>, 3</data/a>, NULL, 1000) = 1000")
    assert found["/data/a"].whole
    assert "/tmp/out" not in found


def test_a_file_that_is_opened_to_be_written_is_copied_whole() -> None:
    assert files('7 openat(AT_FDCWD</>, "/data/a", O_RDWR|O_CLOEXEC) = 3</data/a>')["/data/a"].whole
    assert not files('7 openat(AT_FDCWD</>, "/data/a", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3</data/a>')["/data/a"].whole


@pytest.mark.parametrize(
    "call",
    [
        'chown("/data/a", 1000, 100) = 0',
        'fchmodat(AT_FDCWD</data>, "a", 0644) = 0',
        'fchownat(4</data>, "a", 1000, 100, AT_SYMLINK_NOFOLLOW) = 0',
        'renameat(AT_FDCWD</data>, "a", AT_FDCWD</data>, "b") = 0',
        "utimensat(3</data/a>, NULL, [UTIME_NOW, UTIME_OMIT], 0) = 0",
    ],
)
def test_so_is_one_whose_owner_mode_or_name_changes(call: str) -> None:
    found = files(f"7 {call}")
    assert list(found) == ["/data/a"]
    assert found["/data/a"].whole


def test_programs_are_run_with_the_path_that_was_given() -> None:
    found = files(
        '7 execve("/usr/bin/env", [...], 0x7ffd /* 3 vars */) = 0',
        '7 openat(AT_FDCWD</srv>, "x", O_RDONLY) = 3</srv/x>',
        '7 execve("./here", [...], 0x7ffd /* 3 vars */) = 0',
    )
    assert found == {"/usr/bin/env": Touch(run=True), "/srv/x": Touch(), "/srv/./here": Touch(run=True)}


def test_a_child_starts_where_its_parent_was() -> None:
    trace = Trace(printed("7 fork() = 8", '8 execve("run", [...], 0x7ffd /* 3 vars */) = 0'), None, "/srv")
    assert list(trace.files) == ["/srv/run"]


def test_halves_are_put_together() -> None:
    """A child's calls may stand before the line that says that it was born."""
    lines = printed(
        OPEN,
        "7 clone(child_stack=NULL, flags=CLONE_VM|CLONE_VFORK|SIGCHLD <unfinished ...>",
        '8 read(3</data/a>, ""..., 100) = 100',
        "7 <... clone resumed>) = 8",
        "7 read(3</data/a>,  <unfinished ...>",
        '8 read(3</data/a>, ""..., 7) = 7',
        '7 <... read resumed>""..., 100) = 50',
    )
    # Parent and child share the position: the parent's descriptor was copied, the open file was not.
    assert Trace(lines).files["/data/a"].read == [(0, 100), (100, 107), (107, 157)]


def test_threads_share_their_descriptors() -> None:
    lines = (
        "7 clone3({flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_THREAD, exit_signal=0}, 88) = 8",
        '8 openat(AT_FDCWD</>, "/data/a", O_RDONLY) = 3</data/a>',
        '7 read(3</data/a>, ""..., 10) = 10',
    )
    assert files(*lines)["/data/a"] == Touch(read=[(0, 10)])


def test_a_child_has_a_table_of_its_own() -> None:
    lines = (
        "7 fork() = 8",
        '8 openat(AT_FDCWD</>, "/data/a", O_RDONLY) = 3</data/a>',
        '7 openat(AT_FDCWD</>, "/data/b", O_RDONLY) = 3</data/b>',
        '8 read(3</data/a>, ""..., 10) = 10',
        '7 read(3</data/b>, ""..., 20) = 20',
    )
    found = files(*lines)
    assert (found["/data/a"].read, found["/data/b"].read) == ([(0, 10)], [(0, 20)])


def test_a_copy_of_a_descriptor_shares_the_position() -> None:
    lines = (OPEN, "7 dup2(3</data/a>, 9) = 9</data/a>", '7 read(9</data/a>, ""..., 10) = 10', '7 read(3</data/a>, ""..., 10) = 10')
    assert files(*lines)["/data/a"].read == [(0, 10), (10, 20)]


def test_a_descriptor_from_elsewhere_may_have_read_anything() -> None:
    assert files('7 read(5</data/a>, ""..., 10) = 10')["/data/a"] == Touch(whole=True)


def test_numbers_of_processes_that_come_again_do_not_loop() -> None:
    found = files("7 fork() = 8", "8 fork() = 7", '8 execve("x", [...], 0x7ffd /* 3 vars */) = 0', '7 read(3</data/a>, ""..., 1) = 1')
    assert set(found) == {"//x", "/data/a"}


def test_what_came_after_the_end_does_not_count() -> None:
    lines = (OPEN, '7 read(3</data/a>, ""..., 10) = 10', '7 read(3</data/a>, ""..., 10) = 10')
    assert files(*lines, until=1001.5)["/data/a"].read == [(0, 10)]


def test_a_call_that_began_before_the_end_counts() -> None:
    lines = printed(OPEN, "7 read(3</data/a>,  <unfinished ...>", '7 <... read resumed>""..., 10) = 10')
    assert Trace(lines, 1001.5).files["/data/a"].read == [(0, 10)]


def test_lines_of_anything_else_are_passed_over() -> None:
    assert list(calls(["", "strace: Process 8 attached", "7     1000.0 --- SIGCHLD {si_signo=SIGCHLD} ---"])) == [
        ("7", "--- SIGCHLD {si_signo=SIGCHLD} ---")
    ]


@pytest.mark.parametrize(
    ("printed_as", "path"),
    [
        ("/plain", "/plain"),
        (r"/caf\303\251", "/café"),
        (r"/a\74b\76", "/a<b>"),
        (r"/tab\there\nand\\there\"", '/tab\there\nand\\there"'),
        (r"/\377", "/\udcff"),
    ],
)
def test_escapes(printed_as: str, path: str) -> None:
    assert text(printed_as) == path
    assert list(files(f'7 openat(AT_FDCWD</>, "x", O_RDONLY) = 3<{printed_as}>')) == [path]
