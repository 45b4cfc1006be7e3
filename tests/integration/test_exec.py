"""The end of a start: the program has our PID, its own words, environment, streams and limits, byte for byte."""

import fcntl
import os
import pty
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Starter

# What the kernel was given: nothing decodes it on the way, as os.environ or a shell would.
ARGV = "import sys; sys.stdout.buffer.write(open('/proc/self/cmdline', 'rb').read())"
WORDS: list[list[str | bytes]] = [
    [],
    [""],
    ["", "", "a", ""],
    ["two words", "two\nlines", "\ttab ", "'\"\\$HOME`*"],
    [b"\xff\xfe", "é".encode("latin-1"), "é日本"],
    ["-c", "--help", "--", "-", "train", "serve", "executor", "LYFTLEARN_USER=x"],
    ["x" * 100_000],
]
AWKWARD: dict[bytes, bytes] = {
    b"app.config.name": b"1",
    b"with-dash": b"2",
    b"1st": b"3",
    b"with space": b"4",
    b"BASH_FUNC_f%%": b"() {  :\n}",
    b"EMPTY": b"",
    b"LINES": b"a\nb\r\n",
    b"EQUALS": b"a=b=c",
    b"BYTES": b"\xff\xfe\x80",
    b"\xc3\xa9\xff": "ü日本".encode(),
    b"LONG": b"x" * 100_000,
    b"PYTHONPATH": b"/no/such",
    b"PYTHONHOME": b"/no/such",
    b"PYTHONMALLOC": b"nonsense",
}
LOCALES: list[dict[str, str]] = [
    {},
    {"LANG": "C"},
    {"LANG": "C.UTF-8"},
    {"LC_ALL": "POSIX"},
    {"LC_ALL": "C", "LANG": "C.UTF-8"},
    {"LC_CTYPE": "C"},
    {"LC_CTYPE": "POSIX", "LANG": "C"},
    {"LC_CTYPE": ""},
    {"LC_CTYPE": "C.UTF-8"},
    {"LC_CTYPE": "no_SUCH", "LANG": "no_SUCH"},
    {"PYTHONCOERCECLOCALE": "warn", "PYTHONUTF8": "1"},
]


def seen(block: bytes) -> list[bytes]:
    return block.split(b"\0")[:-1]


def test_the_program_has_our_pid_and_our_parent(starter: "Starter") -> None:
    with starter.popen("sh", "-c", "echo $$ $PPID; grep ^Threads: /proc/$$/status; cat /proc/$$/task/$$/children") as process:
        out, err = process.communicate()
    assert out.split()[:4] == [b"%d" % process.pid, b"%d" % os.getpid(), b"Threads:", b"1"]
    assert len(out.split()) <= 5  # the one child is cat
    assert err == b""


@pytest.mark.parametrize("words", WORDS, ids=range(len(WORDS)))
def test_argv_byte_for_byte(starter: "Starter", words: list[str | bytes]) -> None:
    program = [sys.executable, "-I", "-S", "-c", ARGV]
    done = starter.run(*program, *words)
    assert seen(done.stdout) == [os.fsencode(word) for word in [*program, *words]]
    assert done.stderr == b""


def test_argv_0_is_the_word_as_typed(starter: "Starter") -> None:
    assert seen(starter.run("cat", "/proc/self/cmdline").stdout) == [b"cat", b"/proc/self/cmdline"]


@pytest.mark.parametrize("locale", LOCALES, ids=str)
def test_environment_byte_for_byte_and_in_order(starter: "Starter", locale: dict[str, str]) -> None:
    given = {**{os.fsencode(name): os.fsencode(value) for name, value in {**starter.environ, **locale}.items()}, **AWKWARD}
    done = starter.run("/bin/cat", "/proc/self/environ", env={**locale, **AWKWARD})
    found = seen(done.stdout)
    assert found == [name + b"=" + value for name, value in given.items()] + [b"LYFTLEARN_CONTEXT=local"]
    assert done.stderr == b""


@pytest.fixture(scope="module")
def latin(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables that choose a locale whose encoding is not UTF-8; empty where none can be made."""
    directory = tmp_path_factory.mktemp("locales")
    try:
        done = subprocess.run(
            ["localedef", "-i", "de_DE", "-f", "ISO-8859-1", str(directory / "de_DE.ISO-8859-1")], capture_output=True, check=False
        )
        made = done.returncode == 0
    except OSError:
        made = False
    return {"LOCPATH": str(directory), "LC_ALL": "de_DE.ISO-8859-1"} if made else {}


def test_words_and_environment_under_a_latin_1_locale(
    starter: "Starter", latin: dict[str, str], need: Callable[[object, str], None]
) -> None:
    need(latin, "localedef and the sources of locales (Debian: locales) are not there")
    words = ["é日本".encode(), b"\xe9", b"\xff\xfe"]
    program = [sys.executable, "-I", "-S", "-c", ARGV]
    assert seen(starter.run(*program, *words, env=latin).stdout)[-3:] == words
    found = seen(starter.run("/bin/cat", "/proc/self/environ", env={**latin, **AWKWARD}).stdout)
    assert {name + b"=" + value for name, value in AWKWARD.items()} <= set(found)


def test_an_entry_without_a_name_does_not_stop_a_start(starter: "Starter") -> None:
    """A C program can pass one; Python's own execve refuses it."""
    words = [os.fsencode(word) for word in [*starter.words, "/bin/cat", "/proc/self/environ"]]
    entries = [b"PATH=/usr/bin:/bin", b"=C:=windows", b"no equals sign", b"HOME=" + os.fsencode(starter.environ["HOME"])]
    script = (
        "import ctypes, sys; words, entries = eval(sys.argv[1]);"
        "array = lambda items: (ctypes.c_char_p * (len(items) + 1))(*items, None);"
        "ctypes.CDLL(None).execve(words[0], array(words), array(entries))"
    )
    done = subprocess.run([sys.executable, "-c", script, repr((words, entries))], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert seen(done.stdout)[:2] == [entries[0], entries[3]]


@pytest.mark.parametrize("length", [0, 1, 1_000_000])
def test_stdin_is_the_programs_alone(starter: "Starter", length: int) -> None:
    data = os.urandom(length)
    assert starter.run("cat", data=data).stdout == data


def test_inherited_descriptors_stay_and_none_is_added(starter: "Starter") -> None:
    starter.training()
    starter.channel('{"STAGED": "yes"}', '{"depth": 3}')
    listing = "import os; print(sorted(fd for fd in map(int, os.listdir('/proc/self/fd')) if os.path.exists(f'/proc/self/fd/{fd}')))"
    read, write = os.pipe()
    try:
        program = [sys.executable, "-I", "-S", "-c", listing]
        done = starter.run(*program, pass_fds=(read, write))
        assert done.stdout == starter.direct(*program, pass_fds=(read, write)).stdout
        assert done.returncode == 0
    finally:
        os.close(read)
        os.close(write)


@pytest.mark.parametrize("training", [False, True], ids=["local", "training"])
@pytest.mark.parametrize("ignored", ["", "HUP", "INT TERM", "USR1"])
def test_signal_dispositions_are_those_without_us(starter: "Starter", training: bool, ignored: str) -> None:
    if training:
        starter.training()
        starter.channel('{"STAGED": "yes"}', '{"depth": 3}')
    script = f'trap "" {ignored}; exec "$@"' if ignored else 'exec "$@"'
    before: list[str | bytes] = ["sh", "-c", script, "sh"]
    program = ("grep", "-E", "^Sig(Ign|Cgt|Blk|Pnd):", "/proc/self/status")
    done = starter.run(*program, before=before)
    assert done.stdout == starter.direct(*program, before=before).stdout
    assert done.stdout.count(b"\n") == 4


def test_sigpipe_ends_the_program_as_it_does_in_a_pod(starter: "Starter") -> None:
    with starter.popen("yes") as process:
        assert process.stdout is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.wait(timeout=60) == -signal.SIGPIPE


def test_directory_umask_limits_and_priority_stay(starter: "Starter", tmp_path: Path) -> None:
    starter.training()
    starter.channel('{"STAGED": "yes"}', '{"depth": 3}')
    before: list[str | bytes] = ["sh", "-c", 'umask 027; ulimit -n 77; ulimit -c 0; exec nice -n 3 "$@"', "sh"]
    program = ("sh", "-c", "pwd; umask; ulimit -a; nice; cat /proc/$$/oom_score_adj")
    done = starter.run(*program, before=before, cwd=tmp_path)
    assert done.stdout == starter.direct(*program, before=before, cwd=tmp_path).stdout
    assert done.stdout.startswith(os.fsencode(tmp_path) + b"\n0027\n")


@pytest.mark.parametrize("code", [0, 1, 7, 64, 127, 255])
def test_exit_code_is_the_programs(starter: "Starter", code: int) -> None:
    assert starter.run("sh", "-c", f"exit {code}").returncode == code


@pytest.mark.parametrize("name", ["KILL", "TERM", "SEGV", "ABRT", "INT"])
def test_death_by_signal_is_the_programs(starter: "Starter", name: str) -> None:
    before: list[str | bytes] = ["sh", "-c", 'ulimit -c 0; exec "$@"', "sh"]
    assert starter.run("sh", "-c", f"kill -{name} $$", before=before).returncode == -signal.Signals["SIG" + name]


class Terminal:
    """A terminal of which a program is the session leader. `master` is our end."""

    def __init__(self, starter: "Starter", *program: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
        self.process = starter.popen(*program, before=["setsid", "--ctty"], stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        self.text = b""

    def until(self, words: bytes) -> None:
        """Read until these words were printed, 60 s at most."""
        end = time.monotonic() + 60
        os.set_blocking(self.master, False)
        while words not in self.text:
            assert time.monotonic() < end, self.text
            try:
                self.text += os.read(self.master, 4096)
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:  # EIO: the other end is closed
                break
        assert words in self.text, self.text

    def close(self) -> None:
        os.close(self.master)
        self.process.kill()
        self.process.wait()


@pytest.fixture
def terminal(starter: "Starter", need: Callable[[object, str], None]) -> Iterator[Callable[..., Terminal]]:
    need(shutil.which("setsid"), "setsid (util-linux) is not there")
    made: list[Terminal] = []

    def open_terminal(*program: str) -> Terminal:
        made.append(Terminal(starter, *program))
        return made[-1]

    yield open_terminal
    for one in made:
        one.close()


def test_terminal_and_its_size(terminal: Callable[..., Terminal]) -> None:
    opened = terminal("sh", "-c", "test -t 0 && test -t 1 && test -t 2 && stty size && tty && echo all")
    opened.until(b"all")
    assert opened.text.startswith(b"33 101\r\n/dev/pts/")
    assert opened.process.wait(timeout=60) == 0


def test_control_c_reaches_the_program(terminal: Callable[..., Terminal]) -> None:
    opened = terminal("sh", "-c", "trap 'echo interrupted; exit 9' INT; echo ready; while :; do sleep 0.05; done")
    opened.until(b"ready")
    os.write(opened.master, b"\x03")
    opened.until(b"interrupted")
    assert opened.process.wait(timeout=60) == 9


def test_shell_has_job_control(terminal: Callable[..., Terminal], need: Callable[[object, str], None]) -> None:
    need(shutil.which("bash"), "bash is not there")
    opened = terminal("bash", "--norc", "--noprofile", "-i")
    os.write(opened.master, b"sleep 60 &\njobs\nkill %1; wait; echo do''ne; exit 4\n")
    opened.until(b"done")
    assert opened.process.wait(timeout=60) == 4
    assert b"Running" in opened.text
    assert b"no job control" not in opened.text
