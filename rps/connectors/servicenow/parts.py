"""Entries and files of a message: each is begun, written, and noted as done, so that
whoever comes after a kill knows which one may be there and looks for it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rps.connectors.servicenow import attaching, journals
from rps.connectors.servicenow.patching import patched
from rps.connectors.servicenow.stamps import seconds_of
from rps.connectors.servicenow.words import SYS_ID
from rps.domain.delivery import Refused
from rps.domain.problem import shown

if TYPE_CHECKING:
    from rps.connectors.servicenow.answers import Trouble
    from rps.connectors.servicenow.keeping import Files, Ledger, Part
    from rps.connectors.servicenow.reading import Records
    from rps.domain.delivery import Attachment, JournalEntry, Write

BEGUN_SECONDS = 30.0
"""An entry is looked for from so long before it was begun: clocks differ."""

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Parts:
    """What of a message comes behind its fields."""

    records: Records
    ledger: Ledger
    files: Files

    def has_begun(self, write: Write, record_id: str) -> bool:
        """Whether what comes behind the fields was begun: then they were written."""
        of = _record(write, record_id)
        parts = [*map(_entry_part, write.entries), *map(_file_part, write.attachments)]
        return any(self.ledger.part(of, part) is not None for part in parts)

    def completed(self, write: Write, record_id: str, row: Row) -> Row | Trouble:
        """Write what is not there of entries and files; the record as it is then."""
        newest = row
        for entry in write.entries:
            told = self._entered(write, newest, entry)
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
        self, write: Write, before: Row, entry: JournalEntry
    ) -> Row | Trouble | None:
        """The record after it; None where the entry was there."""
        record_id = before["sys_id"]
        of, part = _record(write, record_id), _entry_part(entry)
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
        asked = self.records.instance.now
        told = patched(self.records, write, record_id, {entry.journal: entry.text})
        if not isinstance(told, dict):
            return told
        if not _is_taken(entry, before, told, asked):
            self.ledger.forget(of, part)
            return Refused(
                f"it took no entry in {shown(entry.journal)}, without a word: let the"
                " account read and write that field, then retry"
            )
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
        return there > self.ledger.twins(_record(write, record_id), content, since)

    def _attached(
        self, write: Write, record_id: str, file: Attachment
    ) -> Trouble | None:
        of, part = _record(write, record_id), _file_part(file)
        instance = self.records.instance
        if file.deleted:
            return self._detached(of, file)
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

    def _detached(self, of: str, file: Attachment) -> Trouble | None:
        part = self.ledger.part(of, _file_part(file))
        known = part.remote_id if part is not None else ""
        if not known and SYS_ID.fullmatch(file.id):
            known = file.id
        if not known:
            return None
        trouble = attaching.remove(self.records.instance, known)
        if trouble is None:
            self.ledger.forget(of, _file_part(file))
        return trouble


def _is_taken(entry: JournalEntry, before: Row, after: Row, asked: float) -> bool:
    """An instance leaves out, without a word, what the account may not write. An entry
    counts as an update of its record; `asked` is by the instance's clock."""
    if entry.journal not in after:
        return False
    if "sys_mod_count" in before and "sys_mod_count" in after:
        return before["sys_mod_count"] != after["sys_mod_count"]
    stamp = seconds_of(after.get("sys_updated_on", ""))
    return not stamp or stamp >= asked - BEGUN_SECONDS


def _record(write: Write, record_id: str) -> str:
    return f"{write.table}/{record_id}"


def _entry_part(entry: JournalEntry) -> str:
    return f"entry {entry.id}"


def _file_part(file: Attachment) -> str:
    return f"file {file.sha256} {_digest(file.name)}"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()
