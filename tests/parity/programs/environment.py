# canary: configuration from variables: several lines, dots, JSON, nothing, what is not there
import json
import os
import subprocess

print(os.environ["SCREENING_BANNER"].splitlines())
print(os.environ["screening.region"], repr(os.environ["SCREENING_EMPTY"]), os.environ.get("SCREENING_NOT_THERE"))
print(os.environ["SCREENING_GREETING"], len(os.environ["SCREENING_CONSENT_TEXT"]))
mine = {name: value for name, value in os.environ.items() if name.upper().startswith("SCREENING")}
print(len(mine), json.dumps(sorted(mine)[:3]))
child = subprocess.run(["env", "-0"], capture_output=True).stdout.split(b"\0")
print("the same in a child:", {f"{k}={v}".encode() for k, v in mine.items()} <= set(child))
raw = open("/proc/self/environ", "rb").read().split(b"\0")
names = [pair.split(b"=")[0] for pair in raw if pair]
print("each name once:", len(names) == len(set(names)))
os.environ["ADDED"] = "x" * 100_000
print(len(subprocess.run(["printenv", "ADDED"], capture_output=True).stdout))
