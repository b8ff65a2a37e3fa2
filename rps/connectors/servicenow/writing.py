"""A message carried out: look, then write what is not there yet.

Every step looks first (at the record, at the correlation id, at what was begun before),
so that doing a message again does only what is missing of it. What is not known to have
failed is uncertain; finding out is looking, and completing what is not whole.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rps.connectors.servicenow.answers import Good, NotThere
from rps.connectors.servicenow.instance import Rows
from rps.connectors.servicenow.patching import no_record, patched, showing
from rps.connectors.servicenow.words import SYS_ID, changed_fields, is_same, said
from rps.domain.delivery import (
    Delivered,
    Exchange,
    Found,
    Moved,
    NotApplied,
    Refused,
    Snapshot,
    Uncertain,
)
from rps.domain.problem import listed, shown

if TYPE_CHECKING:
    from rps.connectors.servicenow.answers import Trouble, Understood
    from rps.connectors.servicenow.keeping import Ledger
    from rps.connectors.servicenow.parts import Parts
    from rps.connectors.servicenow.reading import Records
    from rps.domain.delivery import Outcome, Settlement, Write

log = logging.getLogger("rps.servicenow")


RECORD = "record"
"""The part that is the record itself, kept by the correlation it is of."""

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Writing:
    """Writes to one instance."""

    records: Records
    ledger: Ledger
    parts: Parts

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
        if not named:
            self._begin_record(write)
        made = self.records.instance.tell(
            "POST",
            f"table/{write.table}",
            showing(self.records, write),
            {**raw, **about},
        )
        row = self.records.instance.row_of(made)
        if not isinstance(row, dict):
            return self._not_made(write, made, row)
        if not named:
            self.ledger.done(_shared(write), RECORD, row["sys_id"])
        if display:
            told = patched(self.records, write, row["sys_id"], display, as_display=True)
            if not isinstance(told, dict):
                return told
            row = told
        exchange = made.exchange if isinstance(made, Good) else Exchange()
        return self._finished(write, row, row, exchange)

    def _not_made(
        self, write: Write, made: Understood, row: NotThere | Trouble
    ) -> Outcome:
        if isinstance(made, Good):  # it was made, and nobody knows as what
            return Uncertain("the answer shows no record", made.exchange)
        if not isinstance(row, Uncertain):
            self.ledger.forget(_shared(write), RECORD)
        if isinstance(row, NotThere):
            return Refused(no_record(row.detail, write), row.exchange)
        return row

    def _updated(self, write: Write) -> Outcome:
        record_id = write.record_id or ""
        if not write.fields:
            return self._finished(write, {"sys_id": record_id}, None)
        before = self.records.row(write.table, record_id)
        if isinstance(before, NotThere):
            return Refused(no_record(before.detail, write), before.exchange)
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
                told = patched(
                    self.records,
                    write,
                    before["sys_id"],
                    changed,
                    as_display=as_display,
                )
                if not isinstance(told, dict):
                    return told
                self._note_unwritten(write, changed, after, told)
                after = told
        return self._finished(write, after, before, exchange)

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
        newest = self.parts.completed(write, record_id, after)
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
        begun = self.parts.has_begun(write, row["sys_id"])
        is_new = write.operation == "create"
        if is_new and display and not begun and changed_fields(display, row):
            told = patched(self.records, write, row["sys_id"], display, as_display=True)
            if not isinstance(told, dict):
                return told
            row = told
        elif not is_new and lacking and not begun:
            return NotApplied("the record does not show it")
        elif not (is_new or write.fields or begun):
            return NotApplied("nothing of it was begun")
        newest = self.parts.completed(write, row["sys_id"], row)
        if not isinstance(newest, dict):
            return newest
        record = self.records.snapshot(write.table, newest)
        return Found(_as_written(write, record, {**raw, **display}))

    # --- looking --------------------------------------------------------------------

    def _by_correlation(self, write: Write) -> Row | Trouble | None:
        """The record with our external id, if there is one."""
        named = self.records.settings.correlation_field
        if not named:
            return self._by_ledger(write)
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

    def _begin_record(self, write: Write) -> None:
        now = self.records.instance.clock()
        self.ledger.begin(_shared(write), RECORD, "", now)

    def _by_ledger(self, write: Write) -> Row | Trouble | None:
        """Where records do not keep our id: the one that was answered to be made."""
        begun = self.ledger.part(_shared(write), RECORD)
        if begun is None:
            return None
        if not begun.done:
            self.ledger.forget(_shared(write), RECORD)
            return Refused(
                "a record may have been made, and without a correlation_field it cannot"
                " be found: a person must look; a retry of the message makes one"
            )
        row = self.records.row(write.table, begun.remote_id)
        return None if isinstance(row, NotThere) else row

    def _columns_missing(self, write: Write) -> Refused | None:
        known = self.records.known_columns(write.table)
        named = self.records.settings.correlation_field
        wanted = {*write.fields, *((named,) if named else ())}
        absent = sorted(wanted - known) if known else []
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


def _shared(write: Write) -> str:
    return f"{write.table}/{write.correlation_id}"
