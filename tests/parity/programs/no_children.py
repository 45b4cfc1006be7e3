# canary: a supervisor that waits for any child: it has none but its own
# start: own
import os
import subprocess

import psutil

try:
    print(os.waitpid(-1, os.WNOHANG))
except ChildProcessError as error:
    print(error.strerror)
me = psutil.Process()
print("children:", me.children(recursive=True), "threads:", me.num_threads())
child = subprocess.Popen(["sh", "-c", "exit 6"])
pid, status = os.wait()
print("the only one:", pid == child.pid, os.waitstatus_to_exitcode(status))
subprocess.run("sleep 60 & echo started", shell=True, check=True)
print("an orphan is not mine:", me.children(recursive=True))
for process in psutil.process_iter(["name", "uids"]):
    if process.info["name"] == "sleep":
        process.kill()
print("interactive:", os.isatty(0), "leader of its session:", os.getsid(0) == os.getpid(), "group:", os.getpgid(0) == os.getpid())
