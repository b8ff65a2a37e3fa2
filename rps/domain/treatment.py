"""A treatment: all entries with the same mistake are tried again or skipped, planned
before it is started."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rps.domain.aggregate import Aggregate, Event, records

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

RETRY, SKIP = "retry", "skip"


class TreatmentEnded(Exception):
    """The treatment was completed or cancelled before."""


class Treatment(Aggregate):
    """Of the entries that had `fingerprint` up to `until` in the log: `entries` of them
    when it was planned.

    States: `planned`, `started`, `completed`, `cancelled`. `done` and `settled` count
    those that were told, and those that were settled before; only once it is completed.
    """

    fingerprint: str
    queue: str
    action: str
    entries: int
    until: int
    reason: str
    actor: str
    state: str
    done: int
    settled: int

    def start(self) -> None:
        self.domain = self.fingerprint = self.queue = self.action = ""
        self.reason = self.actor = ""
        self.state = "planned"
        self.entries = self.until = self.done = self.settled = 0

    @classmethod
    def planned(
        cls,
        treatment_id: UUID,
        domain: str,
        fingerprint: str,
        queue: str,
        action: str,
        entries: int,
        until: int,
        reason: str,
        actor: str,
        now: datetime,
    ) -> Treatment:
        made = cls.blank(treatment_id, now)
        made.domain = domain
        made.happened(
            TreatmentPlanned,
            now,
            fingerprint=fingerprint,
            queue=queue,
            action=action,
            entry_count=entries,
            until=until,
            reason=reason,
            actor=actor,
        )
        return made

    def begin(self, actor: str, now: datetime) -> None:
        if self.state in ("completed", "cancelled"):
            raise TreatmentEnded(self.state)
        if self.state == "planned":
            self.happened(TreatmentStarted, now, actor=actor)

    def cancel(self, reason: str, actor: str, now: datetime) -> None:
        """What was told stays told."""
        if self.state == "completed":
            raise TreatmentEnded(self.state)
        if self.state != "cancelled":
            self.happened(TreatmentCancelled, now, reason=reason, actor=actor)

    def complete(self, done: int, settled: int, now: datetime) -> None:
        if self.state == "started":
            self.happened(TreatmentCompleted, now, done=done, settled=settled)


@records(Treatment)
class TreatmentPlanned(Event):
    TOPIC = "treatment.planned"

    fingerprint: str
    queue: str
    action: str
    entry_count: int
    until: int
    reason: str
    actor: str

    def apply(self, aggregate: Treatment) -> None:
        aggregate.domain, aggregate.fingerprint = self.domain, self.fingerprint
        aggregate.queue, aggregate.action = self.queue, self.action
        aggregate.entries, aggregate.until = self.entry_count, self.until
        aggregate.reason, aggregate.actor = self.reason, self.actor


@records(Treatment)
class TreatmentStarted(Event):
    TOPIC = "treatment.started"

    actor: str

    def apply(self, aggregate: Treatment) -> None:
        aggregate.state = "started"


@records(Treatment)
class TreatmentCancelled(Event):
    TOPIC = "treatment.cancelled"

    reason: str
    actor: str

    def apply(self, aggregate: Treatment) -> None:
        aggregate.state = "cancelled"


@records(Treatment)
class TreatmentCompleted(Event):
    TOPIC = "treatment.completed"

    done: int
    settled: int

    def apply(self, aggregate: Treatment) -> None:
        aggregate.state = "completed"
        aggregate.done, aggregate.settled = self.done, self.settled
