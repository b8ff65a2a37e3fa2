"""Views that tail the log: a batch of events, its rows and its position are one
transaction, so each event is seen once, in order, and never skipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from eventsourcing.persistence import StoredEvent
from psycopg.rows import tuple_row

from rps.log.columns import register
from rps.log.recorder import rows_after

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from psycopg import Connection

    from rps.log.chain import Row
    from rps.log.mapper import EventMapper
    from rps.log.recorder import LogRecorder

BATCH = 1000

TRACK = """
INSERT INTO rps_tracking AS t (application_name, notification_id) VALUES (%b, %b)
ON CONFLICT (application_name) DO UPDATE SET notification_id = EXCLUDED.notification_id
WHERE t.notification_id = %b
RETURNING 1
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
            stored = decoded(rows_after(conn, start, limit), self._mapper)
            # Those ahead bound the batch: the next one is for all of them.
            ahead = min((p for p in mine.values() if p > start), default=None)
            if ahead is not None:
                stored = [each for each in stored if each.position <= ahead]
            if stored:
                for name in [n for n, position in mine.items() if position == start]:
                    self._views[name].apply(conn, stored)
                    track(conn, name, start, stored[-1].position)
            return len(stored)

    def _taken(self, conn: Connection[Any]) -> dict[str, int]:
        """Where each view stands that no other projector is moving now."""
        cursor = conn.cursor(row_factory=tuple_row, binary=True)
        cursor.execute(TAKE, (list(self._views),), prepare=True)
        names = [name for name, is_taken in cursor.fetchall() if is_taken]
        # A look of its own: under the lock, the last holder's place is to be seen.
        cursor.execute(POSITIONS, (names,), prepare=True)
        return dict.fromkeys(names, 0) | dict(cursor.fetchall())


def decoded(rows: Iterable[Row], mapper: EventMapper) -> list[Stored]:
    return [
        Stored(
            row.position,
            row.version,
            mapper.to_domain_event(
                StoredEvent(row.originator_id, row.version, row.topic, row.state)
            ),
        )
        for row in rows
    ]


def track(conn: Connection[Any], name: str, start: int, end: int) -> None:
    """Move a view's place from `start` to `end`; raises PositionMoved if it is
    elsewhere."""
    cursor = conn.cursor(row_factory=tuple_row, binary=True)
    cursor.execute(TRACK, (name, end, start), prepare=True)
    if cursor.fetchone() is None:
        raise PositionMoved(f"{name} is not at {start}")


def position_of(conn: Connection[Any], name: str) -> int:
    cursor = conn.cursor(row_factory=tuple_row, binary=True)
    row = cursor.execute(POSITION, (name,), prepare=True).fetchone()
    return row[0] if row else 0
