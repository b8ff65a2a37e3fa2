"""Which records are to be read, as a webhook said that they changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString

from rps.projections.questions import Questions, Row

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

NOTE = """
INSERT INTO hints (domain, system, record_table, record_id)
VALUES (%(domain)s, %(system)s, %(table)s, %(record)s)
ON CONFLICT (domain, system, record_table, record_id) DO UPDATE
SET asked_at = clock_timestamp(), due_at = clock_timestamp(), attempts = 0
"""
TAKE = """
UPDATE hints h SET leased_until = clock_timestamp() + %(seconds)s * interval '1 second'
FROM (
    SELECT domain, system, record_table, record_id FROM hints
    WHERE (domain, system) IN (
        SELECT * FROM unnest(%(domains)s::text[], %(systems)s::text[])
    )
      AND due_at <= clock_timestamp()
      AND (leased_until IS NULL OR leased_until < clock_timestamp())
    ORDER BY due_at LIMIT %(most)s
    FOR UPDATE SKIP LOCKED
) d
WHERE (h.domain, h.system, h.record_table, h.record_id)
    = (d.domain, d.system, d.record_table, d.record_id)
RETURNING h.domain, h.system, h.record_table, h.record_id, h.asked_at, h.attempts
"""
_KEY = (
    "(domain, system, record_table, record_id)"
    " = (%(domain)s, %(system)s, %(record_table)s, %(record_id)s)"
)
# Asked for again meanwhile: it stays.
DONE = f"DELETE FROM hints WHERE {_KEY} AND asked_at = %(asked_at)s"  # noqa: S608
AGAIN = f"UPDATE hints SET leased_until = NULL WHERE {_KEY}"  # noqa: S608
LATER = f"""
UPDATE hints SET leased_until = NULL, attempts = attempts + 1,
    due_at = clock_timestamp() + %(seconds)s * interval '1 second'
WHERE {_KEY}
"""  # noqa: S608


SOON = f"""
UPDATE hints SET leased_until = NULL,
    due_at = clock_timestamp() + %(seconds)s * interval '1 second'
WHERE {_KEY}
"""  # noqa: S608


class HintQuestions(Questions):
    def note(self, domain: str, system: str, table: str, record_id: str) -> None:
        """It is committed when this comes back."""
        params = {"domain": domain, "system": system, "table": table}
        self._tell(NOTE, {**params, "record": record_id})

    def take(
        self, systems: Collection[tuple[str, str]], most: int, seconds: float
    ) -> list[Row]:
        """Records to be read now, leased for so many seconds."""
        domains = [domain for domain, _ in systems]
        names = [name for _, name in systems]
        params = {"domains": domains, "systems": names}
        return self._ask(TAKE, {**params, "most": most, "seconds": seconds})

    def done(self, hint: Row) -> None:
        self._tell(DONE, hint)
        self._tell(AGAIN, hint)

    def later(self, hint: Row, seconds: float) -> None:
        self._tell(LATER, {**hint, "seconds": seconds})

    def soon(self, hint: Row, seconds: float) -> None:
        """Again, which is no failed attempt."""
        self._tell(SOON, {**hint, "seconds": seconds})

    def _tell(self, sql: LiteralString, params: Mapping[str, Any]) -> None:
        with self._datastore.get_connection() as conn:
            conn.execute(sql, params)
