"""A gateway that counts: for each line on stdin it prints the packets, the lines of metrics and the seconds of delay seen since the last.

The delay is that of lines `at:NANOSECONDS|g` (CLOCK_MONOTONIC), their median; 0 where there was none.
"""

import json
import select
import socket
import statistics
import sys
import time

SO_RCVBUFFORCE = 33  # asm-generic/socket.h
sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
    sink.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
except OSError:
    sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
sink.bind(("127.0.0.1", 0))
sink.setblocking(False)
print(sink.getsockname()[1], flush=True)
packets = lines = largest = 0
delays = []
while True:
    ready, _, _ = select.select([sink.fileno(), 0], [], [])
    if sink.fileno() in ready:
        try:
            while True:
                data = sink.recv(65535)
                if data.startswith(b"lyftlearn."):
                    continue  # the relay's own counts
                if data.startswith(b"at:"):
                    delays.append((time.monotonic_ns() - int(data[3:].partition(b"|")[0])) / 1e9)
                packets += 1
                lines += data.count(b"\n") + (not data.endswith(b"\n"))
                largest = max(largest, len(data))
        except BlockingIOError:
            pass
    if 0 in ready:
        if not sys.stdin.readline():
            break
        delay = statistics.median(delays) if delays else 0
        print(json.dumps({"packets": packets, "lines": lines, "delay": delay, "largest": largest}), flush=True)
        packets = lines = largest = 0
        delays = []
