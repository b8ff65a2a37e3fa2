"""What became of the messages that another node sent, and what it said of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import orjson

from rps.log.columns import column

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from rps.log.questions import Questions

# By the key of intake, then of the queue. A change that was moved to the correlation
# it turned out to belong to is looked up there, at the place it had.
ARRIVED = """
SELECT i.change_id, q.correlation_id, q.sequence, q.definition, q.member,
       q.status::text, q.detail, a.version
FROM intake i
JOIN inbound_queue s
  ON (s.correlation_id, s.sequence) = (i.correlation_id, i."position")
JOIN inbound_queue q ON q.sequence = s.sequence AND q.correlation_id = CASE
    WHEN s.detail LIKE 'ignored: moved to ________-____-____-____-____________'
    THEN substring(s.detail FROM 19)::uuid ELSE s.correlation_id END
LEFT JOIN LATERAL (
    SELECT (e.said ->> 'version')::bigint AS version
    FROM (SELECT convert_from(x.state, 'UTF8')::jsonb AS said FROM rps_events x
          WHERE x.originator_id = q.correlation_id AND x.topic = 'change.accepted'
          ORDER BY x.originator_version DESC LIMIT 64) e
    WHERE (e.said ->> 'sequence')::bigint = q.sequence
) a ON q.detail = 'accepted'
WHERE i.domain = %b::text AND i.system = %b::text AND i.change_id = ANY(%b::text[])
"""
OPEN = """
SELECT message_id, status::text FROM outbound_queue
WHERE message_id = ANY(%b::uuid[]) AND status IN ('ready', 'error', 'uncertain')
"""
# Any stream begins with a capture.
TAKEN_IDS = """
SELECT DISTINCT q.correlation_id FROM unnest(%b::uuid[]) AS k(id)
JOIN inbound_queue q ON q.correlation_id = k.id
WHERE (q.domain, q.definition) <> (%b::text, %b::text::uuid)
"""
OWE = """
INSERT INTO owed_receipts AS o (domain, system, message_id, told)
SELECT %b::text, %b::text, u.message_id, u.told
FROM unnest(%b::text[], %b::text[]) AS u(message_id, told)
ON CONFLICT (domain, system, message_id) DO UPDATE SET told = EXCLUDED.told
"""
# Any of them: those that wait long must not hide the others.
OWED = """
SELECT message_id, told FROM owed_receipts
WHERE domain = %b::text AND system = %b::text ORDER BY random() LIMIT %b::bigint
"""
PAID = """
DELETE FROM owed_receipts
WHERE domain = %b::text AND system = %b::text AND message_id = ANY(%b::text[])
"""
HEARD = """
INSERT INTO peers (domain, system, heard_at, said)
VALUES (%b::text, %b::text, clock_timestamp(), %b::text::jsonb)
ON CONFLICT (domain, system) DO UPDATE
SET heard_at = EXCLUDED.heard_at, said = EXCLUDED.said
"""
PEER = "SELECT said::text FROM peers WHERE domain = %b::text AND system = %b::text"
POSTPONED = """
SELECT message_id FROM outbound_queue
WHERE domain = %b::text AND domain <> '' AND status = 'ready' AND system = %b::text
  AND attempts > 0 AND due_at > clock_timestamp()
ORDER BY sequence, place LIMIT %b::bigint
"""
PEERS = "SELECT domain, system, heard_at, said::text FROM peers"

ACCEPTED = "accepted"


class Arrival(NamedTuple):
    """A message of another node as it stands here. `version`: of the shared record
    once it was accepted."""

    message_id: str
    correlation_id: UUID
    sequence: int
    definition: UUID
    member: str
    status: str
    detail: str
    version: int | None


class Heard(NamedTuple):
    domain: str
    system: str
    heard_at: datetime
    said: str


class NodeQuestions:
    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    def arrived(
        self, domain: str, system: str, message_ids: Sequence[str]
    ) -> dict[str, Arrival]:
        """Those of the messages that were taken in, by their id."""
        asked = column("text", list(message_ids))
        rows = self._questions.ask(ARRIVED, domain, system, asked)
        return {row[0]: Arrival(*row) for row in rows}

    def still_open(self, message_ids: Sequence[UUID]) -> dict[UUID, str]:
        """Our own messages that have yet to come to their end, and how they stand."""
        if not message_ids:
            return {}
        rows = self._questions.ask(OPEN, column("uuid", list(message_ids)))
        return dict(row[:2] for row in rows)

    def taken_ids(
        self, domain: str, definition: UUID, ids: Sequence[UUID]
    ) -> set[UUID]:
        """Those of the ids that some other shared record has."""
        asked = column("uuid", list(ids))
        rows = self._questions.ask(TAKEN_IDS, asked, domain, str(definition))
        return {row[0] for row in rows}

    # --- receipts that are owed ---------------------------------------------------

    def owe(self, domain: str, system: str, told: Iterable[tuple[str, str]]) -> None:
        """Note what was told of (message, state) that is not its end."""
        rows = list(told)
        if rows:
            ids = column("text", [row[0] for row in rows])
            states = column("text", [row[1] for row in rows])
            self._questions.ask(OWE, domain, system, ids, states)

    def owed(self, domain: str, system: str, most: int) -> dict[str, str]:
        rows = self._questions.ask(OWED, domain, system, most)
        return {row[0]: row[1] for row in rows}

    def paid(self, domain: str, system: str, message_ids: Sequence[str]) -> None:
        asked = column("text", list(message_ids))
        self._questions.ask(PAID, domain, system, asked)

    # --- the other node -----------------------------------------------------------

    def heard(self, domain: str, system: str, said: str) -> None:
        self._questions.ask(HEARD, domain, system, said)

    def peer(self, domain: str, system: str) -> dict[str, Any] | None:
        """What that node said last."""
        rows = self._questions.ask(PEER, domain, system)
        said: dict[str, Any] | None = orjson.loads(rows[0][0]) if rows else None
        return said

    def postponed(self, domain: str, system: str, most: int) -> list[UUID]:
        """Our messages to it that wait for another attempt."""
        rows = self._questions.ask(POSTPONED, domain, system, most)
        return [row[0] for row in rows]

    def peers(self) -> list[Heard]:
        return [Heard(*row) for row in self._questions.ask(PEERS)]
