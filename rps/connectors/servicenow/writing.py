"""A message carried out: look, then write what is not there yet.

Every step looks first (at the record, at the correlation id, at what was begun before),
so that doing a message again does only what is missing of it. What is not known to have
failed is uncertain; finding out is looking, and completing what is not whole.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rps.connectors.servicenow import attaching, journals
from rps.connectors.servicenow.answers import Good, NotThere
from rps.connectors.servicenow.instance import Rows
from rps.connectors.servicenow.words import SYS_ID, changed_fields, is_same, said
from rps.domain.delivery import (
    Delivered,
    Exchange,
    Found,
    Gone,
    Moved,
    NeedsCredentials,
    NotApplied,
    Refused,
    Snapshot,
    Unavailable,
    Uncertain,
)
from rps.domain.problem import listed, shown

if TYPE_CHECKING:
    from rps.connectors.servicenow.answers import Trouble
    from rps.connectors.servicenow.keeping import Files, Ledger, Part
    from rps.connectors.servicenow.reading import Records
    from rps.domain.delivery import (
        Attachment,
        JournalEntry,
        Outcome,
        Settlement,
        Write,
    )

log = logging.getLogger("rps.servicenow")

BEGUN_SECONDS = 30.0
"""An entry is looked for from so long before it was begun: clocks differ."""

Row = dict[str, str]
_TROUBLE = (Unavailable, NeedsCredentials, Gone, Refused, Uncertain)


@dataclass(frozen=True, slots=True)
class Writing:
    """Writes to one instance."""

    records: Records
    ledger: Ledger
    files: Files

    # --- carrying out ---------------------------------------------------------------

    def write(self, write: Write) -> Outcome:
        if faults := _unwritable(write):
            return Refused(faults)
        match write.operation:
            case "delete":
                return self._deleted(write)
            case "create":
                return self._created(write)
            case _:
                return self._updated(write)

    def _created(self, write: Write) -> Outcome:
        found = self._by_correlation(write)
        if found is None:
            return self._made(write)
        if isinstance(found, dict):
            return self._found_made(write, found)
        return found

    def _found_made(self, write: Write, row: Row) -> Outcome:
        """It was made before: what it shows else is somebody's edit, to be told by the
        poll."""
        raw, display = self._values(write)
        told = self._finished(write, row, row)
        if not isinstance(told, Delivered):
            return told
        others = changed_fields({**raw, **display}, row)
        stored = {n: value for n, value in told.stored.items() if n not in others}
        revision = None if others else told.revision
        return Delivered(told.record_id, revision, stored, told.exchange)

    def _made(self, write: Write) -> Outcome:
        if missing := self._columns_missing(write):
            return missing
        raw, display = self._values(write)
        named = self.records.settings.correlation_field
        about = {named: write.correlation_id} if named else {}
        if named == "correlation_id":
            about["correlation_display"] = write.process_event
        made = self.records.instance.tell(
            "POST",
            f"table/{write.table}",
            self._showing(write),
            {**raw, **about},
        )
        row = self.records.instance.row_of(made)
        if not isinstance(row, dict):
            if isinstance(row, NotThere):
                return Refused(_no_record(row.detail, write), row.exchange)
            if isinstance(made, Good):  # it was made, and nobody knows as what
                return Uncertain("the answer shows no record", made.exchange)
            return row
        if display:
            told = self._patched(write, row["sys_id"], display, as_display=True)
            if not isinstance(told, dict):
                return told
            row = told
        exchange = made.exchange if isinstance(made, Good) else Exchange()
        return self._finished(write, row, row, exchange)

    def _updated(self, write: Write) -> Outcome:
        record_id = write.record_id or ""
        if not write.fields:
            return self._finished(write, {"sys_id": record_id}, None)
        before = self.records.row(write.table, record_id)
        if isinstance(before, NotThere):
            return Refused(_no_record(before.detail, write), before.exchange)
        if not isinstance(before, dict):
            return before
        if absent := sorted(write.fields.keys() - before.keys()):
            return Refused(_absent(absent, write.table))
        revision = before.get("sys_mod_count", "")
        raw, display = self._values(write)
        lacking = changed_fields({**raw, **display}, before)
        if lacking and write.if_match is not None and revision != write.if_match:
            detail = f"it is at {shown(revision)}, not at {shown(write.if_match)}"
            record = self.records.snapshot(write.table, before)
            return Moved(detail, record=record)
        return self._rewritten(write, before, raw, display)

    def _rewritten(self, write: Write, before: Row, raw: Row, display: Row) -> Outcome:
        """Those fields that differ; what people see of others in a request of its own,
        as an instance reads all values of a request alike."""
        after, exchange = before, Exchange()
        for values, as_display in ((raw, False), (display, True)):
            if changed := changed_fields(values, after):
                told = self._patched(
                    write, before["sys_id"], changed, as_display=as_display
                )
                if not isinstance(told, dict):
                    return told
                self._note_unwritten(write, changed, after, told)
                after = told
        return self._finished(write, after, before, exchange)

    def _patched(
        self, write: Write, record_id: str, values: Row, *, as_display: bool = False
    ) -> Row | Trouble:
        query = self._showing(write)
        if as_display:
            query["sysparm_input_display_value"] = "true"
        asked = self.records.instance.tell(
            "PATCH", f"table/{write.table}/{record_id}", query, values
        )
        row = self.records.instance.row_of(asked)
        if isinstance(row, NotThere):
            return Refused(_no_record(row.detail, write), row.exchange)
        if not isinstance(row, dict) and isinstance(asked, Good):
            return Uncertain("the answer shows no record", asked.exchange)
        return row

    def _deleted(self, write: Write) -> Outcome:
        record_id = write.record_id or ""
        if SYS_ID.fullmatch(record_id) is None:
            return Refused(f"{shown(record_id)} is no sys_id")
        told = self.records.instance.tell("DELETE", f"table/{write.table}/{record_id}")
        if isinstance(told, Good | NotThere):  # gone already: what was asked
            return Delivered(record_id, None, {}, told.exchange)
        return told

    def _finished(
        self,
        write: Write,
        after: Row,
        before: Row | None,
        exchange: Exchange | None = None,
    ) -> Outcome:
        """Entries and files; then what the record shows of the write, and what else
        of it changed meanwhile."""
        record_id = after["sys_id"]
        newest = self._completed(write, record_id, after)
        if not isinstance(newest, dict):
            return newest
        stored = {
            name: value
            for name, value in self.records.values(write.table, newest).items()
            if name in write.fields
            or (before is not None and before.get(name, value) != value)
        }
        revision = newest.get("sys_mod_count") or None
        return Delivered(record_id, revision, stored, exchange or Exchange())

    # --- finding out ----------------------------------------------------------------

    def settle(self, write: Write) -> Settlement:
        """NotApplied only where nothing of it is there."""
        if _unwritable(write):
            return NotApplied("it cannot have been sent")
        if write.operation == "create":
            row = self._by_correlation(write)
        else:
            found = self.records.row(write.table, write.record_id or "")
            row = None if isinstance(found, NotThere) else found
        if row is None:
            if write.operation == "delete":
                return Delivered(write.record_id or "", None, {})
            return NotApplied("the system has no such record")
        if not isinstance(row, dict):
            return row
        if write.operation == "delete":
            return NotApplied("the record is still there")
        return self._settled(write, row)

    def _settled(self, write: Write, row: Row) -> Settlement:
        raw, display = self._values(write)
        lacking = changed_fields({**raw, **display}, row)
        begun = self._has_begun(write)
        is_new = write.operation == "create"
        if is_new and display and not begun and changed_fields(display, row):
            told = self._patched(write, row["sys_id"], display, as_display=True)
            if not isinstance(told, dict):
                return told
            row = told
        elif not is_new and lacking and not begun:
            return NotApplied("the record does not show it")
        elif not (is_new or write.fields or begun):
            return NotApplied("nothing of it was begun")
        newest = self._completed(write, row["sys_id"], row)
        if not isinstance(newest, dict):
            return newest
        record = self.records.snapshot(write.table, newest)
        return Found(_as_written(write, record, {**raw, **display}))

    def _has_begun(self, write: Write) -> bool:
        """Whether what comes behind the fields was begun: then they were written."""
        parts = [*map(_entry_part, write.entries), *map(_file_part, write.attachments)]
        return any(
            self.ledger.part(write.correlation_id, part) is not None for part in parts
        )

    # --- entries and files ----------------------------------------------------------

    def _completed(self, write: Write, record_id: str, row: Row) -> Row | Trouble:
        """Write what is not there of entries and files; the record as it is then."""
        newest = row
        for entry in write.entries:
            told = self._entered(write, record_id, entry)
            if isinstance(told, dict):
                newest = told
            elif told is not None:
                return told
        for file in write.attachments:
            trouble = self._attached(write, record_id, file)
            if trouble is not None:
                return trouble
        return newest

    def _entered(
        self, write: Write, record_id: str, entry: JournalEntry
    ) -> Row | Trouble | None:
        """The record after it; None where the entry was there."""
        of, part = write.correlation_id, _entry_part(entry)
        begun = self.ledger.part(of, part)
        if begun is not None and begun.done:
            return None
        content = _digest(f"{record_id} {entry.journal} {entry.text.strip()}")
        if begun is not None:
            is_there = self._is_entered(write, record_id, entry, begun, content)
            if is_there is True:
                self.ledger.done(of, part)
                return None
            if is_there is not False:
                return is_there
        else:
            self.ledger.begin(of, part, content, self.records.instance.clock())
        told = self._patched(write, record_id, {entry.journal: entry.text})
        if isinstance(told, dict):
            self.ledger.done(of, part)
        return told

    def _is_entered(
        self,
        write: Write,
        record_id: str,
        entry: JournalEntry,
        begun: Part,
        content: str,
    ) -> bool | Trouble:
        """Whether it was written before; others that say the same are counted out."""
        since = begun.begun - BEGUN_SECONDS
        instance = self.records.instance
        there = journals.count_of(
            instance, record_id, entry.journal, entry.text, since + instance.skew
        )
        if not isinstance(there, int):
            return there
        return there > self.ledger.twins(write.correlation_id, content, since)

    def _attached(
        self, write: Write, record_id: str, file: Attachment
    ) -> Trouble | None:
        instance, of, part = (
            self.records.instance,
            write.correlation_id,
            _file_part(file),
        )
        if file.deleted:
            return self._detached(write, file)
        begun = self.ledger.part(of, part)
        if begun is not None and begun.done:
            return None
        if begun is not None:
            found = attaching.find(instance, self.files, write.table, record_id, file)
            if isinstance(found, str):
                self.ledger.done(of, part, found)
                return None
            if found is not None:
                return found
        else:
            self.ledger.begin(of, part, file.sha256, instance.clock())
        put = attaching.put(instance, self.files, write.table, record_id, file)
        if not isinstance(put, str):
            return put
        self.ledger.done(of, part, put)
        if file.version > 1 and file.yours and SYS_ID.fullmatch(file.id):
            return attaching.remove(instance, file.id)  # the content of before
        return None

    def _detached(self, write: Write, file: Attachment) -> Trouble | None:
        part = self.ledger.part(write.correlation_id, _file_part(file))
        known = part.remote_id if part is not None else ""
        if not known and SYS_ID.fullmatch(file.id):
            known = file.id
        return attaching.remove(self.records.instance, known) if known else None

    # --- looking --------------------------------------------------------------------

    def _by_correlation(self, write: Write) -> Row | Trouble | None:
        """The record with our external id, if there is one."""
        named = self.records.settings.correlation_field
        if not named:
            return None
        came = self.records.instance.rows(
            write.table,
            f"{named}={write.correlation_id}",
            fields=(*self.records.columns(write.table), named),
            limit=3,
        )
        if not isinstance(came, Rows):
            return came
        rows = [row for row in came.rows if row.get(named) == write.correlation_id]
        if came.rows and not rows:
            return Refused(
                f"{write.table} cannot be searched by {named}: let the account read"
                " that column, or name another correlation_field"
            )
        if len(rows) > 1:
            return Refused(
                f"{len(rows)} records of {write.table} have {named}"
                f" {write.correlation_id}: a person must look which is right"
            )
        return rows[0] if rows else None

    def _columns_missing(self, write: Write) -> Refused | None:
        known = self.records.known_columns(write.table)
        absent = sorted(write.fields.keys() - known) if known else []
        return Refused(_absent(absent, write.table)) if absent else None

    def _values(self, write: Write) -> tuple[Row, Row]:
        """What is written as it is kept, and as people see it."""
        uses = self.records.uses(write.table)
        values = {
            name: said(value, uses.fields.get(name))
            for name, value in write.fields.items()
        }
        display = self.records.settings.display_values
        return (
            {name: value for name, value in values.items() if name not in display},
            {name: value for name, value in values.items() if name in display},
        )

    def _showing(self, write: Write) -> dict[str, str]:
        asked = self.records.columns(write.table)
        return self.records.instance.reading(
            tuple(dict.fromkeys((*asked, *write.fields))) if asked else ()
        )

    def _note_unwritten(
        self, write: Write, changed: Row, before: Row, after: Row
    ) -> None:
        kept = [
            name
            for name, value in changed.items()
            if not is_same(after.get(name, ""), value)
            and after.get(name) == before.get(name)
        ]
        if kept:
            log.warning(
                "servicenow.kept table=%s record=%s fields=%s: the system left them as"
                " they were; may the account write them?",
                *(write.table, before["sys_id"], ",".join(kept)),
            )


def _unwritable(write: Write) -> str:
    """What of a message an instance can never take; "" where it takes all."""
    if any(entry.operation for entry in write.entries):
        return (
            "ServiceNow keeps journal entries as they were written: leave 'edits' out"
            " of this member's journals"
        )
    return ""


def _entry_part(entry: JournalEntry) -> str:
    return f"entry {entry.id}"


def _file_part(file: Attachment) -> str:
    return f"file {file.sha256} {_digest(file.name)}"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()


def _as_written(write: Write, record: Snapshot, values: dict[str, str]) -> Snapshot:
    """What the record shows of the write, said as the write says it."""
    fields: dict[str, Any] = dict(record.fields)
    for name, value in values.items():
        if name in fields and is_same(fields[name], value):
            fields[name] = write.fields[name]
    return Snapshot(
        record.record_id, record.revision, fields, record.deleted, record.updated_at
    )


def _absent(names: list[str], table: str) -> str:
    return (
        f"{table} shows no {listed(names)}: it was renamed there, or the account may"
        " not read it; correct the definition or the access control"
    )


def _no_record(detail: str, write: Write) -> str:
    return (
        f"{detail}: the record {shown(write.record_id or '')} of {write.table} is gone,"
        " or access controls hide it from the account"
    )
