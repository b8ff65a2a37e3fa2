"""Questions to the inline views, named as they are asked."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from psycopg.rows import tuple_row

from rps.log.columns import columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from eventsourcing.postgres import PostgresDatastore

    from rps.log.questions import Questions

# Each by its whole key (LIMIT keeps it a look-up of its own): planned while the table
# is small, a join would go through all links of the domain for ever.
LINKED = """
SELECT k.definition, k.member, k.record_id, l.correlation_id
FROM unnest(%b::uuid[], %b::text[], %b::text[]) AS k(definition, member, record_id)
CROSS JOIN LATERAL (
    SELECT x.correlation_id FROM links x
    WHERE (x.domain, x.definition, x.member, x.record_id)
        = (%b::text, k.definition, k.member, k.record_id)
    LIMIT 1
) l
"""
CORRELATIONS = """
SELECT DISTINCT l.definition, l.correlation_id
FROM unnest(%b::uuid[], %b::uuid[]) AS k(definition, correlation_id)
JOIN links l USING (definition, correlation_id)
WHERE l.domain = %b
"""


MESSAGE = """
SELECT message_id, correlation_id, member, status::text, system FROM outbound_queue
WHERE message_id = %b AND domain = %b
"""
CHANGE = """
SELECT correlation_id, sequence, change_id, status::text FROM inbound_queue
WHERE correlation_id = %b AND sequence = %b AND domain = %b
"""
HAS_LANE = """
SELECT 1 FROM lanes WHERE (correlation_id, direction, member) = (%b, %b, %b)
"""
REPLAYED = """
SELECT 1 FROM outbound_queue
WHERE replay_id = %b AND correlation_id = %b AND member = %b
"""
REPLAY_COUNT = "SELECT count(*) FROM outbound_queue WHERE replay_id = %b"
OPEN_REPLAY_MESSAGES = """
SELECT message_id FROM outbound_queue
WHERE replay_id = %b AND status IN ('ready', 'error', 'uncertain')
"""
# Which lanes had messages in the selection, and what these carried.
TOUCHED = """
SELECT correlation_id, member, payload FROM outbound_queue
WHERE domain = %(domain)s
  AND (%(correlation_id)s::uuid IS NULL OR correlation_id = %(correlation_id)s)
  AND (%(system)s::text IS NULL OR system = %(system)s)
  AND (%(process_event)s::text IS NULL OR process_event = %(process_event)s)
  AND (%(since)s::timestamptz IS NULL OR made_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR made_at < %(until)s)
  AND replay_id IS NULL
ORDER BY sequence, place
"""


class QueuedMessage(NamedTuple):
    message_id: UUID
    correlation_id: UUID
    member: str
    status: str
    system: str


class QueuedChange(NamedTuple):
    correlation_id: UUID
    sequence: int
    change_id: str
    status: str


@dataclass(slots=True)
class TouchedLane:
    """A lane, and what its messages carried: names of fields, entries, ids of files."""

    correlation_id: UUID
    member: str
    fields: dict[str, None] = field(default_factory=dict)
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    attachments: dict[str, None] = field(default_factory=dict)

    def carried(self, message: dict[str, Any]) -> None:
        self.fields.update(dict.fromkeys(message["fields"]))
        self.entries.update({entry["id"]: entry for entry in message["entries"]})
        files = message.get("attachments", ())
        self.attachments.update(dict.fromkeys(each["id"] for each in files))


@dataclass(frozen=True, slots=True)
class Selector:
    """Which messages a replay repeats; what is None does not narrow."""

    correlation_id: UUID | None = None
    system: str | None = None
    process_event: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def to_json(self) -> dict[str, str]:
        return {
            name: value.isoformat() if isinstance(value, datetime) else str(value)
            for name, value in asdict(self).items()
            if value is not None
        }


class Lookup:
    """Reads of the inline views, for whoever has to decide something."""

    def __init__(self, datastore: PostgresDatastore, questions: Questions) -> None:
        self._datastore = datastore
        self._questions = questions

    def linked(
        self, domain: str, keys: Sequence[tuple[UUID, str, str]]
    ) -> Iterable[tuple[tuple[UUID, str, str], UUID]]:
        """Of (definition, member, record id): those that are linked, and to what."""
        if not keys:
            return []
        asked = columns(("uuid", "text", "text"), keys)
        rows = self._questions.ask(LINKED, *asked, domain)
        return [(row[:3], row[3]) for row in rows]

    def correlations_of(
        self, domain: str, keys: Sequence[tuple[UUID, UUID]]
    ) -> set[tuple[UUID, UUID]]:
        """Of (definition, correlation): those that exist."""
        if not keys:
            return set()
        asked = [list(column) for column in zip(*keys, strict=True)]
        return set(self._ask(CORRELATIONS, *asked, domain))

    def message(self, domain: str, message_id: UUID) -> QueuedMessage | None:
        rows = self._ask(MESSAGE, message_id, domain)
        return QueuedMessage(*rows[0]) if rows else None

    def change(
        self, domain: str, correlation_id: UUID, sequence: int
    ) -> QueuedChange | None:
        rows = self._ask(CHANGE, correlation_id, sequence, domain)
        return QueuedChange(*rows[0]) if rows else None

    def has_lane(self, correlation_id: UUID, direction: str, member: str) -> bool:
        return bool(self._ask(HAS_LANE, correlation_id, direction, member))

    def replayed(self, replay_id: UUID, correlation_id: UUID, member: str) -> bool:
        return bool(self._ask(REPLAYED, replay_id, correlation_id, member))

    def replay_count(self, replay_id: UUID) -> int:
        """How many messages a replay made."""
        return int(self._ask(REPLAY_COUNT, replay_id)[0][0])

    def open_replay_messages(self, replay_id: UUID) -> list[UUID]:
        return [row[0] for row in self._ask(OPEN_REPLAY_MESSAGES, replay_id)]

    def touched_lanes(
        self, domain: str, selector: Selector, most: int
    ) -> list[TouchedLane]:
        """Up to `most` lanes that had messages in the selection."""
        lanes: dict[tuple[UUID, str], TouchedLane] = {}
        with self._datastore.get_connection() as conn, conn.transaction():
            cursor = conn.cursor("touched", row_factory=tuple_row)
            cursor.execute(TOUCHED, {"domain": domain, **asdict(selector)})
            for *key, payload in cursor:
                lane = lanes.setdefault(tuple(key), TouchedLane(*key))
                lane.carried(orjson.loads(payload))
                if len(lanes) >= most:
                    break
        return list(lanes.values())

    def _ask(self, sql: str, *params: Any) -> list[Any]:
        with self._datastore.get_connection() as conn:
            cursor = conn.cursor(row_factory=tuple_row, binary=True)
            return cursor.execute(sql, params, prepare=True).fetchall()
