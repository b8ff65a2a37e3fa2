"""What became of a write whose answer was lost: the record is looked at."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rps.connectors.rest import records
from rps.connectors.rest.reader import alike
from rps.connectors.rest.work import Parts
from rps.domain.delivery import Delivered, Found, Missing, NotApplied, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rps.connectors.rest.description import Description
    from rps.connectors.rest.parts import PartWriter
    from rps.connectors.rest.reader import Reader, Unread
    from rps.connectors.rest.records import Seen
    from rps.connectors.rest.work import Unfinished
    from rps.domain.delivery import Settlement, Snapshot, Write


class Settler:
    def __init__(
        self,
        description: Description,
        reader: Reader,
        parts: PartWriter,
        unfinished: Unfinished,
    ) -> None:
        self._description = description
        self._reader = reader
        self._parts = parts
        self._unfinished = unfinished

    def settle(self, write: Write) -> Settlement:
        table = self._description.tables.get(write.table)
        if table is None or table.read is None:
            if self._description.dedupe_header:
                return NotApplied("the same request may be sent again")
            return Refused("the system cannot be asked: a person must look")
        parts = Parts(settled=True)
        seen: Seen | Missing | Unread
        if write.record_id is None:
            seen = self._reader.by_external_id(write.table, write.correlation_id)
            if isinstance(seen, Missing):
                self._unfinished.keep(write.delivery_id, parts)
                return NotApplied("there is no record with our id")
        else:
            seen = self._reader.read(write.table, write.record_id)
        is_there = isinstance(seen, records.Seen) and not seen.snapshot.deleted
        if write.operation == "delete":
            return self._settled_delete(write, seen, is_there=is_there)
        if isinstance(seen, Missing):
            return Refused(f"the record is not there any more: {seen.detail}")
        if not isinstance(seen, records.Seen):
            return seen
        return self._settled(write, seen, parts)

    def _settled_delete(
        self, write: Write, seen: Seen | Missing | Unread, *, is_there: bool
    ) -> Settlement:
        if is_there:
            return NotApplied("the record is still there")
        if isinstance(seen, Missing | records.Seen):
            return Delivered(write.record_id or "", None, {})
        return seen

    def _settled(self, write: Write, seen: Seen, parts: Parts) -> Settlement:
        snapshot = harmonised(seen.snapshot, write)
        parts.record_id = snapshot.record_id
        held = all(alike(snapshot.fields.get(n), v) for n, v in write.fields.items())
        parts.fields = held or write.record_id is None
        trouble = self._parts.compare(write, seen, parts)
        if trouble is not None:
            return trouble
        is_whole = (
            parts.fields
            and all(e.operation or e.id in parts.entries for e in write.entries)
            and all(f.deleted or f.id in parts.files for f in write.attachments)
        )
        if is_whole and not any(e.operation for e in write.entries):
            return Found(snapshot)
        self._unfinished.keep(write.delivery_id, parts)
        return NotApplied("a part of it is not there")


def harmonised(snapshot: Snapshot, write: Write) -> Snapshot:
    """What is shown in other words than it was written in, in those."""
    fields: Mapping[str, Any] = {
        name: write.fields[name]
        if name in write.fields and alike(value, write.fields[name])
        else value
        for name, value in snapshot.fields.items()
    }
    return replace(snapshot, fields=fields)
