"""The loop in which the relay spends its life: receive, pack, send."""

import _socket
import select
import time

from lyftlearn_entrypoint.relay.pack import Packer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.relay.gateway import Gateway
    from lyftlearn_entrypoint.relay.life import Life
    from lyftlearn_entrypoint.relay.report import Report

LARGEST = 65536  # more than a UDP datagram can have; one from the Unix socket that fills it may have been cut off
MOST = 4096  # datagrams to take from one socket before looking at the others
LAST = 64  # rounds at the end, should somebody whom the relay is not for go on sending; the sockets' buffers hold far less
# Under load the relay pauses between two rounds, as a network card moderates its interrupts: what arrives meanwhile waits in the
# kernel and leaves in one datagram. Load is what asks for more than SPARE rounds at once: until then nothing waits.
PAUSE = 0.0005  # seconds
SPARE = 50
_SO_MEMINFO, _DROPS = 55, 8 * 4  # asm-generic/socket.h; linux/sock_diag.h, SK_MEMINFO_DROPS, of nine 32-bit numbers


class Relay:
    """Receives, packs, sends. Everything is taken from its sockets at once and sent at once; it waits in poll(2) alone."""

    def __init__(self, receivers: "list[_socket.socket]", gateway: "Gateway", life: "Life", report: "Report") -> None:
        self._receivers = {receiver.fileno(): receiver for receiver in receivers}
        self._gateway = gateway
        self._life = life
        self._report = report
        self._packer = Packer(gateway.limit, gateway.send)
        # What must not wait when the relay pauses: the end, and senders on a Unix socket, whose queue is short (unix(7)).
        self._prompt = [number for number, receiver in self._receivers.items() if receiver.family == _socket.AF_UNIX]

    def run(self) -> None:
        clock = time.monotonic
        watched: set[int] = set()
        poll = select.poll()
        spare, last = float(SPARE), clock()
        while not self._life.over():
            if watched != self._life.watched:
                poll, watched = self._poll(), set(self._life.watched)
            traffic = False
            for descriptor, _ in poll.poll(_least(self._report.wait(), self._life.wait())):
                if descriptor in self._receivers:
                    traffic = True
                else:
                    self._life.ended(descriptor)
            if traffic:
                behind = self._round()
                now = clock()
                self._gateway.tend(now)
                spare = min(float(SPARE), spare + (now - last) / PAUSE) - 1
                last = now
                if spare < 0 and not behind:
                    select.select([number for number in (*self._prompt, *self._life.watched) if number < 1024], [], [], PAUSE)
            if self._report.due():
                self._tell()
        for _ in range(LAST):
            if not self._round():
                break
        self._tell()

    def _poll(self) -> "select.poll":
        poll = select.poll()
        for descriptor in self._receivers:
            poll.register(descriptor, select.POLLIN)
        for descriptor in self._life.watched:
            # On the line nothing is said: only its end is of interest, which need not be asked for.
            poll.register(descriptor, 0 if descriptor == self._life.line else select.POLLIN)
        return poll

    def _round(self) -> bool:
        """Take what has arrived and send it. Whether there may be more."""
        more = False
        packer = self._packer
        packer.limit = self._gateway.limit
        add = packer.add
        for receiver in self._receivers.values():
            receive = receiver.recv
            for _ in range(MOST):
                try:
                    data = receive(LARGEST)
                except OSError:
                    break  # nothing more is there
                if len(data) == LARGEST:
                    self._report.dropped += 1
                elif data:
                    add(data)
            else:
                more = True
        packer.flush()
        self._report.traffic()
        return more

    def _tell(self) -> None:
        self._gateway.settle()
        self._report.overflowed = sum(map(_overflowed, self._receivers.values()))
        lines, totals = self._report.lines()
        self._report.rest()
        if lines and self._gateway.tell(lines):
            self._report.told(totals)
        elif lines:  # nobody knows the gateway's address yet
            self._report.traffic()
            self._gateway.tend(time.monotonic())


def _least(first: "float | None", second: "float | None") -> "float | None":
    return second if first is None else first if second is None else min(first, second)


def _overflowed(receiver: _socket.socket) -> int:
    """How many datagrams the kernel has had no room for in this socket's buffer."""
    if receiver.family == _socket.AF_UNIX:
        return 0  # there the sender waits, or is told
    try:
        return int.from_bytes(receiver.getsockopt(_socket.SOL_SOCKET, _SO_MEMINFO, 36)[_DROPS:], "little")
    except OSError:
        return 0  # before Linux 4.12
