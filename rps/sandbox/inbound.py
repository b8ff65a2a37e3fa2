"""What rps has us write: each message takes effect once, and can be asked after."""

from __future__ import annotations

from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

from rps.sandbox.answers import SandboxRefusal
from rps.sandbox.records import ROWS_MAX, RecordMissing, Records

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping, Sequence

    from rps.domain.delivery import JournalEntry, Operation
    from rps.sandbox.attachments import File
    from rps.sandbox.database import Database
    from rps.sandbox.files import Files
    from rps.sandbox.outbox import Outbox
    from rps.sandbox.records import Record, Written

INTEGRATION_USER = "rps"


class CorrelationDeleted(SandboxRefusal):
    """The correlation's copy here was deleted; a create does not bring it back."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """One message as rps posts it; `if_match` is a bare revision."""

    operation: Operation
    correlation_id: str
    table: str
    record_id: str | None
    if_match: str | None
    fields: Mapping[str, Any]
    entries: tuple[JournalEntry, ...] = ()
    attachments: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True)
class Applied:
    """The stored answer, byte for byte; `created` when this message made the record."""

    answer: bytes
    created: bool = False
    replayed: bool = False


class Inbound:
    """Applies messages; with `report_all` their effect is reported like an edit."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        now: Callable[[], str],
        files: Files,
        pull: Callable[[], None],
        *,
        report_all: bool,
    ) -> None:
        self._database = database
        self._files = files
        self._pull = pull
        self._outbox = outbox
        self._now = now
        self._report_all = report_all

    def apply(self, webhook_id: str, message: InboundMessage) -> Applied:
        """Carry out `message`, or answer as before if its id was carried out.

        A refusal (RecordMissing, RecordMoved, CorrelationDeleted) is not kept: the
        same id may succeed later.
        """
        with self._database.transaction() as connection:
            if (stored := _stored_answer(connection, webhook_id)) is not None:
                _count_replay(connection, webhook_id)
                return Applied(stored, replayed=True)
            now = self._now()
            written = _write(Records(connection, now), message, self._pulled(message))
            stored = _answer(written.record)
            _keep(
                connection, webhook_id, message, written.record, answer=stored, now=now
            )
            if self._report_all:
                self._outbox.put(connection, written, INTEGRATION_USER)
        if written.attachments:
            self._pull()
        return Applied(stored, created=written.operation == "create")

    def _pulled(self, message: InboundMessage) -> list[File]:
        """The message's files; those whose bytes are not here are still to come."""
        return [
            file if self._files.has(file.sha256) else replace(file, state="coming")
            for file in message.attachments
        ]

    def answered(self, webhook_id: str) -> bytes:
        """Return what the message was answered; raises RecordMissing if it was not."""
        with self._database.transaction() as connection:
            stored = _stored_answer(connection, webhook_id)
        if stored is None:
            raise RecordMissing(f"message {webhook_id} has not been applied")
        return stored

    def log(self, after: int) -> list[dict[str, Any]]:
        """Return applied messages behind number `after`, in order, at most ROWS_MAX."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                "SELECT n, webhook_id, correlation_id, table_name, record_id,"
                " operation, fields, replays, applied_at FROM messages"
                " WHERE n > :after ORDER BY n LIMIT :most",
                {"after": after, "most": ROWS_MAX},
            ).fetchall()
        return [
            {
                "n": row["n"],
                "webhook_id": row["webhook_id"],
                "correlation_id": row["correlation_id"],
                "table": row["table_name"],
                "record_id": row["record_id"],
                "operation": row["operation"],
                "fields": orjson.loads(row["fields"]),
                "replays": row["replays"],
                "applied_at": row["applied_at"],
            }
            for row in rows
        ]


def _write(records: Records, message: InboundMessage, files: Sequence[File]) -> Written:
    match message.operation:
        case "create":
            return _create(records, message, files)
        case "update":
            record = _target(records, message)
            if record.deleted:
                # Not 410: to rps that would mean this whole address takes no more.
                raise RecordMissing(f"{record.record_id} is deleted", deleted=True)
            return records.change(record, message.fields, message.entries, files)
        case "delete":
            return records.delete(_target(records, message))


def _create(
    records: Records, message: InboundMessage, files: Sequence[File]
) -> Written:
    existing = records.find_by_external_id(message.table, message.correlation_id)
    if existing is None:
        return records.create(
            message.table,
            message.fields,
            external_id=message.correlation_id,
            entries=message.entries,
            files=files,
        )
    if existing.deleted:
        raise CorrelationDeleted(
            f"{existing.record_id} is the copy of this correlation and is deleted",
            record_id=existing.record_id,
            revision=str(existing.revision),
        )
    existing.require_revision(message.if_match)
    return records.change(existing, message.fields, message.entries, files)


def _target(records: Records, message: InboundMessage) -> Record:
    if message.record_id is None:
        record = records.find_by_external_id(message.table, message.correlation_id)
    else:
        record = records.find(message.table, message.record_id)
    if record is None:
        raise RecordMissing(
            f"there is no {message.record_id or message.correlation_id}"
            f" in {message.table}"
        )
    record.require_revision(message.if_match)
    if record.external_id is None:
        records.remember_external_id(record, message.correlation_id)
    return record


def _answer(record: Record) -> bytes:
    return orjson.dumps(
        {
            "record_id": record.record_id,
            "revision": str(record.revision),
            "fields": record.fields,
        }
    )


def _stored_answer(connection: sqlite3.Connection, webhook_id: str) -> bytes | None:
    row = connection.execute(
        "SELECT answer FROM messages WHERE webhook_id = :webhook_id",
        {"webhook_id": webhook_id},
    ).fetchone()
    return None if row is None else bytes(row["answer"])


def _count_replay(connection: sqlite3.Connection, webhook_id: str) -> None:
    connection.execute(
        "UPDATE messages SET replays = replays + 1 WHERE webhook_id = :webhook_id",
        {"webhook_id": webhook_id},
    )


def _keep(
    connection: sqlite3.Connection,
    webhook_id: str,
    message: InboundMessage,
    record: Record,
    *,
    answer: bytes,
    now: str,
) -> None:
    connection.execute(
        "INSERT INTO messages (webhook_id, correlation_id, table_name, record_id,"
        " operation, fields, answer, applied_at) VALUES (:webhook_id,"
        " :correlation_id, :table, :record_id, :operation, :fields, :answer, :now)",
        {
            "webhook_id": webhook_id,
            "correlation_id": message.correlation_id,
            "table": record.table,
            "record_id": record.record_id,
            "operation": message.operation,
            "fields": orjson.dumps(message.fields).decode(),
            "answer": answer,
            "now": now,
        },
    )
