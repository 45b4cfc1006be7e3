"""A StatsD gateway that counts what it receives, and a sidecar that passes everything on to it, as a pod has one."""

import socket
import threading
from collections import Counter

# The Prometheus StatsD exporter and etsy's StatsD both take several metrics in one datagram, a line each.
_LARGEST = 65535


class Counts:
    """What a gateway has received so far. `metrics` counts the lines of each metric's name."""

    def __init__(self, datagrams: int, lines: int, octets: int, metrics: "dict[str, int]") -> None:
        self.datagrams = datagrams
        self.lines = lines
        self.octets = octets
        self.metrics = metrics

    def only(self, prefix: str) -> "tuple[Counts, int]":
        """The counts of the metrics whose names begin with `prefix`, and how many lines were others'."""
        mine = {name: lines for name, lines in self.metrics.items() if name.startswith(prefix)}
        lines = sum(mine.values())
        return Counts(self.datagrams, lines, self.octets, mine), self.lines - lines

    def facts(self) -> "dict[str, object]":
        return {"datagrams": self.datagrams, "lines": self.lines, "bytes": self.octets, "metrics": dict(sorted(self.metrics.items()))}


class _Receiver:
    """A UDP socket on 127.0.0.1 and the thread that reads it. `port` 0 lets the kernel choose; OSError when a port is taken."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            self.socket.bind(("127.0.0.1", port))
        except OSError:
            self.socket.close()
            raise
        self.port: int = self.socket.getsockname()[1]
        # A datagram from this socket is ours: it says that all before it has been read, since a loopback socket keeps the order.
        self._marker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._marker.bind(("127.0.0.1", 0))
        self._marker_port: int = self._marker.getsockname()[1]
        self._seen = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while True:
            data, sender = self.socket.recvfrom(_LARGEST)
            if sender[1] != self._marker_port:
                self.received(data)
                continue
            self._seen.set()
            if self._stopping:
                return

    def flush(self) -> None:
        """Returns when everything that was sent before this call has been read."""
        self._seen.clear()
        while not self._seen.is_set():  # a marker may be dropped where the socket's buffer is full
            self._marker.sendto(b"", ("127.0.0.1", self.port))
            self._seen.wait(0.5)

    def stop(self) -> None:
        """Reads what was sent before, then closes."""
        self._stopping = True
        self.flush()
        self._thread.join()
        self._marker.close()
        self.socket.close()

    def received(self, data: bytes) -> None:
        raise NotImplementedError


class Gateway(_Receiver):
    """The metrics gateway."""

    def __init__(self, port: int = 0) -> None:
        self._lock = threading.Lock()
        self._forget()
        super().__init__(port)

    def _forget(self) -> None:
        self._datagrams = 0
        self._octets = 0
        self._metrics: Counter[str] = Counter()

    def received(self, data: bytes) -> None:
        with self._lock:
            self._datagrams += 1
            self._octets += len(data)
            for line in data.decode("utf-8", "replace").split("\n"):
                if line:
                    self._metrics[line.split(":", 1)[0].split(",", 1)[0]] += 1

    def counts(self) -> Counts:
        with self._lock:
            return Counts(self._datagrams, sum(self._metrics.values()), self._octets, dict(self._metrics))

    def take(self) -> Counts:
        """The counts of all that was sent before; counting starts again at nought."""
        self.flush()
        with self._lock:
            counts = Counts(self._datagrams, sum(self._metrics.values()), self._octets, dict(self._metrics))
            self._forget()
            return counts


class Sidecar(_Receiver):
    """A pod's StatsD sidecar: passes each datagram on, unchanged."""

    PORT = 8125  # what every StatsD client takes when nothing else is said

    def __init__(self, gateway_port: int, port: int = PORT) -> None:
        self._to = ("127.0.0.1", gateway_port)
        self._out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            super().__init__(port)
        except OSError:
            self._out.close()
            raise

    def received(self, data: bytes) -> None:
        self._out.sendto(data, self._to)

    def stop(self) -> None:
        super().stop()
        self._out.close()
