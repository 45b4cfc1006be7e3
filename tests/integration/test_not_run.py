"""Commands that cannot be run end with a shell's own code, 126 or 127, and one line; and which command is run at all."""

import os
import shutil
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Starter


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """A directory of things that are no programs, and of two that are."""

    def make(name: str, content: bytes, mode: int) -> None:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)

    make("plain", b"#!/bin/sh\nexit 5\n", 0o644)
    make("no-interpreter", b"#!/no/such/interpreter\n", 0o755)
    make("data", b"\0\1\2\3data", 0o755)
    make("elf", b"\x7fELF\2\1\1\0not an executable", 0o755)
    make("no-first-line", b"exit 5\n", 0o755)
    make("empty", b"", 0o755)
    make("blocked/program", b"#!/bin/sh\nexit 5\n", 0o644)
    make("good/program", b"#!/bin/sh\nexit 5\n", 0o755)
    (tmp_path / "directory").mkdir()
    (tmp_path / "folder/program").mkdir(parents=True)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "link").symlink_to("good/program")
    return tmp_path


# (command, PATH with {} for the bench, what the line says)
NOT_RUN = [
    ("./missing", None, "no such file"),
    ("/no/such/program", None, "no such file"),
    ("./dangling", None, ""),
    ("no-such-program", None, "not found on PATH"),
    ("", None, ""),
    ("two words", None, "two words: "),
    ("no\nsuch", None, ""),
    (b"no-\xff-such", None, ""),
    ("./directory", None, "directory"),
    ("./directory/", None, "directory"),
    ("/", None, "directory"),
    ("./plain", None, "chmod a+x"),
    ("./plain/x", None, ""),
    ("./loop", None, ""),
    ("./no-interpreter", None, "#!"),
    ("./data", None, "Exec format error"),
    ("./elf", None, "Exec format error"),
    ("/dev/null", None, ""),
    ("./" + "x" * 300, None, ""),
    ("program", "{}/blocked", "chmod a+x"),
    ("program", "{}/folder", "not found"),
    ("program", "{}/nowhere:{}/plain", "not found"),
    ("program", "", "not found"),
    ("plain", "", "chmod a+x"),
]
RUN = [
    ("program", "{}/blocked:{}/good"),
    ("program", "{}/folder:{}/good"),
    ("program", "{}/nowhere:{}/plain:{}/good"),
    ("link", "{}"),
    ("./link", None),
    ("good/program", "{}/good"),
]


def environment(path: str | None, bench: Path) -> dict[str, str]:
    return {} if path is None else {"PATH": path.replace("{}", str(bench))}


def shells(starter: "Starter", command: str | bytes, path: str | None, bench: Path) -> set[int]:
    """The codes that the shells of this machine give for the command. `$0` is the command, so no character of it means anything."""
    found = set()
    for shell in ("sh", "bash", "dash"):
        where = shutil.which(shell)
        if where:
            found.add(starter.direct(where, "-c", '"$0"', command, env=environment(path, bench), cwd=bench).returncode)
    return found


@pytest.mark.parametrize(("command", "path", "says"), NOT_RUN, ids=lambda value: ascii(value)[:30])
def test_code_is_the_shells(starter: "Starter", bench: Path, command: str | bytes, path: str | None, says: str) -> None:
    """Where bash and dash agree, theirs; where they differ (a path through a file, a link to itself), one of the two."""
    done = starter.run(command, "argument", env=environment(path, bench), cwd=bench)
    assert done.returncode in shells(starter, command, path, bench) & {126, 127}
    line = done.stderr.decode()
    assert line.startswith("lyftlearn-entrypoint: error: ")
    assert line.count("\n") == 1
    assert f"(exit {done.returncode})" in line
    assert says in line
    assert done.stdout == b""


@pytest.mark.parametrize(("command", "path"), RUN, ids=str)
def test_path_is_searched_as_a_shell_does(starter: "Starter", bench: Path, command: str, path: str | None) -> None:
    done = starter.run(command, env=environment(path, bench), cwd=bench)
    assert (done.returncode, done.stderr) == (5, b"")
    assert shells(starter, command, path, bench) == {5}


@pytest.mark.parametrize("command", ["./no-first-line", "./empty"])
def test_a_script_without_a_first_line_is_no_program(starter: "Starter", bench: Path, command: str) -> None:
    """A shell would run it itself. There is none here: a container runtime says exec format error too."""
    done = starter.run(command, cwd=bench)
    assert done.returncode == 126
    assert b"add a #! line" in done.stderr


def test_path_unset_is_the_systems_default(starter: "Starter") -> None:
    del starter.environ["PATH"]
    assert starter.run("cat", "/proc/self/cmdline").stdout.startswith(b"cat\0")
    done = starter.run("cat", "/proc/self/environ")
    assert b"PATH=" not in done.stdout


def test_permission_is_asked_for_the_user_who_runs(open_starter: "Starter") -> None:
    program = open_starter.root / "mine"
    program.write_text("#!/bin/sh\nexit 5\n")
    program.chmod(0o700)
    closed = open_starter.root / "closed"
    closed.mkdir(mode=0o700)
    shutil.copy(program, closed / "mine")
    other: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": []}
    for path in (str(program), str(closed / "mine")):
        done = open_starter.run(path, **other)
        assert done.returncode == 126 == open_starter.direct("sh", "-c", '"$0"', path, **other).returncode
        assert b"ermission denied" in done.stderr
    # As the user of a job, too, before anything else is done.
    open_starter.training()
    done = open_starter.run(str(program), env={"LYFTLEARN_USER": "65534:65534"})
    assert done.returncode == 126
    assert stat.S_IMODE(program.stat().st_mode) == 0o700


def test_no_options_of_its_own(starter: "Starter") -> None:
    for word in ("--help", "-h", "--version", "-c", "--"):
        done = starter.run(word)
        assert done.returncode == 127
        assert word in done.stderr.decode()


@pytest.mark.parametrize("name", ["train", "serve"])
def test_train_and_serve_run_what_the_setting_says(starter: "Starter", name: str) -> None:
    setting = {f"LYFTLEARN_{name.upper()}_COMMAND": "printf '<%s>' \"a b\" $HOME '*' ''"}
    done = starter.run(name, "more", "", env=setting)
    assert done.stdout == b"<a b><$HOME><*><><more><>"
    assert done.returncode == 0


@pytest.mark.parametrize("name", ["train", "serve"])
def test_train_and_serve_are_programs_on_path(starter: "Starter", tmp_path: Path, name: str) -> None:
    program = tmp_path / name
    program.write_text('#!/bin/sh\necho "$0" "$@"\n')
    program.chmod(0o755)
    done = starter.run(name, "x", env={"PATH": f"{tmp_path}:{starter.environ['PATH']}"})
    assert done.stdout == f"{program} x\n".encode()


@pytest.mark.parametrize("name", ["train", "serve"])
def test_train_and_serve_without_either_name_both_remedies(starter: "Starter", name: str) -> None:
    done = starter.run(name, env={"PATH": "/usr/bin:/bin"})
    assert done.returncode == 127
    assert f"LYFTLEARN_{name.upper()}_COMMAND" in done.stderr.decode()
    assert f"executable named {name} on PATH" in done.stderr.decode()


def test_without_arguments_the_setting_runs(starter: "Starter") -> None:
    setting = {"LYFTLEARN_COMMAND": "sh -c 'echo \"$@\"' name 'two  words'"}
    assert starter.run(env=setting).stdout == b"two  words\n"
    assert starter.run("echo", "argument", env=setting).stdout == b"argument\n"
    # Of another start's commands none stands in.
    assert starter.run(env={"LYFTLEARN_TRAIN_COMMAND": "echo", "LYFTLEARN_SERVE_COMMAND": "echo"}).returncode == 64


def test_without_anything_64(starter: "Starter") -> None:
    done = starter.run()
    assert done.returncode == 64
    assert b"LYFTLEARN_COMMAND" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_typing_error_costs_no_network(starter: "Starter", tmp_path: Path) -> None:
    starter.training()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        fetching = {
            "AWS_ENDPOINT_URL": url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "made-up",
            "LYFTLEARN_HYPERPARAMETERS_URI": "s3://bucket/key",
        }
        done = starter.run("pyhton", env=fetching)
        assert done.returncode == 127
        with pytest.raises(BlockingIOError):
            server.accept()
    failure = tmp_path / "opt/ml/output/failure"
    assert "pyhton: command not found" in failure.read_text()


def test_path_of_a_document_is_not_shown(starter: "Starter", bench: Path) -> None:
    """A staged variable's value reaches no log, PATH's neither."""
    starter.training()
    for directory, command, code in ((bench / "blocked", "program", 126), (bench, "no-interpreter", 127), (bench, "nothing", 127)):
        shutil.rmtree(bench / "opt/ml/input/data/lyftlearn", ignore_errors=True)
        starter.channel(f'{{"PATH": "{directory}"}}', "{}")
        done = starter.run(command, env={"LYFTLEARN_LOG_LEVEL": "debug"})
        assert done.returncode == code
        assert command in done.stderr.decode()
        shown = done.stderr.decode().replace(str(bench / "opt"), "")
        assert str(directory) not in shown


def test_a_command_named_by_path_needs_no_path(starter: "Starter") -> None:
    assert starter.run(os.path.realpath(sys.executable), "-I", "-S", "-c", "print(1)", env={"PATH": "/no"}).stdout == b"1\n"


def test_shells_are_there(need: Callable[[object, str], None]) -> None:
    """Without bash the comparison above is with one shell only."""
    need(shutil.which("bash"), "bash is not there")
    assert shutil.which("sh")
