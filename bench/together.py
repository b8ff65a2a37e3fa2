"""Several processes doing the same at the same time, timed."""

from __future__ import annotations

import multiprocessing
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.synchronize import Barrier


def together(count: int, prepare: Callable[[int], Callable[[], None]]) -> float:
    """Seconds until the last of `count` is done; `prepare(n)` itself is not counted.

    Call it in a process without threads: it forks.
    """
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(count + 1)
    processes = [
        context.Process(target=_run, args=(barrier, prepare, n)) for n in range(count)
    ]
    for process in processes:
        process.start()
    barrier.wait()
    start = time.monotonic()
    for process in processes:
        process.join()
    seconds = time.monotonic() - start
    if any(process.exitcode for process in processes):
        raise RuntimeError("one of the processes failed: see above")
    return seconds


def _run(
    barrier: Barrier, prepare: Callable[[int], Callable[[], None]], n: int
) -> None:
    try:
        work = prepare(n)
    except BaseException:
        barrier.abort()
        raise
    barrier.wait()
    work()
