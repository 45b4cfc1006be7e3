# canary: 100 MB on stdout, from a program and its child, in order and complete
# start: own
import subprocess
import sys

line = "0123456789abcdef" * 255
for n in range(12_500):
    sys.stdout.write(f"{n:08d} {line}\n")
sys.stdout.flush()
subprocess.run(["awk", "BEGIN { s = sprintf(\"%4000s\", \"\"); gsub(/ /, \"y\", s); for (n = 0; n < 12500; n++) print n, s }"], check=True)
print("the end")
