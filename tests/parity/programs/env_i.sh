#!/bin/bash
# canary: programs that start others with an empty environment
env -i /bin/sh -c 'env | sed "s|=.*||" | sort | tr "\n" " "; echo'
env -i "$(command -v python)" -c 'import sys, os; print(sys.prefix, sys.stdout.encoding, sorted(os.environ))'
env -i "$(command -v python)" -c 'import numpy, sklearn; print("numpy and sklearn are there")'
env -i PATH="$PATH" HOME="$HOME" python -c 'import os; print(os.path.expanduser("~") == os.environ["HOME"])'
env -i bash -lc 'command -v python'
env -u HOME python -c 'import os; print(bool(os.environ.get("HOME")))'
env -i SECRET=x sh -c 'echo "$SECRET"; exec env -u SECRET /bin/sh -c "echo \"[\$SECRET]\""'
