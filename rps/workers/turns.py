"""Who writes next: lanes that are ready wait here for a thread.

A thread takes as many lanes of one system as that takes together. Threads are started
as they are needed; each system has its share of the writes that are under way.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from threading import Condition, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rps.domain.delivery import Capabilities
    from rps.workers.outbound import Lane

BATCHES = 4
"""Requests with many messages that are under way to a system at once."""

Key = tuple[str, str]


@dataclass(slots=True)
class _Queue:
    able: Capabilities
    share: int
    ready: deque[Lane] = field(default_factory=deque)
    apart: deque[Lane] = field(default_factory=deque)
    """Those that have to be asked about first, which is done one by one."""
    under_way: int = 0
    turns: int = 0
    doubtful: int = 0
    """Failures of which the breaker has not been told yet."""

    @property
    def size(self) -> int:
        """How many lanes go next; 0 where they have to wait."""
        if self.doubtful:
            return 0
        waiting = 1 if self.apart else min(len(self.ready), self.able.together)
        if self.able.batch > 1:
            return waiting if self.turns < BATCHES else 0
        share = self.able.share_of(self.share)
        free = share - self.under_way
        # Many threads with a few lanes each are slower than a few with many.
        return min(waiting, free) if free >= min(waiting, share // 4) else 0

    def take(self, size: int) -> list[Lane]:
        source = self.apart or self.ready
        return [source.popleft() for _ in range(size)]


class Turns:
    """`work` is given the lanes of one turn, in one of at most `threads` threads."""

    def __init__(self, work: Callable[[list[Lane]], None], threads: int) -> None:
        self._work = work
        self._most = threads
        self._changed = Condition()
        self._queues: dict[Key, _Queue] = {}
        self._waiting: dict[Key, _Queue] = {}
        self._threads: list[Thread] = []
        self._idle = 0
        self._closed = False

    def share(self, key: Key, able: Capabilities, share: int) -> None:
        """Say what a system can do and how much of it may be under way."""
        with self._changed:
            queue = self._queues.get(key)
            if queue is None:
                self._queues[key] = _Queue(able, share)
            else:
                queue.able, queue.share = able, share
                self._summon()

    def put(self, key: Key, lanes: Sequence[Lane]) -> bool:
        """Let `lanes` of a system that has its share wait for their turn; False when
        it is too late for that."""
        with self._changed:
            if self._closed:
                return False
            queue = self._queues[key]
            for lane in lanes:
                apart = lane.asks_first(queue.able)
                (queue.apart if apart else queue.ready).append(lane)
            self._waiting[key] = queue
            self._summon()
            return True

    def answered(self, key: Key, count: int, *, doubtful: bool) -> None:
        """`count` writes came back. Where they are `doubtful`, nothing more is sent to
        the system until the breaker knows of them (`told`)."""
        with self._changed:
            queue = self._queues[key]
            queue.under_way -= count
            if doubtful:
                queue.doubtful += count
            self._summon()

    def told(self, key: Key, count: int) -> None:
        with self._changed:
            self._queues[key].doubtful -= count
            self._summon()

    def drop(self, key: Key) -> list[Lane]:
        """Those that wait, but for a probe: they may not go now."""
        with self._changed:
            queue = self._waiting.get(key)
            if queue is None:
                return []
            dropped = [lane for lane in (*queue.apart, *queue.ready) if not lane.probe]
            for lanes in (queue.apart, queue.ready):
                kept = [lane for lane in lanes if lane.probe]
                lanes.clear()
                lanes.extend(kept)
            return dropped

    def close(self) -> list[Lane]:
        """End the threads, with what they are at; answers those that did not go."""
        with self._changed:
            self._closed = True
            left = [
                lane for q in self._waiting.values() for lane in (*q.apart, *q.ready)
            ]
            self._waiting.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        return left

    # --- threads --------------------------------------------------------------------

    def _summon(self) -> None:
        """Have a thread for the next turn, where there may be one now."""
        if not any(queue.size for queue in self._waiting.values()):
            return
        if self._idle:
            self._changed.notify()
        elif len(self._threads) < self._most:
            name = f"deliverer-{len(self._threads)}"
            thread = Thread(target=self._run, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self) -> None:
        while (turn := self._take()) is not None:
            queue, lanes = turn
            self._work(lanes)
            with self._changed:
                queue.turns -= 1

    def _take(self) -> tuple[_Queue, list[Lane]] | None:
        with self._changed:
            while not self._closed:
                if turn := self._next():
                    self._summon()
                    return turn
                self._idle += 1
                self._changed.wait()
                self._idle -= 1
            return None

    def _next(self) -> tuple[_Queue, list[Lane]] | None:
        for key, queue in self._waiting.items():
            size = queue.size
            if not size:
                continue
            lanes = queue.take(size)
            queue.under_way += size
            queue.turns += 1
            del self._waiting[key]
            if queue.apart or queue.ready:
                self._waiting[key] = queue  # behind the other systems
            return queue, lanes
        return None
