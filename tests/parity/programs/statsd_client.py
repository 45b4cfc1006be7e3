# canary: metrics to localhost:8125, by the client as it is and by a socket of one's own
import os
import socket

import statsd

client = statsd.StatsClient(prefix="screening.statsd_client")
for _ in range(5):
    client.incr("epochs")
with client.timer("fit"):
    sum(range(1000))
client.gauge("loss", 0.25)
with client.pipeline() as pipe:
    pipe.incr("batched")
    pipe.incr("batched")
raw = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
raw.sendto(b"screening.statsd_client.raw:1|c", ("127.0.0.1", 8125))
raw.sendto(b"screening.statsd_client.named:1|c", ("localhost", 8125))
pid = os.fork()
if pid == 0:
    client.incr("child")
    os._exit(0)
os.waitpid(pid, 0)
print("sent")
