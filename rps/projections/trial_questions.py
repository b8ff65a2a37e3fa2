"""Correlations with judgements of a definition, and their streams, in portions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString

from rps.projections.questions import Questions, Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from uuid import UUID

PORTION = 500
"""Events of a stream read at a time."""
TOGETHER = 32
"""Streams read at a time."""

# What was captured before `until` and was not settled before `since`: all that can have
# been judged in between.
IN_RANGE: LiteralString = """
WHERE q.domain = %(domain)s AND q.definition = %(definition)s
  AND (%(until)s::timestamptz IS NULL OR q.captured_at < %(until)s)
  AND (%(since)s::timestamptz IS NULL OR q.settled_at IS NULL
       OR q.settled_at >= %(since)s)"""
JUDGED: LiteralString = """
SELECT DISTINCT q.correlation_id FROM inbound_queue q"""
JUDGED_ORDER: LiteralString = """
  AND q.correlation_id >= %(start)s
ORDER BY q.correlation_id LIMIT %(limit)s
"""
JUDGED_COUNT: LiteralString = """
SELECT count(*) AS changes FROM inbound_queue q"""
# What only tells of the wire changes nothing that a judgement looks at: left unread.
STREAMS = """
SELECT s.place, e.notification_id AS "position", e.originator_version AS version,
       e.topic, CASE WHEN e.topic <> 'message.transmitted' THEN e.state END AS state
FROM unnest(%(streams)s::uuid[]) WITH ORDINALITY AS s(id, place)
CROSS JOIN LATERAL (
    SELECT * FROM rps_events x
    WHERE x.originator_id = s.id AND x.originator_version > %(after)s
    ORDER BY x.originator_version LIMIT %(limit)s
) e
ORDER BY s.place, e.originator_version
"""
STREAM = """
SELECT notification_id AS "position", originator_version AS version, topic, state
FROM rps_events
WHERE originator_id = %(stream)s AND originator_version > %(after)s
ORDER BY originator_version LIMIT %(limit)s
"""


class TrialQuestions(Questions):
    def judged(
        self, within: Mapping[str, Any], start: UUID, limit: int = TOGETHER
    ) -> list[UUID]:
        """Correlations from `start` on, in order of their ids; `within` has domain,
        definition, since and until."""
        rows = self._ask(
            JUDGED + IN_RANGE + JUDGED_ORDER, {**within, "start": start, "limit": limit}
        )
        return [row["correlation_id"] for row in rows]

    def judged_count(self, within: Mapping[str, Any]) -> int:
        """How many changes there are at most to judge again."""
        return int(self._ask(JUDGED_COUNT + IN_RANGE, within)[0]["changes"])

    def streams(self, ids: Sequence[UUID]) -> Iterator[tuple[UUID, Iterator[Row]]]:
        """The events of each stream, as stored, in order; `state` None where it tells
        nothing to a judgement."""
        asked = {"streams": list(ids), "after": 0, "limit": PORTION}
        begun: dict[int, list[Row]] = {place: [] for place in range(1, len(ids) + 1)}
        for row in self._ask(STREAMS, asked):
            begun[row["place"]].append(row)
        for place, key in enumerate(ids, 1):
            yield key, self._whole(key, begun.pop(place))

    def stream(self, key: UUID, after: int = 0) -> Iterator[Row]:
        """The events of a stream past version `after`."""
        while True:
            rows = self._ask(STREAM, {"stream": key, "after": after, "limit": PORTION})
            yield from rows
            if len(rows) < PORTION:
                return
            after = rows[-1]["version"]

    def _whole(self, key: UUID, begun: list[Row]) -> Iterator[Row]:
        yield from begun
        if len(begun) == PORTION:
            yield from self.stream(key, PORTION)
