#!/bin/bash
# canary: a program that ends while what it started in the background still runs: the container ends with it
# start: own
# code: 4
sleep 300 &
(setsid sleep 300 >/dev/null 2>&1 &)
echo "ending"
exit 4
