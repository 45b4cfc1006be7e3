# canary: signal handlers, timers, and what a child inherits
import os
import signal
import subprocess
import sys
import time

for name in ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGCHLD", "SIGPIPE", "SIGINT"):
    print(name, signal.getsignal(getattr(signal, name)))
print("blocked:", sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
status = dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
print("ignored:", status["SigIgn"], "blocked:", status["SigBlk"])
heard = []
signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(signal.Signals(number).name))
signal.signal(signal.SIGALRM, lambda number, frame: heard.append(signal.Signals(number).name))
os.kill(os.getpid(), signal.SIGUSR1)
signal.setitimer(signal.ITIMER_REAL, 0.05)
while len(heard) < 2:
    time.sleep(0.01)
print(heard)
child = subprocess.Popen([sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"], stdout=subprocess.PIPE)
child.stdout.readline()
child.terminate()
print("child ended by", signal.Signals(-child.wait()).name)
# A writer whose reader has gone dies of SIGPIPE quietly, where nobody ignores it.
print(subprocess.run("yes | head -n 1; echo ${PIPESTATUS[0]}", shell=True, executable="/bin/bash", capture_output=True, text=True))
