"""Writes what belongs to a record, its comments and files, each at most once."""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Any

from rps.connectors.rest import records
from rps.connectors.rest.answers import Heard
from rps.connectors.rest.reader import Files
from rps.domain.attachments import said_size
from rps.domain.delivery import Missing, Refused
from rps.domain.entries import digest

if TYPE_CHECKING:
    from rps.connectors.rest.answers import Trouble
    from rps.connectors.rest.contents import Contents
    from rps.connectors.rest.description import Comments, Description
    from rps.connectors.rest.reader import Item, Reader, Unread
    from rps.connectors.rest.records import Seen
    from rps.connectors.rest.sending import Sender
    from rps.connectors.rest.work import Parts, Work
    from rps.domain.delivery import Attachment, JournalEntry, Write

UPLOAD_BYTES_MAX = 50_000_000
_UUID_LENGTH = 36
"""A message made anew has the number of its generation behind it."""
_SKEW = timedelta(minutes=5)


class PartWriter:
    def __init__(
        self,
        description: Description,
        sender: Sender,
        reader: Reader,
        contents: Contents,
    ) -> None:
        self._description = description
        self._sender = sender
        self._reader = reader
        self._contents = contents

    def looked(self, work: Work) -> Trouble | None:
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
        return self.compare(write, seen, work.parts)

    def compare(self, write: Write, seen: Seen, parts: Parts) -> Unread | None:
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
        if not isinstance(files, Files):
            return files
        for file, item in product(write.attachments, files.items):
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
        offer = self._contents.offered(table, seen.snapshot.record_id, item)
        if isinstance(offer, dict):
            return bool(offer["sha256"] == file.sha256)
        return False if offer is None else offer

    def entries_written(self, work: Work) -> Trouble | None:
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
        came = self._sender.run(work, comments.after, of_record=True)
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
        came = self._sender.run(work, calls, of_record=True)
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

    def files_written(self, work: Work) -> Trouble | None:
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
            came = self._sender.run(work, files.remove, of_record=True)
            return None if isinstance(came, Heard | Missing | None) else came
        if file.size > UPLOAD_BYTES_MAX:
            return Refused(
                f"{file.name} has {said_size(file.size)}, and at most"
                f" {said_size(UPLOAD_BYTES_MAX)} go to a described system: skip the"
                " message, and lower 'size_max' of the definition's attachments"
            )
        content = self._contents.bytes_of(file.sha256, UPLOAD_BYTES_MAX)
        if content is None:
            return Refused(
                f"the bytes of {file.name} are not here: let the file be offered again"
            )
        work.context["file"] = {
            "id": file.id,
            "name": file.name,
            "size": file.size,
            "type": file.type,
            "content": content,
            "base64": b64encode(content).decode(),
        }
        came = self._sender.run(work, files.add, of_record=True)
        made = work.context["kept"].get("file_id")
        if made is not None:
            key = (work.write.table, work.record_id, str(made))
            self._contents.knows(*key, file)
        return None if came is None or isinstance(came, Heard) else came


def _is_made_anew(write: Write) -> bool:
    """Of an earlier generation of the message a part may have been written."""
    return len(write.delivery_id) > _UUID_LENGTH


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
