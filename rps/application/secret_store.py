"""The secrets table, sealed. Never in an event, an answer or a log line."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from psycopg.rows import tuple_row

from rps.keys.envelope import KeyTrouble

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rps.application import RemoteProcessSync

KEY_BYTES = 32

KEEP = """
INSERT INTO secrets (domain, name, sealed) VALUES (%b, %b, %b)
ON CONFLICT (domain, name)
DO UPDATE SET value = NULL, sealed = EXCLUDED.sealed, made_at = now()
"""
KEEP_NEW = """
INSERT INTO secrets (domain, name, sealed) VALUES (%b, %b, %b)
ON CONFLICT (domain, name) DO NOTHING
RETURNING name
"""
# In the order asked for; `seconds` NULL: however old.
LIVE = """
SELECT s.name, s.value, s.sealed
FROM unnest(%b::text[]) WITH ORDINALITY AS u(name, place)
JOIN secrets s ON s.domain = %b AND s.name = u.name
WHERE %b::float8 IS NULL OR s.made_at > now() - %b * interval '1 second'
ORDER BY u.place
"""
DROP = "DELETE FROM secrets WHERE domain = %b AND name = %b RETURNING name"
# As it was read; else somebody else renamed or changed it.
RENAME = """
WITH gone AS (
    DELETE FROM secrets WHERE domain = %b AND name = %b
      AND (value, sealed) IS NOT DISTINCT FROM (%b, %b) RETURNING domain
)
INSERT INTO secrets (domain, name, sealed) SELECT domain, %b, %b FROM gone
ON CONFLICT (domain, name)
DO UPDATE SET value = NULL, sealed = EXCLUDED.sealed, made_at = now()
"""
ALL = "SELECT domain, name, value, sealed FROM secrets ORDER BY domain, name"
# As it was read: one that was changed meanwhile has been sealed by whoever changed it.
SEAL = """
UPDATE secrets SET value = NULL, sealed = %b
WHERE domain = %b AND name = %b AND (value, sealed) IS NOT DISTINCT FROM (%b, %b)
RETURNING name
"""
COUNT_PLAIN = "SELECT count(*) FROM secrets WHERE value IS NOT NULL"

SECRET_MAX = 4096

_SEALED_IN = ("secrets", "sealed")


def hook_name(system: str) -> str:
    """The name of the secret that a system's webhooks are verified by."""
    return f"{system}.hook"


class SecretStore:
    """Secrets by domain and name. Whatever reads or keeps one raises KeyTrouble where
    the node's key is missing or another one."""

    def __init__(
        self, application: RemoteProcessSync, random_bytes: Callable[[int], bytes]
    ) -> None:
        self._datastore = application.datastore
        self._cipher = application.cipher
        self._random_bytes = random_bytes

    def new(self) -> str:
        """A Standard Webhooks secret that nobody has had yet; it is not kept."""
        return f"whsec_{b64encode(self._random_bytes(KEY_BYTES)).decode()}"

    def keep(self, domain: str, name: str, value: str) -> None:
        """Store a secret, over the one there was."""
        self._run(KEEP, domain, name, self._sealed(domain, name, value))

    def make(self, domain: str, name: str) -> str | None:
        """A new secret, to be shown once; None where there is one."""
        value = self.new()
        held = self._sealed(domain, name, value)
        return value if self._run(KEEP_NEW, domain, name, held) else None

    def live(
        self, domain: str, names: Sequence[str], seconds: float | None = None
    ) -> list[str]:
        """Those there are, in that order; with `seconds`, younger than that only."""
        rows = self._run(LIVE, list(names), domain, seconds, seconds)
        return [self._opened(domain, *row) for row in rows]

    def drop(self, domain: str, name: str) -> bool:
        """Whether there was one."""
        return bool(self._run(DROP, domain, name))

    def rename(self, domain: str, old: str, new: str) -> None:
        """Nothing where there is no such secret."""
        for _, value, held in self._run(LIVE, [old], domain, None, None):
            said = self._opened(domain, old, value, held)
            again = self._sealed(domain, new, said)
            self._run(RENAME, domain, old, value, held, new, again)

    # --- how they are kept ----------------------------------------------------------

    def plain(self) -> int:
        """How many secrets are not sealed yet."""
        return int(self._run(COUNT_PLAIN)[0][0])

    def seal_all(self) -> int:
        """Seal what is plain or under an older key of its domain, one by one: how many
        were. Stopped half way, it goes on where it was."""
        count = 0
        for domain, name, value, held in self._run(ALL):
            if held is None or not self._cipher.is_newest(domain, held):
                said = self._opened(domain, name, value, held)
                again = self._sealed(domain, name, said)
                count += len(self._run(SEAL, again, domain, name, value, held))
        return count

    def check(self) -> list[tuple[str, str, str]]:
        """Secrets that do not open: domain, name and why."""
        wrong = []
        for domain, name, value, held in self._run(ALL):
            try:
                self._opened(domain, name, value, held)
            except KeyTrouble as error:
                wrong.append((domain, name, str(error)))
        return wrong

    def _sealed(self, domain: str, name: str, value: str) -> bytes:
        return self._cipher.encrypt(domain, *_SEALED_IN, name, value.encode())

    def _opened(
        self, domain: str, name: str, value: str | None, held: bytes | None
    ) -> str:
        if held is None:
            return value or ""
        return self._cipher.decrypt(domain, *_SEALED_IN, name, held).decode()

    def _run(self, sql: str, *params: Any) -> list[Any]:
        with self._datastore.get_connection() as conn:
            cursor = conn.cursor(row_factory=tuple_row, binary=True)
            cursor.execute(sql, params)
            return cursor.fetchall() if cursor.description else []
