# canary: what a program that is careful tries: no rights that it does not need, no way back to root
import os
import subprocess

status = dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
print("root:", os.geteuid() == 0, "effective capabilities:", int(status["CapEff"], 16))
for name, call in (("setuid", lambda: os.setuid(0)), ("chown", lambda: os.chown("/tmp", 0, 0)), ("chroot", lambda: os.chroot("/"))):
    try:
        call()
        print(name, "allowed")
    except OSError as error:
        print(name, error.strerror)
for path in ("/etc/passwd", "/usr/bin/new", "/opt/lyftlearn/bin/lyftlearn-entrypoint"):
    print(path, os.access(path, os.W_OK))
print(subprocess.run("command -v sudo su ping | xargs -r stat -c '%A'", shell=True, capture_output=True, text=True).stdout.count("s") > 0)
