"""Takes the bytes of files away once they have been where they were to go long enough.

The log keeps what was shared, when and by whom; only the bytes go. A file that is
wanted again is pulled again from the system that offered it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from psycopg.rows import tuple_row

from rps.log.statements import LOCK

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from rps.application import RemoteProcessSync

FILES_AT_ONCE = 20
LEASE_SECONDS = 60.0
PIECES_AT_ONCE = 64

# Each message that ever carried it is done, and long enough ago; of a definition that
# says nothing of retention, nothing is ever long enough ago.
_DONE = """
b.made_at < %(made_before)s AND (b.holder IS NULL OR b.leased_until < clock_timestamp())
AND EXISTS (
    SELECT FROM message_attachments f
    WHERE (f.domain, f.sha256) = (b.domain, b.sha256)
)
AND NOT EXISTS (
    SELECT FROM message_attachments f
    JOIN outbound_queue q USING (message_id)
    LEFT JOIN unnest(%(definitions)s::uuid[], %(before)s::timestamptz[])
         AS k(definition, before) ON k.definition = q.definition
    WHERE (f.domain, f.sha256) = (b.domain, b.sha256)
      AND (k.before IS NULL OR q.settled_at IS NULL OR q.settled_at >= k.before)
)
"""
OLD = f"SELECT b.domain, b.sha256 FROM blobs b WHERE {_DONE} LIMIT %(most)s"  # noqa: S608 - constants
HOLD = f"""
UPDATE blobs b
SET complete = false, holder = %(holder)s,
    leased_until = clock_timestamp() + %(seconds)s * interval '1 second'
WHERE (b.domain, b.sha256) = (%(domain)s, %(sha256)s) AND {_DONE}
"""  # noqa: S608 - constants
# From the end, so that what is left at any moment is the file's beginning: whoever
# wants it after all goes on from there.
SHORTEN = """
WITH held AS (
    SELECT domain, sha256 FROM blobs
    WHERE (domain, sha256, holder) = (%(domain)s, %(sha256)s, %(holder)s) FOR UPDATE
), last AS (
    SELECT c.start FROM blob_chunks c JOIN held USING (domain, sha256)
    ORDER BY c.start DESC LIMIT %(pieces)s
), gone AS (
    DELETE FROM blob_chunks c USING held h
    WHERE (c.domain, c.sha256) = (h.domain, h.sha256)
      AND c.start >= (SELECT min(start) FROM last)
    RETURNING c.start
)
UPDATE blobs b
SET stored = coalesce((SELECT min(start) FROM gone), 0),
    leased_until = clock_timestamp() + %(seconds)s * interval '1 second'
FROM held h WHERE (b.domain, b.sha256) = (h.domain, h.sha256)
RETURNING b.stored
"""
DISCARD = """
DELETE FROM blobs
WHERE (domain, sha256, holder) = (%(domain)s, %(sha256)s, %(holder)s) AND stored = 0
"""


class _Bounds(NamedTuple):
    """Of each definition that says so: what was done before is to go."""

    definitions: list[UUID]
    before: list[datetime]

    def params(self) -> dict[str, Any]:
        return {**self._asdict(), "made_before": max(self.before)}


class Retention:
    """What definitions say of how long files are kept, carried out."""

    def __init__(self, application: RemoteProcessSync) -> None:
        self._application = application

    def work(self, now: datetime) -> int:
        """Take some old files away; how many."""
        bounds = self._bounds(now)
        if not bounds.definitions:
            return 0
        params = bounds.params()
        old = self._ask(OLD, {**params, "most": FILES_AT_ONCE})
        return sum(self._removed(key, params) for key in old)

    def _bounds(self, now: datetime) -> _Bounds:
        bounds = _Bounds([], [])
        configuration = self._application.configuration.refresh()
        for each in configuration.definitions():
            revisions = configuration.revisions.get(each.id, {})
            newest = revisions.get(each.revision)  # also of what is retired
            if newest is not None and newest.attachments_kept_days is not None:
                bounds.definitions.append(each.id)
                kept = timedelta(days=newest.attachments_kept_days)
                bounds.before.append(now - kept)
        return bounds

    def _removed(self, key: tuple[str, str], params: dict[str, Any]) -> bool:
        held = {
            "domain": key[0],
            "sha256": key[1],
            "holder": uuid4(),
            "seconds": LEASE_SECONDS,
        }
        if not self._held({**params, **held}):
            return False
        held["pieces"] = PIECES_AT_ONCE
        while rows := self._ask(SHORTEN, held):
            if not rows[0][0]:
                self._ask(DISCARD, held)
                return True
        return False  # somebody else has it by now

    def _held(self, params: dict[str, Any]) -> bool:
        """Under the append lock: no message that carries it can be made meanwhile, and
        one that is made later finds that its file is not here."""
        with self._application.datastore.transaction(commit=True) as cursor:
            cursor.execute(LOCK, (self._application.recorder.lock_key,))
            cursor.execute(HOLD, params)
            return bool(cursor.rowcount)

    def _ask(self, sql: str, params: dict[str, Any]) -> list[Any]:
        with self._application.datastore.get_connection() as conn:
            cursor: Any = conn.cursor(row_factory=tuple_row, binary=True)
            cursor.execute(sql, params)
            return cursor.fetchall() if cursor.description else []
