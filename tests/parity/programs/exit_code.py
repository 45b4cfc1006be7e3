# canary: an exit code with a meaning
# start: own
import sys

print("no new data")
sys.exit(3)
