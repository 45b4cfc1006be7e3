# canary: a cache of models as huggingface_hub and torch.hub keep it: blobs, links, locks, below HOME or where a variable says
import fcntl
import hashlib
import os
import shutil
from pathlib import Path

cache = Path(os.environ.get("HF_HOME", os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "huggingface"))) / "hub"
repo = cache / f"models--acme--bert-{os.getpid()}"
blob = b"\x00weights" * 10_000
etag = hashlib.sha256(blob).hexdigest()
for name in ("blobs", "refs", "snapshots/abc"):
    (repo / name).mkdir(parents=True)
with open(repo / "blobs" / f"{etag}.lock", "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    part = repo / "blobs" / f"{etag}.incomplete"
    part.write_bytes(blob)
    os.replace(part, repo / "blobs" / etag)
(repo / "refs" / "main").write_text("abc")
(repo / "snapshots" / "abc" / "model.bin").symlink_to(f"../../blobs/{etag}")
model = repo / "snapshots" / (repo / "refs" / "main").read_text() / "model.bin"
print(model.is_symlink(), len(model.read_bytes()), hashlib.sha256(model.read_bytes()).hexdigest() == etag)
print("below home:", cache.is_relative_to(Path.home()), "free:", shutil.disk_usage(cache).free > 1 << 20)
shutil.rmtree(repo)
