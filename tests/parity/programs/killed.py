# canary: a program that is killed, as one that is out of memory
# start: own
# code: 137
import os
import signal

print("before", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
print("after")
