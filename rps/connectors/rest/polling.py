"""Asks a described system what changed since a cursor.

By time: each page is asked from the time of the latest record seen on, so that a
record which moves to the end while pages are turned hides no other; only where a whole
page has one and the same time is the next page of it turned. A round begins `overlap`
seconds before the latest time of the last one, as some systems show a record some time
after the time they give it; what was seen in that stretch is not read again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from rps.connectors.rest import records, template
from rps.connectors.rest.answers import Asked, Heard
from rps.connectors.rest.reader import Files, unread
from rps.connectors.shown import text_of_id
from rps.domain.delivery import (
    FROM,
    Changes,
    Missing,
    Refused,
    Shown,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rps.connectors.rest.calls import Calls
    from rps.connectors.rest.contents import Contents
    from rps.connectors.rest.description import Changes as Described
    from rps.connectors.rest.description import Description, Table
    from rps.connectors.rest.reader import Reader, Unread
    from rps.connectors.rest.records import Seen
    from rps.domain.delivery import ChangesRead

SEEN_MAX = 2000
SETTLED = timedelta(seconds=3)
"""A record that changed so long before the system's present is not going to change
again at the same time."""


@dataclass(frozen=True, slots=True)
class Page:
    """What the system listed. `next`: its own way to the next page, "" for none."""

    seen: list[Seen]
    is_full: bool
    next: str
    now: datetime


class Polling:
    def __init__(
        self,
        description: Description,
        calls: Calls,
        reader: Reader,
        contents: Contents,
        clock: Callable[[], float],
    ) -> None:
        self._description = description
        self._calls = calls
        self._reader = reader
        self._contents = contents
        self._clock = clock

    def changes_since(self, name: str, cursor: Mapping[str, Any] | None) -> ChangesRead:
        table = self._description.tables.get(name)
        if table is None or table.changes is None:
            return Refused(f"the description does not say what changed of {name}")
        if cursor is None:
            return self._begun(name, table, table.changes)
        if FROM in cursor:
            cursor = _first(table.changes, cursor[FROM])
        match table.changes.cursor:
            case "time":
                return self._by_time(name, table, table.changes, cursor)
            case "id":
                return self._by_id(name, table, table.changes, cursor)
            case _:
                return self._by_page(name, table, table.changes, cursor)

    def shown(
        self, name: str, record_id: str, since: str = ""
    ) -> Shown | Missing | Unread:
        """A record with its comments and files, those that changed since then."""
        seen = self._reader.read(name, record_id)
        if not isinstance(seen, records.Seen):
            return seen
        return self._with_parts(name, seen, since)

    # --- how it begins ----------------------------------------------------------------

    def _begun(self, name: str, table: Table, changes: Described) -> ChangesRead:
        """From now on, as the system's own clock says."""
        if changes.cursor in ("link", "page"):
            return self._by_page(name, table, changes, {})
        now = datetime.fromtimestamp(self._clock(), UTC)
        page = self._page(name, table, changes, now, page=changes.first_page)
        if not isinstance(page, Page):
            return page
        if changes.cursor == "id":
            numbers = [_number(each.snapshot.record_id) for each in page.seen]
            return Changes((), {"id": max(numbers, default=0)}, page.is_full)
        return Changes((), {"since": page.now.isoformat()})

    # --- by time ----------------------------------------------------------------------

    def _by_time(
        self,
        name: str,
        table: Table,
        changes: Described,
        cursor: Mapping[str, Any],
    ) -> ChangesRead:
        since = _moment(cursor.get("since"), self._clock())
        known = cursor.get("seen")
        known = dict(known) if isinstance(known, dict) else {}
        number = cursor.get("page", changes.first_page)
        is_new_round = "page" not in cursor
        asked = before = since - timedelta(seconds=changes.overlap)
        if not is_new_round:
            asked = since
            before = _moment(cursor.get("round"), before.timestamp())
        page = self._page(
            name, table, changes, asked, page=number, link=cursor.get("next", "")
        )
        if not isinstance(page, Page):
            return page
        fresh = [
            each
            for each in page.seen
            if _at(each, asked) >= asked  # whatever the system made of the question
            and known.get(each.snapshot.record_id) != each.snapshot.updated_at
        ]
        # What was said to a record may be older than what else is on its page.
        shown = self._all_whole(name, table, changes, fresh, before)
        if not isinstance(shown, list):
            return shown
        known |= {
            each.snapshot.record_id: each.snapshot.updated_at
            for each in fresh
            if _at(each, asked) < page.now - SETTLED
        }
        latest = max([since, *(_at(each, asked) for each in page.seen)])
        kept = _within(known, latest - timedelta(seconds=changes.overlap))
        onward, has_more = self._onward(changes, page, asked, latest, number, kept)
        if has_more:
            onward["round"] = before.isoformat()
        return Changes(tuple(shown), onward, has_more)

    def _onward(
        self,
        changes: Described,
        page: Page,
        asked: datetime,
        latest: datetime,
        number: int,
        known: Mapping[str, str],
    ) -> tuple[dict[str, Any], bool]:
        """Where the next page begins, and whether there is one now."""
        cursor: dict[str, Any] = {"since": latest.isoformat(), "seen": dict(known)}
        if not page.is_full:
            return cursor, False
        listed = [_moment(e.snapshot.updated_at, 0.0) for e in page.seen]
        if listed and max(listed) > asked:
            cursor |= {"page": changes.first_page, "since": max(listed).isoformat()}
        else:
            cursor |= {"page": number + 1, "since": asked.isoformat()}
            if page.next:
                cursor["next"] = page.next
        return cursor, True

    # --- by id, page, link ------------------------------------------------------------

    def _by_id(
        self, name: str, table: Table, changes: Described, cursor: Mapping[str, Any]
    ) -> ChangesRead:
        """Of what is only added to: ids that count up."""
        last = cursor.get("id", 0)
        page = self._page(name, table, changes, None, since_id=str(last))
        if not isinstance(page, Page):
            return page
        fresh = [s for s in page.seen if _number(s.snapshot.record_id) > last]
        shown = self._all_whole(name, table, changes, fresh)
        if not isinstance(shown, list):
            return shown
        reached = max((_number(s.snapshot.record_id) for s in fresh), default=last)
        return Changes(tuple(shown), {"id": reached}, page.is_full and bool(fresh))

    def _by_page(
        self, name: str, table: Table, changes: Described, cursor: Mapping[str, Any]
    ) -> ChangesRead:
        """All there is, again and again; or what the system's own link leads to."""
        number = cursor.get("page", changes.first_page)
        link = cursor.get("next", "")
        page = self._page(name, table, changes, None, page=number, link=link)
        if not isinstance(page, Page):
            return page
        shown = self._all_whole(name, table, changes, page.seen)
        if not isinstance(shown, list):
            return shown
        if changes.cursor == "link":
            has_more = page.is_full and bool(page.next)
            return Changes(tuple(shown), {"next": page.next or link}, has_more)
        onward = {"page": number + 1} if page.is_full else {"page": changes.first_page}
        return Changes(tuple(shown), onward, page.is_full)

    # --- pages ------------------------------------------------------------------------

    def _page(
        self,
        name: str,
        table: Table,
        changes: Described,
        since: datetime | None,
        *,
        page: int = 1,
        link: str = "",
        since_id: str = "",
    ) -> Page | Unread:
        context = self._calls.context(
            table=name,
            page=page,
            offset=(page - changes.first_page) * changes.limit,
            limit=changes.limit,
            since=since_id,
        )
        if since is not None:
            context["since"] = records.as_asked(self._description, since)
        if link.startswith(("http:", "https:", "/")):
            came = self._calls.follow(link)
        else:
            if link:
                context["next"] = link
            came = self._calls.ask(changes.call, context, Asked())
        if isinstance(came, Missing):
            return Refused(f"{came.detail}: the list of changes is not there")
        if not isinstance(came, Heard):
            found: Unread = unread(came)
            return found
        return self._read_page(table, changes, came)

    def _read_page(
        self, table: Table, changes: Described, came: Heard
    ) -> Page | Refused:
        listed = template.picked(changes.records, came.document)
        if not isinstance(listed, list):
            return Refused("the answer holds no list of records: see changes/records")
        bare = replace(table.record, at="@")
        seen = [
            found
            for raw in listed
            if (found := records.seen(self._description, bare, raw, {})) is not None
            and not found.is_ignored
        ]
        onward = (
            text_of_id(template.picked(changes.next, came.document))
            if (changes.next)
            else _linked(came.headers.get("link", ""))
        )
        if changes.more:
            is_full = template.picked(changes.more, came.document) is True
        else:
            is_full = bool(onward) or len(listed) >= changes.limit
        return Page(seen, is_full, onward or "", _date(came, self._clock()))

    def _all_whole(
        self,
        name: str,
        table: Table,
        changes: Described,
        listed: list[Seen],
        since: datetime | None = None,
    ) -> list[Shown] | Unread:
        shown = []
        for each in listed:
            came = self._whole(name, table, changes, each, since)
            if isinstance(came, Missing):
                continue
            if not isinstance(came, Shown):
                return came
            shown.append(came)
        return shown

    def _whole(
        self,
        name: str,
        table: Table,
        changes: Described,
        listed: Seen,
        since: datetime | None,
    ) -> Shown | Missing | Unread:
        """The record as it is by now, where the list does not show all of it."""
        seen = listed
        if changes.read_each and table.read is not None:
            came = self._reader.read(name, listed.snapshot.record_id)
            if isinstance(came, Refused):
                return Missing(came.detail)  # without rights: others go on
            if not isinstance(came, records.Seen):
                return came
            seen = came
            if seen.snapshot.updated_at is None:
                at = listed.snapshot.updated_at
                seen = replace(seen, snapshot=replace(seen.snapshot, updated_at=at))
        who = seen.changed_by or listed.changed_by
        told = self._with_parts(name, seen, since.isoformat() if since else "")
        return replace(told, changed_by=who) if isinstance(told, Shown) else told

    def _with_parts(self, name: str, seen: Seen, since: str) -> Shown | Unread:
        if seen.snapshot.deleted:
            return Shown(seen.snapshot, seen.changed_by)
        comments = self._reader.comments(name, seen, since)
        if not isinstance(comments, list):
            return comments
        files: Files | Unread = Files([], None)
        if self._contents.are_shared(name):
            files = self._reader.attachments(name, seen, since)
        if not isinstance(files, Files):
            return files
        offered = []
        for item in files.items:
            offer = self._contents.offered(name, seen.snapshot.record_id, item)
            if isinstance(offer, dict):
                offered.append(offer)
            elif offer is not None:
                return offer
        return Shown(
            seen.snapshot,
            seen.changed_by,
            tuple(c.shown for c in comments if c.ours or not c.is_own),
            tuple(offered),
            external_id=seen.external_id if self._knows_ids(name) else None,
            files=None if files.every is None else frozenset(files.every),
        )

    def _knows_ids(self, name: str) -> bool:
        """Whether a record shows that it was not made by us."""
        return self._description.tables[name].record.external_id is not None


def _first(changes: Described, moment: str) -> dict[str, Any]:
    """From that moment on; of what is not read by time, from its beginning."""
    if changes.cursor != "time":
        return {}
    at = datetime.fromisoformat(moment) + timedelta(seconds=changes.overlap)
    return {"since": at.isoformat()}


def _linked(header: str) -> str:
    """The address of rel="next" (RFC 8288)."""
    for each in header[:8000].split(","):
        address, _, rest = each.strip().partition(">")
        if address.startswith("<") and 'rel="next"' in rest.replace("'", '"'):
            return address[1:]
    return ""


def _moment(value: Any, otherwise: float) -> datetime:
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except ValueError:
            pass
    return datetime.fromtimestamp(otherwise, UTC)


def _at(each: Seen, otherwise: datetime) -> datetime:
    return _moment(each.snapshot.updated_at, otherwise.timestamp())


def _within(known: Mapping[str, str], since: datetime) -> dict[str, str]:
    """Of what was seen the part that is going to be listed again."""
    kept = {key: at for key, at in known.items() if _moment(at, 0.0) >= since}
    return dict(list(kept.items())[-SEEN_MAX:])


def _number(record_id: str) -> int:
    return int(record_id) if record_id.isdecimal() and len(record_id) < 19 else 0  # noqa: PLR2004 - 64 bits


def _date(came: Heard, otherwise: float) -> datetime:
    """The system's own present."""
    try:
        at = parsedate_to_datetime(came.headers.get("date", ""))
    except (ValueError, TypeError, IndexError):
        return datetime.fromtimestamp(otherwise, UTC)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
