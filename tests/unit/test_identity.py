"""Who runs the program, and a HOME that this user can use."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lyftlearn_entrypoint.adapt.identity import User, can_write, home_variables, resolve
from lyftlearn_entrypoint.errors import BadSettings
from tests.unit.helpers import refused, user

PASSWD = {"root": (0, 0, "/root"), "worker": (1000, 100, "/home/worker"), "build": (2000, 2000, "/nonexistent")}
GROUPS = {"root": 0, "users": 100, "gpu": 44}
MEMBER = {"worker": [100, 44, 27], "root": [0]}


def passwd(who: "str | int") -> "tuple[str, int, int, str] | None":
    for name, (uid, gid, home) in PASSWD.items():
        if who in (name, uid):
            return name, uid, gid, home
    return None


def who(setting: str) -> User:
    return resolve(setting, "LYFTLEARN_USER", passwd, GROUPS.get, lambda name, gid: [*MEMBER.get(name, []), gid])


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("worker", (1000, 100, [27, 44, 100], "worker", "/home/worker")),
        ("1000", (1000, 100, [27, 44, 100], "worker", "/home/worker")),
        ("1000:44", (1000, 44, [27, 44, 100], "worker", "/home/worker")),
        ("worker:gpu", (1000, 44, [27, 44, 100], "worker", "/home/worker")),
        ("1000:0", (1000, 0, [0, 27, 44, 100], "worker", "/home/worker")),
        ("root", (0, 0, [0], "root", "/root")),
        ("4711", (4711, 0, [0], "", "")),
        ("4711:100", (4711, 100, [100], "", "")),
        ("1000680000:0", (1000680000, 0, [0], "", "")),
        ("build", (2000, 2000, [2000], "build", "/nonexistent")),
    ],
)
def test_user(setting: str, expected: tuple[int, int, list[int], str, str]) -> None:
    found = who(setting)
    assert (found.uid, found.gid, found.groups, found.name, found.home) == expected


@pytest.mark.parametrize(
    ("setting", "says"),
    [("nobody-here", "no user named nobody-here"), ("worker:nogroup", "no group named nogroup"), ("4711:gpus", "no group named gpus")],
)
def test_user_that_the_image_has_not(setting: str, says: str) -> None:
    error = refused(BadSettings, lambda: who(setting))
    assert error.what.startswith("LYFTLEARN_USER: ")
    assert says in error.what
    assert "number" in error.remedy


def test_user_in_a_line_of_the_log() -> None:
    assert (str(user()), str(user(name=""))) == ("worker (1000:100)", "(1000:100)")


@pytest.mark.parametrize(
    ("bits", "owner", "group", "expected"),
    [
        (0o700, 1000, 5, True),
        (0o077, 1000, 5, False),  # the owner's bits decide, not a wider group's
        (0o070, 5, 100, True),
        (0o707, 5, 100, False),
        (0o070, 5, 44, True),
        (0o007, 5, 5, True),
        (0o770, 5, 5, False),
        (0o200, 1000, 5, False),  # without x nothing can be made in it
        (0o1777, 0, 0, True),
    ],
)
def test_can_write(bits: int, owner: int, group: int, expected: bool) -> None:
    directory = os.stat_result((0o040000 | bits, 0, 0, 0, owner, group, 0, 0, 0, 0))
    assert can_write(directory, user(1000, 100, [100, 44])) is expected
    assert can_write(directory, user(0, 0, [0]))


def test_only_a_directory_is_a_home(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not can_write((tmp_path / "file").stat(), user(0))
    assert not can_write(None, user(0))
    assert can_write(tmp_path.stat(), user(tmp_path.stat().st_uid))


# HOME, USER and what hangs on them -------------------------------------------------------------------------------------------------


def only(*paths: str) -> Callable[[str], bool]:
    return lambda path: path in paths


FALLBACK = "/tmp/home-1000"


@pytest.mark.parametrize(
    ("home", "writable", "expected", "made"),
    [
        ("/home/own", ("/home/own",), None, False),
        ("/tmp", ("/tmp", "/home/worker"), None, False),
        ("/root", ("/home/worker",), "/home/worker", False),
        ("", ("/home/worker",), "/home/worker", False),
        (None, ("/home/worker",), "/home/worker", False),
        ("relative", ("relative", "/home/worker"), "/home/worker", False),
        ("/", ("/home/worker",), "/home/worker", False),
        ("/home/worker", (), FALLBACK, True),
        ("/", (), FALLBACK, True),
        (None, (), FALLBACK, True),
    ],
)
def test_home(home: "str | None", writable: tuple[str, ...], expected: "str | None", made: bool) -> None:
    variables = {"USER": "worker", "LOGNAME": "worker"} | ({} if home is None else {"HOME": home})
    changes, make = home_variables(variables, user(), only(*writable), FALLBACK, None)
    assert (changes, make) == ({} if expected is None else {"HOME": expected}, made)


def test_unknown_uid_gets_a_home_and_a_name() -> None:
    changes, make = home_variables({"HOME": "/"}, user(4711, 0, name="", home=""), only(), FALLBACK, None)
    assert (changes, make) == ({"HOME": FALLBACK, "USER": "user4711", "LOGNAME": "user4711"}, True)


def test_caches_below_a_lost_home_move_along() -> None:
    variables = {
        "HOME": "/root",
        "USER": "worker",
        "LOGNAME": "worker",
        "MPLCONFIGDIR": "/root/.config/mpl",
        "XDG_CACHE_HOME": "/root",
        "HF_HOME": "/data/hf",
        "TORCH_HOME": "/rootless/torch",
        "JUPYTER_DATA_DIR": "/root/shared",
        "MY_OWN_DIR": "/root/mine",
    }
    changes, _ = home_variables(variables, user(), only("/home/worker", "/root/shared"), FALLBACK, None)
    assert changes == {"HOME": "/home/worker", "MPLCONFIGDIR": "/home/worker/.config/mpl", "XDG_CACHE_HOME": "/home/worker"}


def test_home_that_is_the_root_directory_moves_no_caches() -> None:
    changes, _ = home_variables(
        {"HOME": "/", "USER": "w", "LOGNAME": "w", "HF_HOME": "/data/hf"}, user(), only("/home/worker"), FALLBACK, None
    )
    assert changes == {"HOME": "/home/worker"}


def test_names_of_the_user_before_are_replaced_and_others_stay() -> None:
    variables = {"HOME": "/home/worker", "USER": "root", "LOGNAME": "somebody"}
    assert home_variables(variables, user(), only("/home/worker"), FALLBACK, "root")[0] == {"USER": "worker"}
    assert home_variables(variables, user(), only("/home/worker"), FALLBACK, None)[0] == {}
    assert home_variables({"HOME": "/home/worker"}, user(), only("/home/worker"), FALLBACK, None)[0] == {
        "USER": "worker",
        "LOGNAME": "worker",
    }
