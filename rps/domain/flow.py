"""The maps of a definition at work: a member's words to shared ones, and back.

Called for every change. Shared values are canonical: equal values are equal JSON, so
that the merge can compare them. None stands for cleared.

=========  ==================================================================
text       lines end in a bare newline
choice     one of the shared values
number     int where it is whole, else float; finite, whole ones up to 2^53
boolean    true or false
date-time  UTC, `2026-11-24T10:00:00Z`, microseconds only where there are any
tags       a sorted list of different texts, never empty
user       one line in small letters (case-folded), no blanks at either end
reference  one line, as it is
duration   whole seconds
=========  ==================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

from rps.domain.canonical import (
    EPOCH,
    READERS,
    Unreadable,
    duration_written,
    instant,
)
from rps.domain.delivery import Attachment, JournalEntry
from rps.domain.merge import DRIFT_MAX_MILLISECONDS
from rps.domain.problem import listed, shown
from rps.domain.visibility import leaks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from rps.domain.agreement import Definition, JournalMap, Member, SharedField
    from rps.domain.execution import Ran
    from rps.domain.field_map import FieldMap

Entry = dict[str, Any]
"""A journal entry as events keep it: `{id, journal, text, author, written_at}`, and
what else `rps.domain.journal` says of it."""


class MappingRefused(ValueError):
    """A value has no place on the other side; its text names field, value and why.
    `step` could not be done, "" where it was the map; `ran` are the steps that ran."""

    step = ""
    ran: Sequence[Ran] = ()

    def __init__(self, field: str, value: Any, detail: str) -> None:
        super().__init__(f"{shown(field)}: {shown(value)} {detail}")
        self.field = field
        self.value = value
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Inbound:
    """Shared names and values; `unmapped` are the remote fields that no map names."""

    fields: dict[str, Any]
    unmapped: tuple[str, ...] = ()


def inbound(
    member: Member, definition: Definition, fields: Mapping[str, Any]
) -> Inbound:
    """What the member's `fields` (its names, its values) mean to everybody.

    Raises MappingRefused at the first value that means nothing.
    """
    maps, shared_fields = member.by_field, definition.fields
    shared: dict[str, Any] = {}
    unmapped: list[str] = []
    for remote, value in fields.items():
        each = maps.get(remote)
        if each is None:
            unmapped.append(remote)
            continue
        try:
            shared[each.shared] = _shared_value(each, shared_fields[each.shared], value)
        except Unreadable as unreadable:
            raise MappingRefused(remote, value, str(unreadable)) from None
    return Inbound(shared, tuple(unmapped))


def outbound(
    member: Member, definition: Definition, fields: Mapping[str, Any]
) -> dict[str, Any]:
    """Shared `fields` in the member's names and values; what it does not map is left.

    Raises MappingRefused naming the member's field.
    """
    maps, shared_fields = member.fields, definition.fields
    remote: dict[str, Any] = {}
    for name, value in fields.items():
        each = maps.get(name)
        if each is None:
            continue
        try:
            remote[each.field] = _remote_value(each, shared_fields[name], value)
        except Unreadable as unreadable:
            raise MappingRefused(each.field, value, str(unreadable)) from None
    return remote


def shared_value(definition: Definition, name: str, value: Any) -> Any:
    """`value`, as somebody wrote it for the shared field `name`, in its one form.

    Raises MappingRefused.
    """
    shared = definition.fields.get(name)
    if shared is None:
        raise MappingRefused(name, value, "has no place: the field is shared no more")
    return checked_value(shared, value)


def checked_value(shared: SharedField, value: Any) -> Any:
    """`value` in the one form of the shared field. Raises MappingRefused."""
    if value is None or value == "":
        return None
    try:
        return _checked(shared, READERS[shared.type](value))
    except Unreadable as unreadable:
        raise MappingRefused(shared.name, value, str(unreadable)) from None


def normalised(
    member: Member, definition: Definition, shared_name: str, value: Any
) -> Any:
    """The shared value the member will hold once `value` is written to it.

    A value that cannot be written, or is not mapped there, stays as it is.
    """
    each = member.fields.get(shared_name)
    if each is None:
        return value
    shared = definition.fields[shared_name]
    if shared.type == "text" and each.is_plain:
        return value  # canonical already: written and read back as it is
    try:
        return _shared_value(each, shared, _remote_value(each, shared, value))
    except Unreadable:
        return value


def inbound_entries(
    member: Member, definition: Definition, entries: Iterable[Entry]
) -> list[Entry]:
    """Captured entries under shared journal names, without those nobody shares.

    Raises MappingRefused for an internal note that a public journal would get.
    """
    shared: list[Entry] = []
    for entry in entries:
        each = member.by_journal.get(entry["journal"])
        if each is not None:
            visibility = definition.journals[each.shared].visibility
            if leaks(each.visibility, visibility):
                raise _leak(each.journal, each)
            shared.append({**entry, "journal": each.shared})
    return shared


def shared_entries_for(member: Member, entries: Iterable[Entry]) -> list[Entry]:
    """Those of the shared `entries` that the member is to be told."""
    return [dict(entry) for entry in entries if entry["journal"] in member.journals]


def outbound_entries(
    member: Member, definition: Definition, entries: Iterable[Entry]
) -> tuple[JournalEntry, ...]:
    """Shared entries in the member's journals, ready to be written; one of its own
    goes by the id it has there, as its users wrote it.

    Raises MappingRefused for an internal note that customers would read there.
    """
    written: list[JournalEntry] = []
    for entry in entries:
        each = member.journals.get(entry["journal"])
        if each is not None:
            if leaks(definition.journals[each.shared].visibility, each.visibility):
                raise _leak(each.journal, each)
            own, operation = f"{member.name}:", entry.get("operation", "")
            is_own = bool(operation) and entry["id"].startswith(own)
            is_plain = is_own or operation == "delete"
            written.append(
                JournalEntry(
                    id=entry["id"].removeprefix(own) if is_own else entry["id"],
                    journal=each.journal,
                    text=("" if is_plain else each.prefix_of(entry)) + entry["text"],
                    author=entry.get("author", ""),
                    written_at=entry.get("written_at", ""),
                    operation=operation,
                    yours=is_own,
                )
            )
    return tuple(written)


def outbound_attachments(files: Iterable[Mapping[str, Any]]) -> tuple[Attachment, ...]:
    """Shared files, ready to be told of; the bytes go their own way."""
    return tuple(
        Attachment(
            id=file.get("as") or file["id"],
            name=file["name"],
            size=file["size"],
            type=file["type"],
            sha256=file["sha256"],
            version=file["version"],
            deleted=bool(file.get("deleted")),
            yours="as" in file,
        )
        for file in files
    )


def believable(entry: Entry, captured_at: datetime) -> Entry:
    """An entry cannot have been written long after we heard of it, whatever the clocks
    there say."""
    written = epoch_milliseconds(entry.get("written_at") or "")
    latest = captured_at + timedelta(milliseconds=DRIFT_MAX_MILLISECONDS)
    if written is None or written <= (latest - EPOCH) // timedelta(milliseconds=1):
        return entry
    said = latest.astimezone(UTC).isoformat(timespec="seconds")
    return {**entry, "written_at": said.replace("+00:00", "Z")}


def epoch_milliseconds(text: str) -> int | None:
    """Milliseconds since 1970 of a date-time, None where it cannot be read as one."""
    try:
        return (instant(text) - EPOCH) // timedelta(milliseconds=1)
    except Unreadable:
        return None


def _shared_value(each: FieldMap, shared: SharedField, value: Any) -> Any:
    read = _read_value(each, shared, value)
    if read is None and each.has_default:
        return _checked(shared, READERS[shared.type](each.default))
    return read


def _read_value(each: FieldMap, shared: SharedField, value: Any) -> Any:
    if value is None or value == "":
        return None
    if each.values:
        return _shared_choice(each, value)
    canonical = READERS[shared.type](value)
    if each.format:
        canonical = _without_format(each, shared, canonical)
    return _checked(shared, canonical)


def _without_format(each: FieldMap, shared: SharedField, text: str) -> str | None:
    """What `format` was put round; one that somebody wrote without it is as it is."""
    before, after = each.around
    if shared.type == "user":
        before, after = before.casefold(), after.casefold()
    is_round = text.startswith(before) and text.endswith(after)
    if is_round and len(text) >= len(before) + len(after):
        text = text[len(before) : len(text) - len(after)]
        return READERS[shared.type](text) or None
    return text


def _shared_choice(each: FieldMap, value: Any) -> str:
    text = READERS["choice"](value)
    shared = each.shared_values.get(text)
    if shared is None:
        raise Unreadable(f"has no shared value; known: {listed(each.shared_values)}")
    return shared


def _remote_value(each: FieldMap, shared: SharedField, value: Any) -> Any:
    canonical = None
    if value is not None and value != "":
        canonical = _checked(shared, READERS[shared.type](value))
    if canonical is None:
        return [] if shared.type == "tags" else None
    if each.values:
        if canonical not in each.values:
            raise Unreadable(f"has no remote value; known: {listed(each.values)}")
        return each.values[canonical]
    return _put(each, shared, canonical)


def _put(each: FieldMap, shared: SharedField, canonical: Any) -> Any:
    if shared.type == "duration":
        return duration_written(canonical, each.written_as)
    if each.truncate is not None:
        canonical = canonical[: each.room]
    if each.format:
        before, after = each.around
        return before + canonical + after
    return canonical


def _checked(shared: SharedField, canonical: Any) -> Any:
    if shared.type == "choice" and canonical not in shared.known_values:
        raise Unreadable(f"is not a shared value; known: {listed(shared.values)}")
    longest = shared.max_length
    if longest is not None and canonical and len(canonical) > longest:
        raise Unreadable(f"has {len(canonical)} characters, at most {longest} fit")
    return canonical


def _leak(journal: str, each: JournalMap) -> MappingRefused:
    detail = f"and {shown(each.shared)} differ: an internal note would become public"
    return MappingRefused(journal, journal, detail)
