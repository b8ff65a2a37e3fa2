"""Views that tail the log: a batch of events, its rows and its position are one
transaction, so each event is seen once, in order, and never skipped."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from psycopg.rows import tuple_row

from rps.log.columns import columns, register

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from psycopg import Connection

    from rps.log.chain import Row
    from rps.log.columns import Kind
    from rps.log.mapper import EventMapper
    from rps.log.recorder import LogRecorder

BATCH = 1000

TRACK = """
INSERT INTO rps_tracking AS t (application_name, notification_id)
SELECT name, %b FROM unnest(%b::text[]) AS v(name)
ON CONFLICT (application_name) DO UPDATE SET notification_id = EXCLUDED.notification_id
WHERE t.notification_id = %b
"""
READ = """
SELECT notification_id, originator_id, originator_version, topic, state
FROM rps_events WHERE notification_id > %b ORDER BY notification_id LIMIT %b
"""
POSITION = "SELECT notification_id FROM rps_tracking WHERE application_name = %b"
TAKE = """
SELECT name, pg_try_advisory_xact_lock(hashtextextended(name, 0))
FROM unnest(%b::text[]) AS v(name)
"""
POSITIONS = """
SELECT application_name, notification_id FROM rps_tracking
WHERE application_name = ANY(%b)
"""


class Stored(NamedTuple):
    """An event as a followed view gets it."""

    position: int
    version: int
    event: Any


class FollowedView(Protocol):
    """`name` is stored as the view's place in the log: a rename is a migration."""

    @property
    def name(self) -> str: ...

    @property
    def tables(self) -> tuple[str, ...]: ...

    def apply(self, conn: Connection[Any], stored: Sequence[Stored]) -> None:
        """Bring the tables up to these events. Pure but for its own tables."""
        ...


class PositionMoved(RuntimeError):
    """Another projector moved this view meanwhile; start again from its position."""


class Follower:
    """Moves views along the log: together where they stand at the same place."""

    def __init__(
        self,
        views: Sequence[FollowedView],
        recorder: LogRecorder,
        mapper: EventMapper,
    ) -> None:
        self._views = {view.name: view for view in views}
        self._recorder = recorder
        self._mapper = mapper

    def advance(self, limit: int = BATCH) -> int:
        """Apply the next batch to the views that lag most; answers how many events it
        had. 0 where another projector is at it, or nothing is new."""
        with self._recorder.datastore.get_connection() as conn, conn.transaction():
            register(conn)
            mine = self._taken(conn)
            if not mine:
                return 0
            start = min(mine.values())
            # Those ahead bound the batch: the next one is for all of them.
            ahead = [p - start for p in mine.values() if p > start]
            stored = events_after(conn, start, min([limit, *ahead]), self._mapper)
            if stored:
                names = [name for name, position in mine.items() if position == start]
                for name in names:
                    self._views[name].apply(conn, stored)
                track(conn, names, start, stored[-1].position)
            return len(stored)

    def _taken(self, conn: Connection[Any]) -> dict[str, int]:
        """Where each view stands that no other projector is moving now."""
        cursor = conn.cursor(row_factory=tuple_row, binary=True)
        cursor.execute(TAKE, (list(self._views),), prepare=True)
        names = [name for name, is_taken in cursor.fetchall() if is_taken]
        # A look of its own: under the lock, the last holder's place is to be seen.
        cursor.execute(POSITIONS, (names,), prepare=True)
        return dict.fromkeys(names, 0) | dict(cursor.fetchall())


def events_after(
    conn: Connection[Any], after: int, limit: int, mapper: EventMapper
) -> list[Stored]:
    """The log past position `after`, as the transaction of `conn` sees it."""
    cursor = conn.cursor(row_factory=tuple_row, binary=True)
    cursor.execute(READ, (after, limit), prepare=True)
    event = mapper.event
    return [
        Stored(position, version, event(stream, version, topic, state))
        for position, stream, version, topic, state in cursor.fetchall()
    ]


def decoded(rows: Iterable[Row], mapper: EventMapper) -> list[Stored]:
    return [
        Stored(
            r.position,
            r.version,
            mapper.event(r.originator_id, r.version, r.topic, r.state),
        )
        for r in rows
    ]


def track(conn: Connection[Any], names: list[str], start: int, end: int) -> None:
    """Move views' places from `start` to `end`; raises PositionMoved if one is
    elsewhere."""
    cursor = conn.cursor(row_factory=tuple_row, binary=True)
    cursor.execute(TRACK, (end, names, start), prepare=True)
    if cursor.rowcount != len(names):
        raise PositionMoved(f"one of {', '.join(names)} is not at {start}")


def write(
    conn: Connection[Any], statement: str, rows: Sequence[tuple[Any, ...]]
) -> None:
    """Run a statement over arrays with `rows`, where there are any."""
    if rows:
        conn.execute(statement, columns(_kinds(statement), rows), prepare=True)


@cache
def _kinds(statement: str) -> tuple[Kind, ...]:
    """The kinds of a statement's arrays, as its casts name them, or else a comment."""
    return tuple(
        cast("Kind", said or ("moment" if name == "timestamptz" else name))
        for name, said in re.findall(r"%b::(\w+)\[\](?: /\* (\w+) \*/)?", statement)
    )


def position_of(conn: Connection[Any], name: str) -> int:
    cursor = conn.cursor(row_factory=tuple_row, binary=True)
    row = cursor.execute(POSITION, (name,), prepare=True).fetchone()
    return row[0] if row else 0
