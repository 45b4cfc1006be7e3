# canary: a program that does not know of SIGTERM is ended by it
# start: own
# stop: running
# code: 143
import time

print("running", flush=True)
time.sleep(300)
print("never")
