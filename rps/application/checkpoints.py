"""Checkpoints of the log: made, listed, and proven from.

A checkpoint says the Merkle root over the hashes of all events so far. Before one is
signed, the events since the last one are verified, and what the last one was signed for
is computed again: a log that was tampered with is not signed for a second time.
"""

from __future__ import annotations

import os
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg.rows import tuple_row

from rps.application.audit_keys import AuditKeys
from rps.application.secret_store import SecretStore
from rps.application.stored_tree import BLOCK
from rps.application.subscriptions import SubscriptionReader
from rps.application.witnesses import hand
from rps.log import chain
from rps.log.checkpoint import Checkpoint, origin_of
from rps.log.merkle import Tree, leaf_of
from rps.log.note import Note
from rps.log.recorder import rows_after

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from psycopg import Connection

    from rps.application import RemoteProcessSync
    from rps.application.audit_keys import KeptKey
    from rps.log.chain import Row
    from rps.log.note import PrivateKey

EVENTS, EVERY = 1_000, timedelta(hours=1)
"""So many events since the last checkpoint, or any after so long, ask for another."""

ROWS_MAX = 50_000
"""Read for one checkpoint: of a log that has many more, several are made."""

TRIES, PAUSE_SECONDS = 200, 0.05
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('rps checkpoint', 0))"
TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended('rps checkpoint', 0))"
STANDING = """
SELECT h.notification_id, h.hash, c.size, c.made_at FROM rps_log_head h
LEFT JOIN LATERAL (
    SELECT size, made_at FROM checkpoints ORDER BY size DESC LIMIT 1
) c ON true
"""
LATEST = "SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1"
LISTED = """
SELECT c.size, c.root, c.note, c.made_at,
       coalesce((SELECT json_agg(json_build_object(
           'domain', w.domain, 'system', w.system, 'key', w.public_key,
           'line', w.line) ORDER BY w.made_at)
           FROM cosignatures w WHERE w.size = c.size), '[]') AS witnesses
FROM checkpoints c WHERE c.size < %(before)s ORDER BY c.size DESC LIMIT %(limit)s
"""
NOTES = "SELECT note FROM checkpoints WHERE size > %s AND size <= %s ORDER BY size"
NOTE = "SELECT note FROM checkpoints WHERE size = %s"
BLOCKS = "SELECT root FROM checkpoint_blocks ORDER BY number"
LAST_READ = """
SELECT number, hash FROM (
    (SELECT number, hash FROM reads ORDER BY number DESC LIMIT 1)
    UNION ALL SELECT number, hash FROM reads_forgotten
) r ORDER BY number DESC LIMIT 1
"""
ADD = "INSERT INTO checkpoints (size, root, note, made_at) VALUES (%s, %s, %s, %s)"
ADD_BLOCK = "INSERT INTO checkpoint_blocks (number, root) VALUES (%s, %s)"


class CheckpointRefused(Exception):
    """The log is not what it was: nothing is signed. The text says where."""


class NotCovered(Exception):
    """No checkpoint covers it yet; the text says what does."""


class Standing(NamedTuple):
    """Where the log ends, and its last checkpoint."""

    head: int
    hash: bytes
    size: int
    made_at: datetime | None

    def is_due(self, now: datetime) -> bool:
        """Also where it was cut: whoever asks for it is told."""
        new = self.head - self.size
        if new <= 0:
            return new < 0
        return self.made_at is None or new >= EVENTS or now - self.made_at >= EVERY


class Checkpoints:
    def __init__(
        self,
        application: RemoteProcessSync,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._application = application
        self._datastore = application.datastore
        secrets = SecretStore(application, random_bytes)
        self._keys = AuditKeys(secrets, random_bytes)
        self._subscriptions = SubscriptionReader(application)

    # --- made -----------------------------------------------------------------------

    def work(self, now: datetime) -> int:
        """Make the checkpoint that is due; how many events it is the first for. Raises
        CheckpointRefused, KeyMissing."""
        if not self.standing().is_due(now):
            return 0
        return self._made(lambda standing: standing.is_due(now), "rps", now) or 0

    def make(self, actor: str, now: datetime) -> Note:
        """The checkpoint of the whole log as it is. Raises CheckpointRefused,
        KeyMissing; NotCovered where nothing ever happened."""
        for _ in range(TRIES):
            made = self._made(lambda each: each.size != each.head, actor, now)
            if made is None:
                time.sleep(PAUSE_SECONDS)
            elif not made:
                return self.note()
        raise NotCovered("somebody else is making a checkpoint: ask again in a moment")

    def _made(
        self, is_due: Callable[[Standing], bool], actor: str, now: datetime
    ) -> int | None:
        """How many events the new one is the first for; None: somebody else is at it.
        Nobody waits for the lock, and with it for a connection."""
        with self._datastore.get_connection() as conn, conn.transaction():
            if not _fetched(conn, TRY_LOCK)[0][0]:
                return None
            standing = _standing(conn)
            if not is_due(standing):
                return 0
            return self._add(conn, standing, actor, now) - standing.size

    def rotate(self, actor: str, now: datetime, *, lost: bool = False) -> None:
        """Sign with another key from now on. Raises KeyMissing, NotCovered."""
        origin = self.origin()
        with self._datastore.get_connection() as conn, conn.transaction():
            conn.execute(LOCK)
            self._keys.rotate(conn, origin, actor, now, lost=lost)

    def _add(
        self, conn: Connection[Any], standing: Standing, actor: str, now: datetime
    ) -> int:
        """Its size: the head, or less where that is far."""
        if standing.head < standing.size:
            raise CheckpointRefused(
                f"its last checkpoint was signed for {standing.size} events, now there"
                f" are {standing.head}: cut"
            )
        blocks = [row[0] for row in _fetched(conn, BLOCKS)]
        start = standing.size // BLOCK * BLOCK
        blocks = blocks[: start // BLOCK]
        size = min(standing.head, start + ROWS_MAX)
        rows = _verified(conn, start, size, standing)
        leaves = [leaf_of(row.hash) for row in rows]
        tree = _tree(blocks)
        tree.extend(leaves[: standing.size - start])
        self._require_same(conn, standing.size, tree)
        tree.extend(leaves[standing.size - start :])
        self._add_blocks(conn, leaves, start)
        reads = _fetched(conn, LAST_READ)[0]
        origin = self.origin()
        said = Checkpoint(origin, size, tree.root(), reads if reads[0] else None)
        note = said.signed(self._keys.current(conn, origin, actor, now))
        conn.execute(ADD, (size, said.root, str(note), now))
        hand(conn, self._subscriptions.read(), note, now)
        return size

    def _require_same(self, conn: Connection[Any], size: int, tree: Tree) -> None:
        """What was signed last is still what the log begins with."""
        if not size:
            return
        (note,) = _fetched(conn, NOTE, size)[0]
        if Checkpoint.of(Note.of(note).text).root != tree.root():
            raise CheckpointRefused(
                f"the first {size} events are not those that their checkpoint was"
                " signed for: run rps audit verify"
            )

    def _add_blocks(
        self, conn: Connection[Any], leaves: Sequence[bytes], start: int
    ) -> None:
        known = _fetched(conn, "SELECT count(*) FROM checkpoint_blocks")[0][0]
        for first in range(0, len(leaves) - BLOCK + 1, BLOCK):
            number = (start + first) // BLOCK
            if number >= known:
                root = Tree(leaves[first : first + BLOCK]).root()
                conn.execute(ADD_BLOCK, (number, root))

    # --- asked for ------------------------------------------------------------------

    def origin(self) -> str:
        """The log's name. Raises NotCovered where nothing ever happened."""
        genesis = self._application.recorder.genesis()
        if not genesis:
            raise NotCovered("nothing has happened here yet")
        return origin_of(genesis)

    def standing(self) -> Standing:
        with self._datastore.get_connection() as conn:
            return _standing(conn)

    def public_keys(self) -> list[KeptKey]:
        """All there ever were, oldest first."""
        with self._datastore.get_connection() as conn:
            return self._keys.listed(conn)

    def current_key(self, actor: str, now: datetime) -> PrivateKey:
        """What signs now; made where there was none. Raises KeyMissing, NotCovered."""
        origin = self.origin()
        with self._datastore.get_connection() as conn, conn.transaction():
            if not self._keys.listed(conn):
                conn.execute(LOCK)
            return self._keys.current(conn, origin, actor, now)

    def listed(self, before: int, limit: int) -> list[dict[str, Any]]:
        """The newest first: size, root, note, made_at, and who countersigned."""
        params = {"before": before, "limit": limit}
        with self._datastore.get_connection() as conn:
            cursor: Any = conn.cursor()
            return list(cursor.execute(LISTED, params).fetchall())

    def notes(self, after: int, until: int) -> list[Note]:
        """Of sizes past `after`, up to `until`; smallest first."""
        with self._datastore.get_connection() as conn:
            return [Note.of(row[0]) for row in _fetched(conn, NOTES, after, until)]

    def note(self, size: int | None = None) -> Note:
        """Of that size; else the last one. Raises NotCovered."""
        with self._datastore.get_connection() as conn:
            if size is None:
                found = _fetched(conn, LATEST)
            else:
                found = _fetched(conn, NOTE, size)
        if not found:
            which = "yet" if size is None else f"of {size} events"
            raise NotCovered(f"there is no checkpoint {which}")
        return Note.of(found[0][0])


def _standing(conn: Connection[Any]) -> Standing:
    head, digest, size, made_at = _fetched(conn, STANDING)[0]
    return Standing(head, digest, size or 0, made_at)


def _tree(blocks: Sequence[bytes]) -> Tree:
    tree = Tree()
    for root in blocks:
        tree.add(root, BLOCK)
    return tree


def _verified(
    conn: Connection[Any], start: int, size: int, standing: Standing
) -> list[Row]:
    """Events past `start` up to `size`, chained to each other. CheckpointRefused."""
    before = rows_after(conn, start - 1, 1)[0].hash if start else chain.GENESIS
    rows = rows_after(conn, start, size - start)
    head = (size, standing.hash) if size == standing.head else None
    found = chain.verify(rows, before, start, head)
    if found.breaks or found.position != size:
        why = found.breaks[0].detail if found.breaks else "events are missing"
        at = found.breaks[0].position if found.breaks else found.position
        raise CheckpointRefused(f"event {at}: {why}; run rps audit verify")
    return rows


def _fetched(conn: Connection[Any], sql: str, *params: object) -> list[Any]:
    cursor: Any = conn.cursor(row_factory=tuple_row)
    return list(cursor.execute(sql, params).fetchall())
