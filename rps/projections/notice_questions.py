"""Notices, and how far people were told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, LiteralString

from rps.projections.questions import Questions, Row, narrowed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

FILTERS: Final[Mapping[str, LiteralString]] = {
    "topic": "n.topic = %(topic)s",
    "system": "n.system = %(system)s",
    "process_event": "n.process_event = %(process_event)s",
    "before": '(n."position", n.opened) < (%(before)s, %(opened)s)',
}
FOUND: LiteralString = """
SELECT n.notice_id, n.topic, n.process_event, n.system, n.member, n.field,
       n.fingerprint, n.state, n.detail, n.count, n.first_at, n.last_at, n.began_at,
       n.seconds, n.parked, n.waited, n.samples, n."position", n.opened,
       coalesce(d.deliveries, '[]'::jsonb) AS deliveries
FROM notices n
LEFT JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object(
        'delivery_id', x.delivery_id, 'subscription_id', x.subscription_id,
        'part', x.part, 'state', x.state, 'attempts', x.attempts, 'due_at', x.due_at,
        'detail', x.detail) ORDER BY x.made_at, x.delivery_id) AS deliveries
    FROM notice_deliveries x WHERE x.notice_id = n.notice_id
) d ON true
WHERE n.domain = %(domain)s"""
FOUND_ORDER: LiteralString = """
ORDER BY n."position" DESC, n.opened DESC LIMIT %(limit)s
"""
WAITING = """
SELECT subscription_id, count(*) AS waiting, max(attempts) AS attempts,
       (array_agg(detail ORDER BY attempts DESC))[1] AS detail
FROM notice_deliveries WHERE state = 'waiting' GROUP BY subscription_id
"""
FAILED = """
SELECT subscription_id, count(*) AS failed, max(settled_at) AS last_at,
       (array_agg(detail ORDER BY settled_at DESC))[1] AS detail
FROM notice_deliveries WHERE state = 'failed' GROUP BY subscription_id
"""
NOTHING: Final[Row] = {"waiting": 0, "attempts": 0, "failed": 0, "detail": ""}


class NoticeQuestions(Questions):
    def notices(self, domain: str, filters: Mapping[str, Any], limit: int) -> list[Row]:
        """The latest first, with what became of telling people."""
        sql = FOUND + narrowed(FILTERS, filters) + FOUND_ORDER
        return self._ask(sql, {**filters, "domain": domain, "limit": limit})

    def standing(self) -> dict[UUID, Row]:
        """By subscription: deliveries that wait, most attempts among them, and that
        were given up; `detail` of the latest failure."""
        found: dict[UUID, Row] = {}
        for row in (*self._ask(FAILED, {}), *self._ask(WAITING, {})):
            key = row.pop("subscription_id")
            known = found.setdefault(key, dict(NOTHING))
            detail = row.pop("detail") or known["detail"]
            known |= {**row, "detail": detail}
        return found
