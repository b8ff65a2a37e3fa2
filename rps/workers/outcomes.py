"""From what a system answered to what is recorded. No I/O.

Transmitted and acknowledged or failed are recorded together, under the lane's lease.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from rps.domain import events
from rps.domain.delivery import (
    Delivered,
    Elsewhere,
    Exchange,
    Found,
    Gone,
    Missing,
    Moved,
    NeedsCredentials,
    Postponed,
    Received,
    Refused,
    Snapshot,
    Unavailable,
    Uncertain,
)
from rps.domain.retry import next_attempt
from rps.domain.state import DELETED
from rps.workers import between_nodes, noted

if TYPE_CHECKING:
    from datetime import datetime

    from rps.domain.aggregate import Event
    from rps.domain.delivery import Outcome, Reading, Settled, Write
    from rps.domain.question import Question
    from rps.workers.scene import Scene

MADE_ANEW_MAX = 10
"""A record that moves each time it is written, or a system that says so of one that
does not: somebody has to look."""


def recorded(
    scene: Scene, write: Write, outcome: Outcome, reading: Reading | None
) -> list[Event]:
    """The events of one attempt. `reading` is the record, where it had moved."""
    match outcome:
        case Delivered():
            sent = noted.transmitted(scene, write, outcome.exchange)
            return [sent, *_delivered(scene, write, outcome)]
        case Received() | Postponed() | Elsewhere():
            return between_nodes.recorded(scene, write, outcome)
        case Moved(detail):
            sent = noted.transmitted(scene, write, outcome.exchange)
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
        case NeedsCredentials(detail) | Gone(detail):
            kind = "gone" if isinstance(outcome, Gone) else "credentials"
            return [
                noted.transmitted(scene, write, outcome.exchange),
                *_waiting(scene, kind, detail, outcome.exchange),
            ]
        case Uncertain(detail):
            return [
                noted.transmitted(scene, write, outcome.exchange),
                *_uncertain(scene, detail, outcome.exchange),
            ]
        case _:
            assert_never(outcome)


def _delivered(scene: Scene, write: Write, outcome: Delivered) -> list[Event]:
    """Told by the answer; or by reading the record after it."""
    if outcome.record is None:
        return acknowledged(scene, write, outcome, "answer")
    return found(scene, write, Found(outcome.record, outcome.exchange))


def acknowledged(
    scene: Scene,
    write: Write,
    delivered: Delivered,
    settled_by: str,
    *,
    complete: bool = True,
) -> list[Event]:
    """The member holds the message: credit what it made of the values."""
    done = scene.about(
        events.MessageAcknowledged,
        record_id=delivered.record_id,
        record_revision=delivered.revision,
        stored=noted.stored(scene, write, delivered.stored),
        agreed=dict(scene.message.versions),
        settled_by=settled_by,
        complete=complete,
    )
    return [
        *noted.linked(scene, write, delivered.record_id),
        done,
        *noted.notified(scene),
    ]


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
    return [*told, noted.captured(scene, record, "read_back")]


def read_first(scene: Scene, reading: Snapshot) -> list[Event]:
    """A system that writes conditionally, and a revision that is not known: what the
    record shows is judged before it is written. Nothing was sent."""
    return _moved(scene, "its revision was not known", Exchange(), reading)


def parked(scene: Scene, detail: str, step: str = "") -> list[Event]:
    return [scene.about(events.MessageParked, detail=detail, step=step)]


def asked(scene: Scene, question: Question) -> Event:
    """The member's flow has to know something before there is a write."""
    message = scene.message
    whose = scene.definition.members.get(question.member)
    return scene.about(
        events.QuestionAsked,
        question_id=question.id_for(
            str(message.correlation_id), str(message.message_id)
        ),
        sequence=0,
        change_id="",
        system=whose.system if whose else "",
        question=question.to_document(),
    )


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
    return [noted.captured(scene, snapshot, "write_answer")]


def _sent(scene: Scene, write: Write, exchange: Exchange) -> list[Event]:
    """Transmitted only where something went over the wire."""
    return (
        [] if exchange.status is None else [noted.transmitted(scene, write, exchange)]
    )


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
    """One that is in doubt stays so: what its member reports may be what it made."""
    if scene.in_doubt:
        kind = "uncertain"
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
    if scene.in_doubt:
        kind = "uncertain"
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


def _made_anew(scene: Scene) -> int:
    """How often at least: of the attempts some may have been lost, and a message is
    also made anew where others are put together with it."""
    return min(scene.message.attempts, scene.message.generation)


def _moved(
    scene: Scene, detail: str, exchange: Exchange, reading: Reading | None
) -> list[Event]:
    """Somebody changed the record: what it shows now is captured like any change, and
    the message waits to be made anew by the judgement about that."""
    match reading:
        case Snapshot() if _made_anew(scene) >= MADE_ANEW_MAX:
            return [
                _failed(scene, "permanent", detail, exchange, None),
                *parked(scene, f"made anew {MADE_ANEW_MAX} times, refused each time"),
            ]
        case Snapshot():
            return [
                _failed(scene, "moved", detail, exchange, None),
                noted.captured(scene, reading, "read_back"),
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
