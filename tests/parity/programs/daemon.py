# canary: a daemon, forked twice, with a session of its own and a file of its number; asked over a Unix socket, and ended
import os
import signal
import socket
import sys
import tempfile
import time

directory = tempfile.mkdtemp()
pidfile, path = f"{directory}/daemon.pid", f"{directory}/daemon.sock"
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()
    with open(pidfile + ".part", "w") as file:
        file.write(str(os.getpid()))
    os.rename(pidfile + ".part", pidfile)
    while True:
        asked, _ = listening.accept()
        asked.sendall(b"in " + os.getcwd().encode() + b" with " + os.environ["SCREENING_GREETING"].encode())
        asked.close()
os.wait()
while not os.path.exists(pidfile):
    time.sleep(0.02)
pid = int(open(pidfile).read())
client = socket.socket(socket.AF_UNIX)
client.connect(path)
print(client.recv(200).decode(), "not my child:", os.getsid(pid) != os.getsid(0))
os.kill(pid, signal.SIGTERM)
end = time.monotonic() + 60
while os.path.exists(f"/proc/{pid}") and time.monotonic() < end:
    time.sleep(0.02)
print("gone:", not os.path.exists(f"/proc/{pid}"))
