"""Checks of the metrics gateway and the relay. UDP gives no receipt: what is sent is marked, and the verdict says what was proved."""

from __future__ import annotations

import errno
import os
import select
import socket
from typing import TYPE_CHECKING

from lyftlearn_entrypoint.adapt import statsd
from lyftlearn_entrypoint.cli.checks.model import Check, Finding, Trying
from lyftlearn_entrypoint.cli.checks.network import cut_off
from lyftlearn_entrypoint.relay.leave import addresses
from lyftlearn_entrypoint.relay.report import line

if TYPE_CHECKING:
    from lyftlearn_entrypoint.cli.checks.world import World

NAME = "lyftlearn.doctor"
RECEIPT = 0.5  # seconds in which an ICMP "port unreachable" comes back, if one does


def checks(world: World) -> list[Check]:
    """The gateway, by its own name; then the relay, where a start left one."""
    gateway = Check("gateway", "LL0800", lambda trying: send(gateway, world, trying), optional=True)
    relay = Check("relay", "LL0800", lambda trying: through(relay, world, trying), "127.0.0.1:8125", optional=True)
    return [gateway, relay]


def marked(context: str, tags: str, host: str) -> bytes:
    """The counter, which nobody else sends: its name, and the host as a tag where the gateway reads tags."""
    plain = line(NAME, 1, "c", context, tags)
    if tags == "name":
        return plain
    return plain.replace(b"context=", b"host=" + host.encode() + b",context=") if tags == "influx" else plain + b",host:" + host.encode()


def send(check: Check, world: World, trying: Trying) -> list[Finding]:
    """Send the counter to the gateway, and wait for a refusal."""
    address = world.settings["statsd_gateway"]
    if not address:
        return [check.skipped("LYFTLEARN_STATSD_GATEWAY is not set")]
    if not world.takes("statsd"):
        return [check.skipped(world.why_not("statsd"))]
    host, port = statsd.split_address(address)
    if world.isolated:
        return [check.warning("LL0804", f"{address}: no network (isolation): metrics are dropped")]
    if why := cut_off(world, host):
        return [check.warning("LL0804", f"{address}: {why}: metrics are dropped")]
    trying(f"looking up the metrics gateway {host}")
    try:
        numeric = addresses(host, port)[0]
    except (OSError, UnicodeError) as error:
        said = getattr(error, "strerror", None) or "the name is not legal"
        return [check.warning("LL0801", f"the metrics gateway {host} does not resolve: {said.lower()}")]
    payload = marked(world.context.name, world.settings["statsd_tags"], socket.gethostname())
    trying(f"a datagram to {numeric}:{port}")
    problem = datagram(numeric, port, payload)
    if problem:
        return [check.warning("LL0802", f"{address} ({numeric}): {problem}")]
    text = (
        f"sent {payload.decode()} to {address} ({numeric}); nothing came back within {RECEIPT:g} s, which proves a route and no refusal: "
    )
    return [check.ok(text + f"UDP gives no receipt. Look for {NAME} at the gateway")]


def through(check: Check, world: World, trying: Trying) -> list[Finding]:
    """Whether somebody listens where programs that say localhost send to. Only where a start has left a relay."""
    if not world.takes("statsd") or statsd.relay(world.settings, world.context.name) is None:
        return [check.skipped("no relay is wanted here")]
    if not world.sources.started:
        return [check.skipped("no start is known to have run before this process, so there is no relay yet")]
    payload = marked(world.context.name, world.settings["statsd_tags"], socket.gethostname())
    trying("a datagram to 127.0.0.1:8125")
    problem = datagram("127.0.0.1", statsd.DEFAULT_PORT, payload)
    if problem:
        return [check.warning("LL0803", f"127.0.0.1:8125: {problem}")]
    return [check.ok(f"somebody listens on 127.0.0.1:8125; {NAME} was sent there too, so the gateway should count 2")]


def datagram(address: str, port: int, payload: bytes) -> str:
    """Send it, and say what came back within RECEIPT seconds: '' where nothing did.

    Linux tells a connected socket of an ICMP error at its next call (udp(7)).
    """
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as out:
        try:
            out.connect((address, port))
            out.send(payload)
            select.select([out], [], [], RECEIPT)
            number = out.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        except OSError as error:
            return (error.strerror or "error").lower()
    return "refused: nobody listens on that port" if number == errno.ECONNREFUSED else os.strerror(number).lower() if number else ""
