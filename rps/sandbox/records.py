"""Tickets as rows: what they hold, and what a write changed in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

from rps.domain.delivery import JournalEntry
from rps.sandbox.answers import SandboxRefusal
from rps.sandbox.attachments import Attachments, File

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

    from rps.domain.delivery import Operation

ROWS_MAX = 10_000

_PREFIXES = {"incident": "INC", "change": "CHG", "task": "TSK"}


class RecordMissing(SandboxRefusal):
    """There is no such record to work on."""

    status = HTTPStatus.NOT_FOUND


class RecordDeleted(SandboxRefusal):
    """The record was deleted and takes no more changes."""

    status = HTTPStatus.GONE


class RecordMoved(SandboxRefusal):
    """The record is no longer at the revision the write was made for."""

    status = HTTPStatus.PRECONDITION_FAILED


@dataclass(frozen=True, slots=True)
class Record:
    """`revision` starts at 1 and rises by one with each change."""

    table: str
    record_id: str
    revision: int
    fields: Mapping[str, Any]
    external_id: str | None
    deleted: bool
    updated_at: str

    def require_revision(self, if_match: str | None) -> None:
        """Raise RecordMoved unless `if_match` is None, "*" or our revision."""
        if if_match in (None, "*", str(self.revision)):
            return
        raise RecordMoved(
            f"{self.record_id} is at revision {self.revision}, not {if_match}",
            record_id=self.record_id,
            revision=str(self.revision),
        )


@dataclass(frozen=True, slots=True)
class Written:
    """What a write did: the record after it and only what it changed in it.

    `before` has a value for each of `fields`, None where there was none.
    """

    operation: Operation
    record: Record
    changed: bool
    fields: Mapping[str, Any]
    before: Mapping[str, Any]
    entries: tuple[JournalEntry, ...] = ()
    attachments: tuple[File, ...] = ()


class Records:
    """The records within one transaction; `now` is UTC, ISO 8601."""

    def __init__(self, connection: sqlite3.Connection, now: str) -> None:
        self._connection = connection
        self._now = now

    def find(self, table: str, record_id: str) -> Record | None:
        """Return the record, also a deleted one."""
        return self._one("record_id = :key", table, record_id)

    def find_by_external_id(self, table: str, external_id: str) -> Record | None:
        """Return the copy of a correlation, also a deleted one."""
        return self._one("external_id = :key", table, external_id)

    def get(self, table: str, record_id: str) -> Record:
        """Return the record, also a deleted one; raises RecordMissing."""
        record = self.find(table, record_id)
        if record is None:
            raise RecordMissing(f"there is no {record_id} in {table}")
        return record

    def of_table(self, table: str, external_id: str | None = None) -> list[Record]:
        """Return a table's records, oldest first, at most ROWS_MAX."""
        rows = self._connection.execute(
            "SELECT * FROM records WHERE table_name = :table"
            " AND (:external_id IS NULL OR external_id = :external_id)"
            " ORDER BY number LIMIT :most",
            {"table": table, "external_id": external_id, "most": ROWS_MAX},
        )
        return [_record(row) for row in rows]

    def having(self, table: str, field: str, value: str) -> list[Record]:
        """Return those not deleted whose field has the value, at most two of them."""
        rows = self._connection.execute(
            "SELECT r.* FROM records r, json_each(r.fields) f"
            " WHERE r.table_name = :table AND NOT r.deleted"
            " AND f.key = :field AND CAST(f.value AS TEXT) = :value"
            " ORDER BY r.number LIMIT 2",
            {"table": table, "field": field, "value": value},
        )
        return [_record(row) for row in rows]

    def latest(self, most: int) -> list[Record]:
        """Return the `most` records changed last, latest first."""
        rows = self._connection.execute(
            "SELECT * FROM records ORDER BY updated_at DESC LIMIT :most", {"most": most}
        )
        return [_record(row) for row in rows]

    def comments(self, record: Record) -> list[JournalEntry]:
        """Return the record's journal entries in the order they were appended."""
        rows = self._connection.execute(
            "SELECT id, journal, text, author, written_at FROM comments"
            " WHERE table_name = :table AND record_id = :record_id ORDER BY n",
            {"table": record.table, "record_id": record.record_id},
        )
        return [JournalEntry(*row) for row in rows]

    def attachments(self, record: Record) -> list[File]:
        """Return the record's files in the order they came."""
        return Attachments(self._connection, record.table, record.record_id).all()

    def comment(self, record: Record, entry_id: str) -> JournalEntry:
        """Return a journal entry of the record; raises RecordMissing."""
        for entry in self.comments(record):
            if entry.id == entry_id:
                return entry
        raise RecordMissing(f"{record.record_id} has no comment {entry_id}")

    def create(
        self,
        table: str,
        fields: Mapping[str, Any],
        *,
        external_id: str | None = None,
        entries: Iterable[JournalEntry] = (),
        files: Iterable[File] = (),
    ) -> Written:
        """Add a record under the table's next number."""
        number = self._next_number(table)
        record = Record(
            table=table,
            record_id=f"{prefix(table)}{number:07d}",
            revision=1,
            fields=dict(fields),
            external_id=external_id,
            deleted=False,
            updated_at=self._now,
        )
        self._connection.execute(
            "INSERT INTO records (table_name, record_id, number, revision, fields,"
            " external_id, updated_at) VALUES (:table, :record_id, :number, 1,"
            " :fields, :external_id, :now)",
            {
                "table": table,
                "record_id": record.record_id,
                "number": number,
                "fields": orjson.dumps(record.fields).decode(),
                "external_id": external_id,
                "now": self._now,
            },
        )
        new = tuple(entry for entry in entries if self._journal(record, entry))
        return Written(
            *("create", record, True, fields, {}, new, self._attached(record, files))
        )

    def change(
        self,
        record: Record,
        fields: Mapping[str, Any],
        entries: Iterable[JournalEntry] = (),
        files: Iterable[File] = (),
    ) -> Written:
        """Set `fields`; append, change or remove `entries` and `files`; what is so
        already changes nothing."""
        changed = {
            name: value
            for name, value in fields.items()
            if name not in record.fields or _differ(record.fields[name], value)
        }
        before = {name: record.fields.get(name) for name in changed}
        new = tuple(entry for entry in entries if self._journal(record, entry))
        attached = self._attached(record, files)
        if not changed and not new and not attached:
            return Written("update", record, changed=False, fields={}, before={})
        after = self._save(replace(record, fields={**record.fields, **changed}))
        return Written("update", after, True, changed, before, new, attached)

    def delete(self, record: Record) -> Written:
        """Mark the record deleted; a deleted one stays as it is."""
        if record.deleted:
            return Written("delete", record, changed=False, fields={}, before={})
        after = self._save(replace(record, deleted=True))
        return Written("delete", after, changed=True, fields={}, before={})

    def remember_external_id(self, record: Record, external_id: str) -> None:
        """Note the correlation on a record that has none.

        The first one stays when several definitions share the record, and no two
        records have the same. It is the integration's note, so no new revision.
        """
        self._connection.execute(
            "UPDATE OR IGNORE records SET external_id = :external_id"
            " WHERE table_name = :table AND record_id = :record_id"
            " AND external_id IS NULL",
            {
                "table": record.table,
                "record_id": record.record_id,
                "external_id": external_id,
            },
        )

    def _one(self, condition: str, table: str, key: str) -> Record | None:
        row = self._connection.execute(
            f"SELECT * FROM records WHERE table_name = :table AND {condition}",  # noqa: S608 - one of the two conditions above
            {"table": table, "key": key},
        ).fetchone()
        return None if row is None else _record(row)

    def _next_number(self, table: str) -> int:
        row = self._connection.execute(
            "SELECT COALESCE(MAX(number), 0) + 1 FROM records"
            " WHERE table_name = :table",
            {"table": table},
        ).fetchone()
        return int(row[0])

    def _save(self, record: Record) -> Record:
        after = replace(record, revision=record.revision + 1, updated_at=self._now)
        self._connection.execute(
            "UPDATE records SET revision = :revision, fields = :fields,"
            " deleted = :deleted, updated_at = :now"
            " WHERE table_name = :table AND record_id = :record_id",
            {
                "table": after.table,
                "record_id": after.record_id,
                "revision": after.revision,
                "fields": orjson.dumps(after.fields).decode(),
                "deleted": after.deleted,
                "now": self._now,
            },
        )
        return after

    def _attached(self, record: Record, files: Iterable[File]) -> tuple[File, ...]:
        attachments = Attachments(self._connection, record.table, record.record_id)
        return tuple(file for file in files if attachments.put(file))

    def _journal(self, record: Record, entry: JournalEntry) -> bool:
        """Whether the entry says anything that was not so already."""
        match entry.operation:
            case "delete":
                return self._remove(record, entry)
            case "update":
                return self._rewrite(record, entry)
        return self._append(record, entry)

    def _rewrite(self, record: Record, entry: JournalEntry) -> bool:
        """Give an entry another text; one that is not there is appended."""
        rewritten = self._connection.execute(
            "UPDATE comments SET text = :text WHERE table_name = :table"
            " AND record_id = :record_id AND id = :id AND text <> :text",
            {
                "table": record.table,
                "record_id": record.record_id,
                "id": entry.id,
                "text": entry.text,
            },
        )
        return rewritten.rowcount == 1 or self._append(record, entry)

    def _remove(self, record: Record, entry: JournalEntry) -> bool:
        removed = self._connection.execute(
            "DELETE FROM comments WHERE table_name = :table"
            " AND record_id = :record_id AND id = :id",
            {"table": record.table, "record_id": record.record_id, "id": entry.id},
        )
        return removed.rowcount == 1

    def _append(self, record: Record, entry: JournalEntry) -> bool:
        appended = self._connection.execute(
            "INSERT INTO comments (table_name, record_id, id, journal, text, author,"
            " written_at) VALUES (:table, :record_id, :id, :journal, :text, :author,"
            " :written_at) ON CONFLICT DO NOTHING",
            {
                "table": record.table,
                "record_id": record.record_id,
                "id": entry.id,
                "journal": entry.journal,
                "text": entry.text,
                "author": entry.author,
                "written_at": entry.written_at or self._now,
            },
        )
        return appended.rowcount == 1


def prefix(table: str) -> str:
    """Return what the ids of a table's records begin with, like INC."""
    letters = "".join(filter(str.isalpha, table))
    return _PREFIXES.get(table, letters[:3].upper())


def _differ(one: object, other: object) -> bool:
    """Whether two JSON values differ; Python alone holds 1, 1.0 and true for equal."""
    return type(one) is not type(other) or one != other


def _record(row: sqlite3.Row) -> Record:
    return Record(
        table=row["table_name"],
        record_id=row["record_id"],
        revision=row["revision"],
        fields=orjson.loads(row["fields"]),
        external_id=row["external_id"],
        deleted=bool(row["deleted"]),
        updated_at=row["updated_at"],
    )
