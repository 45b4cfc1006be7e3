"""Sends COUNT metrics to 127.0.0.1:8125 at RATE a second, each in a datagram of its own, in bursts of a millisecond.

RATE 0: one by one, as fast as this program can. The others go through UDP_SEGMENT (udp(7), Linux 4.18): one call gives up to 60
datagrams of one size, since one call each would take more of the machine than what is measured. Prints the seconds that it took. A rate
below nought sends one by one, with the time in each: `at:NANOSECONDS|g`.
"""

import socket
import sys
import time

UDP_SEGMENT, AT_ONCE = 103, 60  # linux/udp.h
count, rate = int(sys.argv[1]), int(sys.argv[2])
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.connect(("127.0.0.1", 8125))
send, clock = out.send, time.perf_counter
line = b"some.metric.of.usual.length:1|c"
began = clock()
if rate < 0:
    for _ in range(count):
        send(b"at:%d|g" % time.monotonic_ns())
        time.sleep(-1 / rate)
elif rate == 0:
    for _ in range(count):
        send(line)
else:
    out.setsockopt(socket.SOL_UDP if hasattr(socket, "SOL_UDP") else 17, UDP_SEGMENT, len(line))
    lines = [line * number for number in range(AT_ONCE + 1)]
    sent = 0
    while sent < count:
        due = min(count, int((clock() - began) * rate) + 1)
        while sent < due:
            some = min(AT_ONCE, due - sent)
            send(lines[some])
            sent += some
        time.sleep(0.001)
print(clock() - began)
