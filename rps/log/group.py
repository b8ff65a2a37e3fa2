"""Group commit: callers that arrive while a commit runs share the next one.

The first caller leads: it commits what has queued up, its own item included, and hands
the lead to a waiting caller. No timer: the group gathers while the one before it runs.
"""

from __future__ import annotations

from collections import deque
from threading import Event, Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

I = TypeVar("I")  # noqa: E741 - an item
O = TypeVar("O")  # noqa: E741 - its outcome

GROUP_MAX = 1000
"""Events a commit takes at most, so that none waits for ever."""


class _Ticket(Generic[I, O]):
    def __init__(self, items: list[I]) -> None:
        self.items = items
        self.outcomes: list[O] = []
        self.error: BaseException | None = None
        self.done = False
        self.awake = Event()


class GroupCommit(Generic[I, O]):
    def __init__(
        self, commit: Callable[[Sequence[I]], list[O]], size: Callable[[I], int]
    ) -> None:
        self._commit = commit
        self._size = size
        self._lock = Lock()
        self._waiting: deque[_Ticket[I, O]] = deque()
        self._led = False

    def submit(self, items: list[I]) -> list[O]:
        """Commit `items` with whoever else is there; their outcomes, in order."""
        ticket: _Ticket[I, O] = _Ticket(items)
        with self._lock:
            self._waiting.append(ticket)
            leads, self._led = not self._led, True
        if not leads:
            ticket.awake.wait()
        while not ticket.done:
            self._lead()
        if ticket.error is not None:
            raise ticket.error
        return ticket.outcomes

    def _lead(self) -> None:
        """Commit one group; wake its members and the leader of the next."""
        with self._lock:
            group = self._gather()
        try:
            outcomes = iter(self._commit([i for t in group for i in t.items]))
            for ticket in group:
                ticket.outcomes = [next(outcomes) for _ in ticket.items]
        except BaseException as error:  # noqa: BLE001 - each caller raises it itself
            for ticket in group:
                ticket.error = error
        with self._lock:
            for ticket in group:
                ticket.done = True
            if self._waiting:
                self._waiting[0].awake.set()
            else:
                self._led = False
        for ticket in group:
            ticket.awake.set()

    def _gather(self) -> list[_Ticket[I, O]]:
        group = [self._waiting.popleft()]
        events = sum(map(self._size, group[0].items))
        while self._waiting:
            events += sum(map(self._size, self._waiting[0].items))
            if events > GROUP_MAX:
                break
            group.append(self._waiting.popleft())
        return group
