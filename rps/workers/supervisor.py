"""The supervisor: one process a worker, started again when it dies."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

log = logging.getLogger("rps.supervisor")

PAUSES_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
STEADY_SECONDS = 10.0
STOP_SECONDS = 35.0
LOOK_SECONDS = 0.1


@dataclass
class _Child:
    kind: str
    number: int
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    deaths: int = 0
    not_before: float = field(default=0.0)


class Supervisor:
    """`command(kind)` is what to run for a worker of that kind."""

    def __init__(self, kinds: dict[str, int], environ: dict[str, str]) -> None:
        self._environ = environ
        self._children = [
            _Child(kind, number)
            for kind, count in kinds.items()
            for number in range(count)
        ]
        self._stop = threading.Event()

    def run(self) -> None:
        """Until SIGTERM or SIGINT; then every child is ended before this returns."""
        for number in (signal.SIGTERM, signal.SIGINT):
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
            status = child.process.poll()
            if status is None:
                return
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
            child.process = subprocess.Popen(
                [sys.executable, "-m", "rps", "worker", child.kind],
                env=self._environ,
            )

    def _end(self) -> None:
        running = [c.process for c in self._children if c.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
