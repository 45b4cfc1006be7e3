# canary: configuration behind symbolic links, as kubelet mounts it, and one's own switched in one step
import os
import tempfile
from pathlib import Path

directory = Path(os.environ.get("HYPERPARAMETERS_PATH", "/etc/hyperparameters"))
data = directory / "..data"
print("a link:", data.is_symlink(), "keys are links:", (directory / "C").is_symlink(), os.readlink(directory / "C"))
print("the same file:", (directory / "C").resolve() == (data / "C").resolve(), (directory / "C").read_text())
print(sorted(path.name for path in directory.iterdir() if not path.name.startswith("."))[:3])
print("keys:", len(list(directory.glob("[!.]*"))), "readable:", all(os.access(path, os.R_OK) for path in directory.glob("[!.]*")))
print("may not be changed by me:", not os.access(directory / "C", os.W_OK))
with tempfile.TemporaryDirectory() as made:
    made = Path(made)
    for version in ("v1", "v2"):
        (made / version).mkdir()
        (made / version / "app.yaml").write_text(version)
        (made / "next").symlink_to(version)
        (made / "next").rename(made / "current")
        print((made / "current" / "app.yaml").read_text())
