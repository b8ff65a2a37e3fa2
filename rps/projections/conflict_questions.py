"""Conflicts, found by state, record and field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, LiteralString

from rps.projections.questions import Questions, Row, narrowed

if TYPE_CHECKING:
    from collections.abc import Mapping

FILTERS: Final[Mapping[str, LiteralString]] = {
    "state": "c.state = %(state)s",
    "correlation_id": "c.correlation_id = %(correlation_id)s",
    "process_event": "k.process_event = %(process_event)s",
    "member": "c.member = %(member)s",
    "field": "c.field = %(field)s",
    "before": 'c."position" < %(before)s',
    "id": 'c."position" = %(id)s',
}
FOUND: LiteralString = """
SELECT c."position" AS id, c.correlation_id, k.process_event, c.member, c.field,
       c.state, c.policy, c.winner, c.base, c.mine, c.theirs, c.value, c.change_id,
       c.opened_at, c.resolved_at, c.actor, c.reason
FROM conflicts c LEFT JOIN correlations k USING (correlation_id)
WHERE c.domain = %(domain)s"""
FOUND_ORDER: LiteralString = """
ORDER BY c."position" DESC LIMIT %(limit)s
"""


class ConflictQuestions(Questions):
    def found(self, domain: str, filters: Mapping[str, Any], limit: int) -> list[Row]:
        """Conflicts the filters choose, the latest first."""
        sql = FOUND + narrowed(FILTERS, filters) + FOUND_ORDER
        return self._ask(sql, {**filters, "domain": domain, "limit": limit})

    def conflict(self, domain: str, number: int) -> Row | None:
        """The conflict that stands at that position of the log."""
        found = self.found(domain, {"id": number}, 1)
        return found[0] if found else None
