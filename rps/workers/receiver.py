"""The receiver: judges captured changes, in order, one correlation at a time."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from eventsourcing.persistence import IntegrityError

from rps.domain.between_nodes import is_judged_at_once
from rps.domain.events import ChangeFailed, QuestionAsked
from rps.log.append import NEXT, Append, Appended, Fence, LaneHeld, LeaseLost
from rps.workers.inbound import Reader
from rps.workers.lanes import Heartbeat, Lanes

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from rps.application import RemoteProcessSync
    from rps.domain.correlation import Correlation
    from rps.domain.events import ChangeCaptured
    from rps.workers.inbound import Docket

APPEND_MAX = 250
"""Events appended at once, or those of one correlation: others wait meanwhile."""
PAUSE_SECONDS = 0.05
IDLE_SECONDS = 1.0
STOPPING = (ChangeFailed, QuestionAsked)
"""What comes behind such a change waits with it."""


_uuid = lru_cache(maxsize=4096)(UUID)
"""Definitions come again and again."""


class Receiver:
    """Claims correlations with captured changes and appends what it decides."""

    idle_seconds = IDLE_SECONDS
    gather_seconds = 0.0

    def __init__(
        self, application: RemoteProcessSync, clock: Callable[[], datetime]
    ) -> None:
        self._application = application
        self._clock = clock
        self.lanes = Lanes(application, "receiver")
        self._reader = Reader(application)
        self.has_more = False
        """Whether something that is due now may be left, of which nobody will call."""

    def heartbeat(self) -> Heartbeat:
        return Heartbeat(self.lanes)

    def work(self) -> int:
        """Judge what is due; answers how many lanes were taken."""
        most = self._reader.room
        claimed = self.lanes.claim_in(most)
        self.idle_seconds = IDLE_SECONDS
        self.has_more = len(claimed) == most
        if claimed:
            dockets = self._reader.look(claimed)
            self.has_more |= any(docket.may_be_cut for docket in dockets)
            self._judge_all(dockets)
        return len(claimed)

    def _judge_all(self, dockets: list[Docket]) -> None:
        paused: list[Docket] = []
        appends: list[tuple[Append, Docket]] = []
        events = 0
        for docket in dockets:
            append = self._decided(docket)
            if append is None:
                paused.append(docket)
                continue
            appends.append((append, docket))
            events += len(append.events)
            if events >= APPEND_MAX:
                self._append(appends)
                appends, events = [], 0
        if appends:
            self._append(appends)
        if paused:
            self._pause(paused)

    def _decided(self, docket: Docket) -> Append | None:
        """What there is to append of a correlation; None: look again in a moment."""
        if docket.has_strays or docket.is_making:
            return None
        correlation, changes = docket.correlation, docket.changes
        if docket.owner is not None:
            events = self._moved(correlation, docket.owner, changes)
            return Append(events, _fence(docket))
        quiet = _to_be_quiet(correlation, changes)
        self._judge(correlation, changes)
        events = cast("list[Any]", correlation.collect_events())
        return Append(events, _fence(docket), quiet) if events else None

    def _judge(
        self, correlation: Correlation, changes: list[tuple[int, ChangeCaptured]]
    ) -> None:
        configuration = self._application.configuration.current
        for sequence, captured in changes:
            revision, definition = configuration.newest(
                _uuid(captured.definition), captured.revision
            )
            correlation.judge(captured, sequence, definition, revision, self._clock())
            if isinstance(correlation.pending_events[-1], STOPPING):
                return

    def _moved(
        self,
        correlation: Correlation,
        owner: UUID,
        changes: list[tuple[int, ChangeCaptured]],
    ) -> list[Any]:
        """The events that move the changes of an unlinked record to the correlation
        that turned out to be its own."""
        for sequence, captured in changes:
            correlation.move(captured, sequence, owner, self._clock())
        moved = [
            captured.moved_to(owner, NEXT, sequence) for sequence, captured in changes
        ]
        return [*correlation.collect_events(), *moved]

    def _append(self, appends: list[tuple[Append, Docket]]) -> None:
        outcomes = self._application.recorder.append([append for append, _ in appends])
        for (append, docket), outcome in zip(appends, outcomes, strict=True):
            self.has_more |= not isinstance(outcome, Appended)
            if isinstance(outcome, Appended) and docket.owner is None:
                self._reader.remember(docket, append.events, outcome.versions)
            elif isinstance(outcome, IntegrityError):
                # Linked by somebody else since we looked: look again in a moment.
                self._give_back([cast("Fence", append.fence)])
            elif not isinstance(outcome, Appended | LeaseLost | LaneHeld):
                raise outcome

    def _pause(self, dockets: list[Docket]) -> None:
        for docket in dockets:
            self._reader.remember(docket)
        self._give_back([_fence(docket) for docket in dockets])
        self.idle_seconds = PAUSE_SECONDS

    def _give_back(self, fences: list[Fence]) -> None:
        self.lanes.give_back([(*fence[:4], PAUSE_SECONDS) for fence in fences])


def _fence(docket: Docket) -> Fence:
    return Fence(docket.lane.correlation_id, "in", "", docket.lane.epoch)


def _to_be_quiet(
    correlation: Correlation, changes: list[tuple[int, ChangeCaptured]]
) -> tuple[tuple[UUID, str], ...]:
    """The lanes to members that are judged and have messages waiting: one that was
    claimed since we looked would be judged while it is written to."""
    judged = {c.member for _, c in changes if not is_judged_at_once(c)}
    return tuple(
        (correlation.id, member)
        for member in sorted(judged)
        if correlation.waiting(member)
    )
