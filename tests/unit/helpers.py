"""What the unit tests build their inputs with: a file tree in a temporary directory, settings, users, and a log that is read back."""

import json
import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lyftlearn_entrypoint.adapt.identity import User
from lyftlearn_entrypoint.errors import StartError
from lyftlearn_entrypoint.files import Files
from lyftlearn_entrypoint.log import Log
from lyftlearn_entrypoint.settings import Settings, load

ACCOUNT = "123456789012"


def arn(resource: str, partition: str = "aws", service: str = "sagemaker", region: str = "us-east-1", account: str = ACCOUNT) -> str:
    return f"arn:{partition}:{service}:{region}:{account}:{resource}"


def tree(root: Path, files: Mapping[str, "str | bytes | dict[str, Any]"]) -> Files:
    """Write `files` (absolute path to content; a dict becomes JSON; a path that ends in / is a directory) below `root`."""
    for path, content in files.items():
        target = root / path.lstrip("/")
        if path.endswith("/"):
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            content = json.dumps(content)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
    return Files(str(root))


def settings(root: Path, /, **environ: str) -> Settings:
    """Settings from variables, named without their prefix and in lower case, over whatever platform file lies below `root`."""
    return load({"LYFTLEARN_" + name.upper(): value for name, value in environ.items()}, Files(str(root)))


class Lines:
    """A log's lines, kept instead of written."""

    def __init__(self, level: str = "debug", form: str = "text") -> None:
        self.written: list[bytes] = []
        self.log = Log(level, form, self.written.append, lambda: 1_700_000_000.25)

    @property
    def text(self) -> str:
        return b"".join(self.written).decode()


def user(uid: int = 1000, gid: int = 100, groups: "list[int] | None" = None, name: str = "worker", home: str = "/home/worker") -> User:
    return User(uid, gid, [gid] if groups is None else groups, name, home)


def refused(kind: type[StartError], action: Callable[[], object]) -> StartError:
    """The error of `kind`, and of no subclass or sister, that `action` raises."""
    with pytest.raises(StartError) as caught:
        action()
    assert type(caught.value) is kind
    return caught.value


def short(value: object) -> str:
    """A test's name for a parameter that may be long or binary."""
    return ascii(value)[:40]


def mode(path: "Path | str") -> int:
    return os.lstat(path).st_mode & 0o7777


def is_root() -> bool:
    return os.geteuid() == 0


# What the two modules on volumes share.
FIRST = {"user": b"me", "tls.key": b"line\nno newline at the end", "empty": b"", "bär": b"\xff\x00", ".hidden": b"x"}


def seen(directory: Path) -> dict[str, bytes]:
    """What a program that lists the directory and opens what it finds gets."""
    return {path.name: path.read_bytes() for path in directory.iterdir() if not path.name.startswith("..")}


def check_layout(directory: Path, contents: dict[str, bytes], bits: int) -> None:
    data = os.readlink(directory / "..data")
    assert re.fullmatch(r"\.\.\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d\.[0-9a-f]+", data)
    assert {path.name for path in directory.iterdir()} == {"..data", data, *contents}
    assert {path.name for path in (directory / data).iterdir()} == set(contents)
    assert mode(directory / data) == 0o755
    for name, content in contents.items():
        assert os.readlink(directory / name) == "..data/" + name
        real = directory / data / name
        assert stat.S_ISREG(real.lstat().st_mode)
        assert mode(real) == bits
        if bits & 0o400:
            assert real.read_bytes() == content
