"""Where the bytes of files are: once in a domain, found by what they are.

Written piece by piece, so that a cut costs one piece; seen by others only once whole
and once their SHA-256 is right. Nobody ever holds more than a piece in memory.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256 as new_hash
from tempfile import SpooledTemporaryFile
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from psycopg.errors import UniqueViolation
from psycopg.rows import tuple_row

from rps.projections.inline import FILES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from eventsourcing.postgres import PostgresDatastore

CHUNK_BYTES = 1024 * 1024
"""As the table has it."""
SPOOLED_BYTES = 4 * CHUNK_BYTES
"""Of a file taken aside, in memory; more is on disk."""
LEASE_SECONDS = 60.0
FLUSHED_SECONDS = LEASE_SECONDS / 4
"""What comes slowly is written often enough to keep the lease."""
RENEWED_BYTES = 64 * CHUNK_BYTES
"""Read back between two looks at whether it is still ours."""

STANDING = """
SELECT size, stored, complete FROM blobs WHERE (domain, sha256) = (%b, %b)
"""
# One writer at a time: whoever has the lease, by a token of its own.
BEGIN = """
INSERT INTO blobs AS b (domain, sha256, size, holder, leased_until)
VALUES (%b, %b, %b, %b, clock_timestamp() + %b * interval '1 second')
ON CONFLICT (domain, sha256) DO UPDATE
SET holder = EXCLUDED.holder, leased_until = EXCLUDED.leased_until
WHERE NOT b.complete AND (b.holder IS NULL OR b.leased_until < clock_timestamp())
RETURNING size, stored
"""
# Somebody said another size before: one of both is wrong, so nothing is known.
ANEW = """
WITH gone AS (DELETE FROM blob_chunks WHERE (domain, sha256) = (%b, %b))
UPDATE blobs SET size = %b, stored = 0 WHERE (domain, sha256, holder) = (%b, %b, %b)
"""
PUT = """
WITH held AS (
    UPDATE blobs
    SET stored = stored + length(%(content)b::bytea),
        leased_until = clock_timestamp() + %(seconds)b * interval '1 second'
    WHERE (domain, sha256, holder) = (%(domain)b, %(sha256)b, %(holder)b)
      AND NOT complete AND stored = %(start)b::bigint
    RETURNING domain, sha256
)
INSERT INTO blob_chunks (domain, sha256, start, content)
SELECT domain, sha256, %(start)b::bigint, %(content)b::bytea FROM held
"""
RENEW = """
UPDATE blobs SET leased_until = clock_timestamp() + %b * interval '1 second'
WHERE (domain, sha256, holder) = (%b, %b, %b)
"""
FINISH = """
UPDATE blobs
SET complete = true, holder = NULL, leased_until = NULL, attempts = 0, detail = ''
WHERE (domain, sha256, holder) = (%b, %b, %b) AND stored = size
"""
LEAVE = """
UPDATE blobs SET holder = NULL, leased_until = NULL
WHERE (domain, sha256, holder) = (%b, %b, %b)
"""
FAIL = """
UPDATE blobs
SET holder = NULL, leased_until = NULL, attempts = %b, due_at = %b, detail = %b
WHERE (domain, sha256, holder) = (%b, %b, %b)
"""
TELL = "SELECT pg_notify(%b::text, '')"
DISCARD = "DELETE FROM blobs WHERE (domain, sha256, holder) = (%b, %b, %b)"
# Known by now: unless somebody has it, or is at it, under its right name.
RENAME = """
UPDATE blobs
SET sha256 = %b, complete = true, holder = NULL, leased_until = NULL, attempts = 0,
    detail = ''
WHERE (domain, sha256, holder) = (%b, %b, %b) AND stored = size
  AND NOT EXISTS (SELECT FROM blobs b WHERE (b.domain, b.sha256) = (%b, %b))
"""
PIECE = """
SELECT start, content FROM blob_chunks
WHERE (domain, sha256) = (%b, %b) AND start <= %b::bigint
ORDER BY start DESC LIMIT 1
"""


class BlobTaken(Exception):
    """Somebody else is writing it by now, or it was deleted."""


class BlobContradicted(Exception):
    """More bytes than were announced, or others than their name says."""


@dataclass(frozen=True, slots=True)
class Blob:
    """What is here of a file: `stored` of its `size` bytes; all, and right, where it is
    `complete`."""

    size: int
    stored: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that is here by now, found by its bytes."""

    sha256: str
    size: int


class Blobs:
    """The files of one database; thread-safe."""

    def __init__(self, datastore: PostgresDatastore) -> None:
        self._datastore = datastore

    def standing(self, domain: str, sha256: str) -> Blob | None:
        rows = self._ask(STANDING, domain, sha256)
        return Blob(*rows[0]) if rows else None

    def begin(self, domain: str, sha256: str, size: int) -> Writing | None:
        """Go on writing where it ends; None where it is complete, or somebody else is
        at it."""
        holder = uuid4()
        rows = self._ask(BEGIN, domain, sha256, size, holder, LEASE_SECONDS)
        if not rows:
            return None
        said, stored = rows[0]
        if said != size:
            self._ask(ANEW, domain, sha256, size, domain, sha256, holder)
            stored = 0
        return Writing(self, domain, sha256, holder, size, stored)

    def receive(
        self, domain: str, source: str, size: int, pieces: Iterable[bytes]
    ) -> str:
        """Take in a file whose content nobody knows yet; answers its SHA-256. `source`
        tells it from others meanwhile. Raises BlobContradicted where it has not `size`
        bytes, BlobTaken where somebody else takes it in."""
        meanwhile = new_hash(f"{domain}\n{source}".encode()).hexdigest()
        writing = self.begin(domain, meanwhile, size)
        if writing is None:
            raise BlobTaken(source)
        if writing.stored:  # of an attempt that was cut: nobody knows its hash
            writing.discard()
            return self.receive(domain, source, size, pieces)
        try:
            for piece in pieces:
                writing.take(piece)
            return writing.named()
        except BaseException:
            writing.discard()
            raise

    def read(
        self, domain: str, sha256: str, start: int = 0, end: int | None = None
    ) -> Iterator[bytes]:
        """The bytes from `start` up to `end`, piece by piece; each piece is a question
        of its own, so that a slow reader holds no connection."""
        at = start
        while end is None or at < end:
            rows = self._ask(PIECE, domain, sha256, at)
            if not rows or (first := at - rows[0][0]) >= len(rows[0][1]):
                if end is not None:
                    raise BlobTaken(sha256)  # deleted meanwhile
                return
            content = rows[0][1]
            piece = content[first : None if end is None else end - rows[0][0]]
            at += len(piece)
            yield piece

    def keep(self, domain: str, pieces: Iterable[bytes], most: int) -> Kept | None:
        """Take a file of which only its bytes tell what it is: they are written aside
        first. None where there are more than `most`."""
        made, size = new_hash(), 0
        with SpooledTemporaryFile(SPOOLED_BYTES) as aside:
            for piece in pieces:
                size += len(piece)
                if size > most:
                    return None
                made.update(piece)
                aside.write(piece)
            kept = Kept(made.hexdigest(), size)
            if size and (writing := self.begin(domain, kept.sha256, size)) is not None:
                aside.seek(writing.stored)
                while piece := aside.read(CHUNK_BYTES):
                    writing.take(piece)
                writing.finish()
        return kept

    def of(self, domain: str) -> DomainFiles:
        return DomainFiles(self, domain)

    def _ask(self, sql: str, *params: Any, **named: Any) -> list[Any]:
        with self._datastore.get_connection() as conn:
            cursor: Any = conn.cursor(row_factory=tuple_row, binary=True)
            cursor.execute(sql, named or params, prepare=True)
            if cursor.description:
                found: list[Any] = cursor.fetchall()
                return found
            return [()] * cursor.rowcount


@dataclass(frozen=True, slots=True)
class DomainFiles:
    """The files of one domain, as connectors are handed them."""

    blobs: Blobs
    domain: str

    def read(self, sha256: str) -> Iterator[bytes]:
        """Nothing where not all of it is here."""
        standing = self.blobs.standing(self.domain, sha256)
        if standing is None or not standing.complete:
            return iter(())
        return self.blobs.read(self.domain, sha256)

    def keep(self, pieces: Iterable[bytes], most: int) -> Kept | None:
        return self.blobs.keep(self.domain, pieces, most)


class Writing:
    """One who writes a file; what is written is kept whatever happens to the writer.

    `stored` bytes are in the database. Raises BlobTaken from whichever call finds that
    somebody else has it.
    """

    def __init__(
        self,
        blobs: Blobs,
        domain: str,
        sha256: str,
        holder: UUID,
        size: int,
        stored: int,
    ) -> None:
        self.stored = stored
        self.size = size
        self._blobs = blobs
        self._key = (domain, sha256, holder)
        self._buffer = bytearray()
        self._put_at = monotonic()
        # Of what was there before nobody knows the hash: it is read again in the end.
        self._hash = None if stored else new_hash()

    @property
    def taken(self) -> int:
        """Bytes that came, those included that are not in the database yet."""
        return self.stored + len(self._buffer)

    def take(self, data: bytes) -> None:
        """The next bytes. Raises BlobContradicted where there are too many."""
        if self.taken + len(data) > self.size:
            raise BlobContradicted(f"there are more than the {self.size} bytes of it")
        self._buffer += data
        while len(self._buffer) >= CHUNK_BYTES:
            self._put(CHUNK_BYTES)
        if monotonic() - self._put_at > FLUSHED_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Have in the database what came."""
        if self._buffer:
            self._put(len(self._buffer))

    def finish(self) -> bool:
        """Make it seen, if it is whole. Raises BlobContradicted where its content is
        not what its name says; then nothing of it is left."""
        self.flush()
        if self.stored < self.size:
            return False
        found = self._hash.hexdigest() if self._hash else self._hash_of_all()
        if found != self._key[1]:
            self.discard()
            raise BlobContradicted(f"its SHA-256 is {found}")
        self._held(FINISH)
        self._blobs._ask(TELL, FILES)  # noqa: SLF001
        return True

    def named(self) -> str:
        """Make a whole file seen under the name of its content, which is answered;
        nothing of it is left where it is here already. Raises BlobContradicted."""
        self.flush()
        if self.stored < self.size or self._hash is None:
            raise BlobContradicted(f"it ended after {self.stored} of {self.size} bytes")
        found = self._hash.hexdigest()
        domain, meanwhile, holder = self._key
        key = (domain, meanwhile, holder)
        with suppress(UniqueViolation):  # somebody was faster by a moment
            self._blobs._ask(RENAME, found, *key, domain, found)  # noqa: SLF001
        self.discard()
        self._blobs._ask(TELL, FILES)  # noqa: SLF001
        return found

    def leave(self) -> None:
        """Let somebody go on with it later."""
        self._blobs._ask(LEAVE, *self._key)  # noqa: SLF001 - of this module

    def fail(self, attempts: int, due_at: datetime, detail: str) -> None:
        """As `leave`, not before `due_at`, and say why."""
        self._blobs._ask(FAIL, attempts, due_at, detail, *self._key)  # noqa: SLF001

    def discard(self) -> None:
        self._blobs._ask(DISCARD, *self._key)  # noqa: SLF001

    def _put(self, count: int) -> None:
        content = bytes(self._buffer[:count])
        domain, sha256, holder = self._key
        put = self._blobs._ask(  # noqa: SLF001
            PUT,
            content=content,
            seconds=LEASE_SECONDS,
            domain=domain,
            sha256=sha256,
            holder=holder,
            start=self.stored,
        )
        if not put:
            raise BlobTaken(sha256)
        del self._buffer[:count]
        if self._hash is not None:
            self._hash.update(content)
        self.stored += count
        self._put_at = monotonic()

    def _hash_of_all(self) -> str:
        made, since = new_hash(), 0
        for piece in self._blobs.read(*self._key[:2]):
            made.update(piece)
            since += len(piece)
            if since >= RENEWED_BYTES:
                self._held(RENEW, LEASE_SECONDS)
                since = 0
        return made.hexdigest()

    def _held(self, sql: str, *params: Any) -> None:
        if not self._blobs._ask(sql, *params, *self._key):  # noqa: SLF001
            raise BlobTaken(self._key[1])
