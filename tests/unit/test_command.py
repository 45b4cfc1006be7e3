"""Which command is run, and how a command line is split: shlex and a real shell are the oracles."""

import os
import random
import shlex
import subprocess
from pathlib import Path

import pytest

from lyftlearn_entrypoint.command import choose, jupyter, locate, split
from lyftlearn_entrypoint.context import CONTEXTS, LOCAL, STUDIO, TRAINING, Context
from lyftlearn_entrypoint.errors import CommandNotExecutable, CommandNotFound, NothingToRun
from tests.unit.helpers import is_root, refused, settings, short

LINES = [
    "python train.py",
    "  python \t -m   train\n",
    "sh -c 'exit 3'",
    'python -c "print(1)"',
    "a'b'c\"d\"e",
    "''",
    "\"\" x ''",
    "a\\ b",
    '"a\\"b"',
    '"a\\b"',
    "'a\\b'",
    "a#b #c",
    "ünïcode 'ß ß'",
    '--name="it\'s"',
]


@pytest.mark.parametrize("line", LINES)
def test_split_as_shlex(line: str) -> None:
    assert split(line) == shlex.split(line)


def test_split_as_shlex_over_generated_lines() -> None:
    chance = random.Random(20)
    refused_lines = 0
    for _ in range(20_000):
        line = "".join(chance.choice("ab \t'\"\\é=-") for _ in range(chance.randrange(14)))
        try:
            expected = shlex.split(line)
        except ValueError:
            refused_lines += 1
            with pytest.raises(ValueError, match=r"backslash|quote"):
                split(line)
        else:
            assert split(line) == expected, line
    assert 1000 < refused_lines < 19_000


def test_split_as_a_real_shell_over_generated_lines() -> None:
    """Where shlex and a shell differ (a backslash before a newline, `$` or a backquote in double quotes), the shell is right."""
    chance = random.Random(21)
    lines: list[str] = []
    while len(lines) < 400:
        line = "".join(
            chance.choice(["a", "b", " ", "\\\n", "\\$", "\\`", "\\\\", '\\"', "'", '"', "\\a"]) for _ in range(chance.randrange(12))
        )
        try:
            split(line)
        except ValueError:
            continue
        lines.append(line)
    script = "".join(f"printf '%s\\0' w {line}\nprintf '\\0'\n" for line in lines)
    answer = subprocess.run(["sh"], input=script.encode(), capture_output=True, check=True, env={"PATH": os.defpath}).stdout
    assert answer.decode() == "".join("".join(word + "\0" for word in ["w", *split(line)]) + "\0" for line in lines)


def test_nothing_is_expanded() -> None:
    assert split("echo $HOME ~ * `id` $(id) ; a | b > c && d") == [
        "echo",
        "$HOME",
        "~",
        "*",
        "`id`",
        "$(id)",
        ";",
        "a",
        "|",
        "b",
        ">",
        "c",
        "&&",
        "d",
    ]


@pytest.mark.parametrize(
    ("line", "says"), [("'a", "quote (') is never closed"), ('a "b', 'quote (") is never closed'), ("a\\", "backslash ends")]
)
def test_split_says_what_is_open(line: str, says: str) -> None:
    with pytest.raises(ValueError, match=r"never closed|backslash") as caught:
        split(line)
    assert says in str(caught.value)


# Which command -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONTEXTS)
def test_arguments_are_the_command_verbatim(tmp_path: Path, name: str) -> None:
    words = ["python", "-c", "print('a b')", "", "--x=$HOME", "line\nbreak", "--help", "\udcff"]
    command = choose(words, Context(name, []), settings(tmp_path, command="other", train_command="other"), root=True)
    assert (command.argv, command.origin) == (words, "arguments")


@pytest.mark.parametrize("word", ["train", "serve"])
def test_train_and_serve_run_what_the_setting_says(tmp_path: Path, word: str) -> None:
    chosen = settings(tmp_path, **{word + "_command": "python -m app 'two words'"})
    command = choose([word, "--epochs", "3 4"], Context(TRAINING, []), chosen, root=True)
    assert command.argv == ["python", "-m", "app", "two words", "--epochs", "3 4"]
    assert command.origin == f"LYFTLEARN_{word.upper()}_COMMAND"


@pytest.mark.parametrize("word", ["train", "serve"])
def test_train_and_serve_without_a_setting_stay(tmp_path: Path, word: str) -> None:
    assert choose([word, "x"], Context(TRAINING, []), settings(tmp_path, command="other"), root=True).argv == [word, "x"]


def test_train_is_only_the_first_word(tmp_path: Path) -> None:
    chosen = settings(tmp_path, train_command="python")
    assert choose(["env", "train"], Context(LOCAL, []), chosen, root=True).argv == ["env", "train"]
    assert choose(["trainer"], Context(LOCAL, []), chosen, root=True).argv == ["trainer"]


def test_without_arguments_the_setting(tmp_path: Path) -> None:
    command = choose([], Context(TRAINING, []), settings(tmp_path, command="python -V"), root=True)
    assert (command.argv, command.origin) == (["python", "-V"], "LYFTLEARN_COMMAND")


def test_without_arguments_in_studio_jupyter(tmp_path: Path) -> None:
    command = choose([], Context(STUDIO, [], "jupyterlab"), settings(tmp_path, command="python -V"), root=False)
    assert command.argv[:2] == ["jupyter", "lab"]
    assert {"--ServerApp.ip=0.0.0.0", "--ServerApp.port=8888", "--ServerApp.base_url=/jupyterlab/default"} <= set(command.argv)
    assert "--allow-root" not in command.argv
    assert "--allow-root" in jupyter("jupyterlab", root=True)


@pytest.mark.parametrize("name", [name for name in CONTEXTS if name != STUDIO])
def test_nothing_to_run(tmp_path: Path, name: str) -> None:
    error = refused(NothingToRun, lambda: choose([], Context(name, []), settings(tmp_path), root=True))
    assert error.code == 64
    assert "LYFTLEARN_COMMAND" in str(error)


# Where it is -----------------------------------------------------------------------------------------------------------------------


def program(path: Path, mode: int = 0o755) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return str(path)


def test_first_on_path_wins(tmp_path: Path) -> None:
    first = program(tmp_path / "a" / "tool")
    program(tmp_path / "b" / "tool")
    assert locate("tool", f"{tmp_path}/none:{tmp_path}/a:{tmp_path}/b") == first


def test_what_cannot_be_executed_is_passed_over_as_a_shell_does(tmp_path: Path) -> None:
    program(tmp_path / "a" / "tool", 0o644)
    (tmp_path / "b" / "tool").mkdir(parents=True)
    last = program(tmp_path / "c" / "tool")
    assert locate("tool", f"{tmp_path}/a:{tmp_path}/b:{tmp_path}/c") == last


def test_found_but_not_executable_is_126(tmp_path: Path) -> None:
    path = program(tmp_path / "tool", 0o644)
    for name, search in ((path, ""), ("tool", str(tmp_path))):
        error = refused(CommandNotExecutable, lambda name=name, search=search: locate(name, search))  # type: ignore[misc]
        assert (error.code, path in error.what, "chmod a+x" in error.remedy) == (126, True, True)


def test_directory_with_a_slash_is_126_and_on_path_127(tmp_path: Path) -> None:
    (tmp_path / "tool").mkdir()
    refused(CommandNotExecutable, lambda: locate(str(tmp_path / "tool"), None))
    refused(CommandNotFound, lambda: locate("tool", str(tmp_path)))


@pytest.mark.parametrize("name", ["no-such-tool", "", "a\nb", "\udcff", "x" * 300], ids=short)
def test_missing_is_127(tmp_path: Path, name: str) -> None:
    error = refused(CommandNotFound, lambda: locate(name, str(tmp_path)))
    assert error.code == 127
    assert "\n" not in str(error)


@pytest.mark.parametrize("word", ["train", "serve"])
def test_missing_train_names_both_remedies(tmp_path: Path, word: str) -> None:
    error = refused(CommandNotFound, lambda: locate(word, str(tmp_path)))
    assert f"LYFTLEARN_{word.upper()}_COMMAND" in error.remedy
    assert "on PATH" in error.remedy


def test_without_path_the_systems_own(tmp_path: Path) -> None:
    assert locate("sh", None) in ("/bin/sh", "/usr/bin/sh")
    assert locate(str(program(tmp_path / "x")), None) == str(tmp_path / "x")


@pytest.mark.parametrize(
    ("bits", "user", "allowed"),
    [(0o700, (0, 0, []), True), (0o100, (7, 7, []), False), (0o001, (7, 7, []), True), (0o010, (7, 7, []), False)],
)
def test_asked_for_the_user_who_will_run(tmp_path: Path, bits: int, user: tuple[int, int, list[int]], allowed: bool) -> None:
    path = program(tmp_path / "tool", bits)
    if allowed:
        assert locate(path, None, user) == path
    else:
        refused(CommandNotExecutable, lambda: locate(path, None, user))


def test_group_and_owner_bits_count_for_the_user(tmp_path: Path) -> None:
    path = program(tmp_path / "tool", 0o710)
    found = os.stat(path)
    assert locate(path, None, (found.st_uid, 7, [])) == path
    uid = found.st_uid + 1
    assert locate(path, None, (uid, found.st_gid, [])) == path
    assert locate(path, None, (uid, found.st_gid + 1, [found.st_gid])) == path
    refused(CommandNotExecutable, lambda: locate(path, None, (uid, found.st_gid + 1, [])))


def test_no_way_to_it_is_126(tmp_path: Path) -> None:
    path = program(tmp_path / "closed" / "tool")
    (tmp_path / "closed").chmod(0)
    try:
        if is_root():  # whom no directory keeps out
            assert locate(path, None) == path
        else:
            error = refused(CommandNotExecutable, lambda: locate(path, None))
            assert "permission denied" in error.what
    finally:
        (tmp_path / "closed").chmod(0o755)
