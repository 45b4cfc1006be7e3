# canary: limits of the process, and what happens at them
import os
import resource
import subprocess
import sys

for name in ("NOFILE", "NPROC", "STACK", "AS", "MEMLOCK", "FSIZE", "DATA", "CORE"):
    print(name, resource.getrlimit(getattr(resource, f"RLIMIT_{name}")))
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
opened = []
try:
    while True:
        opened.append(open(os.devnull))
except OSError as error:
    print(error.strerror, 40 < len(opened) < 64)
for file in opened:
    file.close()
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
code = "import resource, signal; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n"
code += "open('/tmp/too-large', 'wb', 0).write(b'x' * 1000); open('/tmp/too-large', 'ab', 0).write(b'x')"
print("a file that is too large:", subprocess.run([sys.executable, "-c", code]).returncode)
os.unlink("/tmp/too-large")
print("nice", os.nice(5))
print("scheduler", os.sched_getscheduler(0), len(os.sched_getaffinity(0)) == os.cpu_count())
