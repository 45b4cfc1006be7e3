"""Metrics without a sidecar: the gateway's address under every name that common clients read, and a relay for programs that say
localhost:8125 by themselves. Sources of the names: docs/statsd.md.
"""

from lyftlearn_entrypoint.errors import Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.settings import Settings

DEFAULT_PORT = 8125


def relay(settings: "Settings", context: str) -> "tuple[str, int] | None":
    """The gateway, (name, port), for which a relay is to be left behind where the step is taken; None for no relay.

    In a pod a sidecar that starts after us would find its port taken; on a laptop somebody else's may be there.
    """
    wanted = settings["statsd_relay"]
    if not settings["statsd_gateway"] or wanted == "off" or (wanted == "auto" and context in ("kubernetes", "local")):
        return None
    gateway = split_address(settings["statsd_gateway"])
    return None if is_relay(*gateway) else gateway


def is_relay(host: str, port: int) -> bool:
    """Whether this is where the relay itself listens: it would send to itself for ever."""
    return port == DEFAULT_PORT and host in ("localhost", "127.0.0.1", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1")  # noqa: S104


def split_address(address: str) -> "tuple[str, int]":
    """host and port of LYFTLEARN_STATSD_GATEWAY (checked when the settings were read); brackets of IPv6 are taken off."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def resolve(host: str, port: int, fate: str) -> str:
    """The numeric address of the metrics gateway. IPv4 first, since many clients cannot do IPv6. Raises Unavailable."""
    from lyftlearn_entrypoint.relay.leave import addresses

    try:
        return addresses(host, port)[0]
    except (OSError, UnicodeError) as error:
        raise Unavailable(
            "the metrics gateway " + host + " does not resolve: " + str(getattr(error, "strerror", "") or "the name is not legal"),
            fate + ": check LYFTLEARN_STATSD_GATEWAY and DNS",
            finding="LL0801",
        ) from None


def variables(address: str, port: int) -> "list[dict[str, str]]":
    """The variables that point clients at the gateway, in groups: what one client reads belongs together.

    The address is numeric, so that no client has to resolve it: pystatsd resolves at import, and a name that fails there
    would stop the user's program.
    """
    bracketed = "[" + address + "]" if ":" in address else address
    plain = {"STATSD_HOST": address, "STATSD_PORT": str(port)}  # statsd (Python, defaults.env), Node's and many others
    if ":" in address:
        plain["STATSD_IPV6"] = "1"  # without it pystatsd asks for an IPv4 address only
    return [
        plain,
        {"STATSD_ADDR": bracketed + ":" + str(port)},  # Shopify's statsd-instrument
        {
            "DD_AGENT_HOST": address,  # datadog clients; the URL wins over the other two where a client knows it
            "DD_DOGSTATSD_PORT": str(port),
            "DD_DOGSTATSD_URL": "udp://" + bracketed + ":" + str(port),
        },
    ]
