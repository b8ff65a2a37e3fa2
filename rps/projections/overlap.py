"""Reading, making and writing at the same time: how a rebuild goes along the log."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

from rps.log.connection import connect
from rps.log.statements import HEAD
from rps.projections.followed import events_after

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from eventsourcing.postgres import PostgresDatastore
    from psycopg import Connection

    from rps.log.mapper import EventMapper
    from rps.projections.followed import Stored

BEHIND_MAX = 64
"""Statements that wait to be written."""


def read_ahead(
    datastore: PostgresDatastore, limit: int, mapper: EventMapper
) -> Generator[tuple[list[Stored], int], None, None]:
    """The log in batches, each with the position where the log ends. A thread reads and
    decodes the next one while the server still writes the one before."""
    with connect(datastore) as conn, ThreadPoolExecutor(1) as thread:

        def read(position: int) -> tuple[list[Stored], int]:
            return events_after(conn, position, limit, mapper), end_of(conn)

        coming = thread.submit(read, 0)
        while (batch := coming.result())[0]:
            coming = thread.submit(read, batch[0][-1].position)
            yield batch


def end_of(conn: Connection[Any]) -> int:
    row = conn.execute(HEAD, prepare=True).fetchone()
    return int(row["notification_id"]) if row else 0


class WrittenBehind:
    """A connection as views use it: a thread writes their statements in order while the
    next ones are being made. Raises what a statement raised, later."""

    def __init__(self, conn: Connection[Any]) -> None:
        self._conn = conn
        self._thread = ThreadPoolExecutor(1)
        self._written: deque[Future[Any]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        self._thread.shutdown(cancel_futures=bool(failed))
        while self._written and not failed:
            self._written.popleft().result()

    def execute(
        self, statement: str, params: Sequence[Any], *, prepare: bool
    ) -> Iterator[Any]:
        if len(self._written) >= BEHIND_MAX:
            self._written.popleft().result()
        done = self._thread.submit(
            self._conn.execute, statement, params, prepare=prepare
        )
        self._written.append(done)
        return (row for cursor in (done,) for row in cursor.result())
