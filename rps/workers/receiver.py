"""The receiver: judges captured changes, in order, one correlation at a time."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from eventsourcing.persistence import IntegrityError, StoredEvent
from psycopg.rows import tuple_row

from rps.domain.events import ChangeFailed
from rps.log.append import NEXT, Append, Appended, Fence, LaneHeld, LeaseLost
from rps.workers.lanes import ClaimedIn, Heartbeat, Lanes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from rps.application import RemoteProcessSync
    from rps.domain.correlation import Correlation
    from rps.domain.events import ChangeCaptured

CLAIM_MAX = 64
CHANGES_MAX = 50
REMEMBERED_MAX = 5_000
PAUSE_SECONDS = 0.05
IDLE_SECONDS = 1.0

# The ready changes of each correlation up to the first that waits for a person.
READY = """
SELECT c.id, q.sequence, e.state, e.topic, e.originator_version
FROM unnest(%b::uuid[]) AS c(id)
CROSS JOIN LATERAL (
    SELECT i.sequence, i.position, i.status FROM inbound_queue i
    WHERE i.correlation_id = c.id AND i.status IN ('ready', 'error')
    ORDER BY i.sequence LIMIT %b
) q
JOIN rps_events e ON e.notification_id = q.position
WHERE q.status = 'ready' AND NOT EXISTS (
    SELECT FROM inbound_queue w
    WHERE w.correlation_id = c.id AND w.status = 'error' AND w.sequence < q.sequence
)
ORDER BY c.id, q.sequence
"""
# Members whose record is being written: settle before you judge. And, without a member,
# correlations with records captured before they were linked, under another correlation
# that they would have opened.
OBSTACLES = """
SELECT correlation_id, member FROM lanes
WHERE correlation_id = ANY(%b) AND direction = 'out'
  AND (holder IS NOT NULL OR head_status = 'uncertain')
UNION ALL
SELECT DISTINCT l.correlation_id, NULL
FROM links l
JOIN inbound_queue q ON q.definition = l.definition AND q.member = l.member
 AND q.record_id = l.record_id AND q.status = 'ready'
WHERE l.correlation_id = ANY(%b) AND q.domain = l.domain
  AND q.correlation_id <> l.correlation_id
"""
# Creates under way at a member, begun before the change was captured: the record may
# be the one they make.
CREATES = """
SELECT EXISTS (
    SELECT FROM lanes l JOIN outbound_queue q ON q.message_id = l.head_message
    WHERE l.direction = 'out' AND l.domain = %b AND l.system = %b
      AND (l.holder IS NOT NULL OR l.head_status = 'uncertain')
      AND q.definition = %b AND q.member = %b AND q.operation = 'create'
      AND q.made_at <= %b
)
"""


class Receiver:
    """Claims correlations with captured changes and appends what it decides."""

    idle_seconds = IDLE_SECONDS

    def __init__(
        self, application: RemoteProcessSync, clock: Callable[[], datetime]
    ) -> None:
        self._application = application
        self._clock = clock
        self.lanes = Lanes(application.datastore, "receiver")
        self._known: OrderedDict[UUID, Correlation] = OrderedDict()

    def heartbeat(self) -> Heartbeat:
        return Heartbeat(self.lanes)

    def work(self) -> int:
        """Judge what is due; answers how many lanes were taken."""
        claimed = self.lanes.claim_in(CLAIM_MAX)
        self.idle_seconds = IDLE_SECONDS
        if claimed:
            self._application.configuration.refresh()
            self._judge_all(claimed)
        return len(claimed)

    def _judge_all(self, claimed: list[ClaimedIn]) -> None:
        ids = [lane.correlation_id for lane in claimed]
        ready: dict[UUID, list[tuple[int, ChangeCaptured]]] = defaultdict(list)
        for correlation_id, sequence, event in self._ready(ids):
            ready[correlation_id].append((sequence, event))
        unsettled, strays = self._obstacles(ids)
        correlations = self._load(ids)
        appends: list[Append] = []
        paused: list[tuple[UUID, str, str, int, float]] = []
        judged: list[Correlation | None] = []
        for lane in claimed:
            key = lane.correlation_id
            fence = Fence(key, "in", "", lane.epoch)
            open_changes = [
                (sequence, event)
                for sequence, event in ready[key]
                if (key, event.member) not in unsettled
            ]
            correlation = correlations.get(key)
            moved = self._moved(correlation, open_changes)
            if moved is None or correlation is None or key in strays:
                paused.append((key, "in", "", lane.epoch, PAUSE_SECONDS))
            elif moved:
                appends.append(Append(moved, fence))
                judged.append(None)
            else:
                quiet = _to_be_quiet(correlation, open_changes)
                self._judge(correlation, open_changes)
                events = correlation.collect_events()
                if events:
                    appends.append(Append(cast("Any", events), fence, quiet))
                    judged.append(correlation)
                else:
                    paused.append((key, "in", "", lane.epoch, PAUSE_SECONDS))
        if paused:
            self.lanes.give_back(paused)
            self.idle_seconds = PAUSE_SECONDS
        self._append(appends, judged)

    def _obstacles(self, ids: list[UUID]) -> tuple[set[tuple[UUID, str]], set[UUID]]:
        """Members whose record is being written, and correlations whose records were
        captured elsewhere before."""
        unsettled: set[tuple[UUID, str]] = set()
        strays: set[UUID] = set()
        for correlation_id, member in self._ask(OBSTACLES, ids, ids):
            if member is None:
                strays.add(correlation_id)
            else:
                unsettled.add((correlation_id, member))
        return unsettled, strays

    def _judge(
        self, correlation: Correlation, changes: list[tuple[int, ChangeCaptured]]
    ) -> None:
        configuration = self._application.configuration.current
        for sequence, captured in changes:
            revision, definition = configuration.newest(
                UUID(captured.definition), captured.revision
            )
            correlation.judge(captured, sequence, definition, revision, self._clock())
            if isinstance(correlation.pending_events[-1], ChangeFailed):
                return

    def _append(self, appends: list[Append], judged: list[Correlation | None]) -> None:
        if not appends:
            return
        outcomes = self._application.recorder.append(appends)
        for append, correlation, outcome in zip(appends, judged, outcomes, strict=True):
            if correlation is not None and not _follows(append, outcome):
                # Captured in between, or refused: what we hold is not what is stored.
                self._known.pop(correlation.id, None)
            if isinstance(outcome, IntegrityError):
                # Linked by somebody else since we looked: look again in a moment.
                self._give_back(append)
            elif not isinstance(outcome, Appended | LeaseLost | LaneHeld):
                raise outcome

    def _give_back(self, append: Append) -> None:
        if append.fence is not None:
            self.lanes.give_back([(*append.fence[:4], PAUSE_SECONDS)])

    # --- records captured before they were linked -----------------------------------

    def _moved(
        self,
        correlation: Correlation | None,
        changes: list[tuple[int, ChangeCaptured]],
    ) -> list[Any] | None:
        """The events that move the changes of an unlinked record to the correlation
        that turned out to be its own. Empty: judge here. None: wait, a create that is
        under way may be making this very record."""
        if correlation is None or correlation.opened or not changes:
            return []
        first = changes[0][1]
        definition = UUID(first.definition)
        key = (definition, first.member, first.record_id)
        for _, owner in self._application.lookup.linked(first.domain, [key]):
            if owner != correlation.id:
                return self._move(correlation, owner, changes)
        if first.external_id is None and self._ask(
            CREATES,
            first.domain,
            first.system,
            definition,
            first.member,
            first.timestamp,
        ) == [(True,)]:
            return None
        return []

    def _move(
        self,
        correlation: Correlation,
        owner: UUID,
        changes: list[tuple[int, ChangeCaptured]],
    ) -> list[Any]:
        self._known.pop(correlation.id, None)
        for sequence, captured in changes:
            correlation.move(captured, sequence, owner, self._clock())
        moved = [
            captured.moved_to(owner, NEXT, sequence) for sequence, captured in changes
        ]
        return [*correlation.collect_events(), *moved]

    # --- reading --------------------------------------------------------------------

    def _ready(self, ids: list[UUID]) -> Iterable[tuple[UUID, int, ChangeCaptured]]:
        mapper = self._application.event_mapper
        for key, sequence, state, topic, version in self._ask(READY, ids, CHANGES_MAX):
            event = mapper.to_domain_event(
                StoredEvent(key, version, topic, bytes(state))
            )
            yield key, sequence, event

    def _load(self, ids: list[UUID]) -> dict[UUID, Correlation]:
        """The correlations, brought up to the log from what is remembered of them."""
        known = {key: self._known.get(key) for key in ids}
        after = {key: c.version if c else 0 for key, c in known.items()}
        for stored in self._application.recorder.streams(after):
            key = cast("UUID", stored.originator_id)
            event = self._application.event_mapper.to_domain_event(stored)
            known[key] = event.mutate(known[key])
        for key, correlation in known.items():
            if correlation is not None:
                self._known[key] = correlation
                self._known.move_to_end(key)
        while len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)
        return {key: c for key, c in known.items() if c is not None}

    def _ask(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        with self._application.datastore.get_connection() as conn:
            cursor = conn.cursor(row_factory=tuple_row, binary=True)
            return cursor.execute(sql, params, prepare=True).fetchall()


def _to_be_quiet(
    correlation: Correlation, changes: list[tuple[int, ChangeCaptured]]
) -> tuple[tuple[UUID, str], ...]:
    """The lanes to members that are judged and have messages waiting: one that was
    claimed since we looked would be judged while it is written to."""
    told = {pending.member for pending in correlation.pending.values()}
    judged = {captured.member for _, captured in changes}
    return tuple((correlation.id, member) for member in sorted(told & judged))


def _follows(append: Append, outcome: object) -> bool:
    """Whether the events got the very versions they were folded under."""
    return isinstance(outcome, Appended) and list(outcome.versions) == [
        event.originator_version for event in append.events
    ]
