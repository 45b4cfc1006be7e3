#!/bin/bash
# canary: wrappers that become one another, as service scripts do: the process stays, so do directory and variables
# code: 7
cd /usr/share || exit 1
export STEP=1 WANTED=$$
exec sh -c '
    STEP=2; export STEP
    exec env STEP=3 nice -n 1 sh -c '\''
        exec setsid -w sh -c "exec python -c \"
import os, sys
print(os.environ[\\\"STEP\\\"], os.getcwd(), os.nice(0) - 1)
print(\\\"leader of a session:\\\", os.getsid(0) == os.getpid())
sys.exit(7)
\""
    '\''
'
