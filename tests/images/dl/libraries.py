"""Which shared libraries of the users' environment need one that the loader does not find. Prints JSON: file to names.

As ld.so looks for them: DT_RPATH or DT_RUNPATH with $ORIGIN, then the loader's cache. torchvision and triton's plugins have no such
path: they need what their package has loaded before, which counts where it lies in that package. No LD_LIBRARY_PATH counts.
"""

import json
import os
import re
import subprocess
from pathlib import Path

SITE = Path("/opt/venv/lib/python3.11/site-packages")
LOADED = {"torchvision": ["torch/lib", "nvidia/cu13/lib"], "triton": ["triton/_C"]}
cache = {
    line.split()[0] for line in subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout.splitlines()[1:]
}
missing: "dict[str, list[str]]" = {}
seen = 0
ours = [SITE / name for name in ("cuda", "nvidia", "torch", "torchvision", "triton")]
for path in sorted(path for top in ours for path in {*top.rglob("*.so"), *top.rglob("*.so.*")}):
    with path.open("rb") as stream:
        if stream.read(4) != b"\x7fELF":
            continue
    seen += 1
    lines = subprocess.run(["readelf", "-dW", path], capture_output=True, text=True, check=True).stdout
    needed = re.findall(r"\(NEEDED\).*\[(.+)\]", lines)
    places = [place for run in re.findall(r"\((?:RUNPATH|RPATH)\).*\[(.+)\]", lines) for place in run.split(":")]
    own = os.fspath(path.resolve().parent)
    package = path.relative_to(SITE).parts[0]
    here = [os.fspath(SITE / place) for place in LOADED.get(package, [])]
    here += [place.replace("${ORIGIN}", "$ORIGIN").replace("$ORIGIN", own) for place in places]
    lost = [name for name in needed if name not in cache and not any(os.path.exists(os.path.join(place, name)) for place in here)]
    if lost:
        missing[os.fspath(path.relative_to(SITE))] = lost
print(json.dumps({"seen": seen, "missing": missing}))
