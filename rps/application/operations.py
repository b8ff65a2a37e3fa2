"""What people do to queues: retry, skip, replay. Each with a reason and a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from rps.application.lane_commands import LaneBusy, NotFound, NotOpen
from rps.application.memberships import Memberships, RecordTaken
from rps.domain.conflicts import ConflictUnknown
from rps.domain.flow import MappingRefused
from rps.domain.replay import Replay
from rps.projections.conflict_questions import ConflictQuestions

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from rps.application import RemoteProcessSync
    from rps.application.lane_commands import Leases
    from rps.domain.conflicts import Keep
    from rps.domain.correlation import Correlation
    from rps.projections.lookup import (
        QueuedChange,
        QueuedMessage,
        Selector,
        TouchedLane,
    )
    from rps.projections.questions import Row

__all__ = [
    "LaneBusy",
    "NotFound",
    "NotOpen",
    "Operations",
    "RecordTaken",
    "ReplayTooLarge",
    "ValueRefused",
]

LANES_MAX = 10_000


class ValueRefused(ValueError):
    """What a person wants a field to be is no value of it; the text says why."""


class ReplayTooLarge(ValueError):
    """The selection reaches more lanes than one replay takes; narrow it."""


class Operations(Memberships):
    """Commands on queued entries and correlations, each under its lane's lease."""

    def __init__(self, application: RemoteProcessSync, leases: Leases) -> None:
        super().__init__(application, leases)
        self._conflicts = ConflictQuestions(application.datastore)

    def retry_message(
        self,
        domain: str,
        message_id: UUID,
        reason: str,
        actor: str,
        now: datetime,
        *,
        system: str | None = None,
    ) -> None:
        """Send it again now; with `system`, only one to that. NotFound, NotOpen,
        LaneBusy."""
        message = self._open_message(domain, message_id)
        if system not in (None, message.system):
            raise NotFound(f"no message {message_id} to {system}")
        self._on_lane(
            message.correlation_id,
            "out",
            message.member,
            lambda c: c.retry_message(str(message_id), reason, actor, now),
        )

    def skip_message(
        self, domain: str, message_id: UUID, reason: str, actor: str, now: datetime
    ) -> None:
        """Never send it; its lane goes on without. NotFound, NotOpen, LaneBusy."""
        message = self._open_message(domain, message_id)
        self._on_lane(
            message.correlation_id,
            "out",
            message.member,
            lambda c: c.skip_message(str(message_id), reason, actor, now),
        )

    def retry_change(
        self,
        domain: str,
        correlation_id: UUID,
        sequence: int,
        reason: str,
        actor: str,
        now: datetime,
    ) -> None:
        """Judge a failed or skipped change again. NotFound, NotOpen, LaneBusy."""
        change = self._change(domain, correlation_id, sequence, ("error", "skipped"))
        self._on_lane(
            correlation_id,
            "in",
            "",
            lambda c: c.retry_change(sequence, change.change_id, reason, actor, now),
        )

    def skip_change(
        self,
        domain: str,
        correlation_id: UUID,
        sequence: int,
        reason: str,
        actor: str,
        now: datetime,
    ) -> None:
        """Leave a captured change out for good. NotFound, NotOpen, LaneBusy."""
        change = self._change(domain, correlation_id, sequence, ("ready", "error"))
        self._on_lane(
            correlation_id,
            "in",
            "",
            lambda c: c.skip_change(sequence, change.change_id, reason, actor, now),
        )

    def conflict(self, domain: str, number: int) -> Row:
        """The conflict at that position of the log. NotFound."""
        found = self._conflicts.conflict(domain, number)
        if found is None:
            raise NotFound(f"no conflict {number} in {domain}")
        return found

    def resolve_conflict(
        self,
        domain: str,
        number: int,
        keep: Keep,
        other: Any,
        reason: str,
        actor: str,
        now: datetime,
    ) -> None:
        """Decide an open conflict and tell who lacks the value. Between two judgements,
        so that what is decided about is what is shared. NotFound, NotOpen, LaneBusy,
        ValueRefused."""
        found = self.conflict(domain, number)
        if found["state"] != "open":
            raise NotOpen(f"the conflict is {found['state']}")
        member, field = found["member"], found["field"]

        def tell(correlation: Correlation) -> None:
            configuration = self._application.configuration.refresh()
            revision, definition = configuration.newest(UUID(correlation.definition), 1)
            correlation.resolve(
                *(member, field, keep, other, definition, revision, reason, actor, now)
            )

        try:
            self._on_lane(found["correlation_id"], "in", "", tell)
        except ConflictUnknown as settled:
            raise NotOpen(str(settled)) from None
        except MappingRefused as refused:
            raise ValueRefused(str(refused)) from None

    # --- replays --------------------------------------------------------------------

    def plan_replay(
        self,
        replay_id: UUID,
        domain: str,
        selector: Selector,
        reason: str,
        actor: str,
        now: datetime,
    ) -> Replay:
        """Work out what bringing the selected lanes up to date would send; writes the
        plan, sends nothing. Raises ReplayTooLarge."""
        touched = self._application.lookup.touched_lanes(
            domain, selector, LANES_MAX + 1
        )
        if len(touched) > LANES_MAX:
            raise ReplayTooLarge(f"more than {LANES_MAX:,} lanes; narrow the selection")
        replay = Replay.planned(
            replay_id,
            domain,
            selector.to_json(),
            [_planned(lane) for lane in touched],
            reason,
            actor,
            now,
        )
        self._application.save(replay)
        return replay

    def start_replay(
        self, domain: str, replay_id: UUID, actor: str, now: datetime
    ) -> Replay:
        """Let the sweeper make its messages. NotFound, ReplayEnded."""
        self.replay(domain, replay_id)
        return self._application.change(
            Replay, replay_id, lambda replay: replay.begin(actor, now)
        )

    def cancel_replay(
        self, domain: str, replay_id: UUID, reason: str, actor: str, now: datetime
    ) -> Replay:
        """Make no more of its messages and skip those not yet sent."""
        self.replay(domain, replay_id)
        replay = self._application.change(
            Replay, replay_id, lambda replay: replay.cancel(reason, actor, now)
        )
        for message in self._application.lookup.open_replay_messages(replay_id):
            try:
                self.skip_message(domain, message, reason, actor, now)
            except (LaneBusy, NotOpen):
                continue  # it is being sent, or was: too late to cancel
        return replay

    def replay(self, domain: str, replay_id: UUID) -> Replay:
        replay = self._application.find(Replay, replay_id)
        if replay is None or replay.domain != domain:
            raise NotFound(f"no replay {replay_id}")
        return replay

    def replay_lane(self, replay: Replay, lane: dict[str, Any], now: datetime) -> bool:
        """Make the message of one planned lane; False where nothing is to be sent.

        Idempotent: the message's id follows from replay and lane. LaneBusy.
        """
        correlation_id = UUID(lane["correlation_id"])
        made = False

        def tell(correlation: Correlation) -> None:
            nonlocal made
            configuration = self._application.configuration.refresh()
            revision, definition = configuration.newest(UUID(correlation.definition), 1)
            made = correlation.replay(
                str(replay.id),
                lane["member"],
                lane["fields"],
                lane["entries"],
                definition,
                revision,
                replay.reason,
                replay.actor,
                now,
                lane.get("attachments", ()),
            )

        if not self._application.lookup.replayed(
            replay.id, correlation_id, lane["member"]
        ):
            self._on_lane(correlation_id, "out", lane["member"], tell)
        return made

    # --- one lane -------------------------------------------------------------------

    def _open_message(self, domain: str, message_id: UUID) -> QueuedMessage:
        message = self._application.lookup.message(domain, message_id)
        if message is None:
            raise NotFound(f"no message {message_id}")
        if message.status in ("processed", "skipped"):
            raise NotOpen(f"the message was {message.status} before")
        return message

    def _change(
        self,
        domain: str,
        correlation_id: UUID,
        sequence: int,
        allowed: Iterable[str],
    ) -> QueuedChange:
        change = self._application.lookup.change(domain, correlation_id, sequence)
        if change is None:
            raise NotFound(f"no change {sequence} of {correlation_id}")
        if change.status not in allowed:
            raise NotOpen(f"the change is {change.status}")
        return change


def _planned(lane: TouchedLane) -> dict[str, Any]:
    planned = {
        "correlation_id": str(lane.correlation_id),
        "member": lane.member,
        "fields": list(lane.fields),
        "entries": list(lane.entries.values()),
    }
    files = list(lane.attachments)
    return {**planned, "attachments": files} if files else planned
