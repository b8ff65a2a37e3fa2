"""Correlations, found by text, by record and by what happened to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, LiteralString

from rps.projections.questions import Questions, Row, narrowed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

FILTERS: Final[Mapping[str, LiteralString]] = {
    "q": "c.words @@ websearch_to_tsquery('simple', %(q)s)",
    "process_event": "c.process_event = %(process_event)s",
    # Any member of that system has a copy.
    "system": (
        "EXISTS (SELECT FROM links l WHERE l.domain = c.domain"
        " AND l.correlation_id = c.correlation_id AND l.system = %(system)s)"
    ),
    "before": 'c."position" < %(before)s',
}
FOUND: LiteralString = """
SELECT c.correlation_id, c.process_event, c.state, c.version, c.fields, c.members,
       c.conflicts, c.opened_at, c.changed_at, c."position"
FROM correlations c
WHERE c.domain = %(domain)s"""
FOUND_ORDER: LiteralString = """
ORDER BY c."position" DESC LIMIT %(limit)s
"""
# Definition and member are named, so that the primary key of links finds the record.
BY_RECORD = """
SELECT DISTINCT l.correlation_id
FROM unnest(%(definitions)s::uuid[], %(members)s::text[]) AS k(definition, member)
JOIN links l ON l.domain = %(domain)s AND l.definition = k.definition
 AND l.member = k.member AND l.record_id = %(record_id)s
WHERE %(system)s::text IS NULL OR l.system = %(system)s
ORDER BY l.correlation_id
"""
EVENTS = """
SELECT notification_id AS "position", originator_version AS version, topic, state, hash
FROM rps_events
WHERE originator_id = %(stream)s AND originator_version > %(after)s
ORDER BY originator_version LIMIT %(limit)s
"""


class CorrelationQuestions(Questions):
    def found(self, domain: str, filters: Mapping[str, Any], limit: int) -> list[Row]:
        """Correlations the filters choose, the one that changed last first."""
        sql = FOUND + narrowed(FILTERS, filters) + FOUND_ORDER
        return self._ask(sql, {**filters, "domain": domain, "limit": limit})

    def by_record(
        self,
        domain: str,
        members: Sequence[tuple[UUID, str]],
        record_id: str,
        system: str | None,
    ) -> list[UUID]:
        """Correlations one of whose (definition, member) copies is that record."""
        params = {
            "domain": domain,
            "definitions": [definition for definition, _ in members],
            "members": [member for _, member in members],
            "record_id": record_id,
            "system": system,
        }
        return [row["correlation_id"] for row in self._ask(BY_RECORD, params)]

    def events(self, stream: UUID, after: int, limit: int) -> list[Row]:
        """Events of a stream past version `after`, as stored."""
        return self._ask(EVENTS, {"stream": stream, "after": after, "limit": limit})
