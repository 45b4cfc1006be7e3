"""A canary: one of the users' programs, and what its first lines say of how it is run (docs/canary.md).

# canary: what it is, for people
# images: base dl             images/NAME to run it in; default base
# start: own                  a container of its own, not one shared with others
# args: ["--name", "two words", ""]      its arguments, a JSON list
# code: 3                     its exit code, as a shell shows it; default 0
# stop: READY                 SIGTERM to the container once it has printed that line (start: own)
# left: checkpoint.json       a file in MODEL_DIR that is compared when all is over (start: own)
# not in: studio: the reason  a place that cannot start it so, whatever is done (start: own)
# cpus: 1                     a limit of the container (start: own); so is `memory: 512m`
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

DIRECTORY = Path(__file__).resolve().parents[1] / "programs"
IMAGES = ("base", "distributed", "dl")
_INTERPRETERS = {".py": "python", ".sh": "bash"}
_KEYS = {"canary", "images", "start", "args", "code", "stop", "left", "not in", "cpus", "memory"}
_OF_ITS_OWN = {"stop", "left", "not in", "cpus", "memory"}


class Unreadable(Exception):
    """First lines that say nothing, or something unknown."""


@dataclass(frozen=True)
class Program:
    """`name` is the file's. `limits` are options of Docker's SDK. `stop`, `left` and `not_in` are '' where there is none."""

    name: str
    about: str
    images: "tuple[str, ...]" = ("base",)
    own: bool = False
    args: "tuple[str, ...]" = ()
    code: int = 0
    stop: str = ""
    left: str = ""
    not_in: str = ""
    limits: "dict[str, object]" = field(default_factory=dict, hash=False)

    def words(self, directory: str) -> "list[str]":
        """Its command line, where it lies in `directory`."""
        return [_INTERPRETERS[Path(self.name).suffix], f"{directory}/{self.name}", *self.args]


def read(path: Path) -> Program:
    """The program in that file. Raises Unreadable."""
    said = _first_lines(path)
    unknown = sorted(said.keys() - _KEYS)
    if unknown or "canary" not in said or path.suffix not in _INTERPRETERS:
        raise Unreadable(f"{path.name}: {unknown[0]}: unknown" if unknown else f"{path.name}: no line `# canary: ...`, or no .py or .sh")
    own = said.get("start") == "own"
    if said.get("start", "own") != "own" or (not own and _OF_ITS_OWN & said.keys()):
        raise Unreadable(f"{path.name}: {', '.join(sorted(_OF_ITS_OWN))} are for `start: own`, and there is no other value")
    images = tuple(said.get("images", "base").split())
    if not images or set(images) - set(IMAGES):
        raise Unreadable(f"{path.name}: images: some of {' '.join(IMAGES)}")
    limits: dict[str, object] = {}
    if "cpus" in said:
        limits["nano_cpus"] = int(float(said["cpus"]) * 1e9)
    if "memory" in said:
        limits["mem_limit"] = said["memory"]
    args = tuple(json.loads(said.get("args", "[]")))
    code, stop, left = int(said.get("code", "0")), said.get("stop", ""), said.get("left", "")
    not_in, _, why = said.get("not in", "").partition(": ")
    if not_in and not why:
        raise Unreadable(f"{path.name}: not in: a place, a colon and the reason")
    return Program(path.name, said["canary"], images, own, args, code, stop, left, not_in, limits)


def load(directory: Path = DIRECTORY) -> "list[Program]":
    """All of them, by name. Raises Unreadable."""
    return [read(path) for path in sorted(directory.iterdir()) if path.is_file()]


def _first_lines(path: Path) -> "dict[str, str]":
    said: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#!"):
            continue
        key, colon, value = line.removeprefix("# ").partition(": ")
        if not line.startswith("# ") or not colon:
            break
        said[key] = value.strip()
    return said
