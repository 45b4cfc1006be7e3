"""Containers of the images, run by a real Docker Engine. Without an engine, or without the image, each test is skipped by name.

LYFTLEARN_TEST_IMAGES=required makes that a failure; names of images, with commas, as `lyftlearn image test` sets, require those and leave
the tests that need others out; `none` leaves all of them out. The summary says what was left out.
"""

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from lyftlearn_entrypoint.cli.image.common import tag_of
from lyftlearn_entrypoint.cli.image.docker import connect
from lyftlearn_local.containers.engine import until_removed
from tests.remarks import remark

WANTED = os.environ.get("LYFTLEARN_TEST_IMAGES", "")
# What a container's log must not hold unless a test expects it.
ALARMS = re.compile(
    r"Traceback \(most recent call last\)|\[(WARN|FATAL)|lyftlearn-entrypoint: (warning|error)|I have no name", re.IGNORECASE
)
PROGRAMS = Path(__file__).parent / "programs"
# No measure of anything: until then a container of a machine with much else to do has ended, has said it, or never will.
PATIENCE = 300  # seconds
# What a test takes for a quick end. A container that had to be killed takes longer, whatever the machine does.
GRACE, SOON = 120, 60  # seconds
# A program that outlives its test: what is done beside it may take any time.
IDLE = ("sleep", "infinity")


def tag(name: str) -> str:
    """The tag of images/NAME under test."""
    return os.environ.get(f"LYFTLEARN_TEST_IMAGE_{name.upper()}") or tag_of(name)


def missing(name: str) -> str:
    """Why images/NAME cannot be tested here; '' where it can."""
    try:
        client = connect()
    except click.ClickException as error:
        return error.message
    import docker.errors

    try:
        client.images.get(tag(name))
    except docker.errors.ImageNotFound:
        return f"no image {tag(name)} (lyftlearn image build {name})"
    finally:
        client.close()
    return ""


def pytest_collection_modifyitems(config: pytest.Config, items: "list[pytest.Item]") -> None:
    mine = [(item, name) for item in items for mark in item.iter_markers("image") for name in mark.args or ("base",)]
    names = {name for _, name in mine}
    chosen = names if WANTED in ("", "required") else {name for name in WANTED.split(",") if name != "none"}
    lacking = {name: why for name in names & chosen if (why := missing(name))}
    if lacking and WANTED:
        raise pytest.UsageError(f"LYFTLEARN_TEST_IMAGES={WANTED}, and " + "; ".join(sorted(lacking.values())))
    out = {id(item) for item, name in mine if name not in chosen}
    if out:
        gone = [item for item in items if id(item) in out]
        config.hook.pytest_deselected(items=gone)
        items[:] = [item for item in items if id(item) not in out]
        remark(config, f"tests/images: {len(gone)} tests left out: LYFTLEARN_TEST_IMAGES={WANTED}")
    for item, name in mine:
        if name in lacking:
            item.add_marker(pytest.mark.skip(reason=lacking[name]))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "image(*names): runs containers of these built images, default base")


class Container:
    """A running or ended container. Its whole log is checked for alarms when the test is over."""

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self.expected: list[str] = []  # regular expressions of lines that look like alarms, and are meant

    def expect(self, *patterns: str) -> "Container":
        self.expected += patterns
        return self

    @property
    def log(self) -> str:
        return str(self.handle.logs().decode(errors="replace"))

    @property
    def stdout(self) -> str:
        return str(self.handle.logs(stderr=False).decode(errors="replace"))

    def wait(self, seconds: int = PATIENCE) -> int:
        """The exit code; the container must end within that time."""
        return int(self.handle.wait(timeout=seconds)["StatusCode"])

    def stop(self, seconds: int = GRACE) -> "tuple[int, float]":
        """SIGTERM, and SIGKILL after that many seconds, as a platform stops a container: (exit code, seconds it took)."""
        began = time.monotonic()
        self.handle.stop(timeout=seconds)
        return self.wait(), time.monotonic() - began

    def exec(self, *command: str, user: str = "", environment: "dict[str, str] | None" = None) -> "tuple[int, str]":
        """(exit code, stdout and stderr) of `docker exec`."""
        done = self.handle.exec_run(list(command), user=user, environment=environment or {})
        return done.exit_code, done.output.decode(errors="replace")

    def python(self, program: str, user: str = "") -> str:
        """What a Python program prints in the container, on its users' environment. It must succeed."""
        code, printed = self.exec("python", "-c", program, user=user)
        assert code == 0, printed
        return printed

    def until(self, text: str, seconds: float = PATIENCE) -> None:
        """Wait until the log holds `text`."""
        end = time.monotonic() + seconds
        while True:
            self.handle.reload()
            ended = self.handle.status == "exited"  # looked at first: its last words may come between two looks
            if text in self.log:
                return
            assert not ended, f"it ended without {text!r}:\n{self.log}"
            assert time.monotonic() < end, f"no {text!r} after {seconds} s:\n{self.log}"
            time.sleep(0.1)

    def alarms(self) -> "list[str]":
        found = [line for line in self.log.splitlines() if ALARMS.search(line)]
        return [line for line in found if not any(re.search(pattern, line) for pattern in self.expected)]


def remove_network(network: Any) -> None:
    until_removed(network, PATIENCE)


# start(*command, **options of docker's SDK) -> Container
Start = Callable[..., Container]


@pytest.fixture(scope="session")
def client() -> "Iterator[Any]":
    made = connect()
    made.api.timeout = 2 * PATIENCE  # of each call, and between two words of a build
    yield made
    made.close()


@pytest.fixture(scope="session")
def base(client: Any) -> str:
    """The id of the base image: every test of a session runs the same bytes."""
    return str(client.images.get(tag("base")).id)


@pytest.fixture(scope="session")
def distributed(client: Any) -> str:
    """The id of the image with Spark."""
    return str(client.images.get(tag("distributed")).id)


@pytest.fixture(scope="session")
def dl(client: Any) -> str:
    """The id of the deep learning image."""
    return str(client.images.get(tag("dl")).id)


@pytest.fixture
def start(client: Any, request: pytest.FixtureRequest) -> "Iterator[Start]":
    """Starts containers, of the base image and without a network but their own loopback unless a test says otherwise; removes them, and
    checks their logs."""
    started: list[Container] = []

    def run(*command: str, image: str = "", **options: Any) -> Container:
        settled = {"network_mode": "none", "detach": True, **options}
        handle = client.containers.create(image or request.getfixturevalue("base"), list(command) or None, **settled)
        made = Container(handle)
        started.append(made)
        handle.start()
        return made

    yield run
    try:
        for container in started:
            assert not container.alarms(), container.log
    finally:
        for container in started:
            container.handle.remove(force=True, v=True)


@pytest.fixture(scope="module")
def derived(client: Any) -> "Iterator[Callable[..., str]]":
    """`derived(NAME=value)` makes an image FROM base with these variables, and gives its tag."""
    made: list[str] = []

    def make(**environ: str) -> str:
        name = f"lyftlearn-test:{os.getpid()}-{len(made)}"
        container = client.containers.create(tag("base"))
        try:
            container.commit(*name.split(":"), changes=[f"ENV {key}={value}" for key, value in environ.items()])
        finally:
            container.remove()
        made.append(name)
        return name

    yield make
    for name in made:
        client.images.remove(name)
