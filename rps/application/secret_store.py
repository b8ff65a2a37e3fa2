"""The secrets table. Never in an event, an answer or a log line."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from psycopg.rows import tuple_row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
# In the order asked for; `seconds` NULL: however old.
LIVE = """
SELECT s.value FROM unnest(%b::text[]) WITH ORDINALITY AS u(name, place)
JOIN secrets s ON s.domain = %b AND s.name = u.name
WHERE %b::float8 IS NULL OR s.made_at > now() - %b * interval '1 second'
ORDER BY u.place
"""
DROP = "DELETE FROM secrets WHERE domain = %b AND name = %b RETURNING name"
RENAME = """
WITH gone AS (DELETE FROM secrets WHERE domain = %b AND name = %b RETURNING value)
INSERT INTO secrets (domain, name, value) SELECT %b, %b, value FROM gone
ON CONFLICT (domain, name) DO UPDATE SET value = EXCLUDED.value, made_at = now()
"""


SECRET_MAX = 4096


def hook_name(system: str) -> str:
    """The name of the secret that a system's webhooks are verified by."""
    return f"{system}.hook"


class SecretStore:
    """Secrets by domain and name."""

    def __init__(
        self, datastore: PostgresDatastore, random_bytes: Callable[[int], bytes]
    ) -> None:
        self._datastore = datastore
        self._random_bytes = random_bytes

    def new(self) -> str:
        """A Standard Webhooks secret that nobody has had yet; it is not kept."""
        return f"whsec_{b64encode(self._random_bytes(KEY_BYTES)).decode()}"

    def keep(self, domain: str, name: str, value: str) -> None:
        """Store a secret, over the one there was."""
        self._run(KEEP, domain, name, value)

    def make(self, domain: str, name: str) -> str | None:
        """A new secret, to be shown once; None where there is one."""
        value = self.new()
        return value if self._run(KEEP_NEW, domain, name, value) else None

    def live(
        self, domain: str, names: Sequence[str], seconds: float | None = None
    ) -> list[str]:
        """Those there are, in that order; with `seconds`, younger than that only."""
        rows = self._run(LIVE, list(names), domain, seconds, seconds)
        return [row[0] for row in rows]

    def drop(self, domain: str, name: str) -> bool:
        """Whether there was one."""
        return bool(self._run(DROP, domain, name))

    def rename(self, domain: str, old: str, new: str) -> None:
        """Nothing where there is no such secret."""
        self._run(RENAME, domain, old, domain, new)

    def _run(self, sql: str, *params: Any) -> list[Any]:
        with self._datastore.get_connection() as conn:
            cursor = conn.cursor(row_factory=tuple_row, binary=True)
            cursor.execute(sql, params)
            return cursor.fetchall() if cursor.description else []
