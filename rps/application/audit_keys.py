"""The keys that sign checkpoints of this node's log: one at a time, all remembered."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg.rows import tuple_row

from rps.domain.tenancy import TOP
from rps.log.checkpoint import succession
from rps.log.exported import Key
from rps.log.note import KEY_BYTES, PrivateKey, PublicKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from psycopg import Connection

    from rps.application.secret_store import SecretStore

LISTED = """
SELECT public_key, succession, made_by, made_at FROM audit_keys ORDER BY number
"""
ADD = """
INSERT INTO audit_keys (number, public_key, succession, made_by, made_at)
SELECT coalesce(max(number), 0) + 1, %s, %s, %s, %s FROM audit_keys
"""


class KeyMissing(Exception):
    """The secret half of the key that signs checkpoints is not there any more."""


class KeptKey(NamedTuple):
    """A key of the log, who made it and when."""

    key: Key
    made_by: str
    made_at: datetime


class AuditKeys:
    """Asked within a transaction of the caller's, who holds the checkpoint lock where
    a key may be made."""

    def __init__(
        self, secrets: SecretStore, random_bytes: Callable[[int], bytes]
    ) -> None:
        self._secrets = secrets
        self._random_bytes = random_bytes

    def listed(self, conn: Connection[Any]) -> list[KeptKey]:
        """All there ever were, oldest first."""
        cursor = conn.cursor(row_factory=tuple_row)
        return [
            KeptKey(Key(PublicKey.of(public), before), made_by, made_at)
            for public, before, made_by, made_at in cursor.execute(LISTED).fetchall()
        ]

    def current(
        self, conn: Connection[Any], origin: str, actor: str, now: datetime
    ) -> PrivateKey:
        """What signs now; made where there was none. Raises KeyMissing."""
        listed = self.listed(conn)
        if not listed:
            return self._make(conn, origin, None, actor, now)
        public = listed[-1].key.public
        found = self._secrets.live(TOP, [_secret_name(public)])
        if not found:
            raise KeyMissing(
                f"the secret of {public} is gone: restore it with the database, or"
                " begin anew with rps audit key rotate --lost"
            )
        return PrivateKey(public.name, b64decode(found[0]))

    def rotate(
        self,
        conn: Connection[Any],
        origin: str,
        actor: str,
        now: datetime,
        *,
        lost: bool,
    ) -> PrivateKey:
        """Another key from now on; the one before vouches for it, unless it is lost.
        Raises KeyMissing."""
        before = None if lost else self.current(conn, origin, actor, now)
        return self._make(conn, origin, before, actor, now)

    def _make(
        self,
        conn: Connection[Any],
        origin: str,
        before: PrivateKey | None,
        actor: str,
        now: datetime,
    ) -> PrivateKey:
        secret = self._random_bytes(KEY_BYTES)
        made = PrivateKey(origin, secret)
        # First the secret: a key that is listed can always sign.
        kept = b64encode(secret).decode()
        self._secrets.keep(TOP, _secret_name(made.public), kept)
        word = str(succession(made.public, before)) if before else ""
        conn.execute(ADD, (str(made.public), word, actor, now))
        return made


def _secret_name(key: PublicKey) -> str:
    """Apart from those of systems, whose names have no tab."""
    return f"audit\t{key.id.hex()}"
