# canary: an exit code with a meaning
# start: own
# code: 3
import sys

print("no new data")
sys.exit(3)
