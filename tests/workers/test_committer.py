"""The committer records what is there at a time, and touches nothing it was given."""

from __future__ import annotations

from queue import SimpleQueue
from threading import Semaphore
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rps.log.append import Append, Appended
from rps.workers.committer import THREADS, Committer

if TYPE_CHECKING:
    from collections.abc import Sequence


class Slow:
    """A log that takes its time: an append waits until it may go on."""

    def __init__(self) -> None:
        self.recorder = self
        self.begun = SimpleQueue[int]()
        self.may_go_on = Semaphore(0)

    def append(self, appends: Sequence[Append]) -> list[Appended]:
        self.begun.put(len(appends))
        assert self.may_go_on.acquire(timeout=10)
        return [Appended((1,), (1,)) for _ in appends]


def test_what_is_recorded_together_stays_apart_for_who_put_it() -> None:
    """Whoever put it counts it: a list that had grown meanwhile held up its system for
    good, once in some hundred thousand turns."""
    log, recorded = Slow(), SimpleQueue[int]()
    application: Any = log
    committer = Committer(
        application, lambda them: recorded.put(len(them)), pytest.fail, pytest.fail
    )
    for _ in range(THREADS):
        committer.put([_attempt()])
        assert log.begun.get(timeout=10) == 1
    one, other = [_attempt()], [_attempt(), _attempt()]
    committer.put(one)
    committer.put(other)

    log.may_go_on.release()
    together = log.begun.get(timeout=10)
    log.may_go_on.release(THREADS)
    committer.close()

    assert (together, len(one), len(other)) == (3, 1, 2)
    assert sorted(recorded.get() for _ in range(THREADS + 1)) == [1, 1, 3]


def _attempt() -> Any:
    return SimpleNamespace(events=[], fence=None, outcome=None)
