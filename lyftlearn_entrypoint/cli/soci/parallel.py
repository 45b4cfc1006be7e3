"""Work on the layers of an image in processes of their own, with one bar that shows how far all of them are."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lyftlearn_entrypoint.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Result = TypeVar("Result")
_EVERY = 0.2  # seconds between two looks at the counter
_done: Any = None  # bytes that all processes have done, in shared memory


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def bar(title: str, total: int) -> Any:
    """A bar on stderr, to be updated with bytes; only its title where that is no terminal."""
    return click.progressbar(length=max(total, 1), label=title, file=sys.stderr, show_eta=True, show_percent=True)


def tell(size: int) -> None:
    """Say, in one of the processes, that so many bytes more are done."""
    with _done.get_lock():
        _done.value += size


def run(title: str, total: int, function: Callable[..., Result], jobs: Sequence[tuple[Any, ...]], processes: int) -> list[Result]:
    """`function` for each of the jobs, at most so many at a time; the results in their order. The first error ends it, and is raised.

    `function` is a module's own, and tells what it has done of `total` bytes through `tell`. Raises Unavailable (69) where the system
    killed a process.
    """
    context = multiprocessing.get_context("spawn")
    done = context.Value("q", 0)
    pool = ProcessPoolExecutor(min(processes, max(len(jobs), 1)), context, _begin, (done,))
    try:
        with bar(title, total) as shown:
            futures = [pool.submit(function, *job) for job in jobs]
            left, told = set(futures), 0
            while left:
                ended, left = wait(left, _EVERY, FIRST_COMPLETED)
                for future in ended:
                    future.result()
                now = done.value
                shown.update(now - told)
                told = now
        return [future.result() for future in futures]
    except BrokenProcessPool:
        raise Unavailable("a process that worked on a layer was killed", "Give it more memory, or --jobs 1") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin(done: Any) -> None:
    global _done  # noqa: PLW0603  (one for each process)
    _done = done
    # Without a word: the process that waits for this one says it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
