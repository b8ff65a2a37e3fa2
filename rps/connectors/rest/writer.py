"""Writes messages to a described system, in as many requests as that takes.

A write has parts: its fields, and each of its comments and files. If one of them fails
after another was done the write is uncertain; what there is by then is looked for
before anything is written again, and only what is missing is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rps.connectors.preview import preview_of
from rps.connectors.rest import records
from rps.connectors.rest.description import Write as Described
from rps.connectors.rest.fields import FieldWriter
from rps.connectors.rest.parts import PartWriter
from rps.connectors.rest.reader import alike
from rps.connectors.rest.sending import Sender
from rps.connectors.rest.settling import Settler, harmonised
from rps.connectors.rest.work import Unfinished, Work
from rps.connectors.transport import Request
from rps.domain.delivery import Delivered, Missing, Moved, Refused, Uncertain

if TYPE_CHECKING:
    from rps.connectors.rest.answers import Trouble
    from rps.connectors.rest.calls import Calls
    from rps.connectors.rest.contents import Contents
    from rps.connectors.rest.description import Description, Table
    from rps.connectors.rest.reader import Reader
    from rps.domain.delivery import Outcome, Preview, Settlement, Snapshot, Write


class Writer:
    def __init__(
        self,
        description: Description,
        calls: Calls,
        reader: Reader,
        contents: Contents,
    ) -> None:
        self._description = description
        self._calls = calls
        self._reader = reader
        self._unfinished = Unfinished()
        sender = Sender(calls, reader)
        self._fields = FieldWriter(description, sender, reader)
        self._parts = PartWriter(description, sender, reader, contents)
        self._settler = Settler(description, reader, self._parts, self._unfinished)

    def settle(self, write: Write) -> Settlement:
        return self._settler.settle(write)

    def write(self, write: Write) -> Outcome:
        table = self._description.tables.get(write.table)
        if table is None:
            known = ", ".join(self._description.tables)
            return Refused(f"the description has no table {write.table}, but {known}")
        parts = self._unfinished.take(write.delivery_id)
        context = self._context(write, table)
        work = Work(write, table, parts, context)
        if write.operation == "delete":
            came = self._fields.deleted(work)
            return came if isinstance(came, Delivered) else self._failed(work, came)
        trouble = (
            self._fields.written(work)
            or self._parts.looked(work)
            or self._parts.entries_written(work)
            or self._parts.files_written(work)
        )
        if trouble is not None:
            return self._failed(work, trouble)
        return self._done(work)

    def preview(self, write: Write) -> Preview | Refused:
        """The first request that changes the record; others follow from its answer."""
        table = self._description.tables.get(write.table)
        if table is None:
            return Refused(f"the description has no table {write.table}")
        described = {"create": table.create, "update": table.update}.get(
            write.operation, table.remove
        )
        calls = described.calls if described else ()
        context = self._context(write, table)
        for call in calls:
            concerns = call.when in ("", "*") or call.when in write.fields
            if call.method != "GET" and concerns:
                request = self._calls.unsigned(call, context)
                if isinstance(request, Request):
                    return preview_of(request)
                return Refused(f"the request cannot be shown: {request.detail}")
        return Refused(f"the description writes nothing of it to {write.table}")

    def _context(self, write: Write, table: Table) -> dict[str, Any]:
        fields = records.written(
            self._description, table.record, write.fields, write.correlation_id
        )
        external = write.correlation_id
        if table.record.external_id is not None:
            external = records.marked(table.record.external_id, external)
        context = self._calls.context(
            table=write.table,
            fields=fields,
            values=dict(write.fields),
            external_id=external,
            correlation_id=write.correlation_id,
            delivery_id=write.delivery_id,
            kept={},
        )
        if write.record_id is not None:
            context["record_id"] = write.record_id
        if write.if_match is not None:
            context["revision"] = write.if_match
        return context

    def _failed(self, work: Work, trouble: Trouble) -> Outcome:
        """Once something was written it is not as if nothing had been."""
        if isinstance(trouble, Missing):
            trouble = Refused(f"the record is not there any more: {trouble.detail}")
        if not (work.began or work.parts.any):
            return trouble
        self._unfinished.keep(work.write.delivery_id, work.parts)
        if isinstance(trouble, Refused | Uncertain | Moved):
            return trouble
        return Uncertain(f"a part of it was written: {trouble.detail}", work.exchange)

    def _done(self, work: Work) -> Outcome:
        write, said = work.write, self._said(work)
        if work.shown is not None:
            snapshot = harmonised(work.shown.snapshot, write)
            if lacking := self._lacking(work, snapshot, verify=said.verify):
                return self._failed(work, Refused(lacking, work.exchange))
            return Delivered(
                *(work.record_id, snapshot.revision, snapshot.fields, work.exchange)
            )
        bare = Delivered(work.record_id, None, {}, work.exchange)
        seen = self._reader.read(write.table, work.record_id)
        if not isinstance(seen, records.Seen):
            return bare  # it is written; what it became is told by the next reading
        snapshot = harmonised(seen.snapshot, write)
        if lacking := self._lacking(work, snapshot, verify=said.verify):
            return self._failed(work, Refused(lacking, work.exchange))
        return replace(bare, record=snapshot)

    def _said(self, work: Work) -> Described:
        table = work.table
        said = table.create if work.write.operation == "create" else table.update
        return said or Described(())

    def _lacking(self, work: Work, snapshot: Snapshot, *, verify: bool) -> str:
        """Which of the written fields the record does not show, or shows otherwise."""
        if not work.began:
            return ""
        record = work.table.record
        for name, value in work.write.fields.items():
            each = record.fields.get(name)
            if each is not None and not each.shown:
                continue
            if name not in snapshot.fields:
                return (
                    f"it took the write, but shows no field {name}: was it renamed, or"
                    " may our account not see it? Correct the member's map or the"
                    " description"
                )
            there = snapshot.fields[name]
            if verify and not alike(there, value):
                return (
                    f"it took the write, but {name} is {there!r} there and not"
                    f" {value!r}: it may not be a value that the system has"
                )
        return ""
