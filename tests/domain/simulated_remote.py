"""A remote system with one record, users who edit it, and a network that misbehaves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rps.domain.delivery import (
    Delivered,
    Exchange,
    Missing,
    Moved,
    NotApplied,
    Refused,
    Snapshot,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rps.domain.delivery import JournalEntry, Reading, Settlement, Write

ANSWERED = Exchange("", 200, "", 0.0)


@dataclass(slots=True)
class Edit:
    """What a user set; `overwritten` says whose write of another value came next."""

    member: str
    field: str
    value: Any
    revision: int
    overwritten: str = ""


@dataclass(slots=True)
class Remote:
    """`grade` A to D as in `Capabilities`; `reports_all` tells of our writes too.

    `reports_full` reports whole records, else only what changed; `answers_full` answers
    a write with the whole record, else with nothing but its revision.
    """

    name: str
    grade: str
    reports_full: bool
    reports_all: bool
    answers_full: bool
    skew_seconds: int
    cut: dict[str, int]
    clock: Callable[[], str]
    number: int = 1
    record: dict[str, Any] | None = None
    revision: int = 0
    is_deleted: bool = False
    entries: list[str] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    applied: dict[str, Delivered] = field(default_factory=dict)
    hooks: list[dict[str, Any]] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    standing: dict[str, Edit] = field(default_factory=dict)
    reports: int = 0

    @property
    def dedupes(self) -> bool:
        return self.grade in "AC"

    @property
    def is_conditional(self) -> bool:
        return self.grade in "AB"

    @property
    def record_id(self) -> str:
        return f"{self.name}-{self.number}"

    # --- its own users ------------------------------------------------------------

    def edit(self, name: str, value: Any) -> None:
        operation = "create" if self.record is None else "update"
        self.record = self.record or {}
        if self.record.get(name) == value:
            return
        self.revision += 1
        self._overwrite(name, "user")
        self.record[name] = value
        made = Edit(self.name, name, value, self.revision)
        self.edits.append(made)
        self.standing[name] = made
        self._report(operation, {name: value}, [])

    def comment(self, entry_id: str) -> None:
        self.revision += 1
        self.entries.append(entry_id)
        self._report("update", {}, [entry_id])

    def reword(self, entry_id: str, text: str) -> None:
        self.revision += 1
        self.texts[entry_id] = text
        self._report("update", {}, [entry_id])

    def remove(self, entry_id: str) -> None:
        self.revision += 1
        self.entries.remove(entry_id)
        self.gone.append(entry_id)
        self._report("update", {}, [entry_id])

    def delete(self) -> None:
        self.revision += 1
        self.is_deleted = True
        self._report("delete", {}, [])

    def shown(self) -> dict[str, Any]:
        """The record as a poll reads it, comments and all."""
        operation = "delete" if self.is_deleted else "update"
        entries = [*self.entries, *self.gone]
        return self._change(operation, dict(self.record or {}), entries)

    def _overwrite(self, name: str, by: str) -> None:
        if (edit := self.standing.pop(name, None)) is not None:
            edit.overwritten = by

    def _report(
        self, operation: str, changed: Mapping[str, Any], entries: list[str]
    ) -> None:
        if self.reports_full and operation != "delete":
            changed = dict(self.record or {})
        self.hooks.append(self._change(operation, changed, entries))

    def _change(
        self, operation: str, fields: Mapping[str, Any], entries: list[str]
    ) -> dict[str, Any]:
        self.reports += 1
        return {
            "member": self.name,
            "change_id": f"{self.record_id}:{self.reports}",
            "operation": operation,
            "record_revision": str(self.revision),
            "fields": dict(fields),
            "changed_at": self.clock(),
            "entries": [self._entry(each) for each in entries],
        }

    def _entry(self, entry_id: str) -> dict[str, Any]:
        """Its system ends lines as it likes."""
        shown = {"id": entry_id, "journal": "comments", "author": self.name}
        if entry_id in self.gone:
            return {**shown, "deleted": True}
        text = self.texts.get(entry_id, entry_id)
        return {**shown, "text": f"{text}\r\n" if self.reports_full else text}

    # --- what we ask of it --------------------------------------------------------

    def write(self, write: Write) -> Delivered | Moved | Refused:
        if self.dedupes and write.delivery_id in self.applied:
            return self.applied[write.delivery_id]
        moved = write.if_match not in (None, str(self.revision))
        if self.record is not None and moved and self.is_conditional:
            return Moved(f"at {self.revision}, not at {write.if_match}", ANSWERED)
        if self.is_deleted and write.operation != "delete":
            return Refused("the record is deleted", Exchange("", 404, "", 0.0))
        self._apply(write)
        answer = Delivered(
            self.record_id,
            str(self.revision),
            dict(self.record or {}) if self.answers_full else {},
            ANSWERED,
        )
        self.applied[write.delivery_id] = answer
        return answer

    def _apply(self, write: Write) -> None:
        operation = "update" if self.record is not None else "create"
        self.record = {} if self.record is None else self.record
        kept = {
            name: value[: self.cut[name]] if name in self.cut and value else value
            for name, value in write.fields.items()
        }
        changed = {k: v for k, v in kept.items() if self.record.get(k) != v}
        new = [each.id for each in write.entries if not self._has(each)]
        if write.operation == "delete":
            operation, self.is_deleted = "delete", True
        elif not changed and not new and operation == "update":
            return
        self.revision += 1
        for name in changed:
            self._overwrite(name, "us")
        self.record.update(changed)
        for each in write.entries:
            self._journal(each)
        if self.reports_all:
            self._report(operation, changed, new)

    def _has(self, entry: JournalEntry) -> bool:
        """Whether writing the entry changes nothing."""
        if entry.operation == "delete":
            return entry.id not in self.entries
        if entry.operation == "update" and self.texts.get(entry.id) != entry.text:
            return False
        return entry.id in self.entries

    def _journal(self, entry: JournalEntry) -> None:
        if self._has(entry):
            return
        if entry.operation == "delete":
            self.entries.remove(entry.id)
            self.gone.append(entry.id)
            return
        if entry.id not in self.entries:
            self.entries.append(entry.id)
        if entry.id in self.gone:
            self.gone.remove(entry.id)
        self.texts[entry.id] = entry.text

    def settle(self, write: Write) -> Settlement:
        """Asked by message id where it keeps those, else by looking at the record."""
        if self.dedupes:
            known = self.applied.get(write.delivery_id)
            return known or NotApplied("unknown message")
        if self.record is None:
            return NotApplied("no such record")
        if self.is_conditional and not self.answers_full and write.if_match:
            return NotApplied("no telling, and a conditional write may be repeated")
        if write.operation == "create":
            done = True  # found by the external id we gave it
        elif write.operation == "delete":
            done = self.is_deleted
        else:
            done = not self.is_deleted and all(
                self.record.get(name) == value for name, value in write.fields.items()
            )
        if not done or not all(
            self._has(each) or (not each.operation and each.id in self.gone)
            for each in write.entries
        ):
            return NotApplied("the record shows something else")
        return Delivered(
            self.record_id, str(self.revision), dict(self.record), ANSWERED
        )

    def read(self) -> Reading:
        if self.record is None:
            return Missing()
        return Snapshot(
            self.record_id,
            str(self.revision),
            dict(self.record),
            deleted=self.is_deleted,
            updated_at=self.clock(),
        )
