"""The collector: reads its order, looks around, writes one document, ends. It runs in the program's place, as the program's user."""

import json
import os
import time

from lyftlearn_entrypoint import __version__
from lyftlearn_entrypoint.snapshot import machine, mask, network, process, resources, software, tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

FORM = "lyftlearn-snapshot/1"


class Around:
    """What every part needs: the order, the mask, the variables as execve(2) passed them, and when to be through."""

    def __init__(self, order: "dict[str, Any]", status: str, own: "set[int]") -> None:
        began = time.monotonic()
        self.order = order
        self.status = status  # of proc(5), right before exec
        self.own = own  # descriptors of the collector alone
        self.variables = _variables()
        self.mask = mask.Mask(order["key"], frozenset(order["words"]))
        self.mask.hide(mask.suspects(self.variables))
        self.incomplete: list[str] = []
        self._end = began + float(order["seconds"])

    def late(self) -> bool:
        return time.monotonic() > self._end

    def lacks(self, what: str) -> None:
        """Says what the document does not have. Never a value."""
        if what not in self.incomplete and len(self.incomplete) < 50:
            self.incomplete.append(what)


PARTS: "tuple[tuple[str, Callable[[Any], Any]], ...]" = (
    ("descriptors", process.descriptors),  # first: later parts open files of their own
    ("program", process.program),
    ("variables", lambda around: {n: around.mask.of("variable", n, v) for n, v in sorted(around.variables.items())}),
    ("user", process.user),
    ("process", process.process),
    ("capabilities", process.capabilities),
    ("signals", process.signals),
    ("limits", process.limits),
    ("resources", resources.resources),
    ("mounts", machine.mounts),
    ("directories", machine.directories),
    ("files", tree.files),
    ("network", network.network),
    ("listening", network.listening),
    ("time", machine.clock),
    ("locale", machine.locale),
    ("spark", software.spark),
    ("python", software.python),
    ("packages", software.packages),
    ("system", software.system),
    ("os_packages", software.os_packages),
    ("image", software.image),
)
# Parts with texts that somebody chose, a directory's name say. The others hold words of the kernel and of the image alone.
TOLD = ("program", "user", "process", "mounts", "directories", "files", "network", "spark", "python", "image")


def collect(around: Around) -> "dict[str, Any]":
    """The document. A part that fails is named in `incomplete`, with the kind of error and nothing of its text."""
    began = time.monotonic()
    facts: dict[str, Any] = {}
    for name, part in PARTS:
        if around.late():
            around.lacks(name + ": no time left")
            continue
        try:
            facts[name] = part(around)
        except Exception as error:  # noqa: BLE001  a strange /proc must not cost the rest
            around.lacks(f"{name}: {type(error).__name__}")
    return {
        "form": FORM,
        "version": __version__,
        "taken": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "how": around.order["how"],
        "context": around.order["context"],
        "key": around.mask.key_id,
        "milliseconds": round((time.monotonic() - began) * 1000),
        "incomplete": around.mask.over(around.incomplete),
        "facts": {name: around.mask.over(part) if name in TOLD else part for name, part in facts.items()},
    }


def main(order: "dict[str, Any]", status: str, own: "set[int]", writer: int) -> None:
    """`status` is proc(5)'s, right before exec; `own` are the collector's own descriptors, of which `writer` takes the document."""
    around = Around(order, status, own)
    document = json.dumps(collect(around), indent=1, sort_keys=True)
    with open(writer, "w", encoding="ascii") as out:
        out.write(document + "\n")
    os._exit(0)


def _variables() -> "dict[str, str]":
    """As the kernel has them: Python changes some of its own (PEP 538)."""
    with open("/proc/self/environ", "rb") as file:
        block = file.read().decode("utf-8", "surrogateescape")
    return dict(pair.split("=", 1) for pair in block.split("\0") if pair.find("=") > 0)
