"""Where the gateway is, for whom a relay is left behind, and what the plan says of it."""

from pathlib import Path

import pytest

from lyftlearn_entrypoint.adapt.statsd import is_relay, relay
from lyftlearn_entrypoint.context import CONTEXTS, KUBERNETES, LOCAL
from tests.unit.helpers import settings
from tests.unit.launch_world import World, inputs


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("mode", ["", "auto", "on", "off"])
def test_for_whom(tmp_path: Path, context: str, mode: str) -> None:
    wanted = mode == "on" or (mode != "off" and context not in (KUBERNETES, LOCAL))
    found = relay(settings(tmp_path, statsd_gateway="gateway.example.com:9125", statsd_relay=mode), context)
    assert found == (("gateway.example.com", 9125) if wanted else None)


def test_for_nobody_without_a_gateway(tmp_path: Path) -> None:
    assert relay(settings(tmp_path, statsd_relay="on"), "studio") is None


@pytest.mark.parametrize("gateway", ["localhost:8125", "127.0.0.1:8125", "[::1]:8125", "0.0.0.0:8125"])
def test_a_gateway_that_is_the_relay_is_none(tmp_path: Path, gateway: str) -> None:
    assert relay(settings(tmp_path, statsd_gateway=gateway), "studio") is None


@pytest.mark.parametrize(("host", "port"), [("localhost", 8126), ("10.0.0.1", 8125), ("127.0.0.2", 8125), ("::2", 8125)])
def test_others_are_not_the_relay(host: str, port: int) -> None:
    assert not is_relay(host, port)


def test_a_plan_names_the_gateway_and_takes_the_settings_away(tmp_path: Path) -> None:
    """Also where the gateway's name does not resolve yet: the step ran."""
    given = inputs()
    given.relay = ("gateway.example.com", 9125)
    launch = World(tmp_path).launch(given, {"LYFTLEARN_STATSD_GATEWAY": "gateway.example.com:9125", "LYFTLEARN_STATSD_SOCKET": "/s"})
    assert launch.facts()["relay"] == "gateway.example.com:9125"
    assert launch.gateway is None
    assert not [name for name in launch.env if "STATSD" in name]
    given.gateway = ("10.0.0.9", 9125)
    launch = World(tmp_path).launch(given)
    assert (launch.gateway, launch.relay) == (("10.0.0.9", 9125), ("gateway.example.com", 9125))
    assert launch.env["STATSD_HOST"] == "10.0.0.9"
