"""A collector in the program's place: the same environment, user, descriptors and signals, by the same fork and exec.

Half of what a program sees is settled only by exec(2): which descriptors stay, which signals are ignored, which capabilities are left. So
nothing of it is computed here. A child becomes the collector (collect.py) as this process is about to become the program.
"""

import hashlib
import json
import os
import select
import signal
import sys
import time

from lyftlearn_entrypoint.errors import StartError, Unavailable
from lyftlearn_entrypoint.snapshot import schema

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SECONDS = 30.0  # for all of it; the collector itself is told to be through in two thirds of that
LIMIT = 8 << 20  # bytes of a document
# The collector is told its own modules: the program's user need not be able to read our files.
MODULES = ("", ".snapshot", *(".snapshot." + name for name in ("mask", "process", "machine", "resources", "tree", "network", "software")))
MODULES = (*MODULES, ".snapshot.collect")
_CODE = """
import json, os, sys
paper, writer = map(int, sys.argv[1:])
with open(paper, "rb") as file:
    head, _, status = file.read().partition(b"\\n")
os.set_inheritable(writer, False)
order = json.loads(head)
for name, source in order.pop("modules"):
    module = sys.modules[name] = type(sys)(name)
    module.__path__ = []
    exec(compile(source, name, "exec"), module.__dict__)
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)
module.main(order, status.decode("ascii", "replace"), {paper, writer}, writer)
"""


class Order:
    """What the collector cannot see for itself. `how` is `start` or `hand`; `program` is the file that exec gets, '' where no program is to
    be run. `trees` are directories whose files are listed, by the name under which they are, their own path or another one: what is mounted
    at different places can be compared."""

    def __init__(self, how: str, key: str, context: str, argv: "list[str]", program: str, image: str = "") -> None:
        self.how = how
        self.key = key
        self.context = context
        self.argv = argv
        self.program = program
        self.image = image
        self.trees: dict[str, str] = {}
        self.words = sorted(schema.words())
        self.modules = _sources()
        self.package = _fingerprint()

    def look_at(self, words: "list[str]", real: "Callable[[str], str]" = lambda path: path) -> None:
        """Adds trees, each a path or NAME=path."""
        for word in words:
            name, equals, path = word.partition("=")
            self.trees[name] = real(path if equals else name)

    def encode(self) -> bytes:
        parent = os.getppid()
        facts = {
            **self.__dict__,
            "pid": os.getpid(),
            "parent": parent,
            "leads_session": os.getsid(0) == os.getpid(),
            "leads_group": os.getpgrp() == os.getpid(),
            "seconds": SECONDS * 2 / 3,
        }
        return json.dumps(facts).encode() + b"\n"


def observe(order: Order, env: "dict[str, str]", restore: "Callable[[], None]") -> bytes:
    """The document. `env` is the program's; `restore` undoes what Python changed in itself, as is done right before exec.

    Raises Unavailable (69) when there is none in time, StartError (70) when the collector ends without one. The start's threads, one that
    hangs in a name lookup, are no matter: the child calls nothing but the kernel before its exec.
    """
    words = [os.fsencode(word) for word in (sys.executable, "-I", "-S", "-X", "utf8", "-c", _CODE)]
    given = {name.encode("utf-8", "surrogateescape"): value.encode("utf-8", "surrogateescape") for name, value in env.items()}
    head = order.encode()
    reader, writer = os.pipe()
    paper = os.memfd_create("snapshot")
    end = time.monotonic() + SECONDS
    child = os.fork()
    if child == 0:
        _become(words, given, head, paper, writer, restore)
    try:
        os.close(writer)
        os.close(paper)
        data = _read(reader, end)
    finally:
        os.close(reader)
        try:
            os.kill(child, signal.SIGKILL)  # one that is through is a zombie, and does not mind
            os.waitpid(child, 0)
        except OSError:
            pass
    if not data.endswith(b"}\n"):
        raise StartError(
            "snapshot: the collector ended without a document: " + _said(data),
            "It runs as the program's user, with its variables",
            finding="LL1102",
        )
    return data


def _become(
    words: "list[bytes]", env: "dict[bytes, bytes]", head: bytes, paper: int, writer: int, restore: "Callable[[], None]"
) -> "NoReturn":
    try:
        restore()
        # What stays ignored or blocked over exec is known here; the collector's own Python ignores more.
        status = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
        head += os.read(status, 1 << 16)
        os.close(status)
        while head:
            head = head[os.write(paper, head) :]
        os.lseek(paper, 0, os.SEEK_SET)
        os.set_inheritable(paper, True)
        os.set_inheritable(writer, True)
        os.execve(words[0], [*words, str(paper).encode(), str(writer).encode()], env)
    except OSError as error:
        os.write(writer, (error.strerror or "error").encode())
    finally:
        os._exit(1)


def _read(reader: int, end: float) -> bytes:
    parts: list[bytes] = []
    size = 0
    while size <= LIMIT:
        ready, _, _ = select.select([reader], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            raise Unavailable(
                f"snapshot: no document within {SECONDS:g} s",
                "Something that it reads hangs, a mount say; start without it",
                finding="LL1101",
            )
        part = os.read(reader, 1 << 20)
        if not part:
            return b"".join(parts)
        parts.append(part)
        size += len(part)
    raise StartError(f"snapshot: the document has over {LIMIT} bytes", finding="LL1103")


def _said(data: bytes) -> str:
    return data[:100].decode("utf-8", "replace") if data and not data.startswith(b"{") else "nothing was said"


def _sources() -> "list[tuple[str, str]]":
    """The collector's modules, each after those that it imports."""
    found = []
    for name in MODULES:
        path = PACKAGE + name.replace(".", "/")
        path = path + "/__init__.py" if os.path.isdir(path) else path + ".py"
        with open(path, encoding="utf-8") as file:
            found.append(("lyftlearn_entrypoint" + name, file.read()))
    return found


def _fingerprint() -> str:
    """SHA-256 of all our modules: the part of an image that this project is."""
    content = hashlib.sha256()
    for place, inner, names in os.walk(PACKAGE):
        inner.sort()
        for name in sorted(names):
            if name.endswith(".py"):
                with open(os.path.join(place, name), "rb") as file:
                    content.update(hashlib.sha256(file.read()).digest())
    return content.hexdigest()
