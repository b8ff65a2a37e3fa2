"""What was judged, as a correlation's stream tells it, and the same judged again.

A judgement is the run of events that one captured change made. They are found by what
they say, so that the events of others in between do not matter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rps.domain import events
from rps.domain.branching import branched
from rps.domain.events import (
    ChangeAccepted,
    ChangeCaptured,
    ChangeFailed,
    ChangeIgnored,
    ChangeSkipped,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from rps.domain.aggregate import Event
    from rps.domain.agreement import Definition
    from rps.domain.correlation import Correlation
    from rps.domain.trial import Verdict

MOVED_TO = "moved to "
"""How the reason begins for which a change is judged under another correlation."""

REVISED = ("the member's record moved", "the record is kept")


@dataclass(frozen=True, slots=True)
class Judgement:
    """A captured change, and all that was decided about it. `before` is the correlation
    as it was then, until the next one is read: look, and change nothing. `position` is
    that of the verdict."""

    before: Correlation
    captured: ChangeCaptured
    sequence: int
    position: int
    events: tuple[Event, ...]
    verdict: Verdict

    @property
    def at(self) -> datetime:
        return self.verdict.timestamp

    @property
    def revision(self) -> int | None:
        """The definition's, where it was written down."""
        if isinstance(self.verdict, ChangeAccepted):
            return self.verdict.revision
        return None

    def kept(self) -> Judgement:
        """The same, whatever is read after it."""
        return replace(self, before=branched(self.before))

    def again(self, definition: Definition, revision: int) -> list[Event]:
        """What would have been decided at that moment under another definition."""
        return judged(
            *(self.before, self.captured, self.sequence, definition, revision, self.at)
        )


def judged(
    before: Correlation,
    captured: ChangeCaptured,
    sequence: int,
    definition: Definition,
    revision: int,
    now: datetime,
) -> list[Event]:
    """The events of judging a change, which leave `before` as it is."""
    correlation = branched(before)
    correlation.domain = captured.domain
    correlation.judge(captured, sequence, definition, revision, now)
    decided: list[Any] = list(correlation.collect_events())
    return decided


def judgements(stream: Iterable[tuple[int, Event]]) -> Iterator[Judgement]:
    """The judgements of one correlation, from its (position, event) in order."""
    return _Reading().read(stream)


def same(one: Sequence[Event], other: Sequence[Event]) -> bool:
    """Whether two judgements say the same, wherever they stand in their stream."""
    return len(one) == len(other) and all(
        a.TOPIC == b.TOPIC and _said(a) == _said(b)
        for a, b in zip(one, other, strict=True)
    )


def _said(event: Event) -> Mapping[str, Any]:
    """As it is stored, where a tuple is a list."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in vars(event).items()
        if name != "originator_version"
    }


@dataclass(slots=True)
class _Run:
    """A judgement as far as it has been read."""

    position: int
    verdict: Verdict
    events: list[Event]


class _Reading:
    """A stream being read: what is folded, and what may be part of a judgement."""

    def __init__(self) -> None:
        self._correlation: Correlation | None = None
        self._captured: dict[int, ChangeCaptured] = {}
        self._leading: list[Event] = []

    def read(self, stream: Iterable[tuple[int, Event]]) -> Iterator[Judgement]:
        run: _Run | None = None
        for position, event in stream:
            if run is not None and _follows(run.verdict, event):
                run.events.append(event)
                continue
            if run is not None:
                yield from self._ended(run)
            run = self._taken(position, event)
        if run is not None:
            yield from self._ended(run)

    def _taken(self, position: int, event: Event) -> _Run | None:
        """Fold the event, or hold it back with what it is a part of."""
        match event:
            case ChangeAccepted() | ChangeIgnored() | ChangeFailed():
                run = _Run(position, event, [event])
                while self._leading and _leads(event, self._leading[-1]):
                    run.events.insert(0, self._leading.pop())
                self._fold()
                return run
            case ChangeCaptured():
                self._captured[event.sequence or position] = event
            case ChangeSkipped():
                self._captured.pop(event.sequence, None)
        if isinstance(event, _LEADING):
            self._leading.append(event)
        else:
            self._fold(event)
        return None

    def _fold(self, *further: Event) -> None:
        """Events that tell nothing here may have been left out of the stream."""
        for event in (*self._leading, *further):
            if self._correlation is not None:
                self._correlation.version = event.originator_version - 1
            self._correlation = event.mutate(self._correlation)
        self._leading.clear()

    def _ended(self, run: _Run) -> Iterator[Judgement]:
        verdict = run.verdict
        captured = self._captured.get(verdict.sequence)
        if captured is not None and self._correlation is not None:
            if not isinstance(verdict, ChangeFailed):
                del self._captured[verdict.sequence]
            if not (isinstance(verdict, ChangeIgnored) and is_move(verdict)):
                yield Judgement(
                    *(self._correlation, captured, verdict.sequence, run.position),
                    *(tuple(run.events), verdict),
                )
        self._fold(*run.events)


def is_move(verdict: ChangeIgnored) -> bool:
    """Whether the change went to the correlation it belongs to, and is judged there."""
    return verdict.reason.startswith(MOVED_TO)


_LEADING = (
    events.CorrelationOpened,
    events.CorrelationLinked,
    events.ConflictRecorded,
    events.ConflictOpened,
    events.AttachmentsShared,
    events.AttachmentRefused,
)


def _leads(verdict: Verdict, event: Event) -> bool:
    """Whether an event that stands right before a verdict is of the same judgement."""
    if isinstance(verdict, ChangeFailed):
        return False
    match event:
        case events.CorrelationOpened():
            return True
        case events.CorrelationLinked():
            about = (event.member, event.record_id)
            return about == (verdict.member, verdict.record_id)
        case events.ConflictRecorded() | events.ConflictOpened():
            about = (event.member, event.change_id)
            return about == (verdict.member, verdict.change_id)
        case events.AttachmentsShared() | events.AttachmentRefused():
            return event.sequence == verdict.sequence
        case _:
            return False


def _follows(verdict: Verdict, event: Event) -> bool:
    """Whether an event that stands right behind a verdict is of the same judgement."""
    match event:
        case events.FlowNotified():
            return event.change_id == verdict.change_id
        case events.ConflictResolved():
            told = f"since change {verdict.change_id}"
            return event.actor == "rps" and event.reason.endswith(told)
        case events.MessageSkipped():
            reason = f"superseded by change {verdict.change_id}"
            return event.superseded and event.reason == reason
        case events.MessageRevised():
            return event.reason in REVISED and event.timestamp == verdict.timestamp
        case events.MessageParked():
            why = verdict.reason if isinstance(verdict, ChangeIgnored) else ""
            if isinstance(verdict, ChangeFailed):
                why = verdict.detail
            is_so = event.member == verdict.member and event.detail == why
            return is_so and event.timestamp == verdict.timestamp
        case _:
            return False
