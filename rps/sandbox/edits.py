"""What the sandbox's own users do; each change is put out to be reported to rps."""

from __future__ import annotations

import uuid
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from rps.domain.delivery import JournalEntry
from rps.sandbox.attachments import Attachments
from rps.sandbox.outbox import shown_entry
from rps.sandbox.records import Record, RecordDeleted, Records

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rps.sandbox.attachments import File
    from rps.sandbox.database import Database
    from rps.sandbox.outbox import Outbox

COMMENTS = "comments"


class Edits:
    """Own users' reading and writing. Records are returned as JSON objects."""

    def __init__(
        self, database: Database, outbox: Outbox, now: Callable[[], str]
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._now = now

    def create(
        self, table: str, fields: Mapping[str, Any], user: str, comment: str = ""
    ) -> dict[str, Any]:
        """Add a record."""
        entries = [self._entry(comment, user, COMMENTS)] if comment else []
        with self._database.transaction() as connection:
            records = Records(connection, self._now())
            written = records.create(table, fields, entries=entries)
            self._outbox.put(connection, written, user)
            return _shown(records, written.record)

    def edit(
        self,
        table: str,
        record_id: str,
        fields: Mapping[str, Any],
        user: str,
        *,
        if_match: str | None = None,
    ) -> dict[str, Any]:
        """Set fields; raises RecordMissing, RecordDeleted, RecordMoved."""
        with self._database.transaction() as connection:
            records = Records(connection, self._now())
            record = _editable(records, table, record_id)
            record.require_revision(if_match)
            written = records.change(record, fields)
            self._outbox.put(connection, written, user)
            return _shown(records, written.record)

    def comment(
        self, table: str, record_id: str, text: str, user: str, journal: str = COMMENTS
    ) -> dict[str, Any]:
        """Append a journal entry; raises RecordMissing, RecordDeleted."""
        entry = self._entry(text, user, journal)
        with self._database.transaction() as connection:
            records = Records(connection, self._now())
            record = _editable(records, table, record_id)
            written = records.change(record, {}, [entry])
            self._outbox.put(connection, written, user)
            return _shown(records, written.record)

    def attach(
        self, table: str, record_id: str, file: File, user: str
    ) -> dict[str, Any]:
        """Attach a file, new content of one, or remove it (`deleted`); raises
        RecordMissing, RecordDeleted."""
        with self._database.transaction() as connection:
            records = Records(connection, self._now())
            record = _editable(records, table, record_id)
            written = records.change(record, {}, files=[file])
            self._outbox.put(connection, written, user)
            return _shown(records, written.record)

    def attachment(self, table: str, record_id: str, file_id: str) -> File:
        """Return one of a record's files; raises AttachmentMissing."""
        with self._database.transaction() as connection:
            return Attachments(connection, table, record_id).get(file_id)

    def edit_comment(
        self, table: str, record_id: str, entry_id: str, text: str, user: str
    ) -> dict[str, Any]:
        """Give a journal entry another text; raises RecordMissing, RecordDeleted."""
        return self._about_comment(table, record_id, entry_id, user, "update", text)

    def delete_comment(
        self, table: str, record_id: str, entry_id: str, user: str
    ) -> dict[str, Any]:
        """Remove a journal entry; raises RecordMissing, RecordDeleted."""
        return self._about_comment(table, record_id, entry_id, user, "delete", "")

    def _about_comment(
        self,
        table: str,
        record_id: str,
        entry_id: str,
        user: str,
        operation: str,
        text: str,
    ) -> dict[str, Any]:
        with self._database.transaction() as connection:
            records = Records(connection, self._now())
            record = _editable(records, table, record_id)
            held = records.comment(record, entry_id)
            entry = replace(held, operation=operation, text=text)
            written = records.change(record, {}, [entry])
            self._outbox.put(connection, written, user)
            return _shown(records, written.record)

    def delete(self, table: str, record_id: str, user: str) -> dict[str, Any]:
        """Mark a record deleted, once; raises RecordMissing."""
        with self._database.transaction() as connection:
            records = Records(connection, self._now())
            written = records.delete(records.get(table, record_id))
            self._outbox.put(connection, written, user)
            return _shown(records, written.record)

    def record(self, table: str, record_id: str) -> Record:
        """Return a record, also a deleted one; raises RecordMissing."""
        with self._database.transaction() as connection:
            return Records(connection, self._now()).get(table, record_id)

    def shown(self, table: str, record_id: str) -> dict[str, Any]:
        """Return a record with its comments; raises RecordMissing."""
        with self._database.transaction() as connection:
            records = Records(connection, self._now())
            return _shown(records, records.get(table, record_id))

    def of_table(self, table: str, external_id: str | None = None) -> list[Record]:
        """Return a table's records, oldest first."""
        with self._database.transaction() as connection:
            return Records(connection, self._now()).of_table(table, external_id)

    def having(self, table: str, field: str, value: str) -> list[Record]:
        """Return the records that are there and whose field has the value."""
        with self._database.transaction() as connection:
            return Records(connection, self._now()).having(table, field, value)

    def latest(self, most: int) -> list[Record]:
        """Return the records changed last, latest first."""
        with self._database.transaction() as connection:
            return Records(connection, self._now()).latest(most)

    def _entry(self, text: str, user: str, journal: str) -> JournalEntry:
        return JournalEntry(str(uuid.uuid4()), journal, text, user, self._now())


def listed(record: Record) -> dict[str, Any]:
    """Return a record as its own users see it in a list."""
    return {
        "table": record.table,
        "id": record.record_id,
        "revision": record.revision,
        "fields": record.fields,
        "external_id": record.external_id,
        "deleted": record.deleted,
        "updated_at": record.updated_at,
    }


def _shown(records: Records, record: Record) -> dict[str, Any]:
    comments = [shown_entry(entry) for entry in records.comments(record)]
    attachments = [asdict(file) for file in records.attachments(record)]
    return {**listed(record), "comments": comments, "attachments": attachments}


def _editable(records: Records, table: str, record_id: str) -> Record:
    record = records.get(table, record_id)
    if record.deleted:
        raise RecordDeleted(f"{record_id} is deleted")
    return record
