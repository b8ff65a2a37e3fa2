"""The view of problems: what waits for a person or fails now, in groups of the same
mistake."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from rps.domain.fingerprint import Fault, Place, fault_of
from rps.log.columns import columns
from rps.projections import problems_sql as sql
from rps.projections.followed import write

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from psycopg import Connection

    from rps.projections.followed import Stored

FAILING = {"change.failed", "message.failed", "message.parked"}
CHANGE_OVER = {"change.accepted", "change.ignored", "change.retried", "change.skipped"}
MESSAGE_OVER = {
    "message.acknowledged",
    "message.received",
    "message.retried",
    "message.revised",
    "message.skipped",
}
TOPICS = FAILING | CHANGE_OVER | MESSAGE_OVER
PERMANENT = "permanent"
"""Such a message is parked by the next event, which says more."""

_FAULT = tuple(each.name for each in fields(Fault))


class Entry(NamedTuple):
    """A message or a change that has a problem."""

    correlation_id: UUID
    fingerprint: str
    position: int
    since: datetime
    at: datetime
    attempts: int
    detail: str


@dataclass(slots=True)
class Group:
    fault: Fault
    entries: int
    first_at: datetime
    last_at: datetime
    position: int

    def row(self, key: str) -> tuple[Any, ...]:
        told = (getattr(self.fault, name) for name in _FAULT)
        seen = (self.entries, self.first_at, self.last_at, self.position)
        return (key, *told, *seen)


class Problems:
    """An entry is in one group at a time; a group is gone with its last entry."""

    name = "problems"
    tables = ("problems", "problem_groups")

    def apply(self, conn: Connection[Any], stored: Sequence[Stored]) -> None:
        mine = [each for each in stored if each.event.TOPIC in TOPICS]
        keys = {each.event.originator_id for each in mine}
        known = _known(conn, keys)
        failing = [each for each in mine if each.event.TOPIC in FAILING]
        if not known and not failing:
            return
        faults = _faults(conn, failing)
        groups = _groups(
            conn,
            {entry.fingerprint for entry in known.values()}
            | {fault.fingerprint for fault in faults.values()},
        )
        fold = _Fold(known, groups)
        for each in mine:
            fold.take(each, faults.get(each.position))
        fold.write(conn)


class _Fold:
    """Entries and groups as they stand after each event."""

    def __init__(self, entries: dict[str, Entry], groups: dict[str, Group]) -> None:
        self._before = dict(entries)
        self._entries = entries
        self._groups_before = set(groups)
        self._groups = groups
        self._touched: set[str] = set()

    def take(self, stored: Stored, fault: Fault | None) -> None:
        event = stored.event
        key = _entry_of(event)
        if fault is not None:
            self._put(key, stored, fault)
        elif getattr(event, "kind", "") != PERMANENT:
            self._drop(key)

    def _put(self, key: str, stored: Stored, fault: Fault) -> None:
        event, at = stored.event, stored.event.timestamp
        group = fault.fingerprint
        before = self._entries.get(key)
        goes_on = before is not None and before.fingerprint == group
        if not goes_on:
            self._drop(key)
        self._entries[key] = Entry(
            event.originator_id,
            group,
            stored.position,
            before.since if before is not None and goes_on else at,
            at,
            getattr(event, "attempt", before.attempts if before else 0),
            event.detail,
        )
        found = self._groups.get(group)
        if found is None:
            self._groups[group] = Group(fault, 1, at, at, stored.position)
        else:
            found.entries += not goes_on
            found.last_at, found.position = at, stored.position
        self._touched.add(group)

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        group = self._groups[entry.fingerprint]
        group.entries -= 1
        self._touched.add(entry.fingerprint)
        if not group.entries:
            del self._groups[entry.fingerprint]

    def write(self, conn: Connection[Any]) -> None:
        entries, groups = self._entries, self._groups
        gone = [key for key in self._before if key not in entries]
        put = [e for e in entries.items() if self._before.get(e[0]) != e[1]]
        write(conn, sql.DROP, [(key,) for key in gone])
        write(conn, sql.PUT, [(key, *entry) for key, entry in put])
        no_more = [key for key in self._groups_before if key not in groups]
        write(conn, sql.DROP_GROUPS, [(key,) for key in no_more])
        changed = sorted(self._touched & groups.keys())
        write(conn, sql.PUT_GROUPS, [groups[key].row(key) for key in changed])


def _entry_of(event: Any) -> str:
    if event.TOPIC.startswith("change."):
        return entry_of_change(event.originator_id, event.sequence)
    return str(event.message_id)


def entry_of_change(correlation_id: UUID, sequence: int) -> str:
    """How a change is named among problems; a message is by its id."""
    return f"{correlation_id}:{sequence}"


def _known(conn: Connection[Any], keys: Iterable[UUID]) -> dict[str, Entry]:
    asked = list(keys)
    if not asked:
        return {}
    found: dict[str, Entry] = {}
    for row in conn.execute(sql.KNOWN, (asked,), prepare=True):
        found[row["entry"]] = Entry(*(row[name] for name in Entry._fields))
    return found


def _groups(conn: Connection[Any], keys: set[str]) -> dict[str, Group]:
    found: dict[str, Group] = {}
    if not keys:
        return found
    for row in conn.execute(sql.GROUPS, (sorted(keys),), prepare=True):
        fault = Fault(**{name: row[name] for name in _FAULT})
        seen = (row["entries"], row["first_at"], row["last_at"], row["position"])
        found[row["fingerprint"]] = Group(fault, *seen)
    return found


def _faults(conn: Connection[Any], failing: Sequence[Stored]) -> dict[int, Fault]:
    """By position, those that tell of a mistake."""
    places = places_of(conn, [each.event for each in failing])
    found: dict[int, Fault] = {}
    for each in failing:
        place = places.get(_entry_of(each.event), Place())
        fault = fault_of(each.event, place)
        if fault is not None:
            found[each.position] = fault
    return found


def places_of(conn: Connection[Any], events: Sequence[Any]) -> dict[str, Place]:
    """Process event and system of these changes and messages, by their entries."""
    messages = {
        UUID(event.message_id) for event in events if event.TOPIC.startswith("message.")
    }
    changes = {
        (event.originator_id, event.sequence)
        for event in events
        if event.TOPIC.startswith("change.")
    }
    found: dict[str, Place] = {}
    if messages:
        for row in conn.execute(
            sql.PLACES_OF_MESSAGES, (list(messages),), prepare=True
        ):
            key = str(row["message_id"])
            found[key] = Place(row["process_event"], row["system"])
    if changes:
        asked = columns(("uuid", "bigint"), sorted(changes))
        for row in conn.execute(sql.PLACES_OF_CHANGES, asked, prepare=True):
            key = entry_of_change(row["correlation_id"], row["sequence"])
            found[key] = Place(row["process_event"], row["system"])
    return found
