#!/bin/bash
# canary: a filter on stdin, where nothing comes
# start: own
tr a-z A-Z
echo "read to the end: $?"
python -c 'import sys; print(repr(sys.stdin.read()), sys.stdin.isatty(), sys.stdout.isatty())'
read -r line || echo "no line"
