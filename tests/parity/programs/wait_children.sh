#!/bin/bash
# canary: a shell script that traps signals and waits, as entrypoints of teams are written
# start: own
# stop: up
# code: 12
python -c 'import time; time.sleep(300)' &
child=$!
trap 'echo "trapped"; kill -TERM $child; wait $child; echo "child $?"; exit 12' TERM
echo up
wait $child
echo "not here"
