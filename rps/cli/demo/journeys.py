"""Each change's way through the node, followed in the log as it grows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rps.projections.followed import decoded

if TYPE_CHECKING:
    from uuid import UUID

    from rps.application import RemoteProcessSync

BATCH = 1_000
SETTLED = ("acknowledged", "ignored", "skipped")
TEXT_CHARACTERS = 18


@dataclass
class Journey:
    """One change on its way from one member to the other.

    `status`: captured, accepted, ignored, failed attempt, acknowledged, parked or
    skipped. Times are None until they come; all come from this machine's clock.
    """

    change_id: str
    correlation_id: UUID
    member: str
    ticket: str
    what: str
    changed_at: datetime
    captured_at: datetime
    status: str = "captured"
    detail: str = ""
    message_id: str = ""
    delivered_at: datetime | None = None
    acknowledged_at: datetime | None = None
    record_id: str = ""
    attempts: int = 0

    @property
    def settled(self) -> bool:
        return self.status in SETTLED


@dataclass
class Conflict:
    correlation_id: UUID
    field: str
    base: Any
    mine: Any
    theirs: Any
    member: str
    winner: str
    policy: str


@dataclass
class Journeys:
    """What happened past position `position`. `look` reads on."""

    application: RemoteProcessSync
    position: int
    changes: dict[str, Journey] = field(default_factory=dict)
    conflicts: list[Conflict] = field(default_factory=list)
    _by_message: dict[str, Journey] = field(default_factory=dict)

    @classmethod
    def from_now(cls, application: RemoteProcessSync) -> Journeys:
        return cls(application, application.recorder.head()[0])

    def look(self) -> None:
        """Take in what the log has gained."""
        recorder = self.application.recorder
        mapper = self.application.event_mapper
        while stored := decoded(recorder.read(self.position, BATCH), mapper):
            for each in stored:
                self._take(each.event)
            self.position = stored[-1].position

    def of_users(self) -> list[Journey]:
        """Changes people made; what the node read back itself is not one."""
        return list(self.changes.values())

    def _take(self, event: Any) -> None:
        match event.TOPIC:
            case "change.captured" if event.source == "api":
                self.changes[event.change_id] = _begun(event)
            case "change.accepted":
                self._accepted(event)
            case "change.ignored" if event.change_id in self.changes:
                journey = self.changes[event.change_id]
                if not event.reason.startswith("moved"):
                    journey.status, journey.detail = "ignored", event.reason
            case "conflict.recorded":
                self.conflicts.append(_conflict(event))
            case topic if topic.startswith("message."):
                self._message(event)

    def _accepted(self, event: Any) -> None:
        journey = self.changes.get(event.change_id)
        if journey is None:
            return
        journey.status = "accepted"
        # One other member: one message, and none where it is to be told nothing.
        if not event.messages:
            journey.status, journey.detail = "ignored", "nobody to tell"
        for message in event.messages:
            journey.message_id = message["message_id"]
            self._by_message[message["message_id"]] = journey

    def _message(self, event: Any) -> None:
        journey = self._by_message.get(vars(event).get("message_id", ""))
        if journey is None:
            return
        match event.TOPIC:
            case "message.transmitted":
                journey.attempts = event.attempt
                sent = timedelta(seconds=event.seconds)
                journey.delivered_at = event.timestamp - sent
            case "message.acknowledged":
                journey.status, journey.record_id = "acknowledged", event.record_id
                journey.acknowledged_at = event.timestamp
            case "message.failed":
                journey.status, journey.attempts = "failed attempt", event.attempt
                journey.detail = event.detail
            case "message.parked":
                journey.status, journey.detail = "parked", event.detail
            case "message.skipped":
                journey.status, journey.detail = "skipped", event.reason


def _begun(event: Any) -> Journey:
    if event.operation == "create":
        what = "new ticket"
    elif event.entries:
        what = "comment"
    else:
        what = "; ".join(
            f"{name} {_cut(event.before.get(name))} -> {_cut(value)}"
            for name, value in event.fields.items()
        )
    return Journey(
        event.change_id,
        event.originator_id,
        event.member,
        event.record_id,
        what,
        datetime.fromisoformat(event.changed_at),
        event.timestamp,
    )


def _cut(value: Any) -> str:
    text = str(value)
    return text if len(text) <= TEXT_CHARACTERS else text[: TEXT_CHARACTERS - 1] + "…"


def _conflict(event: Any) -> Conflict:
    return Conflict(
        event.originator_id,
        event.field,
        event.base,
        event.mine,
        event.theirs,
        event.member,
        event.winner,
        event.policy,
    )
