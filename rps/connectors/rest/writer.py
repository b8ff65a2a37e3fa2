"""Writes messages to a described system, in as many requests as that takes.

A write has parts: its fields, and each of its comments and files. If one of them fails
after another was done the write is uncertain; what there is by then is looked for
before anything is written again, and only what is missing is.
"""

from __future__ import annotations

from base64 import b64encode
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import product
from threading import Lock
from typing import TYPE_CHECKING, Any

from rps.connectors.preview import preview_of
from rps.connectors.rest import records, template
from rps.connectors.rest.answers import Asked, Heard
from rps.connectors.rest.description import Write as Described
from rps.connectors.rest.reader import Item, alike
from rps.connectors.shown import text_of_id
from rps.connectors.transport import Request
from rps.domain.delivery import (
    Delivered,
    Exchange,
    Found,
    Missing,
    Moved,
    NotApplied,
    Refused,
    Snapshot,
    Unavailable,
    Uncertain,
)
from rps.domain.entries import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rps.connectors.rest.answers import Trouble
    from rps.connectors.rest.calls import Calls
    from rps.connectors.rest.description import Call, Comments, Description, Table
    from rps.connectors.rest.reader import Reader, Unread
    from rps.connectors.rest.records import Seen
    from rps.domain.delivery import (
        Attachment,
        JournalEntry,
        Outcome,
        Preview,
        Settlement,
        Write,
    )

CONTENDED_TRIES = 8
"""Of a request that only adds to a record, while others change it."""
UPLOAD_BYTES_MAX = 50_000_000
_REMEMBERED = 10_000
_UUID_LENGTH = 36
"""A message made anew has the number of its generation behind it."""
_SKEW = timedelta(minutes=5)


@dataclass(slots=True)
class Parts:
    """What of a write is there already."""

    record_id: str | None = None
    fields: bool = False
    entries: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    settled: bool = False

    @property
    def any(self) -> bool:
        return bool(self.fields or self.entries or self.files)


@dataclass(slots=True)
class Work:
    """A write under way. `began`: something was written in this try."""

    write: Write
    table: Table
    parts: Parts
    context: dict[str, Any]
    exchange: Exchange = field(default_factory=Exchange)
    began: bool = False
    is_new: bool = False
    shown: Seen | None = None

    @property
    def record_id(self) -> str:
        return self.write.record_id or self.parts.record_id or ""


class Writer:
    def __init__(self, description: Description, calls: Calls, reader: Reader) -> None:
        self._description = description
        self._calls = calls
        self._reader = reader
        self._parts: OrderedDict[str, Parts] = OrderedDict()
        self._lock = Lock()

    # --- writing ----------------------------------------------------------------------

    def write(self, write: Write) -> Outcome:
        table = self._description.tables.get(write.table)
        if table is None:
            known = ", ".join(self._description.tables)
            return Refused(f"the description has no table {write.table}, but {known}")
        parts = self._recalled(write.delivery_id)
        context = self._context(write, table)
        work = Work(write, table, parts, context)
        if write.operation == "delete":
            return self._deleted(work)
        trouble = (
            self._fields_written(work)
            or self._looked(work)
            or self._entries_written(work)
            or self._files_written(work)
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
        self._recall(work.write.delivery_id, work.parts)
        if isinstance(trouble, Refused | Uncertain | Moved):
            return trouble
        return Uncertain(f"a part of it was written: {trouble.detail}", work.exchange)

    # --- fields -----------------------------------------------------------------------

    def _fields_written(self, work: Work) -> Trouble | None:
        if work.parts.fields:
            work.context["record_id"] = work.record_id
            return None
        if work.write.operation == "create" and not work.record_id:
            return self._created(work)
        work.context["record_id"] = work.record_id
        if not work.write.fields:
            work.parts.fields = True
            return None
        update = work.table.update
        if update is None:
            return Refused(
                f"the description does not say how {work.write.table} is"
                " changed: see 'update'"
            )
        came = self._run(work, update.calls, of_record=True)
        return self._taken(work, update, came)

    def _created(self, work: Work) -> Trouble | None:
        """Never twice: where it can be looked for, it is."""
        if work.table.find_external is not None and not work.parts.settled:
            there = self._reader.by_external_id(
                work.write.table, work.write.correlation_id
            )
            if isinstance(there, records.Seen):
                work.parts.record_id = there.snapshot.record_id
                work.parts.fields = True
                work.context["record_id"] = work.record_id
                return None
            if not isinstance(there, Missing):
                return there
        create = work.table.create
        if create is None:
            return Refused(
                f"the description does not say how {work.write.table} is"
                " made: see 'create'"
            )
        came = self._run(work, create.calls, of_record=False)
        work.is_new = True
        trouble = self._taken(work, create, came)
        if trouble is None and create.then_update and work.record_id:
            return self._followed(work)
        if trouble is None and not work.record_id:
            work.parts.fields = False
            return Uncertain(
                "the answer does not tell the id of the record that was made: see"
                " create/record_id",
                work.exchange,
            )
        return trouble

    def _followed(self, work: Work) -> Trouble | None:
        """What could not be set when the record was made."""
        update = work.table.update
        calls = update.calls if update else ()
        single = tuple(call for call in calls if call.when not in ("", "*"))
        came = self._run(work, single, of_record=True)
        if came is None or isinstance(came, Heard):
            return None
        work.parts.fields = False
        return came

    def _taken(
        self, work: Work, said: Described, came: Heard | Trouble | None
    ) -> Trouble | None:
        if came is None:  # nothing of it concerned this write
            work.parts.fields = True
            return None
        if not isinstance(came, Heard):
            return came
        work.exchange, work.began = came.exchange, True
        if not work.record_id:
            work.parts.record_id = _id_in(said.record_id, came)
            work.context["record_id"] = work.record_id
        work.parts.fields = bool(work.record_id)
        if said.shows:
            record = replace(work.table.record, at=said.shows)
            work.shown = records.seen(
                self._description, record, came.document, came.headers, work.record_id
            )
            if work.shown is not None and not work.record_id:
                work.parts.record_id = work.shown.snapshot.record_id
                work.context["record_id"] = work.record_id
                work.parts.fields = True
        return None

    def _deleted(self, work: Work) -> Outcome:
        if work.table.remove is None:
            return Refused(
                f"the description does not say how {work.write.table} is"
                " deleted: leave 'delete' out of the member's 'deliver'"
            )
        came = self._run(work, work.table.remove.calls, of_record=True)
        match came:
            case Missing():
                return Delivered(work.record_id, None, {})
            case Heard() | None:
                exchange = came.exchange if came else Exchange()
                return Delivered(work.record_id, None, {}, exchange)
            case _:
                return self._failed(work, came)

    # --- calls ------------------------------------------------------------------------

    def _run(
        self, work: Work, calls: tuple[Call, ...], *, of_record: bool
    ) -> Heard | Trouble | None:
        """The last answer; None where no call concerned this write."""
        last: Heard | None = None
        work.context["kept"] = {}
        for call in calls:
            if self._is_needless(work, call):
                continue
            came = self._contended(work, call, of_record=of_record)
            if not isinstance(came, Heard):
                return came
            if call.method != "GET":
                work.began, last = True, came
                if not work.exchange.request_sha256:
                    work.exchange = came.exchange
            if trouble := _keep(call, work.context, came):
                return trouble
        return last

    def _is_needless(self, work: Work, call: Call) -> bool:
        if call.unless and work.context["kept"].get(call.unless):
            return True
        if not call.when:
            return False
        if call.when == "*":
            return not work.context["fields"]
        if call.when not in work.write.fields:
            return True
        if not call.changed or not work.record_id:
            return False
        seen = self._reader.read(work.write.table, work.record_id)
        if not isinstance(seen, records.Seen):
            return False
        there = template.picked(call.changed, seen.raw)
        return alike(there, work.write.fields[call.when])

    def _contended(self, work: Work, call: Call, *, of_record: bool) -> Heard | Trouble:
        """Ask; what only adds is tried again where somebody else was faster."""
        is_conditional = bool(call.if_match) and "revision" in work.context
        asked = Asked(call.method != "GET", of_record, is_conditional)
        if call.if_match != "current":
            return self._calls.ask(call, work.context, asked)
        asked = replace(asked, repeatable=True)
        for _ in range(CONTENDED_TRIES):
            seen = self._reader.read(work.write.table, work.record_id)
            if not isinstance(seen, records.Seen):
                return seen
            context = {**work.context, "revision": seen.snapshot.revision or ""}
            came = self._calls.ask(call, context, asked)
            if not isinstance(came, Moved):
                return came
        return Unavailable(f"others keep changing it: tried {CONTENDED_TRIES} times")

    # --- comments and files -----------------------------------------------------------

    def _looked(self, work: Work) -> Trouble | None:
        """Where a part may be there already, from a try that was not finished."""
        write = work.write
        parts = [bool(write.fields), *write.entries, *write.attachments]
        if work.parts.settled or work.is_new:
            return None
        if sum(map(bool, parts)) <= 1 and not _is_made_anew(write):
            return None
        if not (write.attachments or any(not e.operation for e in write.entries)):
            return None
        seen = self._reader.read(write.table, work.record_id)
        if not isinstance(seen, records.Seen):
            return seen
        return self._compare(write, seen, work.parts)

    def _compare(self, write: Write, seen: Seen, parts: Parts) -> Unread | None:
        """Note in `parts` which comments and files the record has; what went wrong."""
        added = [entry for entry in write.entries if not entry.operation]
        there = self._reader.comments(write.table, seen) if added else []
        if not isinstance(there, list):
            return there
        left = list(there)
        for entry in added:
            same = next((item for item in left if _is_same(item, entry)), None)
            if same is not None:
                left.remove(same)
                parts.entries.add(entry.id)
        return self._compare_files(write, seen, parts) if write.attachments else None

    def _compare_files(self, write: Write, seen: Seen, parts: Parts) -> Unread | None:
        files = self._reader.attachments(write.table, seen)
        if not isinstance(files, list):
            return files
        for file, item in product(write.attachments, files):
            is_same = self._is_same_file(write.table, seen, item, file)
            if not isinstance(is_same, bool):
                return is_same
            if is_same:
                parts.files.add(file.id)
        return None

    def _is_same_file(
        self, table: str, seen: Seen, item: Item, file: Attachment
    ) -> bool | Unread:
        """By name and size; where the system tells no size, by what it holds."""
        if item.shown["name"] != file.name:
            return False
        if "size" in item.shown:
            return bool(item.shown["size"] == file.size)
        offer = self._reader.offered(table, seen.snapshot.record_id, item)
        if isinstance(offer, dict):
            return bool(offer["sha256"] == file.sha256)
        return False if offer is None else offer

    def _entries_written(self, work: Work) -> Trouble | None:
        comments = work.table.comments
        written = False
        for entry in work.write.entries:
            if entry.id in work.parts.entries:
                continue
            if comments is None:
                return Refused("the description does not say how comments are written")
            trouble = self._entry_written(work, comments, entry)
            if trouble is not None:
                return trouble
            work.parts.entries.add(entry.id)
            work.shown, written = None, True
        if comments is None or not written:
            return None
        came = self._run(work, comments.after, of_record=True)
        return None if came is None or isinstance(came, Heard) else came

    def _entry_written(
        self, work: Work, comments: Comments, entry: JournalEntry
    ) -> Trouble | None:
        journal = comments.journals.get(entry.journal)
        if journal is None:
            known = ", ".join(comments.journals)
            return Refused(f"the description has no journal {entry.journal}: {known}")
        calls = {"": comments.add, "update": comments.edit, "delete": comments.remove}[
            entry.operation
        ]
        if not calls:
            doing = entry.operation or "add"
            return Refused(
                f"the description does not say how comments are written:"
                f" see comments/{doing}"
            )
        said = _entry_context(self._description, comments, entry)
        if entry.operation:
            remote = self._remote_id(work, entry)
            if not isinstance(remote, str):
                return remote
            if not remote:
                return None  # it is not there: nothing to change
            said["remote_id"] = remote
        work.context |= {"entry": said, "journal": dict(journal.values)}
        came = self._run(work, calls, of_record=True)
        return None if came is None or isinstance(came, Heard) else came

    def _remote_id(self, work: Work, entry: JournalEntry) -> str | Trouble:
        if entry.yours:
            return entry.id
        seen = self._reader.read(work.write.table, work.record_id)
        if not isinstance(seen, records.Seen):
            return seen
        there = self._reader.comments(work.write.table, seen)
        if not isinstance(there, list):
            return there
        return next((item.id for item in there if item.ours == entry.id), "")

    def _files_written(self, work: Work) -> Trouble | None:
        files = work.table.files
        for file in work.write.attachments:
            if file.id in work.parts.files or (
                file.deleted and not (files and files.remove and file.yours)
            ):
                continue
            if files is None or not files.add:
                return Refused(
                    "the description does not say how files are written:"
                    " see attachments/add, or give 'attachments: false'"
                )
            trouble = self._file_written(work, file)
            if trouble is not None:
                return trouble
            work.parts.files.add(file.id)
            work.shown = None
        return None

    def _file_written(self, work: Work, file: Attachment) -> Trouble | None:
        files = work.table.files
        if files is None:  # was asked before
            return None
        if file.deleted:
            work.context["file"] = {"remote_id": file.id, "name": file.name}
            came = self._run(work, files.remove, of_record=True)
            return None if isinstance(came, Heard | Missing | None) else came
        content = self._reader.content(file.sha256, UPLOAD_BYTES_MAX)
        if content is None:
            return Refused(
                f"the bytes of {file.name} are not here, or more than"
                f" {UPLOAD_BYTES_MAX}: let the file be offered again"
            )
        work.context["file"] = {
            "id": file.id,
            "name": file.name,
            "size": file.size,
            "type": file.type,
            "content": content,
            "base64": b64encode(content).decode(),
        }
        came = self._run(work, files.add, of_record=True)
        made = work.context["kept"].get("file_id")
        if made is not None:
            key = (work.write.table, work.record_id, str(made))
            self._reader.knows(*key, file)
        return None if came is None or isinstance(came, Heard) else came

    # --- the end ----------------------------------------------------------------------

    def _done(self, work: Work) -> Outcome:
        write, said = work.write, self._said(work)
        if work.shown is not None:
            snapshot = _harmonised(work.shown.snapshot, write)
            if lacking := self._lacking(work, snapshot, verify=said.verify):
                return self._failed(work, Refused(lacking, work.exchange))
            return Delivered(
                *(work.record_id, snapshot.revision, snapshot.fields, work.exchange)
            )
        bare = Delivered(work.record_id, None, {}, work.exchange)
        seen = self._reader.read(write.table, work.record_id)
        if not isinstance(seen, records.Seen):
            return bare  # it is written; what it became is told by the next reading
        snapshot = _harmonised(seen.snapshot, write)
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

    # --- what became of it ------------------------------------------------------------

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
                self._recall(write.delivery_id, parts)
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
        snapshot = _harmonised(seen.snapshot, write)
        parts.record_id = snapshot.record_id
        held = all(alike(snapshot.fields.get(n), v) for n, v in write.fields.items())
        parts.fields = held or write.record_id is None
        trouble = self._compare(write, seen, parts)
        if trouble is not None:
            return trouble
        is_whole = (
            parts.fields
            and all(e.operation or e.id in parts.entries for e in write.entries)
            and all(f.deleted or f.id in parts.files for f in write.attachments)
        )
        if is_whole and not any(e.operation for e in write.entries):
            return Found(snapshot)
        self._recall(write.delivery_id, parts)
        return NotApplied("a part of it is not there")

    def _recall(self, delivery_id: str, parts: Parts) -> None:
        with self._lock:
            self._parts[delivery_id] = parts
            while len(self._parts) > _REMEMBERED:
                self._parts.popitem(last=False)

    def _recalled(self, delivery_id: str) -> Parts:
        with self._lock:
            return self._parts.pop(delivery_id, None) or Parts()


def _is_made_anew(write: Write) -> bool:
    """Of an earlier generation of the message a part may have been written."""
    return len(write.delivery_id) > _UUID_LENGTH


def _keep(call: Call, context: dict[str, Any], came: Heard) -> Trouble | None:
    kept = context["kept"]
    for name, expression in call.keep.items():
        kept[name] = template.picked(expression, came.document)
    if call.pick is None:
        return None
    wanted = template.as_text(call.pick.equals, context)
    items = template.picked(call.pick.items, came.document)
    for item in items if isinstance(items, list) else []:
        if alike(template.picked(call.pick.where, item), wanted):
            kept[call.pick.name] = template.picked("id", item)
            return None
    return Refused(
        f"the system offers no {call.pick.name} to {wanted!r} for this record now"
    )


def _id_in(expression: str, came: Heard) -> str | None:
    """As the answer says, else the last part of where it says the record is."""
    if expression and (found := text_of_id(template.picked(expression, came.document))):
        return found
    where = came.headers.get("location", "").split("?")[0].rstrip("/")
    return text_of_id(where.rpartition("/")[2])


def _entry_context(
    description: Description, comments: Comments, entry: JournalEntry
) -> dict[str, Any]:
    marker = comments.marker
    mark = "" if marker is None else records.marked(marker, entry.id)
    is_within = marker is not None and bool(marker.within)
    said = {
        "id": entry.id,
        "marker": mark,
        "text": f"{entry.text}{mark}" if is_within and not entry.yours else entry.text,
        "author": entry.author,
        "journal": entry.journal,
    }
    if entry.written_at:
        at = datetime.fromisoformat(entry.written_at)
        said["written_at"] = records.as_asked(description, at)
    return said


def _is_same(item: Item, entry: JournalEntry) -> bool:
    """By our id where comments are marked with it; else one with the same text that
    was not written long before."""
    if item.ours:
        return item.ours == entry.id
    if digest(item.shown["text"]) != digest(entry.text):
        return False
    there, here = item.shown.get("written_at"), entry.written_at
    if not there or not here:
        return True
    return datetime.fromisoformat(there) >= datetime.fromisoformat(here) - _SKEW


def _harmonised(snapshot: Snapshot, write: Write) -> Snapshot:
    """What is shown in other words than it was written in, in those."""
    fields: Mapping[str, Any] = {
        name: write.fields[name]
        if name in write.fields and alike(value, write.fields[name])
        else value
        for name, value in snapshot.fields.items()
    }
    return replace(snapshot, fields=fields)
