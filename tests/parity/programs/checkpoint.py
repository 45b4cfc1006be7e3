# canary: a training that writes a checkpoint when it is told to stop, and ends well
# start: own
# stop: epoch 3
# left: checkpoint.json
import json
import os
import signal
import sys
import time

directory = os.environ.get("MODEL_DIR", "/opt/ml/model")
os.makedirs(directory, exist_ok=True)
stopping = False


def stop(number, frame):
    global stopping
    stopping = True
    print("stopping by", signal.Signals(number).name, flush=True)


signal.signal(signal.SIGTERM, stop)
for epoch in range(1, 4):
    print("epoch", epoch, flush=True)
while not stopping:
    time.sleep(0.02)
part = os.path.join(directory, "checkpoint.json.part")
with open(part, "w") as file:
    json.dump({"epoch": 3, "loss": 0.125}, file)
    file.flush()
    os.fsync(file.fileno())
os.replace(part, os.path.join(directory, "checkpoint.json"))
print("checkpoint written", flush=True)
sys.exit(0)
