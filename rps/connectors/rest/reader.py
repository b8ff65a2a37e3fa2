"""Asks a described system for records, their comments and their files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rps.connectors.rest import records, template
from rps.connectors.rest.answers import Asked, Heard
from rps.connectors.shown import text_of_id
from rps.domain.delivery import (
    Gone,
    Missing,
    Moved,
    NeedsCredentials,
    Refused,
    Unavailable,
    Uncertain,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rps.connectors.rest.answers import Trouble
    from rps.connectors.rest.calls import Calls
    from rps.connectors.rest.description import (
        Call,
        Comments,
        Description,
        Listing,
        Table,
    )
    from rps.connectors.rest.description import Files as Described
    from rps.connectors.rest.records import Seen
    from rps.domain.delivery import FilesListed

Unread = Unavailable | NeedsCredentials | Gone | Refused
ITEMS_MAX = 200
"""Comments, and files, of a record that are looked at: the latest."""


@dataclass(frozen=True, slots=True)
class Item:
    """A comment or file of a record. `ours`: our own id, where it is marked with it;
    `of`: what it was listed within."""

    id: str
    ours: str
    shown: Mapping[str, Any]
    is_own: bool = False
    of: Any = None


@dataclass(frozen=True, slots=True)
class Files:
    """Of a record. `every`: names of all there are, by id; None where nobody says."""

    items: list[Item]
    every: Mapping[str, str] | None


class Reader:
    def __init__(self, description: Description, calls: Calls) -> None:
        self._description = description
        self._calls = calls

    # --- records ----------------------------------------------------------------------

    def read(self, name: str, record_id: str) -> Seen | Missing | Unread:
        table = self._description.tables.get(name)
        if table is None or table.read is None:
            return Refused(f"the description does not say how {name} is read")
        context = self._calls.context(table=name, record_id=record_id)
        came = self._calls.ask(table.read, context, Asked(of_record=True))
        if isinstance(came, Missing):
            return replace(came, is_deleted=table.missing_is_deleted)
        if not isinstance(came, Heard):
            return unread(came)
        seen = records.seen(
            self._description, table.record, came.document, came.headers, record_id
        )
        if seen is None:
            return Refused(f"the answer shows no record of {name}: see record/at")
        if seen.is_ignored:
            return Missing("the description says that it is no record of this kind")
        return seen

    def find(self, name: str, by: str, value: str) -> Seen | Missing | Unread:
        table = self._description.tables.get(name)
        if table is None or table.find is None:
            return Refused(f"the description does not say how {name} is searched")
        context = self._calls.context(table=name, by=by, value=value)
        found = self._found(name, table, table.find, context)
        if not isinstance(found, list):
            return found
        same = [s for s in found if alike(s.snapshot.fields.get(by, value), value)]
        return self._only(name, same)

    def by_external_id(self, name: str, external_id: str) -> Seen | Missing | Unread:
        """The record that was made for this correlation."""
        table = self._description.tables[name]
        if table.find_external is None:
            return Refused(
                f"the description does not say how a record of {name} is found by our"
                " id: a person must look whether it was made"
            )
        marker = table.record.external_id
        marked = records.marked(marker, external_id) if marker else external_id
        context = self._calls.context(
            table=name, external_id=marked, correlation_id=external_id
        )
        found = self._found(name, table, table.find_external, context)
        if not isinstance(found, list):
            return found
        return self._only(name, [s for s in found if s.external_id == external_id])

    def _only(self, name: str, found: list[Seen]) -> Seen | Missing | Refused:
        if not found:
            return Missing("there is none")
        if len(found) > 1:
            return Refused(f"{len(found)} records of {name} have it")
        return found[0]

    def _found(
        self, name: str, table: Table, call: Call, context: template.Context
    ) -> list[Seen] | Missing | Unread:
        came = self._calls.ask(call, context, Asked())
        if isinstance(came, Missing):
            return []
        if not isinstance(came, Heard):
            return unread(came)
        listed = template.picked(table.found, came.document)
        if not isinstance(listed, list):
            return Refused(f"the answer holds no list of {name}: see 'found'")
        bare = replace(table.record, at="@")
        shown = [
            records.seen(self._description, bare, r, {}) for r in listed[:ITEMS_MAX]
        ]
        found = [seen for seen in shown if seen is not None and not seen.is_ignored]
        return self._each_read(name, found) if table.read_found else found

    def _each_read(self, name: str, listed: list[Seen]) -> list[Seen] | Unread:
        found = []
        for each in listed:
            seen = self.read(name, each.snapshot.record_id)
            if isinstance(seen, Missing):
                continue
            if not isinstance(seen, records.Seen):
                return seen
            found.append(seen)
        return found

    # --- what belongs to a record -----------------------------------------------------

    def comments(self, name: str, seen: Seen, since: str = "") -> list[Item] | Unread:
        """Those that changed since then, which is ISO 8601; "": all."""
        comments = self._description.tables[name].comments
        if comments is None:
            return []
        listed = self._listed(comments.listing, name, seen, since)
        if not isinstance(listed, list):
            return listed
        found = [self._comment(comments, raw) for raw in listed]
        return [each for each in found if each is not None]

    def _comment(self, comments: Comments, raw: Any) -> Item | None:
        known = text_of_id(template.picked(comments.id, raw))
        text = template.picked(comments.text, raw)
        if known is None or not isinstance(text, str) or "\x00" in text:
            return None
        if comments.ignore and template.picked(comments.ignore, raw) is True:
            return None
        journal = self._journal(comments, raw)
        if journal is None:
            return None
        author = records.text_at(comments.author, raw)
        ours, text = records.our_id(comments.marker, raw, text.replace("\r\n", "\n"))
        own = template.as_text(comments.own_author, self._calls.context())
        written_at = records.moment_at(self._description, comments.written_at, raw)
        shown = {"id": ours or known, "journal": journal, "text": text}
        if author:
            shown["author"] = author
        if written_at:
            shown["written_at"] = written_at
        return Item(known, ours, shown, bool(own) and own.lower() == author.lower())

    def _journal(self, comments: Comments, raw: Any) -> str | None:
        for name, journal in comments.journals.items():
            if not journal.when or template.picked(journal.when, raw) is True:
                return name
        return None

    def attachments(self, name: str, seen: Seen, since: str = "") -> Files | Unread:
        """Without their bytes; of those that changed since then only."""
        described = self._description.tables[name].files
        if described is None:
            return Files([], None)
        context = self._context_of(name, seen, since)
        listed = self._items(described.listing, seen, context)
        if listed is None or isinstance(listed, Unread):
            return Files([], None) if listed is None else listed
        raw = self._told(described.listing, context, listed, since)
        if not isinstance(raw, list):
            return raw
        found = [_file(described, each) for each in raw]
        every = _names(described, listed) if described.listing.whole else None
        return Files([each for each in found if each is not None], every)

    def files_of(self, name: str, record_id: str) -> FilesListed:
        """Names of all files, by id. Refused where the description does not say that it
        lists them all."""
        seen = self.read(name, record_id)
        if not isinstance(seen, records.Seen):
            return seen
        described = self._description.tables[name].files
        if described is None or not described.listing.whole:
            return Refused("the description does not say that all files are listed")
        context = self._context_of(name, seen, "")
        listed = self._items(described.listing, seen, context)
        if listed is None:
            return Refused("the answer holds no list of files: see attachments/list")
        return _names(described, listed) if isinstance(listed, list) else listed

    def _context_of(self, name: str, seen: Seen, since: str) -> dict[str, Any]:
        record_id = seen.snapshot.record_id
        context = self._calls.context(table=name, record_id=record_id)
        if since:
            at = datetime.fromisoformat(since).astimezone(UTC)
            context["since"] = records.as_asked(self._description, at)
        return context

    def _listed(
        self, listing: Listing, name: str, seen: Seen, since: str
    ) -> list[Any] | Unread:
        context = self._context_of(name, seen, since)
        listed = self._items(listing, seen, context)
        if listed is None:
            return []
        if not isinstance(listed, list):
            return listed
        return self._told(listing, context, listed, since)

    def _items(
        self, listing: Listing, seen: Seen, context: dict[str, Any]
    ) -> list[Any] | Unread | None:
        """As they are listed; None where there is no list."""
        source = seen.raw
        if listing.call is not None:
            came = self._calls.ask(listing.call, context, Asked(of_record=True))
            if isinstance(came, Missing):
                return None
            if not isinstance(came, Heard):
                return unread(came)
            source = came.document
        listed = template.picked(listing.items, source)
        if not isinstance(listed, list):
            return None
        return _inside(listing.within, listed) if listing.within else listed

    def _told(
        self, listing: Listing, context: dict[str, Any], listed: list[Any], since: str
    ) -> list[Any] | Unread:
        fresh = [each for each in listed if self._is_fresh(listing, each, since)]
        return self._each(listing, context, fresh[-ITEMS_MAX:])

    def _is_fresh(self, listing: Listing, raw: Any, since: str) -> bool:
        if not since or not listing.changed:
            return True
        at = records.moment_at(self._description, listing.changed, raw)
        return not at or _later(at, since)

    def _each(
        self, listing: Listing, context: dict[str, Any], listed: list[Any]
    ) -> list[Any] | Unread:
        if listing.each is None:
            return listed
        found = []
        for raw in listed:
            asked = {**context, "id": _key(raw)}
            came = self._calls.ask(listing.each, asked, Asked(of_record=True))
            if isinstance(came, Missing):
                continue
            if not isinstance(came, Heard):
                return unread(came)
            found.append(template.picked(listing.each_at, came.document))
        return found


def _inside(path: str, listed: list[Any]) -> list[Any]:
    """The objects in a list of each, which know what they are of."""
    return [
        {**child, "of": each}
        for each in listed
        for child in template.picked(path, each) or ()
        if isinstance(child, dict)
    ]


def _key(raw: Any) -> str:
    return text_of_id(raw["id"] if isinstance(raw, dict) and "id" in raw else raw) or ""


def _names(files: Described, listed: list[Any]) -> dict[str, str]:
    """Of all that are listed, whatever of it is looked at; "" where a list has none."""
    if files.listing.each is not None:
        return {_key(raw): "" for raw in listed}
    named = {
        text_of_id(template.picked(files.id, raw)): template.picked(files.name, raw)
        for raw in listed
    }
    return {known: str(name or "") for known, name in named.items() if known}


def _file(files: Described, raw: Any) -> Item | None:
    known = text_of_id(template.picked(files.id, raw))
    name = template.picked(files.name, raw)
    if known is None or not isinstance(name, str) or not name:
        return None
    if files.ignore and template.picked(files.ignore, raw) is True:
        return None
    size = template.picked(files.size, raw) if files.size else None
    kind = template.picked(files.type, raw) if files.type else None
    shown: dict[str, Any] = {"id": known, "name": name[:255]}
    shown["type"] = kind if isinstance(kind, str) and kind else ANY_TYPE
    if isinstance(size, str) and size.isdecimal():
        size = int(size)
    if isinstance(size, int):
        shown["size"] = size
    return Item(known, "", shown, of=template.picked("of", raw))


ANY_TYPE = "application/octet-stream"


def _later(at: str, since: str) -> bool:
    return datetime.fromisoformat(at) >= datetime.fromisoformat(since)


def unread(trouble: Trouble) -> Unread:
    """What went wrong, as a reading may say it."""
    match trouble:
        case Moved(detail, exchange):
            return Refused(detail, exchange)
        case Uncertain(detail, exchange):
            return Unavailable(detail, exchange=exchange)
        case Missing(detail):
            return Refused(detail)
        case _:
            return trouble


def alike(one: Any, other: Any) -> bool:
    """Whether both are the same to a person: empty is empty, 1 is "1", and the ends of
    lines and of the text do not count."""
    if one in (None, "", []) or other in (None, "", []):
        return one in (None, "", []) and other in (None, "", [])
    if isinstance(one, list) and isinstance(other, list):
        return sorted(map(str, one)) == sorted(map(str, other))
    return _flat(one) == _flat(other)


def _flat(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).replace("\r\n", "\n").strip()
