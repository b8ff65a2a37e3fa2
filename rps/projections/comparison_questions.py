"""Which records are linked, to be compared with what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.projections.questions import Questions, Row, narrowed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import LiteralString
    from uuid import UUID

PAGE = 200
WHERE: LiteralString = """
FROM links l
WHERE l.domain = %(domain)s AND l.definition = %(definition)s
  AND l.member = ANY(%(members)s)"""
FILTERS: Mapping[str, LiteralString] = {
    "record": "l.record_id = %(record)s",
    "since": (
        "EXISTS (SELECT 1 FROM correlations c"
        " WHERE c.correlation_id = l.correlation_id AND c.changed_at >= %(since)s)"
    ),
}
COUNT: LiteralString = "SELECT count(*) AS count"
# A change that was captured and not judged yet is news already.
LINKS: LiteralString = """
SELECT l.correlation_id, l.member, l.record_id, EXISTS (
    SELECT 1 FROM inbound_queue q
    WHERE q.definition = l.definition AND q.member = l.member
      AND q.record_id = l.record_id AND q.status = 'ready'
) AS waits"""
AFTER: LiteralString = """
  AND (l.member, l.record_id) > (%(after_member)s, %(after_record)s)
ORDER BY l.member, l.record_id
LIMIT %(limit)s"""


class ComparisonQuestions(Questions):
    def count(self, domain: str, definition: UUID, **narrow: Any) -> int:
        """`narrow`: members (a list), record, since; as for `links`."""
        where = WHERE + narrowed(FILTERS, narrow)
        params = {"domain": domain, "definition": definition, **narrow}
        return int(self._ask(COUNT + where, params)[0]["count"])

    def links(self, domain: str, definition: UUID, **narrow: Any) -> Iterator[Row]:
        """`correlation_id`, `member`, `record_id`, and whether a change `waits`; read
        page by page, by member and record."""
        sql = LINKS + WHERE + narrowed(FILTERS, narrow) + AFTER
        params = {
            "domain": domain,
            "definition": definition,
            **narrow,
            "after_member": "",
            "after_record": "",
            "limit": PAGE,
        }
        while rows := self._ask(sql, params):
            yield from rows
            last = rows[-1]
            params["after_member"] = last["member"]
            params["after_record"] = last["record_id"]
