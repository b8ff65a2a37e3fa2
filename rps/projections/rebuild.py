"""Rebuilding views from the log, beside the live ones, and swapping them in.

A view is built in a schema of its own by the code that keeps the live one, then swapped
in one transaction in which nothing can be appended. The rows are the same; what is
operational (leases) is carried over.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg.rows import tuple_row
from psycopg.sql import SQL, Identifier

from rps.log.append import Recorded
from rps.projections.followed import decoded, track
from rps.projections.inline import VIEWS, InlineProjection
from rps.projections.views import followed_views

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from psycopg import Connection

    from rps.log.mapper import EventMapper
    from rps.log.recorder import LogRecorder
    from rps.projections.followed import Stored

BATCH = 2000
INLINE = "inline"

LEASE_COLUMNS = ("epoch", "holder", "leased_until", "not_before")
CARRY_LEASES = """
UPDATE rebuild.lanes r
SET epoch = l.epoch, holder = l.holder, leased_until = l.leased_until,
    not_before = l.not_before
FROM public.lanes l
WHERE (r.correlation_id, r.direction, r.member)
    = (l.correlation_id, l.direction, l.member)
"""


class ViewUnknown(ValueError):
    """There is no view of this name."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that only one of the two has."""

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
    ) -> None:
        self._recorder = recorder
        self._mapper = mapper
        self._progress = progress

    def run(self, wanted: Sequence[str]) -> None:
        """Rebuild the views named (none: all) and swap them in. ViewUnknown."""
        self._each(wanted, self._swap)

    def compare(self, wanted: Sequence[str]) -> list[Difference]:
        """Rebuild the views named, swap nothing, and say where they differ."""
        found: list[Difference] = []

        def look(conn: Connection[Any], tables: Sequence[str]) -> None:
            for table in tables:
                found.extend(_differences(conn, table))

        self._each(wanted, look)
        return found

    def _each(
        self,
        wanted: Sequence[str],
        finish: Callable[[Connection[Any], Sequence[str]], None],
    ) -> None:
        if unknown := set(wanted) - set(names()):
            raise ViewUnknown(f"{', '.join(sorted(unknown))}: known are {names()}")
        chosen = set(wanted or names())
        if inline := [table for table in VIEWS if table in chosen]:
            self._build(VIEWS, self._apply_inline, INLINE, inline, finish)
        for view in followed_views():
            if view.name in chosen:
                self._build(view.tables, view.apply, view.name, view.tables, finish)

    def _build(
        self,
        tables: Sequence[str],
        apply: Callable[[Connection[Any], Sequence[Stored]], None],
        name: str,
        chosen: Sequence[str],
        finish: Callable[[Connection[Any], Sequence[str]], None],
    ) -> None:
        with self._connection() as conn:
            _beside(conn, tables)
            position = self._catch_up(conn, apply, 0)
            with conn.transaction():
                # From here nobody appends: the last events are applied, then swapped.
                self._recorder.lock(conn)
                position = self._catch_up(conn, apply, position)
                if name != INLINE:
                    # The live view is brought to the same place before it is left.
                    _align(conn, name, position, self._live(conn, apply, name))
                finish(conn, chosen)
            conn.execute("DROP SCHEMA IF EXISTS rebuild CASCADE")

    @contextmanager
    def _connection(self) -> Iterator[Connection[Any]]:
        with self._recorder.datastore.get_connection() as conn:
            conn.execute("SELECT pg_advisory_lock(hashtext('rps rebuild'))")
            try:
                yield conn
            finally:
                conn.execute("RESET search_path")
                conn.execute("SELECT pg_advisory_unlock(hashtext('rps rebuild'))")

    def _catch_up(
        self,
        conn: Connection[Any],
        apply: Callable[[Connection[Any], Sequence[Stored]], None],
        position: int,
    ) -> int:
        conn.execute("SET search_path = rebuild, public")
        while True:
            rows = self._recorder.read(position, BATCH)
            if not rows:
                return position
            apply(conn, decoded(rows, self._mapper))
            position = rows[-1].position
            self._progress(position, self._recorder.head()[0])

    def _live(
        self,
        conn: Connection[Any],
        apply: Callable[[Connection[Any], Sequence[Stored]], None],
        name: str,
    ) -> int:
        """Bring the live view up to the end of the log; answers where it was."""
        conn.execute("SET search_path = public")
        # Its projector waits for this transaction and finds its place moved.
        conn.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (name,))
        cursor = conn.cursor(row_factory=tuple_row)
        row = cursor.execute(
            "SELECT notification_id FROM rps_tracking WHERE application_name = %s",
            (name,),
        ).fetchone()
        start = position = row[0] if row else 0
        while rows := self._recorder.read(position, BATCH):
            apply(conn, decoded(rows, self._mapper))
            position = rows[-1].position
        return start

    def _apply_inline(self, conn: Connection[Any], stored: Sequence[Stored]) -> None:
        recorded = [Recorded(each.position, each.event) for each in stored]
        for sql, params in InlineProjection().statements(recorded):
            conn.execute(sql, params)

    def _swap(self, conn: Connection[Any], tables: Sequence[str]) -> None:
        if "lanes" in tables:
            conn.execute(CARRY_LEASES)
        for table in tables:
            name = Identifier(table)
            conn.execute(SQL("DROP TABLE public.{}").format(name))
            conn.execute(SQL("ALTER TABLE rebuild.{} SET SCHEMA public").format(name))
            conn.execute(
                SQL(
                    "GRANT SELECT, INSERT, UPDATE, DELETE ON public.{} TO rps_serving"
                ).format(name)
            )


def _beside(conn: Connection[Any], tables: Sequence[str]) -> None:
    conn.execute("DROP SCHEMA IF EXISTS rebuild CASCADE")
    conn.execute("CREATE SCHEMA rebuild")
    for table in tables:
        conn.execute(
            SQL("CREATE TABLE rebuild.{0} (LIKE public.{0} INCLUDING ALL)").format(
                Identifier(table)
            )
        )


def _align(conn: Connection[Any], name: str, position: int, start: int) -> None:
    if position != start:
        track(conn, name, start, position)


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
