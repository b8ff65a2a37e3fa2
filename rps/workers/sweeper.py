"""The sweeper: carries out started replays, lane by lane, and treatments of problems,
entry by entry, where others may help; takes away what was kept long enough; signs
checkpoints of the log."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from psycopg.rows import tuple_row

from rps.application.audit_keys import KeyMissing
from rps.application.checkpoints import CheckpointRefused, Checkpoints
from rps.application.operations import LaneBusy, Operations
from rps.application.problems import Treatments
from rps.application.reads import Reads
from rps.application.retention import Retention
from rps.application.sign_in import forget as forget_sign_ins
from rps.domain.replay import Replay
from rps.keys.envelope import KeyTrouble
from rps.log.append import LeaseLost
from rps.projections.inquiry_questions import InquiryQuestions
from rps.workers.lanes import Lanes

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

    from rps.application import RemoteProcessSync

log = logging.getLogger("rps.sweeper")

RETENTION_EVERY = timedelta(minutes=10)
"""Between two looks for files that were kept long enough: days do not hurry."""

REFUSED_AGAIN = timedelta(minutes=10)
"""Before a checkpoint is tried again that could not be signed: a person has to look."""

READS_KEPT = timedelta(days=365)

# Started and not ended, by the log's own account.
STARTED = """
SELECT s.originator_id FROM rps_events s
WHERE s.topic = 'replay.started' AND s.topic LIKE 'replay.%%' AND NOT EXISTS (
    SELECT FROM rps_events e WHERE e.originator_id = s.originator_id
    AND e.topic IN ('replay.completed', 'replay.cancelled')
    AND e.topic LIKE 'replay.%%'
)
"""


class Sweeper:
    idle_seconds = 1.0

    def __init__(
        self,
        application: RemoteProcessSync,
        clock: Callable[[], datetime],
        reads_kept: timedelta = READS_KEPT,
    ) -> None:
        self._application = application
        self._clock = clock
        self.lanes = Lanes(application, "sweeper")
        self._operations = Operations(application, self.lanes)
        self._treatments = Treatments(application, self._operations)
        self._retention = Retention(application)
        self._inquiries = InquiryQuestions(application.datastore)
        self._reads = Reads(application.datastore)
        self._reads_kept = reads_kept
        self._retention_at = clock()
        self._checkpoints = Checkpoints(application)
        self._checkpoint_at = clock()

    def work(self) -> int:
        """Make what messages of started replays can be made now, and tell entries of
        started treatments what a person decided."""
        made = 0
        for replay_id in self._started():
            made += self._carry_out(replay_id)
        made += self._treatments.work(self._clock) + self._taken_away()
        self._checkpoint()
        return made

    def _checkpoint(self) -> None:
        """Sign one where it is due; a log that was tampered with holds up nothing
        else."""
        now = self._clock()
        if now < self._checkpoint_at:
            return
        try:
            self._checkpoints.work(now)
        except (CheckpointRefused, KeyMissing, KeyTrouble) as error:
            log.error("checkpoint.refused: %s", error)  # noqa: TRY400 - it says it all
            self._checkpoint_at = now + REFUSED_AGAIN

    def _taken_away(self) -> int:
        """Files removed; the next look is soon where there may be more. What flows
        found long ago goes with them, and sessions that have ended."""
        now = self._clock()
        if now < self._retention_at:
            return 0
        removed = self._retention.work(now)
        if not removed:
            self._inquiries.forget()
            self._reads.forget(now - self._reads_kept)
            forget_sign_ins(self._application, now)
            self._retention_at = now + RETENTION_EVERY
        return removed

    def _carry_out(self, replay_id: UUID) -> int:
        replay = self._application.find(Replay, replay_id)
        if replay is None or replay.state != "started":
            return 0
        busy = made = 0
        for lane in replay.lanes:
            try:
                made += self._operations.replay_lane(replay, lane, self._clock())
            except (LaneBusy, LeaseLost):
                busy += 1  # being delivered to right now: next round
        if not busy:
            sent = self._application.lookup.replay_count(replay_id)
            self._application.change(
                Replay, replay_id, lambda each: each.complete(sent, self._clock())
            )
        return made

    def _started(self) -> list[UUID]:
        with self._application.datastore.get_connection() as conn:
            cursor: Any = conn.cursor(row_factory=tuple_row, binary=True)
            return [
                row[0] for row in cursor.execute(STARTED, (), prepare=True).fetchall()
            ]
