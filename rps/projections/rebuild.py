"""Rebuilding views from the log, beside the live ones, and swapping them in.

A view is built in a schema of its own by the code that keeps the live one, while
everybody goes on working. For the last events its writers wait: appends where the view
is inline, its projector where it follows. The rows are the same; what is operational
(leases) is carried over.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

import psycopg
from eventsourcing.persistence import OperationalError
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Identifier

from rps.log.append import Recorded
from rps.log.connection import connect
from rps.projections import twin
from rps.projections.followed import events_after, position_of, track
from rps.projections.inline import VIEWS, InlineProjection
from rps.projections.overlap import WrittenBehind, end_of, read_ahead
from rps.projections.views import followed_views

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from psycopg import Connection

    from rps.log.mapper import EventMapper
    from rps.log.recorder import LogRecorder
    from rps.projections.followed import FollowedView, Stored

BATCH = 5000
SCHEMA = "rebuild"
ONE_AT_A_TIME = "SELECT pg_advisory_lock(hashtextextended('rps rebuild', 0))"

# What is lost in a crash is built again; the swap's own commit waits for all before it.
SESSION = """
SET synchronous_commit = off; SET plan_cache_mode = force_generic_plan
"""
SEARCH_PATH = "SELECT set_config('search_path', %s, false)"
SWAP_TRIES = 20
SWAP_WAIT = "2s"
"""How long a swap waits for whoever reads the table, and others wait behind it."""

LEASE_COLUMNS = ("epoch", "holder", "leased_until", "not_before")
CARRY_LEASES = """
UPDATE rebuild.lanes r
SET epoch = l.epoch, holder = l.holder, leased_until = l.leased_until,
    not_before = l.not_before
FROM public.lanes l
WHERE (r.correlation_id, r.direction, r.member)
    = (l.correlation_id, l.direction, l.member)
  AND l.epoch > 0
"""
PLACE = """
INSERT INTO rps_tracking (application_name, notification_id) VALUES (%s, %s)
ON CONFLICT (application_name) DO UPDATE SET notification_id = EXCLUDED.notification_id
"""


class ViewUnknown(ValueError):
    """There is no view of this name."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that only one of the two has: `side` is live or rebuilt."""

    table: str
    side: str
    row: str


def names() -> list[str]:
    """What can be rebuilt."""
    return [*VIEWS, *(view.name for view in followed_views())]


class Rebuild:
    """`progress(done, total)` is called after each batch, in positions of the log."""

    def __init__(
        self,
        recorder: LogRecorder,
        mapper: EventMapper,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
        *,
        batch: int = BATCH,
    ) -> None:
        self._recorder = recorder
        self._mapper = mapper
        self._progress = progress
        self._batch = batch

    def run(self, wanted: Sequence[str]) -> None:
        """Rebuild the views named (none: all) and swap them in.

        Raises ViewUnknown; OperationalError where a table stayed in use too long.
        """
        with self._beside(self._kinds(wanted)) as buildings:
            for building in buildings:
                building.catch_up()
                _swapped(building)

    def compare(self, wanted: Sequence[str]) -> list[Difference]:
        """Rebuild the views named, swap nothing, and say where they differ. A view that
        follows is brought up to where the rebuilt one is, as its projector would."""
        found: list[Difference] = []
        with self._beside(self._kinds(wanted)) as buildings:
            for building in buildings:
                with building.kind.together(building):
                    for table in building.kind.chosen:
                        found.extend(_differences(building.conn, table))
        return found

    def _kinds(self, wanted: Sequence[str]) -> list[_Kind]:
        if unknown := set(wanted) - set(names()):
            raise ViewUnknown(f"{', '.join(sorted(unknown))}: known are {names()}")
        chosen = set(wanted or names())
        kinds: list[_Kind] = []
        if inline := tuple(table for table in VIEWS if table in chosen):
            kinds.append(_Inline(inline, self._recorder.lock_key))
        kinds += [_Followed(v) for v in followed_views() if v.name in chosen]
        return kinds

    @contextmanager
    def _beside(self, kinds: Sequence[_Kind]) -> Iterator[list[_Building]]:
        """The rebuilt tables, up to about the end of the log."""
        with connect(self._recorder.datastore) as conn:
            conn.execute(ONE_AT_A_TIME)
            conn.execute(SESSION)
            conn.execute("DROP SCHEMA IF EXISTS rebuild CASCADE")
            conn.execute("CREATE SCHEMA rebuild")
            tables = [table for kind in kinds for table in kind.tables]
            for table in tables:
                twin.create(conn, table, SCHEMA)
            for table in VIEWS:  # these look into themselves as they grow
                if table in tables:
                    twin.index(conn, table, SCHEMA)
            try:
                position = self._build(conn, kinds)
                for table in tables:
                    if table not in VIEWS:
                        twin.index(conn, table, SCHEMA)
                    conn.execute(SQL("ANALYZE {}").format(Identifier(SCHEMA, table)))
                yield [
                    _Building(
                        conn, kind, position, self._mapper, self._batch, self._progress
                    )
                    for kind in kinds
                ]
            finally:
                if not conn.closed:
                    conn.execute("DROP SCHEMA IF EXISTS rebuild CASCADE")

    def _build(self, conn: Connection[Any], kinds: Sequence[_Kind]) -> int:
        """Read the log once for all; answers where it ended."""
        position = 0
        conn.execute(SEARCH_PATH, ("rebuild, public",))
        ahead = read_ahead(self._recorder.datastore, self._batch, self._mapper)
        with closing(ahead) as batches, WrittenBehind(conn) as writing:
            for stored, end in batches:
                for kind in kinds:
                    kind.apply(cast("Connection[Any]", writing), stored)
                position = stored[-1].position
                self._progress(position, end)
        return position


class _Building:
    """Rebuilt tables of one kind, and how far they are."""

    def __init__(
        self,
        conn: Connection[Any],
        kind: _Kind,
        position: int,
        mapper: EventMapper,
        batch: int,
        progress: Callable[[int, int], None],
    ) -> None:
        self.conn = conn
        self.kind = kind
        self.position = position
        self._mapper = mapper
        self._batch = batch
        self._progress = progress

    def catch_up(self, until: int | None = None) -> None:
        self.position = self.applied("rebuild, public", self.position, until)

    def applied(self, search_path: str, position: int, until: int | None = None) -> int:
        """Apply what the log has past `position`; answers where that ends."""
        self.conn.execute(SEARCH_PATH, (search_path,))
        while until is None or position < until:
            most = self._batch if until is None else min(self._batch, until - position)
            stored = events_after(self.conn, position, most, self._mapper)
            if not stored:
                break
            self.kind.apply(self.conn, stored)
            position = stored[-1].position
            self._progress(position, end_of(self.conn))
        return position


class _Kind(Protocol):
    """Tables that are kept by the same code."""

    @property
    def tables(self) -> tuple[str, ...]: ...

    @property
    def chosen(self) -> tuple[str, ...]: ...

    def apply(self, conn: Connection[Any], stored: Sequence[Stored]) -> None: ...

    def keep_still(self, conn: Connection[Any]) -> None:
        """Let nobody write the live tables until the transaction ends."""
        ...

    def before_swap(self, building: _Building) -> None: ...

    def together(self, building: _Building) -> AbstractContextManager[None]:
        """A context in which live and rebuilt tables are at the same place."""
        ...


class _Inline:
    tables = VIEWS

    def __init__(self, chosen: tuple[str, ...], lock_key: int) -> None:
        self.chosen = chosen
        self._lock_key = lock_key

    def apply(self, conn: Connection[Any], stored: Sequence[Stored]) -> None:
        recorded = [Recorded(each.position, each.event) for each in stored]
        for sql, params in InlineProjection().statements(recorded):
            conn.execute(sql, params, prepare=True)

    def keep_still(self, conn: Connection[Any]) -> None:
        conn.execute("SELECT pg_advisory_xact_lock(%s)", (self._lock_key,))

    def before_swap(self, building: _Building) -> None:
        if "lanes" in self.chosen:
            building.conn.execute(CARRY_LEASES)

    @contextmanager
    def together(self, building: _Building) -> Iterator[None]:
        """What a snapshot shows that is taken while nobody appends."""
        conn = building.conn
        conn.execute("SELECT pg_advisory_lock(%s)", (self._lock_key,))
        with conn.transaction():
            conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            building.catch_up()
            conn.execute("SELECT pg_advisory_unlock(%s)", (self._lock_key,))
            yield


class _Followed:
    def __init__(self, view: FollowedView) -> None:
        self.tables = self.chosen = view.tables
        self._view = view

    def apply(self, conn: Connection[Any], stored: Sequence[Stored]) -> None:
        self._view.apply(conn, stored)

    def keep_still(self, conn: Connection[Any]) -> None:
        conn.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (self._view.name,)
        )

    def before_swap(self, building: _Building) -> None:
        building.conn.execute(PLACE, (self._view.name, building.position))

    @contextmanager
    def together(self, building: _Building) -> Iterator[None]:
        conn = building.conn
        with conn.transaction():
            self.keep_still(conn)
            start = position_of(conn, self._view.name)
            end = max(start, building.position)
            if start < end:
                building.applied("public", start, end)
                track(conn, [self._view.name], start, end)
            building.catch_up(end)
            yield


def _swapped(building: _Building) -> None:
    conn, kind, reached = building.conn, building.kind, building.position
    failed: psycopg.Error | None = None
    for _ in range(SWAP_TRIES):
        try:
            with conn.transaction():
                conn.execute(SQL("SET LOCAL lock_timeout = {}").format(SWAP_WAIT))
                kind.keep_still(conn)
                building.catch_up()
                # Also from those who write beside the log: a lane claimed after its
                # lease was carried over would be claimed twice.
                conn.execute(
                    SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(
                        SQL(", ").join(Identifier("public", t) for t in kind.chosen)
                    )
                )
                kind.before_swap(building)
                for table in kind.chosen:
                    twin.replace(conn, table, SCHEMA)
        except (
            psycopg.errors.LockNotAvailable,
            psycopg.errors.DeadlockDetected,
        ) as error:
            building.position = reached  # what was applied was undone with the rest
            building.catch_up()
            reached, failed = building.position, error
        else:
            return
    raise OperationalError(
        f"{', '.join(kind.chosen)} stayed in use: {failed}; try again"
    ) from failed


def _differences(conn: Connection[Any], table: str) -> list[Difference]:
    cursor = conn.cursor(row_factory=tuple_row)
    columns = [
        Identifier(row[0])
        for row in cursor.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass"
            " AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            (f"public.{table}",),
        ).fetchall()
        if table != "lanes" or row[0] not in LEASE_COLUMNS
    ]
    found = []
    for side, one, other in (
        ("live", "public", "rebuild"),
        ("rebuilt", "rebuild", "public"),
    ):
        cursor.execute(
            SQL(
                "SELECT row_to_json(d)::text FROM"
                " (SELECT {0} FROM {1}.{3} EXCEPT SELECT {0} FROM {2}.{3}) d LIMIT 20"
            ).format(
                SQL(", ").join(columns),
                Identifier(one),
                Identifier(other),
                Identifier(table),
            )
        )
        found += [Difference(table, side, row[0]) for row in cursor.fetchall()]
    return found
