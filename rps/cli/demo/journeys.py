"""Each change's way to the other company, followed in both logs as they grow."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rps.cli.demo.company import DESK
from rps.domain.correlation import READ_SOURCES
from rps.projections.followed import decoded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from rps.application import RemoteProcessSync
    from rps.cli.demo.company import Company

BATCH = 1_000
SETTLED = ("acknowledged", "ignored", "skipped")
TEXT_CHARACTERS = 18


@dataclass
class Journey:
    """One change on its way from one company's desk to the other's.

    `status`: captured, accepted, ignored, failed attempt, acknowledged, parked or
    skipped. Times are None until they come; all come from this machine's clock.
    """

    change_id: str
    correlation_id: UUID
    company: str
    record_id: str
    ticket: str
    what: str
    captured_at: datetime
    status: str = "captured"
    detail: str = ""
    message_id: str = ""
    delivered_at: datetime | None = None
    acknowledged_at: datetime | None = None
    attempts: int = 0

    @property
    def settled(self) -> bool:
        return self.status in SETTLED


@dataclass
class Journeys:
    """What a company's desk did, past position `position`. `look` reads on."""

    company: Company
    application: RemoteProcessSync
    position: int
    changes: dict[str, Journey] = field(default_factory=dict)
    _by_message: dict[str, Journey] = field(default_factory=dict)

    def look(self) -> None:
        """Take in what the log has gained."""
        recorder = self.application.recorder
        mapper = self.application.event_mapper
        while stored := decoded(recorder.read(self.position, BATCH), mapper):
            for each in stored:
                self._take(each.event)
            self.position = stored[-1].position

    def _take(self, event: Any) -> None:
        match event.TOPIC:
            case "change.captured" if _is_read(event):
                self.changes[event.change_id] = _begun(self.company, event)
            case "change.accepted":
                self._accepted(event)
            case "change.ignored" if event.change_id in self.changes:
                journey = self.changes[event.change_id]
                if not event.reason.startswith("moved"):
                    journey.status, journey.detail = "ignored", event.reason
            case topic if topic.startswith("message."):
                self._message(event)

    def _accepted(self, event: Any) -> None:
        journey = self.changes.get(event.change_id)
        if journey is None:
            return
        journey.status = "accepted"
        # One other node: one message, and none where it is to be told nothing.
        if not event.messages:
            journey.status, journey.detail = "ignored", "nobody to tell"
        if event.messages:
            journey.what = "; ".join(_told(each) for each in event.messages)
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
            case "message.received":
                journey.status = "taken in"
            case "message.acknowledged":
                journey.status = "acknowledged"
                journey.acknowledged_at = event.timestamp
            case "message.failed":
                journey.status, journey.attempts = "failed attempt", event.attempt
                journey.detail = event.detail
            case "message.parked":
                journey.status, journey.detail = "parked", event.detail
            case "message.skipped":
                journey.status, journey.detail = "skipped", event.reason


def _is_read(event: Any) -> bool:
    """Whether it is what the node found at its own desk."""
    return event.member == DESK and event.source in READ_SOURCES


def _begun(company: Company, event: Any) -> Journey:
    return Journey(
        event.change_id,
        event.originator_id,
        company.name,
        event.record_id,
        company.shown(event.record_id),
        "",
        event.timestamp,
    )


def _told(message: Mapping[str, Any]) -> str:
    """What is passed on of a change, in shared words."""
    if message["operation"] == "create":
        return "new ticket"
    told = [f"{name} {_cut(value)}" for name, value in message["fields"].items()]
    told += ["comment" for _ in message["entries"]]
    told += [f"file {each['name']}" for each in message.get("attachments", ())]
    return "; ".join(told)


def _cut(value: Any) -> str:
    text = str(value)
    return text if len(text) <= TEXT_CHARACTERS else text[: TEXT_CHARACTERS - 1] + "…"


class Watch:
    """Both companies' journeys from now on."""

    def __init__(self, companies: Sequence[Company]) -> None:
        self._all = [
            Journeys(c, c.session.application, c.session.application.recorder.head()[0])
            for c in companies
        ]

    def look(self) -> list[Journey]:
        """Read on; all journeys so far, in the order in which they were read. What a
        node wrote itself and read again is none."""
        for journeys in self._all:
            journeys.look()
        found = [j for journeys in self._all for j in journeys.changes.values()]
        begun = [each for each in found if each.status not in ("captured", "ignored")]
        return sorted(begun, key=lambda journey: journey.captured_at)
