"""The supervisor: one process a worker, started again when it dies.

Workers are forked: what they need is loaded once, they start in a few milliseconds and
share their memory. So nothing that must not be shared may be open here.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import ForkProcess

log = logging.getLogger("rps.supervisor")

PAUSES_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
STEADY_SECONDS = 10.0
STOP_SECONDS = 35.0
LOOK_SECONDS = 0.1

ENDING = (signal.SIGTERM, signal.SIGINT)
_FORK = multiprocessing.get_context("fork")


@dataclass
class _Child:
    kind: str
    number: int
    process: ForkProcess | None = None
    started: float = 0.0
    deaths: int = 0
    not_before: float = field(default=0.0)


class Supervisor:
    """`work(kind)` is what a worker of that kind does, in a process of its own."""

    def __init__(self, kinds: dict[str, int], work: Callable[[str], None]) -> None:
        self._work = work
        self._children = [
            _Child(kind, number)
            for kind, count in kinds.items()
            for number in range(count)
        ]
        self._stop = threading.Event()

    def run(self) -> None:
        """Until SIGTERM or SIGINT; then every child is ended before this returns."""
        for number in ENDING:
            signal.signal(number, lambda *_: self._stop.set())
        try:
            while not self._stop.is_set():
                for child in self._children:
                    self._tend(child)
                self._stop.wait(LOOK_SECONDS)
        finally:
            self._end()

    def _tend(self, child: _Child) -> None:
        now = time.monotonic()
        if child.process is not None:
            status = child.process.exitcode
            if status is None:
                return
            child.process.close()
            lasted = now - child.started
            child.deaths = 0 if lasted > STEADY_SECONDS else child.deaths + 1
            pause = PAUSES_SECONDS[min(child.deaths, len(PAUSES_SECONDS) - 1)]
            child.process, child.not_before = None, now + pause
            log.warning(
                "worker.died kind=%s status=%d lasted=%.1f restart_in=%.1f",
                child.kind,
                status,
                lasted,
                pause,
            )
        if now >= child.not_before:
            child.started = now
            child.process = self._forked(child.kind)

    def _forked(self, kind: str) -> ForkProcess:
        process = _FORK.Process(target=_begin, args=(self._work, kind))
        # Between the fork and its own handlers a worker would lose a signal in ours.
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        return process

    def _end(self) -> None:
        running = [c.process for c in self._children if c.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in running:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.exitcode is None:
                process.kill()
                process.join()


def _begin(work: Callable[[str], None], kind: str) -> None:
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    with suppress(OSError):  # Linux: what `top` and `ps -o comm` show
        Path("/proc/self/comm").write_text(f"rps {kind}")
    work(kind)
