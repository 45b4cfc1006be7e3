# canary: a program that is killed, as one that is out of memory
# start: own
import os
import signal

print("before", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
print("after")
