"""Seals and opens what a domain keeps, under the domain's key.

    cipher.encrypt("top/acme", "secrets", "sealed", "jira", b"...")

Whatever is kept in a column of ours may be sealed like this; the row is named by what
identifies it within its domain.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

from psycopg.rows import tuple_row

from rps.keys.envelope import Key, Unreadable, opened, sealed, sealed_under

if TYPE_CHECKING:
    from eventsourcing.postgres import PostgresDatastore

    from rps.keys.key_source import Keyring

FIND = """
SELECT wrapped_by, wrapped FROM domain_keys WHERE domain = %b AND key_id = %b
"""
NEWEST = """
SELECT key_id FROM domain_keys WHERE domain = %b ORDER BY made_at DESC, key_id LIMIT 1
"""
KEEP = """
INSERT INTO domain_keys (domain, key_id, wrapped_by, wrapped) VALUES (%b, %b, %b, %b)
"""
ALL = """
SELECT domain, key_id, wrapped_by, wrapped FROM domain_keys ORDER BY domain, key_id
"""
# Only what it was unwrapped from: a second rotation beside this one changes nothing.
REWRAP = """
UPDATE domain_keys SET wrapped_by = %b, wrapped = %b
WHERE domain = %b AND key_id = %b AND wrapped_by = %b RETURNING domain
"""


# What is sealed begins with the version and the key's id.
ABANDON = """
WITH lost AS (DELETE FROM domain_keys WHERE wrapped_by = %b RETURNING domain, key_id)
DELETE FROM secrets s USING lost l
WHERE s.domain = l.domain AND substring(s.sealed FROM 2 FOR 8) = l.key_id
RETURNING s.name
"""


class Cipher:
    """Domains' keys are unwrapped once a process and remembered: wrapping them anew
    changes nothing for whoever has them."""

    def __init__(self, datastore: PostgresDatastore, keyring: Keyring) -> None:
        self._datastore = datastore
        self.keyring = keyring
        self._keys: dict[tuple[str, bytes], Key] = {}
        self._lock = Lock()

    def encrypt(
        self, domain: str, table: str, column: str, row: str, plain: bytes
    ) -> bytes:
        """Under the domain's newest key; its first is made here. Raises KeyTrouble."""
        newest = self._run(NEWEST, domain)
        key = self._key(domain, newest[0][0]) if newest else self.renew(domain)
        return sealed(key, (table, column, row, domain), plain)

    def decrypt(
        self, domain: str, table: str, column: str, row: str, held: bytes
    ) -> bytes:
        """Raises KeyTrouble, and Unreadable where that is not what was sealed there."""
        key = self._key(domain, sealed_under(held))
        return opened(key, (table, column, row, domain), held)

    def renew(self, domain: str) -> Key:
        """Another key for what the domain seals from now on. Raises KeyTrouble."""
        self.keyring.refresh()
        by, made = self.keyring.current(), Key.made()
        self._run(KEEP, domain, made.id, by.id, wrapped(by, domain, made))
        self._remember(domain, made)
        return made

    def is_newest(self, domain: str, held: bytes) -> bool:
        """Whether it was sealed under the key that seals what is new."""
        return self._run(NEWEST, domain) == [(sealed_under(held),)]

    def _key(self, domain: str, key_id: bytes) -> Key:
        with self._lock:
            known = self._keys.get((domain, key_id))
        if known is not None:
            return known
        for by, held in self._run(FIND, domain, key_id):
            key = unwrapped(self.keyring.key(by), domain, key_id, held)
            self._remember(domain, key)
            return key
        raise Unreadable(
            f"{domain} has no key {key_id.hex()}: it was deleted, or that belongs to"
            " another domain"
        )

    def _remember(self, domain: str, key: Key) -> None:
        with self._lock:
            self._keys[(domain, key.id)] = key

    # --- the operator's keys --------------------------------------------------------

    def check(self) -> None:
        """Raises KeyTrouble where a domain's key does not open."""
        for domain, key_id, by, held in self._run(ALL):
            unwrapped(self.keyring.key(by), domain, key_id, held)

    def uses(self) -> dict[bytes, int]:
        """How many keys of domains each of the operator's keys wraps."""
        counts: dict[bytes, int] = {}
        for _, _, by, _ in self._run(ALL):
            counts[by] = counts.get(by, 0) + 1
        return counts

    def domains(self) -> list[str]:
        """Those that have a key."""
        return sorted({domain for domain, *_ in self._run(ALL)})

    def rewrap(self) -> int:
        """Wrap every domain's keys under the current key, one by one: how many were
        under another. Stopped half way, it goes on where it was. Raises KeyTrouble."""
        current, count = self.keyring.current(), 0
        for domain, key_id, by, held in self._run(ALL):
            if by != current.id:
                key = unwrapped(self.keyring.key(by), domain, key_id, held)
                again = wrapped(current, domain, key)
                count += len(self._run(REWRAP, current.id, again, domain, key_id, by))
        return count

    def abandon(self, lost: bytes) -> int:
        """Remove the domains' keys that this one wraps, and the secrets under them: how
        many. Takes the owner of the tables."""
        return len(self._run(ABANDON, lost))

    def _run(self, sql: str, *params: Any) -> list[Any]:
        with self._datastore.get_connection() as conn:
            cursor = conn.cursor(row_factory=tuple_row, binary=True)
            cursor.execute(sql, params)
            return cursor.fetchall() if cursor.description else []


def wrapped(by: Key, domain: str, key: Key) -> bytes:
    return sealed(by, _place(domain, key.id), key.secret)


def unwrapped(by: Key, domain: str, key_id: bytes, held: bytes) -> Key:
    """Raises Unreadable."""
    return Key(key_id, opened(by, _place(domain, key_id), held))


def _place(domain: str, key_id: bytes) -> tuple[str, ...]:
    return ("domain_keys", "wrapped", key_id.hex(), domain)
