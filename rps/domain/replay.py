"""A replay: bring members back to the shared values, planned before it is started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.domain.aggregate import Aggregate, Event, records

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID


class ReplayEnded(Exception):
    """The replay was completed or cancelled before."""


class Replay(Aggregate):
    """`lanes` are `{correlation_id, member, fields, entries}`: what would be sent.

    States: `planned`, `started`, `completed`, `cancelled`.
    """

    selector: dict[str, Any]
    lanes: list[dict[str, Any]]
    reason: str
    actor: str
    state: str
    sent: int

    def start(self) -> None:
        self.domain = self.reason = self.actor = ""
        self.state = "planned"
        self.selector, self.lanes, self.sent = {}, [], 0

    @classmethod
    def planned(
        cls,
        replay_id: UUID,
        domain: str,
        selector: dict[str, Any],
        lanes: list[dict[str, Any]],
        reason: str,
        actor: str,
        now: datetime,
    ) -> Replay:
        made = cls.blank(replay_id, now)
        made.domain = domain
        made.happened(
            ReplayPlanned,
            now,
            selector=selector,
            lanes=lanes,
            reason=reason,
            actor=actor,
        )
        return made

    def begin(self, actor: str, now: datetime) -> None:
        if self.state in ("completed", "cancelled"):
            raise ReplayEnded(self.state)
        if self.state == "planned":
            self.happened(ReplayStarted, now, actor=actor)

    def cancel(self, reason: str, actor: str, now: datetime) -> None:
        if self.state == "completed":
            raise ReplayEnded(self.state)
        if self.state != "cancelled":
            self.happened(ReplayCancelled, now, reason=reason, actor=actor)

    def complete(self, sent: int, now: datetime) -> None:
        """All its messages are made. `sent`: how many lanes had something to send."""
        if self.state == "started":
            self.happened(ReplayCompleted, now, sent=sent)


@records(Replay)
class ReplayPlanned(Event):
    TOPIC = "replay.planned"

    selector: dict[str, Any]
    lanes: list[dict[str, Any]]
    reason: str
    actor: str

    def apply(self, aggregate: Replay) -> None:
        aggregate.domain, aggregate.selector = self.domain, self.selector
        aggregate.lanes, aggregate.reason = self.lanes, self.reason
        aggregate.actor = self.actor


@records(Replay)
class ReplayStarted(Event):
    TOPIC = "replay.started"

    actor: str

    def apply(self, aggregate: Replay) -> None:
        aggregate.state = "started"


@records(Replay)
class ReplayCancelled(Event):
    TOPIC = "replay.cancelled"

    reason: str
    actor: str

    def apply(self, aggregate: Replay) -> None:
        aggregate.state = "cancelled"


@records(Replay)
class ReplayCompleted(Event):
    TOPIC = "replay.completed"

    sent: int

    def apply(self, aggregate: Replay) -> None:
        aggregate.state, aggregate.sent = "completed", self.sent
