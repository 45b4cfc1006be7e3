# canary: a program that does not know of SIGTERM is ended by it
# start: own
# stop: running
import time

print("running", flush=True)
time.sleep(300)
print("never")
