"""What a connector has kept for it, in the database: parts that were begun, files whose
content is known, and the budget of requests (`rps.connectors.servicenow.keeping`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg.rows import tuple_row

from rps.application.blobs import Blobs, BlobTaken
from rps.connectors.servicenow.keeping import Part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing.postgres import PostgresDatastore

PART = """
SELECT extract(epoch FROM begun_at)::float8, done, remote_id FROM remote_parts
WHERE (domain, system, record, part) = (%b, %b, %b, %b)
"""
BEGIN = """
INSERT INTO remote_parts (domain, system, record, part, content, begun_at)
VALUES (%b, %b, %b, %b, %b, to_timestamp(%b::float8)) ON CONFLICT DO NOTHING
"""
DONE = """
UPDATE remote_parts SET done = true, remote_id = %b
WHERE (domain, system, record, part) = (%b, %b, %b, %b)
"""
FORGET = """
DELETE FROM remote_parts
WHERE (domain, system, record, part) = (%b, %b, %b, %b)
"""
TWINS = """
SELECT count(*) FROM remote_parts
WHERE (domain, system, record) = (%b, %b, %b) AND content = %b AND done
  AND begun_at >= to_timestamp(%b::float8)
"""
NOTE = """
INSERT INTO remote_files (domain, system, file_id, record_id, sha256, size)
VALUES (%b, %b, %b, %b, %b, %b)
ON CONFLICT (domain, system, file_id) DO UPDATE SET sha256 = EXCLUDED.sha256
"""
SHA256 = """
SELECT sha256 FROM remote_files WHERE (domain, system, file_id) = (%b, %b, %b)
"""
FILE_ID = """
SELECT file_id FROM remote_files WHERE (domain, system, sha256) = (%b, %b, %b)
ORDER BY noted_at LIMIT 1
"""
# What was filled in since, up to the most; taken where there is one. The bucket of a
# system that was never asked is full.
TAKE = """
INSERT INTO request_budgets AS b (domain, system, tokens, filled_at)
VALUES (%(domain)b, %(system)b, %(most)b::float8 - 1, clock_timestamp())
ON CONFLICT (domain, system) DO UPDATE
SET tokens = least(
        %(most)b::float8,
        b.tokens + %(rate)b::float8
            * extract(epoch FROM clock_timestamp() - b.filled_at)::float8
    ) - 1,
    filled_at = clock_timestamp()
WHERE b.tokens + %(rate)b::float8
    * extract(epoch FROM clock_timestamp() - b.filled_at)::float8 >= 1
RETURNING tokens
"""
BURST_SECONDS = 60.0
"""As many requests may come at once as the budget has for so long."""


@dataclass(frozen=True, slots=True)
class _Kept:
    datastore: PostgresDatastore
    domain: str
    system: str

    def _ask(self, sql: str, *params: Any, **named: Any) -> list[Any]:
        with self.datastore.get_connection() as conn:
            cursor: Any = conn.cursor(row_factory=tuple_row, binary=True)
            cursor.execute(sql, named or params, prepare=True)
            found: list[Any] = cursor.fetchall() if cursor.description else []
            return found

    @property
    def _of(self) -> tuple[str, str]:
        return (self.domain, self.system)


@dataclass(frozen=True, slots=True)
class RemoteParts(_Kept):
    """A `Ledger`."""

    def part(self, record: str, part: str) -> Part | None:
        rows = self._ask(PART, *self._of, record, part)
        return Part(*rows[0]) if rows else None

    def begin(self, record: str, part: str, content: str, at: float) -> None:
        self._ask(BEGIN, *self._of, record, part, content, at)

    def done(self, record: str, part: str, remote_id: str = "") -> None:
        self._ask(DONE, remote_id, *self._of, record, part)

    def forget(self, record: str, part: str) -> None:
        self._ask(FORGET, *self._of, record, part)

    def twins(self, record: str, content: str, since: float) -> int:
        count: int = self._ask(TWINS, *self._of, record, content, since)[0][0]
        return count


@dataclass(frozen=True, slots=True)
class RemoteFiles(_Kept):
    """`Files`, their bytes from our own store."""

    def read(self, sha256: str) -> Iterator[bytes]:
        """Raises OSError where they are not here any more."""
        blobs = Blobs(self.datastore)
        standing = blobs.standing(self.domain, sha256)
        if standing is None or not standing.complete:
            raise OSError("its bytes are not here any more")
        try:
            yield from blobs.read(self.domain, sha256, 0, standing.size)
        except BlobTaken as taken:
            raise OSError("its bytes were taken away meanwhile") from taken

    def note(self, file_id: str, record_id: str, sha256: str, size: int) -> None:
        self._ask(NOTE, *self._of, file_id, record_id, sha256, size)

    def sha256_of(self, file_id: str) -> str | None:
        rows = self._ask(SHA256, *self._of, file_id)
        return rows[0][0] if rows else None

    def id_of(self, sha256: str) -> str | None:
        rows = self._ask(FILE_ID, *self._of, sha256)
        return rows[0][0] if rows else None


@dataclass(frozen=True, slots=True)
class RequestBudget(_Kept):
    """A `Budget` of `per_hour` requests."""

    per_hour: int

    def take(self) -> float:
        rate = self.per_hour / 3600
        most = max(rate * BURST_SECONDS, 1.0)
        taken = self._ask(
            TAKE, domain=self.domain, system=self.system, rate=rate, most=most
        )
        return 0.0 if taken else max(1.0, 1 / rate)
