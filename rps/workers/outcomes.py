"""From what a system answered to what is recorded. No I/O.

Transmitted and acknowledged or failed are recorded together, under the lane's lease.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never
from uuid import uuid4

from rps.domain import events, flow
from rps.domain.delivery import (
    Delivered,
    Exchange,
    Found,
    Gone,
    Missing,
    Moved,
    NeedsCredentials,
    Refused,
    Snapshot,
    Unavailable,
    Uncertain,
)
from rps.domain.retry import next_attempt
from rps.domain.state import DELETED

if TYPE_CHECKING:
    from datetime import datetime

    from rps.domain.aggregate import Event
    from rps.domain.delivery import Outcome, Reading, Settled, Write
    from rps.workers.scene import Scene

RESPONSE_KEPT = 2_000
MADE_ANEW_MAX = 10
"""A record that moves each time it is written, or a system that says so of one that
does not: somebody has to look."""


def recorded(
    scene: Scene, write: Write, outcome: Outcome, reading: Reading | None
) -> list[Event]:
    """The events of one attempt. `reading` is the record, where it had moved."""
    match outcome:
        case Delivered():
            return [
                _transmitted(scene, write, outcome.exchange),
                *acknowledged(scene, write, outcome, "answer"),
            ]
        case Moved(detail):
            sent = _transmitted(scene, write, outcome.exchange)
            return [sent, *_moved(scene, detail, outcome.exchange, reading)]
        case Refused(detail):
            return [
                *_sent(scene, write, outcome.exchange),
                _failed(scene, "permanent", detail, outcome.exchange, None),
                scene.about(events.MessageParked, detail=detail),
            ]
        case Unavailable(detail, retry_after):
            return [
                *_sent(scene, write, outcome.exchange),
                *_retryable(scene, detail, outcome.exchange, retry_after),
            ]
        case NeedsCredentials(detail):
            return [
                _transmitted(scene, write, outcome.exchange),
                *_waiting(scene, "credentials", detail, outcome.exchange),
            ]
        case Gone(detail):
            return [
                _transmitted(scene, write, outcome.exchange),
                *_waiting(scene, "gone", detail, outcome.exchange),
            ]
        case Uncertain(detail):
            return [
                _transmitted(scene, write, outcome.exchange),
                *_uncertain(scene, detail, outcome.exchange),
            ]
        case _:
            assert_never(outcome)


def acknowledged(
    scene: Scene,
    write: Write,
    delivered: Delivered,
    settled_by: str,
    *,
    complete: bool = True,
) -> list[Event]:
    """The member holds the message: credit what it made of the values."""
    message = scene.message
    told: list[Event] = []
    if write.record_id is None:
        told.append(
            scene.event(
                events.CorrelationLinked,
                definition=str(message.definition_id),
                member=message.member,
                system=message.system,
                table=message.table,
                record_id=delivered.record_id,
                record_revision=None,
            )
        )
    told.append(
        scene.about(
            events.MessageAcknowledged,
            record_id=delivered.record_id,
            record_revision=delivered.revision,
            stored=_stored(scene, delivered),
            agreed=dict(message.versions),
            settled_by=settled_by,
            complete=complete,
        )
    )
    return told


def found(scene: Scene, write: Write, settlement: Found) -> list[Event]:
    """The message took effect, as reading the record some time later told.

    We know that the record held what we sent. Where it still does, that is known as of
    the revision read; where somebody has changed it since, at none. What else it shows
    is a change to be judged, and nothing conditional may be computed against it before
    that.
    """
    record = settlement.record
    is_ours = all(
        record.fields.get(name) == value for name, value in write.fields.items()
    )
    revision = record.revision if is_ours else None
    sent = Delivered(record.record_id, revision, {}, settlement.exchange)
    told = acknowledged(scene, write, sent, "read back", complete=False)
    if DELETED in scene.message.fields:
        return told
    return [*told, _captured(scene, record, "read_back")]


def read_first(scene: Scene, reading: Snapshot) -> list[Event]:
    """A system that writes conditionally, and a revision that is not known: what the
    record shows is judged before it is written. Nothing was sent."""
    return _moved(scene, "its revision was not known", Exchange(), reading)


def parked(scene: Scene, detail: str) -> list[Event]:
    return [scene.about(events.MessageParked, detail=detail)]


def contradicted(scene: Scene, found: list[Event]) -> list[Event]:
    """The answer names a record that another correlation holds: what was sent is kept,
    and a person has to look."""
    sent = [e for e in found if isinstance(e, events.MessageTransmitted)]
    detail = "the system answered with a record that belongs to another correlation"
    return [*sent, *parked(scene, detail)]


def settled(scene: Scene, write: Write, settlement: Settled) -> list[Event]:
    """The events of asking what became of a write whose answer was lost."""
    match settlement:
        case Delivered():
            return acknowledged(scene, write, settlement, "read back")
        case Found():
            return found(scene, write, settlement)
        case Refused(detail):
            return parked(scene, detail)
        case (
            Unavailable(detail)
            | NeedsCredentials(detail)
            | Gone(detail)
            | Uncertain(detail)
        ):
            return _uncertain(scene, detail, settlement.exchange)
        case _:
            assert_never(settlement)


def seen_beside(scene: Scene, write: Write, delivered: Delivered) -> list[Event]:
    """What else the answer showed of the record, as a change to be judged: without
    conditional writes somebody may have changed it between our reading and writing."""
    ours = {
        scene.member.fields[name].field
        for name in scene.message.fields
        if name in scene.member.fields
    }
    others = {
        name: value
        for name, value in delivered.stored.items()
        if name not in ours and name in scene.member.by_field
    }
    if not others or write.operation != "update":
        return []
    snapshot = Snapshot(delivered.record_id, delivered.revision, others)
    return [_captured(scene, snapshot, "write_answer")]


def _stored(scene: Scene, delivered: Delivered) -> dict[str, Any]:
    """What the member now holds of the message's fields, in shared form."""
    message, member, definition = scene.message, scene.member, scene.definition
    if DELETED in message.fields:
        return {DELETED: True}
    stored: dict[str, Any] = {}
    for name, value in message.fields.items():
        stored[name] = flow.normalised(member, definition, name, value)
        remote = member.fields[name].field if name in member.fields else ""
        if remote in delivered.stored:
            try:
                shown = flow.inbound(
                    member, definition, {remote: delivered.stored[remote]}
                )
            except flow.MappingRefused:
                continue  # its own words for it; what we sent is what we know
            stored[name] = shown.fields[name]
    return stored


def _transmitted(scene: Scene, write: Write, exchange: Exchange) -> Event:
    return scene.about(
        events.MessageTransmitted,
        attempt=scene.attempt,
        delivery_id=write.delivery_id,
        operation=write.operation,
        record_id=write.record_id,
        if_match=write.if_match,
        fields=dict(write.fields),
        entry_ids=[entry.id for entry in write.entries],
        request_sha256=exchange.request_sha256,
        status=exchange.status,
        response=exchange.response[:RESPONSE_KEPT],
        seconds=round(exchange.seconds, 6),
    )


def _sent(scene: Scene, write: Write, exchange: Exchange) -> list[Event]:
    """Transmitted only where something went over the wire."""
    return [] if exchange.status is None else [_transmitted(scene, write, exchange)]


def _failed(
    scene: Scene,
    kind: str,
    detail: str,
    exchange: Exchange,
    retry_at: datetime | None,
) -> Event:
    return scene.about(
        events.MessageFailed,
        attempt=scene.attempt,
        kind=kind,
        status=exchange.status,
        detail=detail,
        retry_at=None if retry_at is None else retry_at.isoformat(),
    )


def _retryable(
    scene: Scene,
    detail: str,
    exchange: Exchange,
    retry_after: float | None,
    kind: str = "retryable",
) -> list[Event]:
    if scene.probe:
        return [_failed(scene, kind, detail, exchange, scene.now)]
    retry_at = next_attempt(scene.attempt, scene.now, scene.chance, retry_after)
    failed = _failed(scene, kind, detail, exchange, retry_at)
    if retry_at is None:
        return [failed, *parked(scene, f"tried {scene.attempt} times: {detail}")]
    return [failed]


def _uncertain(scene: Scene, detail: str, exchange: Exchange) -> list[Event]:
    return _retryable(scene, detail, exchange, scene.settle_seconds, "uncertain")


def _waiting(scene: Scene, kind: str, detail: str, exchange: Exchange) -> list[Event]:
    """Not the message's fault: it stays due, its system is what has to be mended."""
    return [
        scene.about(
            events.MessageFailed,
            attempt=scene.message.attempts,
            kind=kind,
            status=exchange.status,
            detail=detail,
            retry_at=scene.now.isoformat(),
        )
    ]


def _moved(
    scene: Scene, detail: str, exchange: Exchange, reading: Reading | None
) -> list[Event]:
    """Somebody changed the record: what it shows now is captured like any change, and
    the message waits to be made anew by the judgement about that."""
    match reading:
        case Snapshot() if scene.message.attempts >= MADE_ANEW_MAX:
            return [
                _failed(scene, "permanent", detail, exchange, None),
                *parked(scene, f"made anew {MADE_ANEW_MAX} times, refused each time"),
            ]
        case Snapshot():
            return [
                _failed(scene, "moved", detail, exchange, None),
                _captured(scene, reading, "read_back"),
            ]
        case Missing():
            return [
                _failed(scene, "permanent", detail, exchange, None),
                *parked(scene, "the record is not there any more"),
            ]
        case Unavailable(why, retry_after):
            return _retryable(scene, f"{detail}; {why}", exchange, retry_after)
        case NeedsCredentials(why) | Gone(why) | Refused(why):
            return [
                _failed(scene, "permanent", detail, exchange, None),
                *parked(scene, f"{detail}; reading it back: {why}"),
            ]
        case None:
            return [
                _failed(scene, "permanent", detail, exchange, None),
                *parked(scene, detail),
            ]
        case _:
            assert_never(reading)


def _captured(scene: Scene, snapshot: Snapshot, source: str) -> Event:
    message = scene.message
    return scene.event(
        events.ChangeCaptured,
        definition=str(message.definition_id),
        process_event=message.process_event,
        revision=message.definition_revision,
        member=message.member,
        system=message.system,
        table=message.table,
        record_id=snapshot.record_id,
        operation="delete" if snapshot.deleted else "update",
        change_id=f"{source}-{uuid4()}",
        record_revision=snapshot.revision,
        fields=dict(snapshot.fields),
        before={},
        entries=[],
        changed_by="",
        changed_at=snapshot.updated_at or "",
        external_id=str(message.correlation_id),
        origin=[],
        hop=0,
        source=source,
        account="",
        idempotency_key=None,
        fingerprint="",
        request_fingerprint="",
        trace_id="",
        sequence=0,
    )
