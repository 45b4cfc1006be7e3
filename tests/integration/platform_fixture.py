"""The embedded platform for the tests of this directory: one for the whole session.

A test module that wants it says `pytest_plugins = ["tests.integration.platform_fixture"]`.
"""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lyftlearn_local.platform import Platform
from tests.integration.job import Bucket, Job


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """moto, the real Confidant, a StatsD gateway and a credentials endpoint."""
    with Platform(print) as started:
        yield started


@pytest.fixture
def job(platform: Platform, tmp_path: Path) -> Job:
    """A training job of the platform's, without a Confidant service."""
    root = tmp_path / "root"
    root.mkdir()
    return Job(root, platform.pointers())


@pytest.fixture
def bucket(platform: Platform) -> Bucket:
    return Bucket(platform)


@pytest.fixture
def service(platform: Platform) -> "Callable[..., dict[str, str]]":
    """`service(pairs, prefix=..., ...)` makes a Confidant service of one credential, or none, and gives the settings that point at it."""

    def make(pairs: "dict[str, str | int | float | bool | None]", prefix: str = "") -> dict[str, str]:
        name = "night-" + uuid.uuid4().hex[:8]
        platform.confidant.service(name, [platform.confidant.credential(pairs, prefix)] if pairs else [])
        return {key: value for key, value in platform.pointers(name).items() if key.startswith("LYFTLEARN_CONFIDANT")}

    return make
