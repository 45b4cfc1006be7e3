"""What the relay and the start count of themselves, as StatsD lines."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

RELAY = "lyftlearn.statsd_relay."
START = "lyftlearn.entrypoint."


def line(name: str, value: "int | float", kind: str, context: str, tags: str) -> bytes:
    """One metric with the context as a tag. `kind` is StatsD's (`c`, `ms`); `tags` is the form that the gateway reads (docs/settings.md).

    Sources: DogStatsD datagram format ("|#name:value"), Telegraf's StatsD input ("name,tag=value"), etsy's StatsD, which has no tags.
    """
    number = str(value) if isinstance(value, int) else f"{value:.3f}"
    if tags == "influx":
        return f"{name},context={context}:{number}|{kind}".encode()
    if tags == "name":
        return f"{name}.{context}:{number}|{kind}".encode()
    return f"{name}:{number}|{kind}|#context:{context}".encode()


def timings(spans: "list[tuple[str, float, float]]", context: str, tags: str) -> bytes:
    """One datagram with the times of a start, in milliseconds, from spans, (name, begin, end) in seconds."""
    return b"\n".join(line(START + name, (end - begin) * 1000, "ms", context, tags) for name, begin, end in spans)


def send_times(gateway: "tuple[str, int]", spans: "list[tuple[str, float, float]]", context: str, tags: str) -> None:
    """Send them to the gateway (numeric address, port), where there is no relay to do it. Raises nothing, and never waits."""
    import _socket

    address, port = gateway
    out = None
    try:
        out = _socket.socket(_socket.AF_INET6 if ":" in address else _socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_NONBLOCK)
        out.sendto(timings(spans, context, tags), (address, port))
    except OSError:
        pass  # metrics never stop a start
    finally:
        if out is not None:
            out.close()


class Report:
    """Counts, and says when to send them: soon after traffic, then ever less often, and never while there is none.

    received = sent + dropped, in datagrams of the program's; `packets` are those to the gateway. Times are seconds of `clock`.
    """

    FIRST, LONGEST = 1.0, 10.0  # StatsD's usual interval is 10 s; a short job should be seen too

    __slots__ = ("_clock", "_due", "_pause", "_start", "_told", "context", "dropped", "overflowed", "packets", "sent", "tags")

    def __init__(self, context: str, tags: str, clock: "Callable[[], float]") -> None:
        self.context = context
        self.tags = tags
        self._clock = clock
        self.sent = self.dropped = self.packets = 0
        self.overflowed = 0  # what the kernel had no room for, so far
        self._told: dict[str, int] = {}
        self._pause = self.FIRST
        self._due: float | None = None
        self._start: list[bytes] = []  # lines about the start, not yet told

    def start(self, times: "list[str]") -> None:
        """The times of the start, each a name and milliseconds: they go out at once."""
        for name, _, milliseconds in (time.partition(" ") for time in times):
            self._start.append(line(START + name, float(milliseconds), "ms", self.context, self.tags))
            self._due = self._clock()

    def traffic(self) -> None:
        """Something was received: there will be something to say."""
        if self._due is None:
            self._due = self._clock() + self._pause

    def wait(self) -> "float | None":
        """Milliseconds until a report is due; None while there is nothing to say."""
        return None if self._due is None else max(0.0, (self._due - self._clock()) * 1000)

    def due(self) -> bool:
        return self._due is not None and self._clock() >= self._due

    def lines(self) -> "tuple[bytes, dict[str, int]]":
        """What has not been told yet ('' where there is nothing), and the totals that are told by it, for `told`."""
        dropped = self.dropped + self.overflowed
        totals = {"received": self.sent + dropped, "sent": self.sent, "dropped": dropped, "packets": self.packets}
        new = [(name, total - self._told.get(name, 0)) for name, total in totals.items()]
        counts = (line(RELAY + name, count, "c", self.context, self.tags) for name, count in new if count > 0)
        return b"\n".join([*self._start, *counts]), totals

    def told(self, totals: "dict[str, int]") -> None:
        """These totals are on their way. One may have gone back since, where the gateway refused what was counted as sent."""
        self._start = []
        self._told = {name: max(total, self._told.get(name, 0)) for name, total in totals.items()}

    def rest(self) -> None:
        """A report was made: the next comes later, once there is traffic."""
        self._pause = min(self.LONGEST, self._pause * 2)
        self._due = None
