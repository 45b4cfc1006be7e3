"""Names and ports: how this container finds others, and who listens in it."""

import os
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lyftlearn_entrypoint.snapshot.collect import Around

_MOST = 200  # sockets
_LISTEN, _UNCONNECTED = "0A", "07"  # states of TCP and UDP in /proc/net (net/tcp_states.h)


def network(around: "Around") -> "dict[str, Any]":
    """Shapes, not addresses: those of a cluster are nobody's business, and differ anyway."""
    hostname = socket.gethostname()
    servers, search, options = _resolver()
    hosts = _hosts()
    return {
        "hostname": around.mask.of("hostname", "", hostname),
        "hostname_in_hosts": hostname in {name for _, names in hosts for name in names},
        "localhost": sorted(address for address, names in hosts if "localhost" in names),
        "nameservers": len(servers),
        "nameserver_is_local": any(address.startswith("127.") for address in servers),
        "search_domains": len(search),
        "resolver_options": sorted(options),
        "interfaces": sorted(name for _, name in socket.if_nameindex()),
        "ipv6": os.path.exists("/proc/net/if_inet6") and os.path.getsize("/proc/net/if_inet6") >= 0 and _has_ipv6(),
    }


def listening(around: "Around") -> "dict[str, str]":
    """Who may be asked here: `udp 127.0.0.1:8125`. An address that is neither loopback nor every one is `own`."""
    found: set[str] = set()
    for kind, state in (("tcp", _LISTEN), ("tcp6", _LISTEN), ("udp", _UNCONNECTED), ("udp6", _UNCONNECTED)):
        for line in _lines(f"/proc/net/{kind}")[1:]:
            fields = line.split()
            remote = int(fields[2].rpartition(":")[2], 16)
            if fields[3] == state and remote == 0:
                address, _, port = fields[1].rpartition(":")
                number = int(port, 16)
                # Ephemeral ones are a resolver's or a client's, and other ones each time (Documentation/networking/ip-sysctl.rst).
                if not _ephemeral(number):
                    found.add(f"{kind[:3]} {_address(address)}:{number}")
    if len(found) > _MOST:
        around.lacks(f"listening: {_MOST} of {len(found)}")
    return dict.fromkeys(sorted(found)[:_MOST], "listens")


def _ephemeral(port: int) -> bool:
    low, high = map(int, (_lines("/proc/sys/net/ipv4/ip_local_port_range") or ["32768 60999"])[0].split())
    return low <= port <= high


def _address(digits: str) -> str:
    """/proc/net has words of 32 bits in the machine's own order."""
    data = b"".join(bytes.fromhex(digits[at : at + 8])[::-1] for at in range(0, len(digits), 8))
    if not any(data):
        return "*"
    if data[:1] == b"\x7f" or (data[-4:-3] == b"\x7f" and data[:12] == b"\0" * 10 + b"\xff\xff"):
        return "127.0.0.1" if data[-4:] == b"\x7f\0\0\1" else "loopback"
    return "::1" if data == b"\0" * 15 + b"\1" else "own"


def _has_ipv6() -> bool:
    return any(line.split()[0] != "0" * 31 + "1" for line in _lines("/proc/net/if_inet6"))


def _resolver() -> "tuple[list[str], list[str], list[str]]":
    servers: list[str] = []
    search: list[str] = []
    options: list[str] = []
    for line in _lines("/etc/resolv.conf"):
        words = line.split()
        if words[:1] == ["nameserver"]:
            servers += words[1:2]
        elif words[:1] == ["search"]:
            search = words[1:]
        elif words[:1] == ["options"]:
            options += words[1:]
    return servers, search, options


def _hosts() -> "list[tuple[str, list[str]]]":
    rows = [line.partition("#")[0].split() for line in _lines("/etc/hosts")]
    return [(row[0], row[1:]) for row in rows if len(row) > 1]


def _lines(path: str) -> "list[str]":
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 20).splitlines()
    except OSError:
        return []
