"""What flows have asked, who asks it of a system now, and what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString

import orjson

from rps.projections.questions import Questions, Row

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime
    from uuid import UUID

# Of the systems that may be asked, and of none (actions).
WANTED = """
SELECT q.inquiry, q.domain, q.system, min(q.asked_at) AS since
FROM questions q LEFT JOIN inquiries i ON i.inquiry = q.inquiry
WHERE (q.domain, q.system) IN (SELECT * FROM unnest(%(domains)s::text[],
                                                    %(systems)s::text[])
                               UNION SELECT q.domain, '')
  AND coalesce(i.due_at <= now(), true)
  AND (i.holder IS NULL OR i.leased_until < clock_timestamp())
  AND NOT EXISTS (
      SELECT FROM breakers x
      WHERE (x.domain, x.system) = (q.domain, q.system) AND x.open_until > now()
  )
GROUP BY q.inquiry, q.domain, q.system
ORDER BY since LIMIT %(most)s
"""
TAKE = """
INSERT INTO inquiries AS i (inquiry, holder, leased_until)
VALUES (%(inquiry)s, %(holder)s,
        clock_timestamp() + %(seconds)s * interval '1 second')
ON CONFLICT (inquiry) DO UPDATE
SET holder = EXCLUDED.holder, leased_until = EXCLUDED.leased_until
WHERE i.holder IS NULL OR i.leased_until < clock_timestamp()
RETURNING attempts,
          CASE WHEN fresh_until > clock_timestamp() THEN found END AS found
"""
ASKED = """
SELECT question_id, correlation_id, member, sequence, change_id,
       coalesce(message_id::text, '') AS message_id, question
FROM questions WHERE inquiry = %(inquiry)s ORDER BY asked_at
"""
BEAT = """
UPDATE inquiries
SET leased_until = clock_timestamp() + %(seconds)s * interval '1 second'
WHERE holder = %(holder)s
"""
FOUND = """
UPDATE inquiries SET attempts = 0, detail = '', found = %(found)s,
    fresh_until = clock_timestamp() + %(seconds)s * interval '1 second',
    changed_at = clock_timestamp()
WHERE inquiry = %(inquiry)s AND holder = %(holder)s
"""
LEAVE = """
UPDATE inquiries SET holder = NULL, leased_until = NULL, attempts = %(attempts)s,
    due_at = %(due_at)s, detail = %(detail)s, changed_at = clock_timestamp()
WHERE inquiry = %(inquiry)s AND holder = %(holder)s
"""
FORGET = """
DELETE FROM inquiries i
WHERE i.changed_at < clock_timestamp() - interval '1 day'
  AND (i.holder IS NULL OR i.leased_until < clock_timestamp())
  AND NOT EXISTS (SELECT FROM questions q WHERE q.inquiry = i.inquiry)
"""
STANDING: LiteralString = """
SELECT q.question, q.system, q.asked_at, coalesce(i.attempts, 0) AS attempts,
       i.due_at, coalesce(i.detail, '') AS detail
FROM questions q LEFT JOIN inquiries i ON i.inquiry = q.inquiry
"""
OF_MESSAGE: LiteralString = f"{STANDING} WHERE q.message_id = %(message_id)s"
OF_CHANGE: LiteralString = f"""{STANDING}
WHERE (q.correlation_id, q.sequence) = (%(correlation_id)s, %(sequence)s)
"""


class InquiryQuestions(Questions):
    """Leases are by `holder`, in seconds."""

    def wanted(self, open_to: Collection[tuple[str, str]], most: int) -> list[Row]:
        domains, systems = [d for d, _ in open_to], [s for _, s in open_to]
        return self._ask(WANTED, {"domains": domains, "systems": systems, "most": most})

    def take(self, inquiry: str, holder: str, seconds: float) -> Row | None:
        """Whose it is now: how often it was asked in vain, and the record found lately.
        None where somebody else asks."""
        found = self._ask(
            TAKE, {"inquiry": inquiry, "holder": holder, "seconds": seconds}
        )
        return found[0] if found else None

    def asked(self, inquiry: str) -> list[Row]:
        """All that want to know, the first one first."""
        return self._ask(ASKED, {"inquiry": inquiry})

    def beat(self, holder: str, seconds: float) -> None:
        self._tell(BEAT, {"holder": holder, "seconds": seconds})

    def found(self, inquiry: str, holder: str, record: Any, seconds: float) -> None:
        self._tell(
            FOUND,
            {
                "inquiry": inquiry,
                "holder": holder,
                "found": orjson.dumps(record),
                "seconds": seconds,
            },
        )

    def leave(
        self, inquiry: str, holder: str, attempts: int, due_at: datetime, detail: str
    ) -> None:
        self._tell(
            LEAVE,
            {
                "inquiry": inquiry,
                "holder": holder,
                "attempts": attempts,
                "due_at": due_at,
                "detail": detail,
            },
        )

    def forget(self) -> None:
        """What was found long ago, and nobody asks for."""
        self._tell(FORGET, {})

    def of_message(self, message_id: UUID) -> Row | None:
        """What a message's flow asks, and how that goes."""
        return _standing(self._ask(OF_MESSAGE, {"message_id": message_id}))

    def of_change(self, correlation_id: UUID, sequence: int) -> Row | None:
        found = self._ask(
            OF_CHANGE, {"correlation_id": correlation_id, "sequence": sequence}
        )
        return _standing(found)

    def _tell(self, sql: LiteralString, params: Mapping[str, Any]) -> None:
        with self._datastore.get_connection() as conn:
            conn.execute(sql, params)


def _standing(found: list[Row]) -> Row | None:
    if not found:
        return None
    return {**found[0], "question": orjson.loads(found[0]["question"])}
