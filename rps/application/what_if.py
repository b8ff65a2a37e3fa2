"""What-if: recorded judgements taken again under another definition, in portions.

Read correlation by correlation, each from its start, so that memory stays bounded and a
range may be any part of history. Nothing is appended.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from rps.domain.differences import compared
from rps.domain.judgements import judgements
from rps.domain.process_sync_definition import (
    DefinitionPublished,
    DefinitionRetired,
)
from rps.projections.trial_questions import TrialQuestions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from rps.application import RemoteProcessSync
    from rps.domain.aggregate import Event
    from rps.domain.agreement import Definition
    from rps.domain.differences import Comparison
    from rps.domain.judgements import Judgement
    from rps.projections.questions import Row

FIRST = UUID(int=0)


class Reached(NamedTuple):
    """How far a what-if has come: the judgement looked at last."""

    correlation_id: UUID = FIRST
    position: int = 0


@dataclass(frozen=True, slots=True)
class Range:
    """Judgements of a definition from `since` to before `until`; None: all."""

    domain: str
    definition_id: UUID
    since: datetime | None = None
    until: datetime | None = None

    def has(self, judgement: Judgement) -> bool:
        return (
            judgement.captured.domain == self.domain
            and judgement.captured.definition == str(self.definition_id)
            and (self.since is None or judgement.at >= self.since)
            and (self.until is None or judgement.at < self.until)
        )

    @property
    def asked(self) -> dict[str, Any]:
        return {
            "domain": self.domain,
            "definition": self.definition_id,
            "since": self.since,
            "until": self.until,
        }


@dataclass(frozen=True, slots=True)
class Retrial:
    """A judgement of the range, and how the trial of it came out."""

    judgement: Judgement
    comparison: Comparison

    @property
    def reached(self) -> Reached:
        return Reached(self.judgement.before.id, self.judgement.position)

    def to_json(self) -> dict[str, Any]:
        captured = self.judgement.captured
        return {
            "correlation_id": self.judgement.before.id,
            "sequence": self.judgement.sequence,
            "position": self.judgement.position,
            "at": self.judgement.at,
            "change_id": captured.change_id,
            "member": captured.member,
            "record_id": captured.record_id,
            **self.comparison.to_json(),
        }


class WhatIf:
    """`revision` is what the tried definition would be published as."""

    def __init__(
        self, application: RemoteProcessSync, within: Range, tried: Definition
    ) -> None:
        self._mapper = application.event_mapper
        self._questions = TrialQuestions(application.datastore)
        self._within, self._tried = within, tried
        configuration = application.configuration.refresh()
        self._revisions = configuration.revisions.get(within.definition_id, {})
        self._force = InForce(application, within.definition_id)
        self._revision = max(self._revisions, default=0) + 1

    def count(self) -> int:
        """How many changes there are at most."""
        return self._questions.judged_count(self._within.asked)

    def retrials(self, after: Reached = Reached()) -> Iterator[Retrial]:  # noqa: B008 - a constant
        """Each judgement of the range once, in order of `Reached`. A comparison may be
        looked at as long as the next one is not asked for."""
        start = after.correlation_id
        while ids := self._questions.judged(self._within.asked, start):
            for key, rows in self._questions.streams(ids):
                past = after.position if key == after.correlation_id else 0
                yield from self._of_stream(key, rows, past)
            start = UUID(int=ids[-1].int + 1)

    def _of_stream(
        self, key: UUID, rows: Iterator[Row], past: int
    ) -> Iterator[Retrial]:
        for judgement in judgements(self._events(key, rows)):
            if judgement.position > past and self._within.has(judgement):
                comparison = compared(
                    *(judgement, self._tried, self._revision),
                    self._revisions.__getitem__,
                    self._force.at,
                )
                yield Retrial(judgement, comparison)

    def _events(self, key: UUID, rows: Iterator[Row]) -> Iterator[tuple[int, Event]]:
        return stored_events(self._mapper.to_domain_event, key, rows)


def stored_events(
    read: Any, key: UUID, rows: Iterator[Row]
) -> Iterator[tuple[int, Event]]:
    """(position, event) of rows of a stream, without those that have no state."""
    for row in rows:
        if row["state"] is not None:
            stored = StoredEvent(key, row["version"], row["topic"], row["state"])
            yield row["position"], read(stored)


class InForce:
    """Which revision of a definition was in force at a position of the log."""

    def __init__(self, application: RemoteProcessSync, definition_id: UUID) -> None:
        self._positions: list[int] = []
        self._revisions: list[int | None] = []
        for row in application.recorder.streams({definition_id: 0}):
            event = application.event_mapper.to_domain_event(row)
            if isinstance(event, DefinitionPublished | DefinitionRetired):
                self._positions.append(row.id)
                self._revisions.append(getattr(event, "revision", None))

    def at(self, judgement: Judgement) -> int:
        """As it was written down; else by the log. Of a retired one, that of the
        capture."""
        if judgement.revision is not None:
            return judgement.revision
        return self.revision(judgement.position, judgement.captured.revision)

    def revision(self, position: int, captured: int) -> int:
        index = bisect_right(self._positions, position) - 1
        found = self._revisions[index] if index >= 0 else None
        return found or captured
