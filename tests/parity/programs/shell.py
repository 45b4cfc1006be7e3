# canary: subprocess with shell=True, variables and pipes
import os
import subprocess


def sh(command, **options):
    done = subprocess.run(command, shell=True, capture_output=True, text=True, **options)
    print(done.returncode, repr(done.stdout), repr(done.stderr))


sh("echo $0; printf '%s\\n' \"$SCREENING_GREETING\" | wc -m")
sh("printf %s \"$SCREENING_BANNER\" | sed -n 2p")
sh("exit 3")
sh("kill -9 $$")
sh("no-such-program-here")
sh("cat", input="through a pipe\n")
sh("set -o pipefail; false | true", executable="/bin/bash")
sh("env | grep -c ^SCREENING_.*_UNIT=")
sh("ulimit -c; umask")
sh("python -c 'import sys; print(sys.prefix)'; command -v python pip jupyter")
sh("echo $HOME", env={**os.environ, "HOME": "/nowhere"})
print(subprocess.check_output("echo a b | awk '{print $2}'", shell=True))
