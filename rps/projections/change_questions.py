"""How far a captured change has come, definition by definition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.projections.questions import Questions, Row

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

# The systems are named, so that the primary key of intake finds the change.
TAKEN = """
SELECT i.system, i.correlation_id, i."position"
FROM intake i
WHERE i.domain = %(domain)s AND i.system = ANY(%(systems)s)
  AND i.change_id = %(change_id)s
ORDER BY i."position"
"""
ENTRIES = """
SELECT q.correlation_id, q.sequence, q."position", q.definition, q.process_event,
       q.member, q.system, q.record_table AS "table", q.record_id, q.operation,
       q.status::text AS status, q.detail, q.captured_at, q.settled_at
FROM unnest(%(correlations)s::uuid[], %(sequences)s::bigint[])
     AS k(correlation_id, sequence)
JOIN inbound_queue q USING (correlation_id, sequence)
WHERE q.domain = %(domain)s
ORDER BY q.sequence
"""
MESSAGES = """
SELECT message_id, correlation_id, change_id, member, system,
       record_table AS "table", operation, status::text AS status, attempts, due_at,
       detail, made_at, settled_at
FROM outbound_queue
WHERE message_id = ANY(%(ids)s) AND domain = %(domain)s
ORDER BY sequence, place
"""


class ChangeQuestions(Questions):
    def taken(self, domain: str, systems: Sequence[str], change_id: str) -> list[Row]:
        """Under which correlation and position each definition took the change in."""
        return self._ask(
            TAKEN,
            {"domain": domain, "systems": list(systems), "change_id": change_id},
        )

    def entries(self, domain: str, keys: Sequence[tuple[UUID, int]]) -> list[Row]:
        """The inbound entries at (correlation, sequence)."""
        params: dict[str, Any] = {
            "domain": domain,
            "correlations": [key[0] for key in keys],
            "sequences": [key[1] for key in keys],
        }
        return self._ask(ENTRIES, params)

    def messages(self, domain: str, ids: Sequence[UUID]) -> list[Row]:
        """Those of the messages `ids` that were made, in the order of their lanes."""
        return self._ask(MESSAGES, {"domain": domain, "ids": list(ids)})
