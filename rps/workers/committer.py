"""Records what came of attempts, under their lanes' leases, all that is there at a
time; only then does a lane go on.

Two threads take turns: one makes events while the server writes what the other sent.
A lane has one message in flight, so its outcomes stay in order.
"""

from __future__ import annotations

import logging
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from eventsourcing.persistence import IntegrityError

from rps.log.append import Append, Appended, LeaseLost
from rps.workers import outcomes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rps.application import RemoteProcessSync
    from rps.workers.outbound import Attempt

log = logging.getLogger("rps.deliverer")

THREADS = 2


class Committer:
    """`recorded` is given attempts that are in the log, `lost` those of lanes that
    somebody else has by now, `failed` whatever nobody foresaw."""

    def __init__(
        self,
        application: RemoteProcessSync,
        recorded: Callable[[list[Attempt]], None],
        lost: Callable[[Attempt], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._application = application
        self._recorded = recorded
        self._lost = lost
        self._failed = failed
        self._came: SimpleQueue[Sequence[Attempt] | None] = SimpleQueue()
        self._threads = [
            Thread(target=self._run, name=f"committer-{number}", daemon=True)
            for number in range(THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, attempts: Sequence[Attempt]) -> None:
        self._came.put(attempts)

    def close(self) -> None:
        """Record what is there still."""
        for _ in self._threads:
            self._came.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        try:
            while (attempts := self._came.get()) is not None:
                together, ending = self._gather(attempts)
                self._commit(together)
                if ending:
                    return
        except BaseException as error:  # noqa: BLE001 - the worker raises it
            self._failed(error)

    def _gather(self, attempts: Sequence[Attempt]) -> tuple[list[Attempt], bool]:
        """These and what else is there; whether that was all there will be. What was
        put stays as it is: whoever put it may look at it still."""
        together = list(attempts)
        while True:
            try:
                more = self._came.get_nowait()
            except Empty:
                return together, False
            if more is None:
                return together, True
            together += more

    def _commit(self, attempts: list[Attempt]) -> None:
        appends = [Append(each.events, each.fence) for each in attempts]
        results = self._application.recorder.append(appends)
        recorded = []
        for attempt, result in zip(attempts, results, strict=True):
            if isinstance(result, Appended):
                recorded.append(attempt)
            elif isinstance(result, IntegrityError) and attempt.outcome is not None:
                attempt.events = outcomes.contradicted(attempt.scene, attempt.events)
                attempt.outcome = None
                self._commit([attempt])
            elif isinstance(result, LeaseLost):
                log.warning("lease.lost %s", result)
                self._lost(attempt)
            else:
                raise result
        if recorded:
            self._recorded(recorded)
