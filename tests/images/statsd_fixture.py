"""The network of a World of statsd_world.py."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.images.conftest import remove_network


@pytest.fixture
def network(client: Any) -> Iterator[str]:
    """A network of a test's own, without a way out."""
    made = client.networks.create(f"lyftlearn-test-{uuid.uuid4().hex[:12]}", driver="bridge", internal=True)
    yield str(made.name)
    remove_network(made)
