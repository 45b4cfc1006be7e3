# canary: what the program is started with: descriptors, directory, session
# start: own
import os
import stat
import sys

for fd in sorted(int(name) for name in os.listdir("/proc/self/fd")):
    try:
        kind = stat.S_IFMT(os.fstat(fd).st_mode)
    except OSError:
        continue  # the one of listdir
    print(fd, {stat.S_IFIFO: "pipe", stat.S_IFCHR: "device", stat.S_IFSOCK: "socket", stat.S_IFREG: "file"}.get(kind, oct(kind)))
print("directory:", os.getcwd(), os.access(".", os.R_OK))
print("children:", open("/proc/self/task/%d/children" % os.getpid()).read().split() if os.path.exists("/proc/self/task/%d/children" % os.getpid()) else [])
open("/dev/stdout", "w").write("through /dev/stdout\n")
open("/dev/stderr", "w").write("through /dev/stderr\n")
print("oom score", open("/proc/self/oom_score_adj").read().strip(), "dumpable:", os.access("/proc/self/environ", os.R_OK))
print(sys.flags, sys.executable)
