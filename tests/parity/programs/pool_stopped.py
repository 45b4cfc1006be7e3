# canary: a master with workers that are forked: SIGTERM comes to the master, which ends the workers and says so
# start: own
# stop: 3 workers
# code: 9
import os
import signal
import sys
import time


def terminate(number, frame):
    raise SystemExit(0)


workers = []
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        time.sleep(300)
        os._exit(1)
    workers.append(pid)
signal.signal(signal.SIGTERM, terminate)
try:
    print(len(workers), "workers", flush=True)
    signal.pause()
finally:
    for pid in workers:
        os.kill(pid, signal.SIGTERM)
    print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in workers], flush=True)
    sys.exit(9)
