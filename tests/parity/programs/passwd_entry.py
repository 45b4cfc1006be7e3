# canary: the user by number, as ssh-keygen, psql and the JVM ask for it: getpwuid
import os
import pwd
import subprocess

try:
    entry = pwd.getpwuid(os.getuid())
    print("has a name:", bool(entry.pw_name), "and a home:", os.path.isdir(entry.pw_dir))
except KeyError:
    print("has no name")
print("id -un:", subprocess.run(["id", "-un"], capture_output=True, check=False).returncode)
print("~NAME:", os.path.expanduser("~root"))
print("in root's group:", 0 in os.getgroups() or os.getgid() == 0)
