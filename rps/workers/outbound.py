"""Claimed lanes with what waits in them, and messages in their members' words."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from rps.domain import writing
from rps.domain.delivery import Delivered
from rps.log.append import Fence
from rps.log.columns import columns
from rps.workers.lanes import LEASE_SECONDS
from rps.workers.scene import Message

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from rps.domain.aggregate import Event
    from rps.domain.delivery import Capabilities, Outcome, Settlement, Write
    from rps.domain.execution import Course
    from rps.log.questions import Questions
    from rps.workers.lanes import ClaimedOut
    from rps.workers.scene import Scene

AHEAD = 16
"""Messages of a lane read at a time; they are still sent one after the other."""

MESSAGES = """
SELECT q.message_id, q.correlation_id, q.domain, q.definition, q.process_event,
       q.definition_revision, q.member, q.system, q.record_table, q.operation,
       q.status::text, q.attempts, q.generation, q.due_at, q.payload,
       l.record_id, l.revision, q.answers
FROM unnest(%b::uuid[], %b::text[]) AS c(correlation_id, member)
CROSS JOIN LATERAL (
    SELECT * FROM outbound_queue o
    WHERE o.correlation_id = c.correlation_id AND o.member = c.member
      AND o.status IN ('ready', 'error', 'uncertain')
    ORDER BY o.sequence, o.place LIMIT %b::bigint
) q
-- By its correlation only: as in the inline views' statements.
LEFT JOIN links l ON (l.correlation_id, l.member) = (q.correlation_id, q.member)
                 AND l.domain || '' = q.domain
ORDER BY q.correlation_id, q.member, q.sequence, q.place
"""


@dataclass(slots=True)
class Lane:
    """A claimed lane with its next messages, and what is known of the record there."""

    claimed: ClaimedOut
    messages: list[Message]
    record_id: str | None
    revision: str | None
    probe: bool = False
    at: int = 0
    may_be_cut: bool = False
    """There may be messages behind those that were read."""
    look: int = 0
    """Of the deliverer, when it claimed the lane."""
    is_done: bool = False
    """All its messages were delivered."""

    @property
    def message(self) -> Message:
        """The one that is in flight, or goes next."""
        return self.messages[self.at]

    @property
    def system(self) -> tuple[str, str]:
        return (self.message.domain, self.message.system)

    @property
    def is_suspect(self) -> bool:
        """Whether somebody who never came back may have sent this message."""
        return self.at == 0 and self.claimed.interrupted

    def may_have_been_sent(self, able: Capabilities) -> bool:
        """Whether it has to be found out first what became of the message."""
        if able.resend_to_ask:
            return False
        return self.message.status == "uncertain" or (
            self.is_suspect and not able.dedupe
        )

    def asks_first(self, able: Capabilities) -> bool:
        """Whether something has to be asked before the message may be sent."""
        return self.may_have_been_sent(able) or (
            able.conditional_write
            and self.record_id is not None
            and self.revision is None
        )

    @property
    def has_more(self) -> bool:
        return self.at + 1 < len(self.messages)

    def has_next(self, now: datetime) -> bool:
        """Whether the message after this one may be sent right away."""
        if not self.has_more:
            return False
        coming = self.messages[self.at + 1]
        return (
            coming.status == "ready" and coming.due_at is not None
        ) and coming.due_at <= now

    def advance(self, delivered: Delivered) -> None:
        """Take what the answer told of the record, and the next message."""
        self.record_id = delivered.record_id
        self.revision = delivered.revision or self.revision
        self.probe = False
        self.at += 1


@dataclass(slots=True)
class Attempt:
    """What came of sending a lane's message; `outcome` None where nothing was asked.
    `doubtful`: the system may have failed, which its breaker is to be told."""

    lane: Lane
    scene: Scene
    events: list[Event]
    outcome: Outcome | Settlement | None
    doubtful: bool = False

    @property
    def goes_on(self) -> bool:
        """Whether the lane is kept for its next message."""
        return isinstance(self.outcome, Delivered) and self.lane.has_next(
            self.scene.now
        )

    @property
    def fence(self) -> Fence:
        claimed = self.lane.claimed
        return Fence(
            claimed.correlation_id,
            "out",
            claimed.member,
            claimed.epoch,
            LEASE_SECONDS if self.goes_on else None,
        )


def read(
    questions: Questions, claimed: Sequence[ClaimedOut], ahead: int = AHEAD
) -> list[Lane]:
    """The next messages of each claimed lane; lanes that have none are left out."""
    if not claimed:
        return []
    found: defaultdict[tuple[UUID, str], list[Any]] = defaultdict(list)
    lanes_asked = columns(
        ("uuid", "text"), [(lane.correlation_id, lane.member) for lane in claimed]
    )
    for row in questions.ask(MESSAGES, *lanes_asked, ahead):
        found[(row[1], row[6])].append(row)
    lanes = []
    for lane in claimed:
        if rows := found.get((lane.correlation_id, lane.member)):
            messages = [_message(row) for row in rows]
            cut = len(rows) == ahead
            record_id, revision = rows[0][15:17]
            lanes.append(Lane(lane, messages, record_id, revision, may_be_cut=cut))
    return lanes


def _message(row: tuple[Any, ...]) -> Message:
    payload = orjson.loads(row[14])
    message = Message(*row[:14], **payload)
    if row[17] is not None:
        message.answers = orjson.loads(row[17])
    return message


def written(scene: Scene, lane: Lane) -> tuple[Write, Course]:
    """The message in the member's words, and how that came. Raises MappingRefused."""
    known = (lane.record_id, lane.revision)
    return writing.written(scene.message, scene.member, scene.definition, *known)
