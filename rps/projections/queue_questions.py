"""The inbound and the outbound queue, page by page, and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, LiteralString

from rps.projections.questions import Questions, Row, narrowed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

FILTERS: Final[Mapping[str, LiteralString]] = {
    # `domain <> ''`: of the indexes over all that is open, which lanes do not use.
    "status": "q.status = %(status)s::entry_status AND q.domain <> ''",
    "system": "q.system = %(system)s",
    "process_event": "q.process_event = %(process_event)s",
    "correlation_id": "q.correlation_id = %(correlation_id)s",
}
INBOUND: LiteralString = """
SELECT q.correlation_id, q.sequence, q."position", q.process_event, q.member, q.system,
       q.record_table AS "table", q.record_id, q.operation, q.change_id,
       q.status::text AS status, q.detail, q.captured_at, q.settled_at, q.waits,
       l.head, l.head_status::text AS head_status
FROM inbound_queue q
LEFT JOIN lanes l ON q.status IN ('ready', 'error')
 AND (l.correlation_id, l.direction, l.member) = (q.correlation_id, 'in', '')
WHERE q.domain = %(domain)s AND q."position" > %(after)s"""
INBOUND_ORDER: LiteralString = """
ORDER BY q."position" LIMIT %(limit)s
"""
# The head of the entry's lane, and whether anything stands between it and its system.
OUTBOUND: LiteralString = """
SELECT q.message_id, q.correlation_id, q.sequence, q.place, q.process_event,
       q.definition_revision, q.member, q.system, q.record_table AS "table",
       q.operation, q.change_id, q.replay_id, q.generation, q.status::text AS status,
       q.attempts, q.due_at, q.detail, q.made_at, q.settled_at,
       h.message_id AS head_message, h.status::text AS head_status,
       h.detail AS head_detail, h.attempts AS head_attempts, h.due_at AS head_due_at,
       l.holder IS NOT NULL AND l.leased_until > clock_timestamp() AS held,
       b.open_until, b.reason AS breaker_reason
FROM outbound_queue q
LEFT JOIN lanes l ON q.status IN ('ready', 'error', 'uncertain')
 AND (l.correlation_id, l.direction, l.member) = (q.correlation_id, 'out', q.member)
LEFT JOIN outbound_queue h ON h.message_id = l.head_message
LEFT JOIN breakers b ON (b.domain, b.system) = (q.domain, q.system)
 AND b.open_until > clock_timestamp()
WHERE q.domain = %(domain)s
  AND (q.sequence, q.place) > (%(after)s, %(after_place)s)"""
OUTBOUND_ORDER: LiteralString = """
ORDER BY q.sequence, q.place LIMIT %(limit)s
"""
OUTBOUND_IDS: LiteralString = """
SELECT q.message_id FROM outbound_queue q WHERE q.domain = %(domain)s"""
OPEN_LANES = """
SELECT l.direction, l.member, l.system, l.head, l.head_message,
       l.head_status::text AS head_status, l.due_at,
       l.holder IS NOT NULL AND l.leased_until > clock_timestamp() AS held
FROM lanes l
WHERE l.correlation_id = %(correlation_id)s AND l.head IS NOT NULL
ORDER BY l.direction, l.member
"""
# Only what is open: that is what waits, and what the partial indexes hold.
COUNTS = """
SELECT 'inbound' AS queue, domain, system, status::text AS status, count(*) AS entries,
       min(captured_at) AS oldest
FROM inbound_queue
WHERE status IN ('ready', 'error') AND domain <> ''
GROUP BY domain, system, status
UNION ALL
SELECT 'outbound', domain, system, status::text, count(*), min(made_at)
FROM outbound_queue
WHERE status IN ('ready', 'error', 'uncertain') AND domain <> ''
GROUP BY domain, system, status
"""
OLDEST_DUE = """
SELECT domain, direction, system, min(due_at) AS due_at
FROM lanes WHERE due_at IS NOT NULL
GROUP BY domain, direction, system
"""
REPLAY_MESSAGES = """
SELECT status::text AS status, count(*) AS messages
FROM outbound_queue WHERE replay_id = %(replay_id)s AND domain = %(domain)s
GROUP BY status
"""


class QueueQuestions(Questions):
    def inbound(
        self, domain: str, filters: Mapping[str, Any], after: int, limit: int
    ) -> list[Row]:
        """Entries past position `after`, in order of position."""
        sql = INBOUND + narrowed(FILTERS, filters) + INBOUND_ORDER
        page = {"domain": domain, "after": after, "limit": limit}
        return self._ask(sql, {**filters, **page})

    def outbound(
        self,
        domain: str,
        filters: Mapping[str, Any],
        after: tuple[int, int],
        limit: int,
    ) -> list[Row]:
        """Entries past (sequence, place) `after`, with the head of each one's lane."""
        sql = OUTBOUND + narrowed(FILTERS, filters) + OUTBOUND_ORDER
        page = {"after": after[0], "after_place": after[1], "limit": limit}
        return self._ask(sql, {**filters, **page, "domain": domain})

    def outbound_ids(
        self, domain: str, filters: Mapping[str, Any], limit: int
    ) -> list[UUID]:
        """Messages the filters choose, lane heads before what waits behind them."""
        sql = OUTBOUND_IDS + narrowed(FILTERS, filters) + OUTBOUND_ORDER
        rows = self._ask(sql, {**filters, "domain": domain, "limit": limit})
        return [row["message_id"] for row in rows]

    def open_lanes(self, correlation_id: UUID) -> list[Row]:
        """The correlation's lanes that have something waiting."""
        return self._ask(OPEN_LANES, {"correlation_id": correlation_id})

    def counts(self) -> list[Row]:
        """Open entries by queue, domain, system and status, and the oldest of each."""
        return self._ask(COUNTS, {})

    def oldest_due(self) -> list[Row]:
        """When the lane that is due the longest became so, by domain and system."""
        return self._ask(OLDEST_DUE, {})

    def replay_messages(self, domain: str, replay_id: UUID) -> dict[str, int]:
        """How many messages of a replay are in which status."""
        params = {"domain": domain, "replay_id": replay_id}
        rows = self._ask(REPLAY_MESSAGES, params)
        return {row["status"]: row["messages"] for row in rows}
