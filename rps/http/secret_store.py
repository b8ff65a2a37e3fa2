"""The secrets table: written here, read only by what signs. Never in an event."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from psycopg.rows import tuple_row

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventsourcing.postgres import PostgresDatastore

KEY_BYTES = 32

KEEP = """
INSERT INTO secrets (domain, name, value) VALUES (%b, %b, %b)
ON CONFLICT (domain, name) DO UPDATE SET value = EXCLUDED.value, made_at = now()
"""
KEEP_NEW = """
INSERT INTO secrets (domain, name, value) VALUES (%b, %b, %b)
ON CONFLICT (domain, name) DO NOTHING
RETURNING name
"""


class SecretStore:
    def __init__(
        self, datastore: PostgresDatastore, random_bytes: Callable[[int], bytes]
    ) -> None:
        self._datastore = datastore
        self._random_bytes = random_bytes

    def keep(self, domain: str, name: str, value: str) -> None:
        """Store a secret somebody gave, over the one there was."""
        self._run(KEEP, domain, name, value)

    def make(self, domain: str, name: str) -> str | None:
        """A new Standard Webhooks secret, to be shown once; None where there is one."""
        value = f"whsec_{b64encode(self._random_bytes(KEY_BYTES)).decode()}"
        return value if self._run(KEEP_NEW, domain, name, value) else None

    def _run(self, sql: str, *params: Any) -> list[Any]:
        with self._datastore.get_connection() as conn:
            cursor = conn.cursor(row_factory=tuple_row, binary=True)
            cursor.execute(sql, params)
            return cursor.fetchall() if cursor.description else []
