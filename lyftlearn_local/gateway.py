"""A StatsD gateway that counts what it receives, and a sidecar that passes everything on to it, as a pod has one.

Run as a script, `python gateway.py HOST PORT [OWN PORT]` is that sidecar, for a pod of containers: it prints a line when it listens.
Standard library only, so that any image's Python runs it.
"""

import os
import socket
import sys
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
    """A UDP socket on `host` and the thread that reads it. `port` 0 lets the kernel choose; OSError when a port is taken."""

    def __init__(self, port: int, host: str) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            self.socket.bind((host, port))
        except OSError:
            self.socket.close()
            raise
        self.host = host
        self.port: int = self.socket.getsockname()[1]
        # A datagram that begins with this is ours: it says that all before it has been read, since a loopback socket keeps the order.
        # Known by its bytes, not by its sender, whose address a firewall of this machine may replace (masquerading).
        self._token = os.urandom(16)
        self._awaited = b""
        self._marker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._marker.bind((host, 0))  # unbound, its first word would bind it to every address
        self._seen = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while True:
            data = self.socket.recv(_LARGEST)
            if not data.startswith(self._token):
                self.received(data)
            elif data == self._awaited:  # else one of an earlier flush, sent twice
                self._seen.set()
                if self._stopping:
                    return

    def flush(self) -> None:
        """Returns when everything that was sent before this call has been read."""
        self._awaited = self._token + os.urandom(16)
        self._seen.clear()
        while not self._seen.is_set():  # a marker may be dropped where the socket's buffer is full
            self._marker.sendto(self._awaited, (self.host, self.port))
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

    def __init__(self, port: int = 0, host: str = "127.0.0.1") -> None:
        self._lock = threading.Lock()
        self._forget()
        super().__init__(port, host)

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

    def __init__(self, gateway_port: int, port: int = PORT, gateway_host: str = "127.0.0.1") -> None:
        self._to = (gateway_host, gateway_port)
        self._out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            super().__init__(port, "127.0.0.1")
        except OSError:
            self._out.close()
            raise

    def received(self, data: bytes) -> None:
        self._out.sendto(data, self._to)

    def stop(self) -> None:
        super().stop()
        self._out.close()


if __name__ == "__main__":
    sidecar = Sidecar(int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else Sidecar.PORT, sys.argv[1])
    print(f"sidecar: listening on {sidecar.host}:{sidecar.port}", flush=True)
    threading.Event().wait()
