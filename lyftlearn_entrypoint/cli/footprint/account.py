"""What a start touched of an image: of each file, each layer and each package. Pure: from a trace and the image's table of files."""

from __future__ import annotations

import csv
import itertools
import posixpath
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from lyftlearn_entrypoint.cli.footprint import spans as footprint_spans
from lyftlearn_entrypoint.cli.footprint.exec import HEAD
from lyftlearn_entrypoint.cli.footprint.spans import PAGE, merged
from lyftlearn_entrypoint.cli.footprint.tables import around, within

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lyftlearn_entrypoint.cli.footprint.layers import File, Image
    from lyftlearn_entrypoint.cli.footprint.spans import Fetched, Range
    from lyftlearn_entrypoint.cli.footprint.trace import Touch

# The engine mounts its own there.
_MOUNTED = {"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"}
# A script whose interpreter is a script, and so on. Source: Linux, fs/exec.c.
_DEEP = 5


@dataclass(frozen=True)
class Use:
    """A file of the image that was opened, and pages of it (as ranges of bytes in the file).

    `least` were read; `most` were read or mapped, and a mapped page may never have been looked at: what was touched lies between the two.
    `predicted` are those that the kernel of a node that pulls lazily reads: of what is mapped, what was looked at and what is around it.
    It is `most` for a file of which no page table tells.
    """

    file: File
    least: tuple[Range, ...]
    predicted: tuple[Range, ...]
    most: tuple[Range, ...]


@dataclass(frozen=True)
class Part:
    """What was touched of one layer: bytes of the opened files, pages, and what a lazy pull fetches for them; three of each, as in Use."""

    layer: int
    files: int
    size: int
    pages: tuple[int, int, int]
    fetched: tuple[Fetched, Fetched, Fetched]


class Account:
    """What one start used of an image, in the order of first use.

    `tables` is what page tables had of each file, by path (tables.looked); None where nobody could look.
    """

    def __init__(self, image: Image, files: Mapping[str, Touch], tables: Mapping[str, list[Range]] | None = None) -> None:
        self.image = image
        self.looked = tables is not None
        self._tables: dict[str, list[Range]] = {}
        for path, ranges in (tables or {}).items():
            if (file := image.file(path)) is not None:
                self._tables.setdefault(file.path, []).extend(ranges)
        self._least: dict[str, list[Range]] = {}
        self._mapped: dict[str, list[Range]] = {}
        self._whole: set[str] = set()
        self._files: dict[str, File] = {}
        for path, touch in files.items():
            if path in _MOUNTED or (file := image.file(path)) is None:
                continue
            self._add(file, touch.read, touch.mapped)
            if touch.whole:
                self._whole.add(file.path)
            if touch.run:
                self._run(file, _DEEP)

    def _run(self, file: File, deep: int) -> None:
        """What the kernel reads and maps to run a file."""
        self._add(file, [(0, min(HEAD, file.size))], file.program.segments if file.program else ())
        interpreter = self.image.file(file.program.interpreter) if file.program and file.program.interpreter else None
        if interpreter and deep:
            self._run(interpreter, deep - 1)

    def _add(self, file: File, least: Iterable[Range], mapped: Iterable[Range]) -> None:
        self._files.setdefault(file.path, file)
        self._least.setdefault(file.path, []).extend(least)
        self._mapped.setdefault(file.path, []).extend(mapped)

    @cached_property
    def uses(self) -> list[Use]:
        return [self._use(path, file) for path, file in self._files.items()]

    def _use(self, path: str, file: File) -> Use:
        least = merged(self._least[path], PAGE, file.size)
        whole = [(0, file.size)] if path in self._whole else []
        predicted = most = merged([*self._least[path], *self._mapped[path], *whole], PAGE, file.size)
        if (looked := self._tables.get(path)) is not None:
            predicted = merged([*least, *within(around(looked), most), *whole], PAGE, file.size)
        return Use(file, tuple(least), tuple(predicted), tuple(most))

    @cached_property
    def parts(self) -> list[Part]:
        """One for each layer, lowest first, also of those of which nothing was touched."""
        return [self._part(number) for number in range(len(self.image.layers))]

    def _part(self, number: int) -> Part:
        mine = [use for use in self.uses if use.file.layer == number]
        weight = self.image.weights[number]

        def fetched(ranges: Iterable[tuple[Use, tuple[Range, ...]]]) -> Fetched:
            moved = [(use.file.offset + start, use.file.offset + end) for use, pages in ranges for start, end in pages]
            return footprint_spans.fetched(weight, moved)

        def pages(ranges: Iterable[tuple[Range, ...]]) -> int:
            return sum(footprint_spans.pages(each) for each in ranges)

        return Part(
            number,
            len(mine),
            sum(use.file.size for use in mine),
            (pages(use.least for use in mine), pages(use.predicted for use in mine), pages(use.most for use in mine)),
            (
                fetched((use, use.least) for use in mine),
                fetched((use, use.predicted) for use in mine),
                fetched((use, use.most) for use in mine),
            ),
        )

    def without(self, other: Account) -> list[Use]:
        """Files that the other start did not open."""
        return [use for use in self.uses if use.file.path not in other._files]

    @cached_property
    def recompiled(self) -> list[File]:
        """Sources that were read right after their compiled files: these are stale, and each start compiles the source again.

        Or the module read itself while it was imported, as torch's configuration does (torch/utils/_config_module.py).
        """
        files = list(self._files.values())
        return [file for before, file in itertools.pairwise(files) if _source(before.path) == file.path]

    def packages(self, owners: Mapping[str, str]) -> dict[str, dict[str, int]]:
        """Bytes of opened files, by layer and package, as {"layer number": {"kind name": bytes}}. A file of none stands for itself."""
        made: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for use in self.uses:
            made[str(use.file.layer)][owners.get(use.file.path, f"file {use.file.path}")] += use.file.size
        return {layer: dict(sorted(each.items())) for layer, each in made.items()}


def owners(image: Image) -> dict[str, str]:
    """Whose each file is, as "python NAME" by RECORD or "debian NAME" by dpkg's lists; compiled files go with their source.

    Sources: Python packaging, "Recording installed projects"; dpkg(1), /var/lib/dpkg/info/*.list; PEP 3147.
    """
    found: dict[str, str] = {}
    for path, text in image.texts.items():
        if path.endswith("/RECORD"):
            directory = posixpath.dirname(path)
            site = posixpath.dirname(directory)
            name = "python " + posixpath.basename(directory).rpartition(".dist-info")[0].rpartition("-")[0]
            for row in csv.reader(text.splitlines()):
                if row:
                    found.setdefault(posixpath.normpath(posixpath.join(site, row[0])), name)
        else:
            name = "debian " + posixpath.basename(path).removesuffix(".list").partition(":")[0]
            for line in text.splitlines():
                # Debian's own paths go through links (/lib is /usr/lib); what is itself a link is no file.
                directory, _, last = line.rpartition("/")
                found.setdefault(posixpath.join(image.resolve(directory), last), name)
    for path in image.files:
        if path not in found and (source := _source(path)) in found:
            found[path] = found[source]
        elif path not in found and "/lyftlearn_entrypoint/" in path:
            found[path] = "own lyftlearn-entrypoint"
    return found


def _source(path: str) -> str:
    """The source of a compiled file; '' for any other."""
    directory, _, name = path.rpartition("/")
    if not name.endswith(".pyc") or not directory.endswith("/__pycache__"):
        return ""
    return directory.removesuffix("__pycache__") + name.partition(".")[0] + ".py"
