"""Slows down who guesses passwords: by account, and by where they come from.

An attempt is counted before the password is looked at, so that many at once are no way
around. After the free ones each waits twice as long as the one before. Sources that
an account has come in from are not held up by what others try on it: guessing at a
name does not lock its owner out.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from psycopg.rows import tuple_row

if TYPE_CHECKING:
    from eventsourcing.postgres import PostgresDatastore

FREE_OF_ACCOUNT, FREE_OF_SOURCE = 5, 20
WAIT_MAX_SECONDS = 900
FORGOTTEN_AFTER = timedelta(days=1)

# `wait`: 1 s after the free ones, 2 s, 4 s, and so on. No row comes back for a key that
# is held.
TAKE = """
INSERT INTO sign_in_attempts AS t (key, attempts, held_until, last_at)
VALUES (%(key)s, 1, %(now)s, %(now)s)
ON CONFLICT (key) DO UPDATE SET
    attempts = CASE WHEN t.last_at < %(forgotten)s THEN 1 ELSE t.attempts + 1 END,
    held_until = CASE
        WHEN t.last_at < %(forgotten)s OR t.attempts < %(free)s THEN %(now)s
        ELSE %(now)s + least(power(2, least(t.attempts - %(free)s, 20)), %(most)s)
             * interval '1 second'
    END,
    last_at = %(now)s
WHERE t.held_until <= %(now)s
RETURNING true
"""
HELD = "SELECT max(held_until) FROM sign_in_attempts WHERE key = ANY(%(keys)s)"
PASSED = "DELETE FROM sign_in_attempts WHERE key = %(key)s"
UNCOUNTED = """
UPDATE sign_in_attempts SET attempts = attempts - 1, held_until = CASE
    WHEN attempts <= %(free)s + 1 THEN last_at ELSE held_until END
WHERE key = %(key)s AND attempts > 0
"""
IS_KNOWN = """
SELECT EXISTS (
    SELECT FROM sign_ins WHERE domain = %(domain)s AND account = %(name)s
    AND source = %(source)s AND last_at > %(since)s AND what = 'signed_in'
)
"""
FORGET = "DELETE FROM sign_in_attempts WHERE last_at < %(forgotten)s"
KNOWN_FOR = timedelta(days=30)


class HeldBack(Exception):
    """Too many attempts: nothing was looked at. Again after `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Attempts:
    def __init__(self, datastore: PostgresDatastore) -> None:
        self._datastore = datastore

    def take(self, domain: str, name: str, source: str, now: datetime) -> None:
        """Count one; raises HeldBack, and then counts nothing."""
        of_source = _key("source", source)
        own = self._own_key(domain, name, source, now)
        limits = {own: FREE_OF_ACCOUNT, of_source: FREE_OF_SOURCE}
        asked = {"now": now, "forgotten": now - FORGOTTEN_AFTER}
        with self._datastore.get_connection() as conn, conn.transaction():
            cursor = conn.cursor(row_factory=tuple_row, binary=True)
            for key, free in sorted(limits.items()):  # in one order: no deadlocks
                of_key = {"key": key, "free": free, "most": WAIT_MAX_SECONDS}
                if cursor.execute(TAKE, {**asked, **of_key}).fetchone() is None:
                    row = cursor.execute(HELD, {"keys": list(limits)}).fetchone()
                    break
            else:
                return
            until: datetime = row[0] if row and row[0] else now
            # Which also undoes what was counted for the other key.
            raise HeldBack(max(1, round((until - now).total_seconds())))

    def passed(self, domain: str, name: str, source: str, now: datetime) -> None:
        """The last one that was taken was the person: it does not count, nor do those
        before it on the same account; what others tried on it does."""
        own = self._own_key(domain, name, source, now)
        of_source = {"key": _key("source", source), "free": FREE_OF_SOURCE}
        with self._datastore.get_connection() as conn, conn.transaction():
            conn.execute(PASSED, {"key": own}, binary=True)
            conn.execute(UNCOUNTED, of_source, binary=True)

    def forget(self, now: datetime) -> None:
        with self._datastore.get_connection() as conn:
            conn.execute(FORGET, {"forgotten": now - FORGOTTEN_AFTER}, binary=True)

    def _own_key(self, domain: str, name: str, source: str, now: datetime) -> bytes:
        """Under which the account's attempts are counted: those from a source that it
        came in from by themselves."""
        asked: dict[str, Any] = {"domain": domain, "name": name, "source": source}
        with self._datastore.get_connection() as conn:
            cursor = conn.cursor(row_factory=tuple_row, binary=True)
            cursor.execute(IS_KNOWN, {**asked, "since": now - KNOWN_FOR})
            row = cursor.fetchone()
        if row and row[0]:
            return _key("account", domain, name, source)
        return _key("account", domain, name)


def _key(*parts: str) -> bytes:
    return sha256("\0".join(parts).encode()).digest()
