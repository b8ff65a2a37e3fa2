"""What is in flight under a definition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from rps.domain.node_scan import Waiting
from rps.projections.questions import Questions

if TYPE_CHECKING:
    from uuid import UUID

MESSAGES_MAX = 10_000

MESSAGES = """
SELECT member, payload FROM outbound_queue
WHERE domain = %(domain)s AND status IN ('ready', 'error', 'uncertain')
  AND definition = %(definition)s
ORDER BY sequence, place LIMIT %(limit)s
"""
CHANGES = """
SELECT member, count(*) AS changes FROM inbound_queue
WHERE domain = %(domain)s AND status IN ('ready', 'error')
  AND definition = %(definition)s
GROUP BY member
"""
CONFLICTS = """
SELECT c.member, c.field, count(*) AS conflicts
FROM conflicts c JOIN correlations k USING (correlation_id)
WHERE c.domain = %(domain)s AND c.state = 'open' AND k.definition = %(definition)s
GROUP BY c.member, c.field
"""


class DefinitionQuestions(Questions):
    def waiting(self, domain: str, definition: UUID) -> dict[str, Waiting]:
        """By member; of messages the oldest ten thousand."""
        asked = {"domain": domain, "definition": definition, "limit": MESSAGES_MAX}
        messages: dict[str, dict[str, int]] = {}
        for row in self._ask(MESSAGES, asked):
            counted = messages.setdefault(row["member"], {})
            for field in ("", *orjson.loads(row["payload"])["fields"]):
                counted[field] = counted.get(field, 0) + 1
        changes = {r["member"]: r["changes"] for r in self._ask(CHANGES, asked)}
        conflicts: dict[str, dict[str, int]] = {}
        for row in self._ask(CONFLICTS, asked):
            conflicts.setdefault(row["member"], {})[row["field"]] = row["conflicts"]
        return {
            member: Waiting(
                messages.get(member, {}),
                changes.get(member, 0),
                conflicts.get(member, {}),
            )
            for member in {*messages, *changes, *conflicts}
        }
