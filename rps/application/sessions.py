"""Sessions of people. The browser holds 256 bits, the table their SHA-256."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID  # noqa: TC003 - a field's type

from psycopg.rows import class_row

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventsourcing.postgres import PostgresDatastore

    from rps.domain.account import Account

IDLE = timedelta(minutes=30)
ABSOLUTE = timedelta(hours=12)
PROOF = timedelta(minutes=5)
"""For how long a person who proved who they are need not do so again."""
SEEN_EVERY = timedelta(minutes=1)

KEY_BYTES = 32
AGENT_CHARACTERS = 200

_COLUMNS = """
digest, session_id, account_id, provider, person, source, agent, made_at, seen_at,
proved_at
"""
MAKE = """
INSERT INTO sessions (digest, session_id, account_id, domain, provider, person, source,
                      agent, made_at, seen_at, proved_at)
VALUES (%b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b)
"""
_LIVE = "seen_at > %b AND made_at > %b"
FIND = f"SELECT {_COLUMNS} FROM sessions WHERE digest = %b AND {_LIVE}"  # noqa: S608 - constants
OF_ACCOUNT = f"""
SELECT {_COLUMNS} FROM sessions WHERE account_id = %b AND {_LIVE}
ORDER BY seen_at DESC, session_id
"""  # noqa: S608 - constants
SEEN = "UPDATE sessions SET seen_at = %b WHERE digest = %b AND seen_at < %b"
RENEW = "UPDATE sessions SET digest = %b, proved_at = %b WHERE digest = %b"
END = "DELETE FROM sessions WHERE account_id = %b AND session_id = %b RETURNING digest"
END_OTHERS = (
    "DELETE FROM sessions WHERE account_id = %b AND digest <> %b RETURNING digest"
)
END_VOUCHED = """
DELETE FROM sessions WHERE provider = %b AND (%b::uuid IS NULL OR account_id = %b)
RETURNING digest
"""
FORGET = "DELETE FROM sessions WHERE made_at <= %b OR seen_at <= %b"


@dataclass(frozen=True, slots=True)
class Session:
    """`session_id` names it and opens nothing; `provider` "" where the person gave the
    password, else `person` is who the provider says it is."""

    digest: bytes
    session_id: str
    account_id: UUID
    provider: str
    person: str
    source: str
    agent: str
    made_at: datetime
    seen_at: datetime
    proved_at: datetime

    def proved(self, now: datetime) -> bool:
        """Whether the person proved who they are a moment ago."""
        return now - self.proved_at < PROOF


class Came(NamedTuple):
    """From where somebody comes, with which browser; `provider` and `person` as those
    of a session."""

    source: str
    agent: str
    provider: str = ""
    person: str = ""


def derived(key: str, purpose: str) -> str:
    """What only who holds a browser's key can make: its form token, for instance."""
    return hmac.new(key.encode(), purpose.encode(), sha256).hexdigest()


class Sessions:
    def __init__(
        self, datastore: PostgresDatastore, random_bytes: Callable[[int], bytes]
    ) -> None:
        self._datastore = datastore
        self._random_bytes = random_bytes

    def new_key(self) -> str:
        """What a browser holds, whether signed in or not: 43 characters, 256 bits."""
        made = urlsafe_b64encode(self._random_bytes(KEY_BYTES))
        return made.decode().rstrip("=")

    def open(self, account: Account, came: Came, now: datetime) -> str:
        """The key of a new session."""
        key, session_id = self.new_key(), self._random_bytes(8).hex()
        whose = (account.id, account.domain)
        who = (came.provider, came.person, came.source, came.agent[:AGENT_CHARACTERS])
        self._run(MAKE, digest(key), session_id, *whose, *who, now, now, now)
        return key

    def find(self, key: str, now: datetime) -> Session | None:
        """The live session that this key opens; it is less idle for it."""
        rows = self._run(FIND, digest(key), now - IDLE, now - ABSOLUTE)
        if not rows:
            return None
        [found] = rows
        if now - found.seen_at >= SEEN_EVERY:
            self._run(SEEN, now, found.digest, now)
        return found

    def of_account(self, account_id: UUID, now: datetime) -> list[Session]:
        """Those that are live, the last seen first."""
        return self._run(OF_ACCOUNT, account_id, now - IDLE, now - ABSOLUTE)

    def renew(self, session: Session, now: datetime) -> str:
        """Another key for the same session, whose person has just proved themselves."""
        key = self.new_key()
        self._run(RENEW, digest(key), now, session.digest)
        return key

    def end(self, account_id: UUID, session_id: str) -> bool:
        """Whether there was such a session of the account."""
        return self._ended(END, account_id, session_id) > 0

    def end_all(self, account_id: UUID, *, but: bytes = b"") -> int:
        """How many were ended: all of the account's, but the one with that digest."""
        return self._ended(END_OTHERS, account_id, but)

    def end_vouched(self, provider: str, account_id: UUID | None = None) -> int:
        """How many were ended of those that the provider vouched for."""
        return self._ended(END_VOUCHED, provider, account_id, account_id)

    def forget(self, now: datetime) -> None:
        """Remove the rows of those that ended by time."""
        self._run(FORGET, now - ABSOLUTE, now - IDLE)

    def _ended(self, sql: str, *params: Any) -> int:
        with self._datastore.get_connection() as conn:
            return len(conn.execute(sql, params, binary=True).fetchall())

    def _run(self, sql: str, *params: Any) -> list[Session]:
        with self._datastore.get_connection() as conn:
            cursor = conn.cursor(row_factory=class_row(Session), binary=True)
            cursor.execute(sql, params)
            return cursor.fetchall() if cursor.description else []


def digest(key: str) -> bytes:
    return sha256(key.encode()).digest()
