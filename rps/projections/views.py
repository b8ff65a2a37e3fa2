"""The followed views: what people search and look at."""

from __future__ import annotations

from collections import Counter, OrderedDict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

import orjson

from rps.domain.process_sync_definition import ProcessSyncDefinition
from rps.domain.remote_system import RemoteSystem
from rps.projections import views_sql as sql
from rps.projections.conflicts import Conflicts
from rps.projections.followed import write
from rps.projections.notices import Notices
from rps.projections.problems import Problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from psycopg import Connection

    from rps.projections.followed import FollowedView, Stored


REMEMBERED_MAX = 10_000
"""Correlations whose rows are kept in memory, to be written again without reading."""


class History:
    """One row an event."""

    name = "history"
    tables = ("history",)

    def apply(self, conn: Connection[Any], stored: Sequence[Stored]) -> None:
        write(conn, sql.INSERT_HISTORY, [_history_row(each) for each in stored])


def _history_row(stored: Stored) -> tuple[Any, ...]:
    position, version, event = stored
    say = vars(event).get
    message = say("message") or {}
    return (
        position,
        event.domain,
        event.originator_id,
        version,
        event.timestamp,
        event.TOPIC,
        say("member") or message.get("member", ""),
        say("change_id") or "",
        say("message_id") or message.get("message_id") or None,
        say("actor") or say("account") or say("changed_by") or "",
        say("detail") or say("reason") or "",
    )


class Correlations:
    """The shared records, to find them by.

    Rows are remembered from batch to batch, as long as each begins where the one before
    it ended: what they say follows from the events alone, whoever wrote them.
    """

    name = "correlations"
    tables = ("correlations",)

    def __init__(self) -> None:
        self._known: OrderedDict[UUID, dict[str, Any]] = OrderedDict()
        self._position = 0

    def apply(self, conn: Connection[Any], stored: Sequence[Stored]) -> None:
        if stored[0].position != self._position + 1:
            self._known.clear()
        self._position = -1  # until this batch is through
        changes = [e for e in stored if e.event.TOPIC in _CORRELATION_HANDLERS]
        keys = {e.event.originator_id: e.event.TOPIC for e in reversed(changes)}
        self._recall(conn, [k for k, t in keys.items() if t != "correlation.opened"])
        for each in changes:
            _CORRELATION_HANDLERS[each.event.TOPIC](self._known, each)
        rows = [self._known[key] for key in keys if key in self._known]
        write(conn, sql.UPSERT_CORRELATIONS, list(map(_correlation_row, rows)))
        while len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)
        self._position = stored[-1].position

    def _recall(self, conn: Connection[Any], keys: Iterable[UUID]) -> None:
        """Know the rows of `keys`, as the ones used last."""
        missing = []
        for key in keys:
            if key in self._known:
                self._known.move_to_end(key)
            else:
                missing.append(key)
        if missing:
            for row in conn.execute(sql.SELECT_CORRELATIONS, (missing,), prepare=True):
                kept = _row(row, "fields", "members")
                self._known[kept["correlation_id"]] = kept


def _opened(rows: dict[UUID, dict[str, Any]], stored: Stored) -> None:
    event = stored.event
    rows[event.originator_id] = {
        "correlation_id": event.originator_id,
        "domain": event.domain,
        "definition": UUID(event.definition),
        "process_event": event.process_event,
        "state": "active",
        "version": 0,
        "fields": {},
        "members": {},
        "conflicts": 0,
        "opened_at": event.timestamp,
        "changed_at": event.timestamp,
        "position": stored.position,
    }


def _resolved(rows: dict[UUID, dict[str, Any]], stored: Stored) -> None:
    event = stored.event
    row = rows.get(event.originator_id)
    if row is None or not event.stamp:
        return  # the shared value stays
    row["changed_at"], row["position"] = event.timestamp, stored.position
    row["fields"][event.field] = event.value
    row["version"] = max(row["version"], event.version)


def _changed(rows: dict[UUID, dict[str, Any]], stored: Stored) -> None:
    event = stored.event
    row = rows.get(event.originator_id)
    if row is None:  # a change was judged before anything was shared
        return
    row["changed_at"], row["position"] = event.timestamp, stored.position
    match event.TOPIC:
        case "correlation.linked":
            row["members"][event.member] = event.record_id
        case "correlation.unlinked":
            row["members"].pop(event.member, None)
        case "correlation.deactivated":
            row["state"] = "inactive"
        case "correlation.reactivated":
            row["state"] = "active"
        case "change.accepted":
            row["fields"].update(event.values)
            row["version"] = max(row["version"], event.version)
        case "conflict.recorded" | "conflict.opened":
            row["conflicts"] += 1


_CORRELATION_HANDLERS = {
    "correlation.opened": _opened,
    **dict.fromkeys(
        (
            "correlation.linked",
            "correlation.unlinked",
            "correlation.deactivated",
            "correlation.reactivated",
            "change.accepted",
            "conflict.recorded",
            "conflict.opened",
        ),
        _changed,
    ),
    "conflict.resolved": _resolved,
}


def _correlation_row(row: dict[str, Any]) -> tuple[Any, ...]:
    words = [each for _, each in sorted(row["members"].items())]
    words += _texts(value for _, value in sorted(row["fields"].items()))
    return (
        row["correlation_id"],
        row["domain"],
        row["definition"],
        row["process_event"],
        row["state"],
        row["version"],
        orjson.dumps(row["fields"]).decode(),
        orjson.dumps(row["members"]).decode(),
        row["conflicts"],
        row["opened_at"],
        row["changed_at"],
        row["position"],
        " ".join(words)[: sql.WORDS_MAX],
    )


def _texts(values: Iterable[Any]) -> Iterable[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from (each for each in value if isinstance(each, str))


class RemoteSystems:
    name = "remote_systems"
    tables = ("remote_systems",)

    def apply(self, conn: Connection[Any], stored: Sequence[Stored]) -> None:
        systems = _folded(conn, stored, RemoteSystem, "system.", sql.SELECT_SYSTEMS)
        write(
            conn,
            sql.UPSERT_SYSTEMS,
            [
                (
                    s.id,
                    s.domain,
                    s.name,
                    s.connector,
                    s.description,
                    orjson.dumps(s.settings).decode(),
                    s.state,
                    s.fault,
                    s.version,
                    s.modified_on,
                )
                for s in systems
            ],
        )


class Definitions:
    name = "definitions"
    tables = ("definitions",)

    def apply(self, conn: Connection[Any], stored: Sequence[Stored]) -> None:
        definitions = _folded(
            conn, stored, ProcessSyncDefinition, "definition.", sql.SELECT_DEFINITIONS
        )
        write(
            conn,
            sql.UPSERT_DEFINITIONS,
            [
                (
                    d.id,
                    d.domain,
                    d.process_event,
                    "retired" if d.retired else "published" if d.published else "draft",
                    d.revision,
                    orjson.dumps(d.document).decode(),
                    orjson.dumps(d.published).decode() if d.published else None,
                    d.version,
                    d.modified_on,
                )
                for d in definitions
            ],
        )


def _folded(
    conn: Connection[Any],
    stored: Sequence[Stored],
    kind: type[Any],
    prefix: str,
    select: str,
) -> list[Any]:
    """The aggregates these events are about, from their rows and the events."""
    mine = [each for each in stored if each.event.TOPIC.startswith(prefix)]
    keys = list({each.event.originator_id for each in mine})
    if not keys:
        return []
    known: dict[UUID, Any] = {}
    for row in conn.execute(select, (keys,), prepare=True):
        state = _row(row, "settings", "document", "published")
        aggregate = kind.blank(state.pop("id"), state.pop("changed_at"))
        aggregate.version = state.pop("version")
        for name, value in state.items():
            setattr(aggregate, name, value)
        known[aggregate.id] = aggregate
    for each in mine:
        key = each.event.originator_id
        known[key] = each.event.mutate(known.get(key))
    return list(known.values())


class Attempts:
    """Every attempt to write to a member, and how it ended."""

    name = "attempts"
    tables = ("attempts",)

    _topics: ClassVar[set[str]] = {
        "message.transmitted",
        "message.received",
        "message.acknowledged",
        "message.failed",
    }

    def apply(self, conn: Connection[Any], stored: Sequence[Stored]) -> None:
        rows = []
        for position, _, event in stored:
            if event.TOPIC in self._topics:
                say = vars(event).get
                rows.append(
                    (
                        position,
                        event.message_id,
                        event.originator_id,
                        event.domain,
                        event.member,
                        say("attempt", 0),
                        event.timestamp,
                        say("kind") or event.TOPIC.removeprefix("message."),
                        say("status"),
                        say("detail", ""),
                    )
                )
        write(conn, sql.INSERT_ATTEMPTS, rows)


_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_MINUTE = timedelta(minutes=1)


class Statistics:
    """Counts a minute: by system where a change came from, by member where one went."""

    name = "statistics"
    tables = ("statistics",)

    _columns: ClassVar[dict[str, str]] = {
        "change.captured": "captured",
        "change.accepted": "accepted",
        "change.ignored": "ignored",
        "change.failed": "failed_changes",
        "message.acknowledged": "acknowledged",
        "message.failed": "failed_attempts",
        "message.parked": "parked",
        "conflict.recorded": "conflicts",
        "conflict.opened": "conflicts",
    }

    def apply(self, conn: Connection[Any], stored: Sequence[Stored]) -> None:
        counts: dict[tuple[Any, ...], Counter[str]] = {}
        columns = self._columns
        minute = until = _LONG_AGO
        for _, _, event in stored:
            if (column := columns.get(event.TOPIC)) is not None:
                if not minute <= event.timestamp < until:
                    minute = event.timestamp.replace(second=0, microsecond=0)
                    until = minute + _MINUTE
                key = (event.domain, event.member, minute)
                if (count := counts.get(key)) is None:
                    count = counts[key] = Counter()
                count[column] += 1
        write(
            conn,
            sql.ADD_STATISTICS,
            [
                (*key, *(count[column] for column in sql.COUNTED))
                for key, count in counts.items()
            ],
        )


def _row(row: Any, *documents: str) -> dict[str, Any]:
    """Documents are read by the parser events are read by: jsonb writes 1e22 out in
    digits, which others take for a whole number that no event can hold."""
    return {
        name: orjson.loads(value) if name in documents and value is not None else value
        for name, value in row.items()
    }


def followed_views() -> tuple[FollowedView, ...]:
    """All of them."""
    return (
        History(),
        Correlations(),
        Conflicts(),
        Problems(),
        Notices(),
        RemoteSystems(),
        Definitions(),
        Attempts(),
        Statistics(),
    )
