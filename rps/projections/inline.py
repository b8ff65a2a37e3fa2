"""The views that decisions need, kept in the transaction of the append.

`links`, `unlinked`, `intake`, `inbound_queue`, `outbound_queue`, `lanes`. Events are
folded to one write a row, then written set-wise; lane heads are computed from the
queues, so the result does not depend on how events were grouped. Rebuilding uses this
same code.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from eventsourcing.persistence import IntegrityError

from rps.domain.question import Question
from rps.projections.fold import (
    FILES,
    INBOUND,
    OUTBOUND,
    QUESTIONS,
    Fold,
    known_uuid,
    payload_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rps.log.append import Fence, Recorded

__all__ = [
    "FILES",
    "INBOUND",
    "OUTBOUND",
    "QUESTIONS",
    "TOPICS",
    "VIEWS",
    "InlineProjection",
]

VIEWS = (
    *("links", "unlinked", "intake", "inbound_queue", "outbound_queue", "lanes"),
    *("message_attachments", "questions"),
)
NO_ANSWERS = b"{}"


class InlineProjection:
    """Turns recorded events into the statements that bring the views up to them."""

    def statements(
        self, recorded: Sequence[Recorded], fences: Sequence[Fence] = ()
    ) -> Iterator[tuple[str, Sequence[Any]]]:
        fold = Fold()
        for position, event in recorded:
            handle = _HANDLERS.get(event.TOPIC)
            if handle is not None:
                handle(fold, position, event)
        return fold.statements(fences)


# --- what each event does to the views ----------------------------------------------


def _captured(fold: Fold, position: int, event: Any) -> None:
    definition = known_uuid(event.definition)
    sequence = event.sequence or position
    if not event.sequence:
        fold.intake.append(
            {
                "domain": event.domain,
                "system": event.system,
                "change_id": event.change_id,
                "definition": definition,
                "idempotency_key": event.idempotency_key,
                "request_fingerprint": event.request_fingerprint,
                "fingerprint": event.fingerprint,
                "correlation_id": event.originator_id,
                "position": position,
            }
        )
    fold.inbound[(event.originator_id, sequence)] = {
        "correlation_id": event.originator_id,
        "sequence": sequence,
        "position": position,
        "domain": event.domain,
        "definition": definition,
        "process_event": event.process_event,
        "member": event.member,
        "system": event.system,
        "record_table": event.table,
        "record_id": event.record_id,
        "operation": event.operation,
        "change_id": event.change_id,
        "status": "ready",
        "detail": "",
        "captured_at": event.timestamp,
        "settled_at": None,
        "waits": False,
    }
    fold.lanes_in.setdefault(event.originator_id, event.domain)
    fold.wakes.add(INBOUND)


def _accepted(fold: Fold, position: int, event: Any) -> None:
    fold.settle_inbound(event, "processed", "accepted", event.timestamp)
    fold.saw_revision(event)
    for place, message in enumerate(event.messages):
        fold.queue_message(
            position,
            place,
            event,
            message,
            change_id=event.change_id,
            replay_id=None,
        )


def _ignored(fold: Fold, _position: int, event: Any) -> None:
    fold.settle_inbound(event, "processed", f"ignored: {event.reason}", event.timestamp)
    fold.saw_revision(event)


def _change_failed(fold: Fold, _position: int, event: Any) -> None:
    fold.settle_inbound(event, "error", event.detail, None)


def _change_retried(fold: Fold, _position: int, event: Any) -> None:
    fold.settle_inbound(event, "ready", "", None)
    fold.wakes.add(INBOUND)


def _change_skipped(fold: Fold, _position: int, event: Any) -> None:
    detail = f"{event.actor}: {event.reason}"
    fold.settle_inbound(event, "skipped", detail, event.timestamp)


def _linked(fold: Fold, _position: int, event: Any) -> None:
    key = (event.domain, event.originator_id, event.member)
    if key in fold.links:  # as the table would say
        raise IntegrityError(f"{event.originator_id} is linked in {event.member}")
    fold.revisions.pop(key, None)  # of before it was linked
    fold.links[key] = {
        "domain": event.domain,
        "definition": known_uuid(event.definition),
        "member": event.member,
        "system": event.system,
        "record_table": event.table,
        "record_id": event.record_id,
        "correlation_id": event.originator_id,
        "revision": event.record_revision,
    }


def _unlinked(fold: Fold, _position: int, event: Any) -> None:
    key = (event.domain, event.originator_id, event.member)
    fold.links.pop(key, None)
    fold.revisions.pop(key, None)
    fold.unlinked.append(key)
    if event.record_id:
        definition = known_uuid(event.definition)
        record = (event.domain, definition, event.member, event.record_id)
        fold.parted[record] = event.originator_id


def _transmitted(fold: Fold, _position: int, event: Any) -> None:
    fold.change_outbound(event, attempts=event.attempt)


def _received(fold: Fold, _position: int, event: Any) -> None:
    fold.change_outbound(
        event,
        status="ready" if event.judged else "uncertain",
        attempts=event.attempt,
        due_at=datetime.fromisoformat(event.ask_at),
        detail=event.detail,
    )
    if event.judged:
        fold.saw_revision(event)


def _acknowledged(fold: Fold, _position: int, event: Any) -> None:
    fold.change_outbound(
        event, status="processed", due_at=None, detail="", settled_at=event.timestamp
    )
    fold.saw_revision(event)


_STATUS_AFTER = {"uncertain": "uncertain", "permanent": "error"}


def _message_failed(fold: Fold, _position: int, event: Any) -> None:
    fold.change_outbound(
        event,
        status=_STATUS_AFTER.get(event.kind, "ready"),
        attempts=event.attempt,
        due_at=datetime.fromisoformat(event.retry_at) if event.retry_at else None,
        detail=event.detail,
    )


def _parked(fold: Fold, _position: int, event: Any) -> None:
    fold.change_outbound(event, status="error", due_at=None, detail=event.detail)


def _message_retried(fold: Fold, _position: int, event: Any) -> None:
    due_at = None if event.waits else event.timestamp
    fold.change_outbound(
        event, status="ready", attempts=0, due_at=due_at, detail="", answers=NO_ANSWERS
    )
    fold.wakes.add(OUTBOUND)
    if event.waits:
        fold.files_wait(event, waits=True)


def _released(fold: Fold, _position: int, event: Any) -> None:
    fold.change_outbound(event, due_at=event.timestamp)
    fold.files_wait(event, waits=False)


def _message_skipped(fold: Fold, _position: int, event: Any) -> None:
    fold.change_outbound(
        event,
        status="skipped",
        due_at=None,
        detail=f"{event.actor}: {event.reason}",
        settled_at=event.timestamp,
    )


def _revised(fold: Fold, _position: int, event: Any) -> None:
    fold.change_outbound(
        event,
        status="ready",
        due_at=None if event.waits else event.timestamp,
        detail="",
        generation=event.generation,
        operation=event.operation,
        definition_revision=event.definition_revision,
        payload=payload_of(vars(event)),
    )
    fold.wakes.add(OUTBOUND)
    if event.attachments:
        key, waits = UUID(event.message_id), event.waits
        fold.carries(key, event, event.member, event.attachments, waits=waits)


def _replayed(fold: Fold, position: int, event: Any) -> None:
    fold.queue_message(
        position,
        0,
        event,
        event.message,
        change_id="",
        replay_id=UUID(event.replay_id),
    )


def _told(fold: Fold, position: int, event: Any) -> None:
    for place, message in enumerate(event.messages):
        fold.queue_message(
            position, place, event, message, change_id="", replay_id=None
        )


def _asked(fold: Fold, _position: int, event: Any) -> None:
    fold.questions[UUID(event.question_id)] = {
        "question_id": UUID(event.question_id),
        "domain": event.domain,
        "correlation_id": event.originator_id,
        "member": event.member,
        "sequence": event.sequence,
        "change_id": event.change_id,
        "message_id": UUID(event.message_id) if event.message_id else None,
        "system": event.system,
        "question": orjson.dumps(event.question),
        "inquiry": Question.of(event.question).inquiry(
            event.domain, event.system, event.question_id
        ),
        "asked_at": event.timestamp,
    }
    if event.message_id:
        fold.change_outbound(event, due_at=None)
    else:
        fold.settle_inbound(event, "ready", "", None, waits=True)
    fold.wakes.add(QUESTIONS)


def _answered(fold: Fold, _position: int, event: Any) -> None:
    key = UUID(event.question_id)
    fold.questions.pop(key, None)
    fold.answered.append((key,))
    if "withdrawn" in event.answer:
        return
    if event.message_id:
        answers = orjson.dumps(event.answers)
        fold.change_outbound(event, due_at=event.timestamp, answers=answers)
        fold.wakes.add(OUTBOUND)
    else:
        fold.settle_inbound(event, "ready", "", None)
        fold.wakes.add(INBOUND)


_HANDLERS: dict[str, Callable[[Fold, int, Any], None]] = {
    "change.captured": _captured,
    "change.accepted": _accepted,
    "change.ignored": _ignored,
    "change.failed": _change_failed,
    "change.retried": _change_retried,
    "change.skipped": _change_skipped,
    "conflict.resolved": _told,
    "correlation.linked": _linked,
    "correlation.unlinked": _unlinked,
    "correlation.relinked": _told,
    "correlation.reactivated": _told,
    "message.transmitted": _transmitted,
    "message.received": _received,
    "message.acknowledged": _acknowledged,
    "message.failed": _message_failed,
    "message.parked": _parked,
    "message.released": _released,
    "message.retried": _message_retried,
    "message.skipped": _message_skipped,
    "message.revised": _revised,
    "message.replayed": _replayed,
    "question.asked": _asked,
    "question.answered": _answered,
}

TOPICS = tuple(_HANDLERS)
