#!/bin/bash
# canary: which signals are ignored and blocked at the start, seen by a program that changes none, and the open files of the shell
# start: own
grep -E '^Sig(Ign|Blk)' /proc/self/status
for signal in PIPE HUP INT TERM CHLD XFSZ; do trap -p "$signal"; done
yes | head -n 1
echo "${PIPESTATUS[@]}"
echo "$-" "$#" "$SHLVL"
