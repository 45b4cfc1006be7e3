"""Which pages of mapped files a start looked at, from what pagemap.py saw in page tables, and what a lazy pull reads for them. Pure.

A page that was looked at is in the page table of its process. With it may be what else was in memory of the 64 KiB that it lies in
(fault-around: Linux, mm/memory.c, do_fault_around). Where it is not in memory, as on a node that pulls lazily, the kernel reads 128 KiB,
half of them before it (read-around: mm/filemap.c, do_sync_mmap_readahead; FUSE has the default of 128 KiB, VM_READAHEAD_PAGES).
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING

from lyftlearn_entrypoint.cli.footprint.spans import Range, merged

if TYPE_CHECKING:
    from collections.abc import Iterable

# What is read on each side of a page that is not in memory.
AROUND = 64 << 10


def looked(lines: Iterable[str]) -> dict[str, list[Range]]:
    """The ranges of each file that any process had in its page table, by path; nothing for a file that was mapped and not looked at.

    A line that is not whole is passed over: the program that writes it may be killed.
    """
    found: dict[str, list[Range]] = defaultdict(list)
    for line in lines:
        try:
            seen = json.loads(line)
        except ValueError:
            continue
        for path, ranges in seen.items():
            found[path].extend((start, end) for start, end in ranges)
    return {path: merged(ranges) for path, ranges in found.items()}


def around(ranges: Iterable[Range]) -> list[Range]:
    """What is read for pages that were looked at: they and what is AROUND them."""
    return merged((max(0, start - AROUND), end + AROUND) for start, end in ranges)


def within(ranges: Iterable[Range], bounds: Iterable[Range]) -> list[Range]:
    """What two lists of ranges have in common; neither has ranges that overlap."""
    bounds = list(bounds)
    return merged((max(a, c), min(b, d)) for a, b in ranges for c, d in bounds if max(a, c) < min(b, d))
