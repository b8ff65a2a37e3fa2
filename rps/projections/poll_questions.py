"""Which tables are to be polled, who does it now, and how far each was read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString

import orjson

from rps.projections.questions import Questions, Row

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from uuid import UUID

Table = tuple[str, str, str]
"""Domain, system, table."""

KNOW = """
INSERT INTO polls (domain, system, record_table)
SELECT * FROM unnest(%(domains)s::text[], %(systems)s::text[], %(tables)s::text[])
ON CONFLICT DO NOTHING
"""
# Not of systems whose breaker is open; `to_probe` where it was.
DUE = """
SELECT p.domain, p.system, p.record_table, x.system IS NOT NULL AS to_probe
FROM polls p LEFT JOIN breakers x ON (x.domain, x.system) = (p.domain, p.system)
WHERE (p.domain, p.system, p.record_table) IN (
    SELECT * FROM unnest(%(domains)s::text[], %(systems)s::text[], %(tables)s::text[])
)
  AND p.due_at <= clock_timestamp()
  AND (p.holder IS NULL OR p.leased_until < clock_timestamp())
  AND (x.system IS NULL OR x.open_until <= clock_timestamp())
ORDER BY p.due_at LIMIT %(most)s
"""
_KEY = "(domain, system, record_table) = (%(domain)s, %(system)s, %(table)s)"
TAKE = f"""
UPDATE polls SET holder = %(holder)s,
    leased_until = clock_timestamp() + %(seconds)s * interval '1 second'
WHERE {_KEY} AND (holder IS NULL OR leased_until < clock_timestamp())
RETURNING cursor::text, attempts
"""  # noqa: S608 - constants
BEAT = """
UPDATE polls
SET leased_until = clock_timestamp() + %(seconds)s * interval '1 second'
WHERE holder = %(holder)s
"""
SAVE = f"""
UPDATE polls SET cursor = %(cursor)s::jsonb, attempts = 0, detail = '',
    told = told + %(told)s, polled_at = clock_timestamp(),
    leased_until = clock_timestamp() + %(seconds)s * interval '1 second'
WHERE {_KEY} AND holder = %(holder)s
RETURNING 1
"""  # noqa: S608
LEAVE = f"""
UPDATE polls SET holder = NULL, leased_until = NULL, attempts = %(attempts)s,
    detail = %(detail)s,
    due_at = clock_timestamp() + %(seconds)s * interval '1 second'
WHERE {_KEY} AND holder = %(holder)s
"""  # noqa: S608
STANDING = """
SELECT domain, system, record_table, polled_at, told, attempts, detail
FROM polls WHERE domain = %(domain)s AND system = %(system)s ORDER BY record_table
"""
FORGET_PARTS = """
DELETE FROM remote_parts WHERE begun_at < clock_timestamp() - interval '90 days'
"""


# Which of these records somebody writes to, or did since that position of the log: what
# a reading meanwhile shows may be from before or in between. Those that are being made
# are known by our id.
WRITTEN = """
WITH shown AS (
    SELECT * FROM unnest(%(records)s::text[], %(correlations)s::text[]::uuid[])
        AS s(record_id, correlation_id)
    CROSS JOIN unnest(%(definitions)s::uuid[], %(members)s::text[])
        AS m(definition, member)
), about AS (
    SELECT s.record_id, l.correlation_id, l.member
    FROM shown s
    JOIN links l ON (l.domain, l.definition, l.member, l.record_id)
                  = (%(domain)s, s.definition, s.member, s.record_id)
    UNION
    SELECT s.record_id, x.correlation_id, x.member
    FROM shown s
    JOIN lanes x ON (x.correlation_id, x.direction, x.member, x.domain)
                  = (s.correlation_id, 'out', s.member, %(domain)s)
)
SELECT DISTINCT a.record_id FROM about a
WHERE EXISTS (
    SELECT FROM lanes x
    WHERE (x.correlation_id, x.direction, x.member)
        = (a.correlation_id, 'out', a.member)
      AND (x.holder IS NOT NULL OR x.head_status = 'uncertain')
) OR EXISTS (
    SELECT FROM rps_events e
    WHERE e.originator_id = a.correlation_id AND e.notification_id > %(position)s
      AND e.topic IN ('message.transmitted', 'message.acknowledged', 'message.failed')
)
"""


class PollQuestions(Questions):
    """Leases are of a table; `holder` names one poller."""

    def due(self, tables: Collection[Table], most: int) -> list[Row]:
        """Tables of `tables` that are to be polled now."""
        names = ("domains", "systems", "tables")
        columns = {name: [each[at] for each in tables] for at, name in enumerate(names)}
        self._tell(KNOW, columns)
        return self._ask(DUE, {**columns, "most": most})

    def take(self, table: Table, holder: str, seconds: float) -> Row | None:
        """The cursor (JSON or None) and failed attempts; None: somebody else has it."""
        params = {**_named(table), "holder": holder, "seconds": seconds}
        rows = self._ask(TAKE, params)
        return rows[0] if rows else None

    def written(
        self,
        table: Table,
        members: Collection[tuple[UUID, str]],
        shown: Mapping[str, str | None],
        position: int,
    ) -> set[str]:
        """Ids of records, of those `shown` with the correlation that they name, that
        are or were written to since `position`. `members`: whose table it is, by their
        definitions."""
        about = {"records": list(shown), "correlations": list(shown.values())}
        whose = {
            "definitions": [definition for definition, _ in members],
            "members": [member for _, member in members],
        }
        params = {**_named(table), **about, **whose, "position": position}
        return {row["record_id"] for row in self._ask(WRITTEN, params)}

    def beat(self, holder: str, seconds: float) -> None:
        self._tell(BEAT, {"holder": holder, "seconds": seconds})

    def save(
        self,
        table: Table,
        holder: str,
        cursor: Mapping[str, Any],
        told: int,
        seconds: float,
    ) -> bool:
        """Whether the lease still was ours."""
        params = {
            **_named(table),
            "holder": holder,
            "cursor": orjson.dumps(dict(cursor)).decode(),
            "told": told,
            "seconds": seconds,
        }
        return bool(self._ask(SAVE, params))

    def leave(
        self, table: Table, holder: str, seconds: float, attempts: int, detail: str
    ) -> None:
        """Let it be polled again in `seconds`."""
        params = {
            **_named(table),
            "holder": holder,
            "seconds": seconds,
            "attempts": attempts,
            "detail": detail,
        }
        self._tell(LEAVE, params)

    def standing(self, domain: str, system: str) -> list[Row]:
        """How polling goes, table by table."""
        return self._ask(STANDING, {"domain": domain, "system": system})

    def forget_parts(self) -> None:
        """Of writes that nobody will try again."""
        self._tell(FORGET_PARTS, {})

    def _tell(self, sql: LiteralString, params: Mapping[str, Any]) -> None:
        with self._datastore.get_connection() as conn:
            conn.execute(sql, params)


def _named(table: Table) -> dict[str, str]:
    return dict(zip(("domain", "system", "table"), table, strict=True))
