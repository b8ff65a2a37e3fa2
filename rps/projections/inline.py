"""The views that decisions need, kept in the transaction of the append.

`links`, `intake`, `inbound_queue`, `outbound_queue`, `lanes`. Events are folded to one
write a row, then written set-wise; lane heads are computed from the queues, so the
result does not depend on how events were grouped. Rebuilding uses this same code.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from eventsourcing.persistence import IntegrityError

from rps.log.columns import column, columns
from rps.projections import inline_sql as sql

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from rps.log.append import Recorded

INBOUND, OUTBOUND = "rps_inbound", "rps_outbound"
"""Channels on which receivers and deliverers are told that there is something new."""

VIEWS = ("links", "intake", "inbound_queue", "outbound_queue", "lanes")

Row = dict[str, Any]

_NUMBER = re.compile("[0-9]+")  # as the SQL sees it; str.isdecimal knows more digits
_uuid = lru_cache(maxsize=4096)(UUID)
"""Definitions come again and again."""


class InlineProjection:
    """Turns recorded events into the statements that bring the views up to them."""

    def statements(
        self, recorded: Sequence[Recorded]
    ) -> Iterator[tuple[str, Sequence[Any]]]:
        fold = _Fold()
        for position, event in recorded:
            handle = _HANDLERS.get(event.TOPIC)
            if handle is not None:
                handle(fold, position, event)
        return fold.statements()


class _Fold:
    """Rows to insert and to change, one a key."""

    def __init__(self) -> None:
        self.links: dict[tuple[Any, ...], Row] = {}
        self.unlinked: list[tuple[Any, ...]] = []
        self.revisions: dict[tuple[Any, ...], tuple[str, bool]] = {}
        self.intake: list[Row] = []
        self.inbound: dict[tuple[UUID, int], Row] = {}
        self.inbound_changes: dict[tuple[UUID, int], Row] = {}
        self.outbound: dict[UUID, Row] = {}
        self.outbound_changes: dict[UUID, Row] = {}
        self.lanes_in: dict[UUID, str] = {}
        self.lanes_out: dict[tuple[UUID, str], str] = {}
        self.wakes: set[str] = set()

    def statements(self) -> Iterator[tuple[str, Sequence[Any]]]:
        yield from _each(sql.DELETE_LINKS, sql.LINK_KEY_KINDS, self.unlinked)
        yield from _rows(sql.INSERT_LINKS, sql.LINK_COLUMNS, self.links.values())
        yield from _each(
            sql.MOVE_LINKS,
            sql.MOVE_LINKS_KINDS,
            [(*key, *value) for key, value in self.revisions.items()],
        )
        yield from _rows(sql.INSERT_INTAKE, sql.INTAKE_COLUMNS, self.intake)
        yield from _rows(sql.INSERT_INBOUND, sql.INBOUND_COLUMNS, self.inbound.values())
        yield from _rows(
            sql.CHANGE_INBOUND,
            sql.INBOUND_CHANGE_COLUMNS,
            self.inbound_changes.values(),
        )
        yield from _rows(
            sql.INSERT_OUTBOUND, sql.OUTBOUND_COLUMNS, self.outbound.values()
        )
        yield from _rows(
            sql.CHANGE_OUTBOUND,
            sql.OUTBOUND_CHANGE_COLUMNS,
            self.outbound_changes.values(),
        )
        yield from _each(sql.LANES_IN, sql.LANES_IN_KINDS, list(self.lanes_in.items()))
        yield from _each(
            sql.LANES_OUT,
            sql.LANES_OUT_KINDS,
            [(*key, domain) for key, domain in self.lanes_out.items()],
        )
        for channel in sorted(self.wakes):
            yield sql.WAKE, (channel,)

    # --- rows -----------------------------------------------------------------------

    def settle_inbound(
        self, event: Any, status: str, detail: str, at: datetime | None
    ) -> None:
        key = (event.originator_id, event.sequence)
        change = {"status": status, "detail": detail, "settled_at": at}
        if (row := self.inbound.get(key)) is not None:
            row.update(change)
        else:
            self.inbound_changes[key] = {
                "correlation_id": key[0],
                "sequence": key[1],
                **change,
            }
        self.lanes_in.setdefault(event.originator_id, event.domain)

    def change_outbound(self, event: Any, **change: Any) -> None:
        """Set columns of a queued message; a column not named keeps its value."""
        key = UUID(event.message_id)
        if (row := self.outbound.get(key)) is not None:
            row.update(change)
        else:
            waiting = self.outbound_changes.setdefault(
                key, {"message_id": key, "sets_due": False}
            )
            waiting.update(change)
            waiting["sets_due"] |= "due_at" in change
        self.lanes_out[(event.originator_id, event.member)] = event.domain

    def queue_message(
        self, position: int, place: int, event: Any, message: Row, **origin: Any
    ) -> None:
        self.wakes.add(OUTBOUND)
        key = UUID(message["message_id"])
        self.outbound[key] = {
            "message_id": key,
            "correlation_id": event.originator_id,
            "sequence": position,
            "place": place,
            "domain": event.domain,
            "definition": _uuid(event.definition),
            "process_event": event.process_event,
            "definition_revision": event.revision,
            "member": message["member"],
            "system": message["system"],
            "record_table": message["table"],
            "operation": message["operation"],
            "payload": _payload(message),
            "generation": 0,
            "status": "ready",
            "attempts": 0,
            "due_at": event.timestamp,
            "detail": "",
            "made_at": event.timestamp,
            "settled_at": None,
            **origin,
        }
        self.lanes_out[(event.originator_id, message["member"])] = event.domain

    def saw_revision(self, event: Any) -> None:
        """Numbers go only forward; another revision stands whatever was before it. One
        at which not the whole record is known is not to be written against."""
        revision = event.record_revision
        if revision is None or not event.complete:
            return
        key = (event.domain, event.originator_id, event.member)
        before, given = self.revisions.get(key, (None, False))
        if not _NUMBER.fullmatch(revision):
            self.revisions[key] = (revision, True)
        elif before is None or not _NUMBER.fullmatch(before):
            self.revisions[key] = (revision, given)
        else:
            self.revisions[key] = (max(before, revision, key=int), given)


def _payload(message: Any) -> bytes:
    return orjson.dumps(
        {
            name: message[name]
            for name in ("fields", "versions", "entries", "origin", "hop")
        }
    )


# --- what each event does to the views ----------------------------------------------


def _captured(fold: _Fold, position: int, event: Any) -> None:
    definition = _uuid(event.definition)
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
    }
    fold.lanes_in.setdefault(event.originator_id, event.domain)
    fold.wakes.add(INBOUND)


def _accepted(fold: _Fold, position: int, event: Any) -> None:
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


def _ignored(fold: _Fold, _position: int, event: Any) -> None:
    fold.settle_inbound(event, "processed", f"ignored: {event.reason}", event.timestamp)
    fold.saw_revision(event)


def _change_failed(fold: _Fold, _position: int, event: Any) -> None:
    fold.settle_inbound(event, "error", event.detail, None)


def _change_retried(fold: _Fold, _position: int, event: Any) -> None:
    fold.settle_inbound(event, "ready", "", None)
    fold.wakes.add(INBOUND)


def _change_skipped(fold: _Fold, _position: int, event: Any) -> None:
    detail = f"{event.actor}: {event.reason}"
    fold.settle_inbound(event, "skipped", detail, event.timestamp)


def _linked(fold: _Fold, _position: int, event: Any) -> None:
    key = (event.domain, event.originator_id, event.member)
    if key in fold.links:  # as the table would say
        raise IntegrityError(f"{event.originator_id} is linked in {event.member}")
    fold.revisions.pop(key, None)  # of before it was linked
    fold.links[key] = {
        "domain": event.domain,
        "definition": _uuid(event.definition),
        "member": event.member,
        "system": event.system,
        "record_table": event.table,
        "record_id": event.record_id,
        "correlation_id": event.originator_id,
        "revision": event.record_revision,
    }


def _unlinked(fold: _Fold, _position: int, event: Any) -> None:
    key = (event.domain, event.originator_id, event.member)
    fold.links.pop(key, None)
    fold.revisions.pop(key, None)
    fold.unlinked.append(key)


def _transmitted(fold: _Fold, _position: int, event: Any) -> None:
    fold.change_outbound(event, attempts=event.attempt)


def _acknowledged(fold: _Fold, _position: int, event: Any) -> None:
    fold.change_outbound(
        event, status="processed", due_at=None, detail="", settled_at=event.timestamp
    )
    fold.saw_revision(event)


_STATUS_AFTER = {"uncertain": "uncertain", "permanent": "error"}


def _message_failed(fold: _Fold, _position: int, event: Any) -> None:
    fold.change_outbound(
        event,
        status=_STATUS_AFTER.get(event.kind, "ready"),
        attempts=event.attempt,
        due_at=datetime.fromisoformat(event.retry_at) if event.retry_at else None,
        detail=event.detail,
    )


def _parked(fold: _Fold, _position: int, event: Any) -> None:
    fold.change_outbound(event, status="error", due_at=None, detail=event.detail)


def _message_retried(fold: _Fold, _position: int, event: Any) -> None:
    fold.change_outbound(
        event, status="ready", attempts=0, due_at=event.timestamp, detail=""
    )
    fold.wakes.add(OUTBOUND)


def _message_skipped(fold: _Fold, _position: int, event: Any) -> None:
    fold.change_outbound(
        event,
        status="skipped",
        due_at=None,
        detail=f"{event.actor}: {event.reason}",
        settled_at=event.timestamp,
    )


def _revised(fold: _Fold, _position: int, event: Any) -> None:
    fold.change_outbound(
        event,
        status="ready",
        due_at=event.timestamp,
        detail="",
        generation=event.generation,
        operation=event.operation,
        definition_revision=event.definition_revision,
        payload=_payload(vars(event)),
    )
    fold.wakes.add(OUTBOUND)


def _replayed(fold: _Fold, position: int, event: Any) -> None:
    fold.queue_message(
        position,
        0,
        event,
        event.message,
        change_id="",
        replay_id=UUID(event.replay_id),
    )


_HANDLERS: dict[str, Callable[[_Fold, int, Any], None]] = {
    "change.captured": _captured,
    "change.accepted": _accepted,
    "change.ignored": _ignored,
    "change.failed": _change_failed,
    "change.retried": _change_retried,
    "change.skipped": _change_skipped,
    "correlation.linked": _linked,
    "correlation.unlinked": _unlinked,
    "message.transmitted": _transmitted,
    "message.acknowledged": _acknowledged,
    "message.failed": _message_failed,
    "message.parked": _parked,
    "message.retried": _message_retried,
    "message.skipped": _message_skipped,
    "message.revised": _revised,
    "message.replayed": _replayed,
}

TOPICS = tuple(_HANDLERS)


def _each(
    statement: str, kinds: sql.Kinds, rows: Sequence[Sequence[Any]]
) -> Iterator[tuple[str, Sequence[Any]]]:
    if rows:
        yield statement, columns(kinds, rows)


def _rows(
    statement: str, kinds: sql.Columns, rows: Collection[Row]
) -> Iterator[tuple[str, Sequence[Any]]]:
    if rows:
        yield (
            statement,
            [
                column(kind, [row.get(name) for row in rows])
                for name, kind in kinds.items()
            ],
        )
