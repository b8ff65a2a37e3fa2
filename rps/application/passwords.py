"""Passwords of people: which are taken, and how they are kept (argon2id)."""

from __future__ import annotations

from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any

from argon2.exceptions import InvalidHashError, VerificationError
from psycopg.rows import tuple_row

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from argon2 import PasswordHasher
    from eventsourcing.postgres import PostgresDatastore

    from rps.domain.account import Account

CHARACTERS_MIN, CHARACTERS_MAX = 12, 256
GUESSES_MIN = 10**8
"""zxcvbn's third of four steps: nothing that anybody would try early."""
_JUDGED_CHARACTERS = 72  # zxcvbn takes no more

AT_ONCE = 4
"""Each takes 64 MiB and both cores for some 50 ms: others wait their turn."""

HASH = "SELECT hash FROM passwords WHERE account_id = %b"
KEEP = """
INSERT INTO passwords (account_id, domain, hash, set_at) VALUES (%b, %b, %b, %b)
ON CONFLICT (account_id) DO UPDATE SET hash = EXCLUDED.hash, set_at = EXCLUDED.set_at
"""
REHASH = "UPDATE passwords SET hash = %b WHERE account_id = %b AND hash = %b"
DROP = "DELETE FROM passwords WHERE account_id = %b RETURNING account_id"


class PasswordRefused(ValueError):
    """The password is not taken; the text says why and never repeats it."""


def check(password: str, *about: str) -> None:
    """Raises PasswordRefused. `about`: words that anybody would guess here, such as the
    account's name."""
    if len(password) < CHARACTERS_MIN:
        raise PasswordRefused(
            f"it has {len(password)} characters: take {CHARACTERS_MIN} at least, for "
            "instance four words"
        )
    if len(password) > CHARACTERS_MAX:
        raise PasswordRefused(f"it is longer than {CHARACTERS_MAX} characters")
    if not password.isprintable():
        raise PasswordRefused("it holds a character that cannot be typed")
    from zxcvbn import zxcvbn  # noqa: PLC0415 - its lists take a tenth of a second

    judged = zxcvbn(password[:_JUDGED_CHARACTERS], user_inputs=["rps", *about])
    if judged["guesses"] < GUESSES_MIN:
        why = judged["feedback"]["warning"] or "It is easy to guess."
        raise PasswordRefused(f"{why} Take another, for instance four words")


class Passwords:
    """The table of hashes. One for a process."""

    def __init__(self, datastore: PostgresDatastore, hasher: PasswordHasher) -> None:
        self._datastore = datastore
        self._hasher = hasher
        # Looked at where there is no password, so that it takes as long.
        self._nobodys = hasher.hash("of nobody's")
        self._turn = BoundedSemaphore(AT_ONCE)

    def exists(self, account_id: UUID) -> bool:
        return bool(self._run(HASH, account_id))

    def fits(self, account_id: UUID, password: str) -> bool:
        """Whether it is the account's; takes as long where there is no such account."""
        rows = self._run(HASH, account_id)
        kept = rows[0][0] if rows else self._nobodys
        with self._turn:
            try:
                self._hasher.verify(kept, password[: CHARACTERS_MAX + 1])
            except (VerificationError, InvalidHashError):
                return False
            if not rows:
                return False
            if self._hasher.check_needs_rehash(kept):
                better = self._hasher.hash(password)
                self._run(REHASH, better, account_id, kept)
        return True

    def keep(self, account: Account, password: str, now: datetime) -> None:
        """Over the one there was; whoever calls has checked it and told the log."""
        with self._turn:
            made = self._hasher.hash(password)
        self._run(KEEP, account.id, account.domain, made, now)

    def drop(self, account_id: UUID) -> bool:
        """Whether there was one."""
        return bool(self._run(DROP, account_id))

    def _run(self, sql: str, *params: Any) -> list[Any]:
        with self._datastore.get_connection() as conn:
            cursor = conn.cursor(row_factory=tuple_row, binary=True)
            cursor.execute(sql, params)
            return cursor.fetchall() if cursor.description else []
