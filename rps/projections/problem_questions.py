"""Groups of the same mistake, their entries, and how far a treatment has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, LiteralString

from rps.projections.questions import Questions, Row, narrowed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

COUNTED_MAX = 10_000
"""Groups counted for metrics: more of them tell no more."""
LEFT_MAX = 100_000

FILTERS: Final[Mapping[str, LiteralString]] = {
    "queue": "g.queue = %(queue)s",
    "state": "g.state = %(state)s",
    "system": "g.system = %(system)s",
    "member": "g.member = %(member)s",
    "process_event": "g.process_event = %(process_event)s",
    "before": 'g."position" < %(before)s',
}
GROUPS: LiteralString = """
SELECT g.* FROM problem_groups g WHERE g.domain = %(domain)s"""
GROUPS_ORDER: LiteralString = """
ORDER BY g."position" DESC LIMIT %(limit)s
"""
GROUP = """
SELECT g.* FROM problem_groups g
WHERE g.fingerprint = %(fingerprint)s AND g.domain = %(domain)s
"""
# The latest of each group.
EXAMPLES = """
SELECT k.fingerprint, p.entry, p.correlation_id, p.since, p.at, p.attempts, p.detail,
       p."position"
FROM unnest(%(fingerprints)s::text[]) AS k(fingerprint)
CROSS JOIN LATERAL (
    SELECT * FROM problems x WHERE x.fingerprint = k.fingerprint
    ORDER BY x."position" DESC LIMIT %(most)s
) p
ORDER BY k.fingerprint, p."position" DESC
"""
ENTRIES = """
SELECT p.entry, p.detail, p."position" FROM problems p
WHERE p.fingerprint = %(fingerprint)s AND p."position" > %(after)s
  AND p."position" <= %(until)s
ORDER BY p."position" LIMIT %(most)s
"""
# Whether they still stand as the view, which may lag, has them.
STANDING_OUTBOUND = """
SELECT q.message_id::text AS entry FROM unnest(%(entries)s::text[], %(details)s::text[])
    AS k(entry, detail)
CROSS JOIN LATERAL (
    SELECT * FROM outbound_queue x WHERE x.message_id = k.entry::uuid LIMIT 1
) q
WHERE q.status IN ('ready', 'error', 'uncertain') AND q.detail = k.detail
"""
STANDING_INBOUND = """
SELECT k.entry FROM unnest(%(entries)s::text[], %(details)s::text[]) AS k(entry, detail)
CROSS JOIN LATERAL (
    SELECT * FROM inbound_queue x
    WHERE x.correlation_id = split_part(k.entry, ':', 1)::uuid
      AND x.sequence = split_part(k.entry, ':', 2)::bigint LIMIT 1
) q
WHERE q.status = 'error' AND q.detail = k.detail
"""
LEFT = """
SELECT count(*) AS entries FROM (
    SELECT FROM problems p WHERE p.fingerprint = %(fingerprint)s
      AND p."position" <= %(until)s LIMIT %(most)s
) x
"""
COUNTS = """
SELECT domain, queue, state, count(*) AS groups, sum(entries)::bigint AS entries
FROM (SELECT domain, queue, state, entries FROM problem_groups LIMIT %(most)s) g
GROUP BY domain, queue, state
"""
PROGRESS = """
SELECT after, done, settled, busy FROM treatment_progress
WHERE treatment_id = %(treatment_id)s
"""
KEEP_PROGRESS = """
INSERT INTO treatment_progress (treatment_id, after, done, settled, busy)
VALUES (%(treatment_id)s, %(after)s, %(done)s, %(settled)s, %(busy)s)
ON CONFLICT (treatment_id) DO UPDATE
SET after = EXCLUDED.after, done = EXCLUDED.done, settled = EXCLUDED.settled,
    busy = EXCLUDED.busy
RETURNING treatment_id
"""
# Started and not ended, by the log's own account. Counted, so that each is looked up.
STARTED = """
SELECT s.originator_id FROM rps_events s
WHERE s.topic = 'treatment.started' AND s.topic LIKE 'treatment.%%' AND (
    SELECT count(*) FROM rps_events e WHERE e.originator_id = s.originator_id
    AND e.topic IN ('treatment.completed', 'treatment.cancelled')
    AND e.topic LIKE 'treatment.%%'
) = 0
"""
LATEST = """
SELECT originator_id FROM rps_events
WHERE topic = 'treatment.planned' AND topic LIKE 'treatment.%%'
ORDER BY notification_id DESC LIMIT %(most)s
"""


class ProblemQuestions(Questions):
    def groups(
        self, domain: str, filters: Mapping[str, Any], limit: int, examples: int
    ) -> list[Row]:
        """Groups the filters choose, the one with the latest error first, each with its
        latest `examples`."""
        sql = GROUPS + narrowed(FILTERS, filters) + GROUPS_ORDER
        rows = self._ask(sql, {**filters, "domain": domain, "limit": limit})
        return self._with_examples(rows, examples)

    def group(self, domain: str, fingerprint: str, examples: int) -> Row | None:
        rows = self._ask(GROUP, {"domain": domain, "fingerprint": fingerprint})
        return self._with_examples(rows, examples)[0] if rows else None

    def _with_examples(self, rows: list[Row], most: int) -> list[Row]:
        by_group: dict[str, list[Row]] = {row["fingerprint"]: [] for row in rows}
        asked = {"fingerprints": list(by_group), "most": most}
        for each in self._ask(EXAMPLES, asked) if by_group else ():
            by_group[each.pop("fingerprint")].append(each)
        return [{**row, "examples": by_group[row["fingerprint"]]} for row in rows]

    def entries(self, fingerprint: str, after: int, until: int, most: int) -> list[Row]:
        """Entries of a group in the order in which they failed last."""
        asked = {"fingerprint": fingerprint, "after": after, "until": until}
        return self._ask(ENTRIES, {**asked, "most": most})

    def standing(self, queue: str, entries: Sequence[Row]) -> set[str]:
        """Those that are still as the view has them."""
        sql = STANDING_INBOUND if queue == "inbound" else STANDING_OUTBOUND
        asked = {
            "entries": [each["entry"] for each in entries],
            "details": [each["detail"] for each in entries],
        }
        return {row["entry"] for row in self._ask(sql, asked)}

    def left(self, fingerprint: str, until: int) -> int:
        """How many entries a treatment has before it, counted up to LEFT_MAX."""
        asked = {"fingerprint": fingerprint, "until": until, "most": LEFT_MAX}
        return int(self._ask(LEFT, asked)[0]["entries"])

    def counts(self) -> list[Row]:
        """Open groups and their entries by domain, queue and state; of COUNTED_MAX."""
        return self._ask(COUNTS, {"most": COUNTED_MAX})

    def progress(self, treatment_id: UUID) -> Row:
        rows = self._ask(PROGRESS, {"treatment_id": treatment_id})
        return rows[0] if rows else {"after": 0, "done": 0, "settled": 0, "busy": 0}

    def keep_progress(self, treatment_id: UUID, progress: Row) -> None:
        self._ask(KEEP_PROGRESS, {"treatment_id": treatment_id, **progress})

    def started(self) -> list[UUID]:
        """Treatments under way."""
        return [row["originator_id"] for row in self._ask(STARTED, {})]

    def latest(self, most: int) -> list[UUID]:
        """Treatments of any domain, the newest first."""
        return [row["originator_id"] for row in self._ask(LATEST, {"most": most})]
