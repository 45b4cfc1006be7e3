"""The environment being made: what may be a variable, who wins, and what is remembered for the log."""

import os
import shutil
import subprocess
from collections.abc import Callable

import pytest

from lyftlearn_entrypoint.adapt.environment import MAX_STRING, Environment, illegal, loader_name, show, staged_variables, total_size
from lyftlearn_entrypoint.errors import BadDocument
from tests.unit.helpers import refused, short

IMAGE = {"KEPT": "image", "TAKEN": "image", "SAME": "same"}


def test_fetched_wins_unless_kept() -> None:
    environment = Environment(IMAGE, {"KEPT", "NEW"})
    for name in ("KEPT", "TAKEN", "SAME", "NEW"):
        environment.put(name, "same" if name == "SAME" else "fetched", "here")
    assert environment.variables == {"KEPT": "image", "TAKEN": "fetched", "SAME": "same", "NEW": "fetched"}
    assert environment.overwritten == ["TAKEN"]
    assert environment.notes == ["KEPT is kept as it is (LYFTLEARN_ENV_KEEP)"]
    assert environment.origins == {"KEPT": "image or job", "TAKEN": "here", "SAME": "here", "NEW": "here"}
    assert IMAGE["TAKEN"] == "image"


def test_star_keeps_all_that_is_there() -> None:
    environment = Environment(IMAGE, {"*"})
    for name in (*IMAGE, "NEW"):
        environment.put(name, "fetched", "here")
    assert environment.variables == {**IMAGE, "NEW": "fetched"}
    assert environment.overwritten == []


def test_empty_value_of_the_image_is_a_value() -> None:
    environment = Environment({"EMPTY": ""}, {"EMPTY"})
    environment.put("EMPTY", "x", "here")
    environment.fill("EMPTY", "x", "here")
    assert environment.variables == {"EMPTY": ""}


def test_default_fills_gaps_only() -> None:
    environment = Environment(IMAGE, set())
    environment.fill("TAKEN", "default", "derived")
    environment.fill("NEW", "default", "derived")
    assert (environment.variables["TAKEN"], environment.variables["NEW"]) == ("image", "default")
    assert (environment.origins["TAKEN"], environment.origins["NEW"]) == ("image or job", "derived")
    assert environment.overwritten == []


@pytest.mark.parametrize("name", ["A", "a.b", "a-b", "1A", "é", " ", "A\nB", "%", "BASH_FUNC_f%%"])
def test_legal_name_reaches_a_program(name: str) -> None:
    assert illegal(name, "value") == ""
    shown = subprocess.run(["env", "-0"], env={"PATH": os.defpath, name: "value"}, capture_output=True, check=True).stdout
    assert os.fsencode(f"{name}=value") in shown.split(b"\0")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("", "x", "name is empty"),
        ("A=B", "x", "holds ="),
        ("=A", "x", "holds ="),
        ("A\0", "x", "name holds a NUL"),
        ("A", "x\0y", "value holds a NUL"),
        ("A", "\ud800", "lone surrogate"),
        ("\ud800", "x", "lone surrogate"),
        ("A", "x" * MAX_STRING, "the kernel takes 131072"),
        ("A", "é" * (MAX_STRING // 2), "the kernel takes 131072"),
    ],
    ids=short,
)
def test_illegal_is_an_error_that_names_the_variable_and_not_its_value(name: str, value: str, says: str) -> None:
    assert says in illegal(name, value)
    error = refused(BadDocument, lambda: staged_variables({"GOOD": "hunter2", name: value}, "s3://b/k"))
    assert error.what.startswith("s3://b/k: variable ")
    assert show(name) in error.what
    assert says in error.what
    assert "hunter2" not in str(error)
    assert len(value) < 10 or value not in str(error)


def test_limit_is_the_kernels() -> None:
    largest = "x" * (MAX_STRING - len("A=") - 1)
    assert illegal("A", largest) == ""
    subprocess.run(["true"], env={"PATH": os.defpath, "A": largest}, check=True)
    assert illegal("A", largest + "x") != ""
    with pytest.raises(OSError, match="too long"):
        subprocess.run(["true"], env={"PATH": os.defpath, "A": largest + "x"}, check=True)


@pytest.mark.parametrize(
    ("value", "kind"), [(1, "a number"), (True, "a boolean"), (None, "null"), ([], "an array"), ({"a": 1}, "an object")]
)
def test_staged_value_must_be_a_string(value: object, kind: str) -> None:
    error = refused(BadDocument, lambda: staged_variables({"A.B": value}, "s3://b/k"))
    assert error.what == f"s3://b/k: A.B is {kind}, not a string"


def test_staged_document_may_set_any_name_but_ours() -> None:
    document = {
        "PATH": "/x",
        "PYTHONPATH": "/x",
        "LD_LIBRARY_PATH": "/x",
        "LD_PRELOAD": "/x",
        "HOME": "/x",
        "a.b-c": "",
        "lyftlearn_x": "y",
    }
    ours = {"LYFTLEARN_USER": "0", "LYFTLEARN_CONTEXT": "local", "LYFTLEARN_": "hunter2"}
    variables, warnings = staged_variables({**document, **ours}, "s3://b/k")
    assert variables == document
    assert len(warnings) == 3
    assert all(name in warning and "is ignored" in warning for name, warning in zip(ours, warnings, strict=True))
    assert "hunter2" not in str(warnings)


@pytest.mark.parametrize("name", ["PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONSTARTUP", "BASH_ENV", "ENV", "IFS"])
def test_loader_name(name: str) -> None:
    assert loader_name(name)
    assert not loader_name("CREDENTIALS_" + name)


@pytest.mark.parametrize("name", ["ENVIRONMENT", "MY_PATH", "PATHS", "path", "OLD_LD"])
def test_no_loader_name(name: str) -> None:
    assert not loader_name(name)


def test_shown_name_is_printable_and_short() -> None:
    assert show("A.b-1") == "A.b-1"
    for name in ("", "A\nB", "\x1b[31m", "é", "\ud800", "x" * 5000):
        shown = show(name)
        assert shown.isascii()
        assert shown.isprintable()
        assert len(shown) <= 300


def test_total_size_is_what_the_kernel_counts(need: Callable[[object, str], None]) -> None:
    """execve(2) fails one byte and one pointer above what the stack's limit allows, not before."""
    prlimit = shutil.which("prlimit")
    need(prlimit, "prlimit (util-linux) is not installed")

    def run(env: dict[bytes, bytes]) -> bool:
        """Whether execve(2) of /bin/true with this environment works under a stack of 1 MiB."""
        return (
            subprocess.run([str(prlimit), "--stack=1048576", "/bin/true"], env=env, stderr=subprocess.DEVNULL, check=False).returncode == 0
        )

    limit = (1 << 20) // 4

    def padded(room: int) -> dict[bytes, bytes]:
        env = {b"V%d" % number: b"x" * 100_000 for number in range(2)}
        env[b"LAST"] = b""
        env[b"LAST"] = b"x" * (room - total_size([b"/bin/true"], env))
        return env

    assert total_size([b"/bin/true"], padded(limit - 512)) == limit - 512
    assert run(padded(limit - 512))
    assert not run(padded(limit + 64))
