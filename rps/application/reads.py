"""Who looked at what, recorded before it is shown."""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING, Any

from psycopg.rows import tuple_row

from rps.log.reads import Looked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from eventsourcing.postgres import PostgresDatastore

AGAIN_SECONDS = 60.0
"""Who looks at the same thing again within that time is recorded once."""

REMEMBERED_MAX = 10_000
OBJECT_MAX = 300
ROWS = 2_000

NOTE = "SELECT rps_note_read(%s, %s, %s, %s, %s, %s)"
FORGET = "SELECT rps_forget_reads(%s)"
FORGOTTEN = "SELECT number, hash FROM reads_forgotten"
AFTER = """
SELECT number, at, domain, reader, via, place, what, object, hash FROM reads
WHERE number > %s ORDER BY number LIMIT %s
"""
FOUND = """
SELECT number, at, domain, reader, via, place, what, object FROM reads
WHERE (%(domain)s::text IS NULL OR domain = %(domain)s) AND number < %(before)s
  AND (%(reader)s::text IS NULL OR reader = %(reader)s)
  AND (%(object)s::text IS NULL OR strpos(object, %(object)s) > 0)
ORDER BY number DESC LIMIT %(limit)s
"""


class Reads:
    def __init__(
        self,
        datastore: PostgresDatastore,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._datastore = datastore
        self._seconds = seconds
        self._noted: dict[tuple[str, ...], float] = {}
        self._lock = Lock()

    def note(
        self, domain: str, reader: str, via: str, place: str, what: str, about: str
    ) -> None:
        """Before it is shown: what cannot be recorded is not shown. `about`: the object
        in a few words, as its id or a search."""
        read = (domain, reader, via, place, what, about[:OBJECT_MAX])
        if self._is_noted(read):
            return
        with self._datastore.get_connection() as conn:
            conn.execute(NOTE, read, prepare=True)
        with self._lock:
            self._noted[read] = self._seconds()

    def _is_noted(self, read: tuple[str, ...]) -> bool:
        since = self._seconds() - AGAIN_SECONDS
        with self._lock:
            if len(self._noted) > REMEMBERED_MAX:
                self._noted = {k: at for k, at in self._noted.items() if at > since}
            return self._noted.get(read, since) > since

    def forget(self, before: datetime) -> int:
        """Those that were kept long enough; the number of the last of them."""
        with self._datastore.get_connection() as conn:
            cursor: Any = conn.cursor(row_factory=tuple_row)
            return int(cursor.execute(FORGET, (before,)).fetchone()[0])

    def forgotten(self) -> tuple[int, bytes]:
        """The last one that is not kept any more, and its hash."""
        with self._datastore.get_connection() as conn:
            cursor: Any = conn.cursor(row_factory=tuple_row)
            number, digest = cursor.execute(FORGOTTEN).fetchone()
            return number, digest

    def all(self, after: int) -> Iterator[Looked]:
        """In order, past that number."""
        while rows := self._after(after):
            yield from rows
            after = rows[-1].number

    def _after(self, number: int) -> list[Looked]:
        with self._datastore.get_connection() as conn:
            cursor: Any = conn.cursor(row_factory=tuple_row)
            found = cursor.execute(AFTER, (number, ROWS)).fetchall()
        return [Looked(*row) for row in found]

    def found(
        self,
        domain: str | None,
        before: int,
        limit: int,
        *,
        reader: str | None = None,
        about: str | None = None,
    ) -> list[dict[str, Any]]:
        """The latest first; `about` is looked for in what was read."""
        params = {
            "domain": domain,
            "before": before,
            "limit": limit,
            "reader": reader,
            "object": about,
        }
        with self._datastore.get_connection() as conn:
            cursor: Any = conn.cursor()
            return list(cursor.execute(FOUND, params).fetchall())
