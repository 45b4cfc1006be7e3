"""The canaries fail where something is broken: defects put into one place on purpose, each of a kind that was seen in the field."""

import os
from typing import TYPE_CHECKING

import pytest

from lyftlearn_local.container import Container
from lyftlearn_local.demo.opening import Opened
from tests.images.alone import alone
from tests.images.canary_fixture import needs_root
from tests.images.conftest import tag
from tests.parity.canary import canary
from tests.parity.canary.programs import DIRECTORY, Program, read

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["alone"]  # a fixture

pytestmark = [pytest.mark.image("base"), pytest.mark.slow, needs_root]


@pytest.fixture(scope="module")
def made() -> "Iterator[Opened]":
    with canary.scene(print, dict(os.environ), tag("base")) as opened:
        yield opened


def told(made: Opened, place: str, alter: canary.Alter, *names: str) -> "dict[str, str]":
    """What is said of each of these programs, with the place broken."""
    programs: list[Program] = [read(DIRECTORY / name) for name in names]
    seen = canary.see(made, programs, (place,), alter)
    return {program.name: "\n".join(seen.differences(program)) for program in programs}


def test_a_job_whose_steps_are_off(made: Opened) -> None:
    def off(place: str, container: Container) -> None:
        if place == "training":
            container.environ["LYFTLEARN_STEPS"] = "none"

    found = told(
        made, "training", off, "credentials.py", "environment.py", "hyperparameters.py", "capabilities.py", "statsd_client.py", "pool.py"
    )
    assert "FileNotFoundError: [Errno 2] No such file or directory: '/etc/credentials'" in found["credentials.py"]
    assert "-CREDENTIALS_PHI_KEY" in found["credentials.py"]
    assert "KeyError: 'SCREENING_BANNER'" in found["environment.py"]
    assert "No such file or directory: '/etc/hyperparameters'" in found["hyperparameters.py"]
    assert "-root: False effective capabilities: 0" in found["capabilities.py"]
    assert "-screening.statsd_client.epochs 5" in found["statsd_client.py"]
    assert found["pool.py"] == ""


def test_a_shell_between_the_entrypoint_and_the_program(made: Opened) -> None:
    """The shell form of an ENTRYPOINT: words are split again, and a signal ends the shell alone."""

    def shell(place: str, container: Container) -> None:
        if place == "processing":
            container.entrypoint = ["/bin/sh", "-c", 'lyftlearn-entrypoint $*; exit "$?"', "sh"]

    found = told(made, "processing", shell, "argv.py", "checkpoint.py", "pool_stopped.py", "exit_code.py")
    assert "-'two words'" in found["argv.py"]
    assert "-checkpoint written" in found["checkpoint.py"]
    assert "+(not there)" in found["checkpoint.py"]
    assert "+143" in found["pool_stopped.py"]
    assert found["exit_code.py"] == ""


def test_a_place_with_another_time_zone_and_locale(made: Opened) -> None:
    def elsewhere(place: str, container: Container) -> None:
        if place == "endpoint":
            container.environ.update(TZ="Asia/Tokyo", LC_ALL="POSIX")

    found = told(made, "endpoint", elsewhere, "timezones.py", "unicode_names.py", "tempfiles.py")
    assert "+Asia/Tokyo ('JST', 'JST') -32400 9" in found["timezones.py"]
    assert "-{'LANG': 'C.UTF-8'}" in found["unicode_names.py"]
    assert found["tempfiles.py"] == ""
