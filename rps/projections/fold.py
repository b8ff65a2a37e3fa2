"""What a group of events does to the inline views: one write a row, then set-wise."""

from __future__ import annotations

import re
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from rps.domain.pending import waits_for
from rps.log.columns import column, columns
from rps.projections import inline_sql as sql

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime

    from rps.log.append import Fence

INBOUND, OUTBOUND, FILES = "rps_inbound", "rps_outbound", "rps_attachments"
QUESTIONS = "rps_questions"
"""Channels on which receivers, deliverers, fetchers and inquirers are told that there
is something new."""

Row = dict[str, Any]

_PAYLOAD = ("fields", "versions", "entries", "origin", "hop")
_PAYLOAD_LATER = ("changed_by", "changed_at")
"""Which messages of before did not have."""

_NUMBER = re.compile("[0-9]+")  # as the SQL sees it; str.isdecimal knows more digits
known_uuid = lru_cache(maxsize=4096)(UUID)
"""Definitions come again and again."""


class Fold:
    """Rows to insert and to change, one a key."""

    def __init__(self) -> None:
        self.links: dict[tuple[Any, ...], Row] = {}
        self.unlinked: list[tuple[Any, ...]] = []
        self.parted: dict[tuple[Any, ...], UUID] = {}
        self.revisions: dict[tuple[Any, ...], tuple[str, bool]] = {}
        self.intake: list[Row] = []
        self.inbound: dict[tuple[UUID, int], Row] = {}
        self.inbound_changes: dict[tuple[UUID, int], Row] = {}
        self.outbound: dict[UUID, Row] = {}
        self.outbound_changes: dict[UUID, Row] = {}
        self.files: dict[tuple[UUID, str], Row] = {}
        self.files_waiting: dict[UUID, bool] = {}
        self.questions: dict[UUID, Row] = {}
        self.answered: list[tuple[UUID]] = []
        self.lanes_in: dict[UUID, str] = {}
        self.lanes_out: dict[tuple[UUID, str], str] = {}
        self.wakes: set[str] = set()

    def statements(
        self, fences: Sequence[Fence]
    ) -> Iterator[tuple[str, Sequence[Any]]]:
        yield from _each(sql.DELETE_LINKS, sql.LINK_KEY_KINDS, self.unlinked)
        yield from _each(
            sql.INSERT_UNLINKED,
            sql.UNLINKED_KINDS,
            [(*record, correlation) for record, correlation in self.parted.items()],
        )
        yield from _rows(sql.INSERT_LINKS, sql.LINK_COLUMNS, self.links.values())
        yield from _each(
            sql.MOVE_LINKS,
            sql.MOVE_LINKS_KINDS,
            [(*key, *value) for key, value in self.revisions.items()],
        )
        yield from _rows(sql.INSERT_INTAKE, sql.INTAKE_COLUMNS, self.intake)
        yield from _rows(sql.INSERT_INBOUND, sql.INBOUND_COLUMNS, self.inbound.values())
        yield from _some(
            sql.CHANGE_INBOUND,
            sql.INBOUND_CHANGE_COLUMNS,
            self.inbound_changes.values(),
        )
        yield from _rows(
            sql.INSERT_OUTBOUND, sql.OUTBOUND_COLUMNS, self.outbound.values()
        )
        yield from _some(
            sql.CHANGE_OUTBOUND,
            sql.OUTBOUND_CHANGE_COLUMNS,
            self.outbound_changes.values(),
        )
        yield from _rows(sql.PUT_FILES, sql.FILE_COLUMNS, self.files.values())
        yield from _each(
            sql.MARK_FILES, sql.MARK_FILES_KINDS, list(self.files_waiting.items())
        )
        yield from _each(sql.DROP_QUESTIONS, sql.DROP_QUESTIONS_KINDS, self.answered)
        yield from _rows(
            sql.PUT_QUESTIONS, sql.QUESTION_COLUMNS, self.questions.values()
        )
        yield from self._lanes(fences)
        for channel in sorted(self.wakes):
            yield sql.WAKE, (channel,)

    def _lanes(self, fences: Sequence[Fence]) -> Iterator[tuple[str, Sequence[Any]]]:
        held_in, held_out = [], []
        for correlation_id, direction, member, epoch, keep in fences:
            if direction == "in":
                self.lanes_in.pop(correlation_id, None)
                held_in.append((correlation_id, epoch, keep))
            else:
                self.lanes_out.pop((correlation_id, member), None)
                held_out.append((correlation_id, member, epoch, keep))
        yield from _each(sql.HELD_IN, sql.HELD_IN_KINDS, held_in)
        yield from _each(sql.HELD_OUT, sql.HELD_OUT_KINDS, held_out)
        yield from _each(sql.LANES_IN, sql.LANES_IN_KINDS, list(self.lanes_in.items()))
        yield from _each(
            sql.LANES_OUT,
            sql.LANES_OUT_KINDS,
            [(*key, domain) for key, domain in self.lanes_out.items()],
        )

    # --- rows -----------------------------------------------------------------------

    def settle_inbound(
        self,
        event: Any,
        status: str,
        detail: str,
        at: datetime | None,
        *,
        waits: bool = False,
    ) -> None:
        key = (event.originator_id, event.sequence)
        change = {
            "status": status,
            "detail": detail,
            "settled_at": at,
            "waits": waits,
        }
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
            "definition": known_uuid(event.definition),
            "process_event": event.process_event,
            "definition_revision": event.revision,
            "member": message["member"],
            "system": message["system"],
            "record_table": message["table"],
            "operation": message["operation"],
            "payload": payload_of(message),
            "generation": 0,
            "status": "ready",
            "attempts": 0,
            "due_at": event.timestamp,
            "detail": "",
            "made_at": event.timestamp,
            "settled_at": None,
            "answers": None,
            **origin,
        }
        self.lanes_out[(event.originator_id, message["member"])] = event.domain
        if files := message.get("attachments"):
            waits = waits_for(files)
            self.carries(key, event, message["member"], files, waits=waits)
            if waits:
                self.outbound[key]["due_at"] = None

    def carries(
        self, key: UUID, event: Any, member: str, files: Sequence[Row], *, waits: bool
    ) -> None:
        """A message carries files; where it `waits` for them, a fetcher is told."""
        for file in files:
            if not file.get("deleted"):
                self.files[(key, file["sha256"])] = {
                    "message_id": key,
                    "sha256": file["sha256"],
                    "domain": event.domain,
                    "correlation_id": event.originator_id,
                    "member": member,
                    "system": file["system"],
                    "name": file["name"],
                    "size": file["size"],
                    "waits": waits,
                }
        if waits:
            self.wakes.add(FILES)

    def files_wait(self, event: Any, *, waits: bool) -> None:
        """A message waits for its files, or does not any more."""
        key = UUID(event.message_id)
        self.files_waiting[key] = waits
        for (message, _), row in self.files.items():
            if message == key:
                row["waits"] = waits
        self.wakes.add(FILES if waits else OUTBOUND)

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


def payload_of(message: Any) -> bytes:
    payload = {name: message[name] for name in _PAYLOAD}
    for name in _PAYLOAD_LATER:
        payload[name] = message.get(name, "")
    if attachments := message.get("attachments"):
        payload["attachments"] = attachments
    if context := message.get("context"):
        payload["context"] = context
    return orjson.dumps(payload)


def _each(
    statement: str, kinds: sql.Kinds, rows: Sequence[Sequence[Any]]
) -> Iterator[tuple[str, Sequence[Any]]]:
    if rows:
        yield statement, columns(kinds, rows)


def _rows(
    statement: str, kinds: sql.Columns, rows: Collection[Row]
) -> Iterator[tuple[str, Sequence[Any]]]:
    """Rows that name every column."""
    told = list(map(itemgetter(*kinds), rows))
    yield from _each(statement, tuple(kinds.values()), told)


def _some(
    statement: str, kinds: sql.Columns, rows: Collection[Row]
) -> Iterator[tuple[str, Sequence[Any]]]:
    """Rows that name some columns; the others are NULL."""
    if rows:
        yield (
            statement,
            [
                column(kind, [row.get(name) for row in rows])
                for name, kind in kinds.items()
            ],
        )
