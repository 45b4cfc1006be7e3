"""This machine's own address, as those see it that have to reach it. Spark by itself takes the first interface that is not loopback's,
which in Studio is not the one that leads to the cluster (docs/spark.md)."""

import _socket

_SIOCGIFADDR = 0x8915  # linux/sockios.h; netdevice(7)


def route(host: str, port: int) -> str:
    """The address from which this machine talks to `host` (a name or an address); '' where there is no route, or no such name.

    Connecting a datagram socket asks the kernel for the route and sends nothing.
    """
    try:
        # As bytes: for a str the C code would import encodings.idna, and with it `re`.
        family, _, _, _, address = _socket.getaddrinfo(host.encode("ascii"), port, 0, _socket.SOCK_DGRAM)[0]
    except (OSError, UnicodeError, IndexError):
        return ""
    probe = _socket.socket(family, _socket.SOCK_DGRAM)
    try:
        probe.connect(address)
        return str(probe.getsockname()[0])
    except OSError:
        return ""
    finally:
        probe.close()


def of_interface(name: str) -> str:
    """The IPv4 address of a network interface, '' where it has none."""
    if not name or len(name) > 15:
        return ""
    import fcntl

    probe = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    try:
        answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, name.encode("ascii", "replace") + bytes(256 - len(name)))
    except OSError:
        return ""
    finally:
        probe.close()
    return ".".join(str(part) for part in answer[20:24])


def of_name(name: str) -> str:
    """The first address of a name, IPv4 before IPv6 and never loopback's; '' where there is none."""
    try:
        found = _socket.getaddrinfo(name.encode("ascii"), 0, 0, _socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ""
    addresses = [str(entry[4][0]) for entry in sorted(found, key=lambda entry: entry[0] != _socket.AF_INET)]
    return next((address for address in addresses if not address.startswith("127.") and address != "::1"), "")
