"""A network, a gateway and jobs for the tests of the relay.

A test module that wants them says `pytest_plugins = ["tests.integration.relay_fixture"]`.
"""

import subprocess
from collections.abc import Iterator

import pytest

from tests.integration.conftest import Need, Starter
from tests.integration.relay_world import Gateway, Inside, Network


@pytest.fixture
def network(need: Need) -> Iterator[Network]:
    try:
        made = Network()
    except (OSError, AssertionError, subprocess.CalledProcessError):
        need(False, "this machine gives no network namespace (unshare --net)")
    yield made
    made.close()


@pytest.fixture
def gateway(network: Network) -> Iterator[Gateway]:
    made = Gateway(network)
    yield made
    made.close()


@pytest.fixture
def world(starter: Starter, network: Network, gateway: Gateway) -> Inside:
    return Inside(starter, network, gateway)
