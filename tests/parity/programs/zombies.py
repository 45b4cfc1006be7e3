# canary: children and orphans are collected: no zombie stays
import os
import subprocess
import time


def state(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "gone"


reader, writer = os.pipe()
child = os.fork()
if child == 0:
    grandchild = os.fork()
    if grandchild == 0:
        time.sleep(0.3)
        os._exit(0)
    os.write(writer, str(grandchild).encode())
    os._exit(0)
print("my child is", state(child) if os.waitpid(child, 0) else "")
orphan = int(os.read(reader, 20))
end = time.monotonic() + 60
while state(orphan) != "gone" and time.monotonic() < end:
    time.sleep(0.05)
print("the orphan is", state(orphan))
for _ in range(20):
    subprocess.run(["sh", "-c", "true & true"], check=True)


def zombies():
    return [pid for pid in os.listdir("/proc") if pid.isdigit() and state(pid) == "Z"]


end = time.monotonic() + 60
while zombies() and time.monotonic() < end:
    time.sleep(0.05)
print("zombies:", zombies())
