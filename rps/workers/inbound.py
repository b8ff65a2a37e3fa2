"""What a receiver has to know of the correlations it claimed, in one look."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from rps.domain.between_nodes import is_judged_at_once
from rps.log.columns import column
from rps.log.statements import CONFIGURATION
from rps.workers.remembered import PARTS_MAX, Known, Remembered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rps.application import RemoteProcessSync
    from rps.domain.aggregate import Event
    from rps.domain.correlation import Correlation
    from rps.domain.events import ChangeCaptured
    from rps.log.mapper import EventMapper
    from rps.workers.lanes import ClaimedIn

CHANGES_MIN, CHANGES_MAX = 16, 200
"""Changes of one correlation judged in one turn: fewer where many share the turn."""
READ_FOR_ONE = 20
"""Where what is remembered has to be read again: at most so much for one judgement."""
LANES_MIN, LANES_MAX = 4, 64
"""Correlations judged in one turn."""
TURN_MAX = 1_000
"""Changes judged in one turn, so that others get to append in between."""


class Kind:
    """What a row of LOOK tells."""

    HEAD, EVENT, READY, STOPPED, WRITTEN, STRAY, CONFIGURED = range(7)


# One statement, so that all of it is as of one moment. What a capture says is read for
# those to be judged only: it changes nothing but its stream's version. STOPPED is the
# first change that waits for a person. WRITTEN names members whose record is being
# written: settle before you judge. STRAY says that records of this correlation were
# captured before they were linked, under another one that they would have opened; only
# those before the last change of this turn matter.
LOOK = f"""
WITH claimed AS MATERIALIZED (
    SELECT s.place, s.id, s.seen, w.domain
    FROM unnest(%b::uuid[], %b::bigint[]) WITH ORDINALITY AS s(id, seen, place)
    CROSS JOIN LATERAL (
        SELECT x.domain FROM lanes x
        WHERE (x.correlation_id, x.direction, x.member) = (s.id, 'in', '')
        LIMIT 1  -- by its key, even where that was planned on a small table
    ) w
)
SELECT c.place, {Kind.HEAD}, 0::bigint,
       (SELECT max(e.originator_version) FROM rps_events e
        WHERE e.originator_id = c.id), '', NULL::bytea
FROM claimed c
UNION ALL
SELECT c.place, {Kind.EVENT}, 0, e.originator_version, e.topic, e.state
FROM claimed c
JOIN rps_events e ON e.originator_id = c.id AND e.originator_version > c.seen
WHERE e.topic <> 'change.captured'
UNION ALL
SELECT c.place, CASE q.status WHEN 'ready' THEN {Kind.READY} ELSE {Kind.STOPPED} END,
       q.sequence, e.originator_version, e.topic, e.state
FROM claimed c
CROSS JOIN LATERAL (
    SELECT i.sequence, i.position, i.status FROM inbound_queue i
    WHERE i.correlation_id = c.id AND i.status IN ('ready', 'error')
    ORDER BY i.sequence LIMIT %b::bigint
) q
JOIN rps_events e ON e.notification_id = q.position
UNION ALL
SELECT c.place, {Kind.WRITTEN}, 0, 0, l.member, NULL
FROM claimed c
CROSS JOIN LATERAL (
    SELECT x.member, x.holder, x.head_status FROM lanes x
    WHERE (x.correlation_id, x.direction) = (c.id, 'out')
    OFFSET 0  -- by its key, even where that was planned on a small table
) l
WHERE l.holder IS NOT NULL OR l.head_status = 'uncertain'
UNION ALL
SELECT c.place, {Kind.STRAY}, 0, 0, '', NULL
FROM claimed c
JOIN links l ON l.correlation_id = c.id AND l.domain || '' = c.domain
CROSS JOIN LATERAL (
    SELECT i.correlation_id FROM inbound_queue i
    WHERE i.definition = l.definition AND i.member = l.member
      AND i.record_id = l.record_id AND i.status = 'ready'
    ORDER BY i.sequence LIMIT %b::bigint
) q
WHERE q.correlation_id <> c.id
UNION ALL
SELECT 0, {Kind.CONFIGURED}, 0,
       (SELECT coalesce(max(notification_id), 0) FROM rps_events
        WHERE {CONFIGURATION}), '', NULL
"""  # noqa: S608 - constants of our own
# Whose record a change is of that nobody has opened a correlation for here, or was
# until it was unlinked. Without an owner: whether creates are under way at its member,
# begun before it was captured; the record may be the one they make. Leases are few:
# found once, by their own index.
OWNERS = """
WITH held AS MATERIALIZED (
    SELECT head_message FROM lanes WHERE holder IS NOT NULL
), making AS MATERIALIZED (
    SELECT q.domain, q.system, q.definition, q.member, min(q.made_at) AS since
    FROM (
        SELECT o.* FROM held
        CROSS JOIN LATERAL (
            SELECT * FROM outbound_queue x WHERE x.message_id = held.head_message
            OFFSET 0
        ) o
        UNION ALL
        SELECT o.* FROM outbound_queue o
        WHERE o.domain = ANY(%b::text[]) AND o.status = 'uncertain'
          AND o.domain <> ''  -- by the index over all that is open
    ) q
    WHERE q.operation = 'create'
    GROUP BY 1, 2, 3, 4
)
SELECT u.place, coalesce(l.correlation_id, n.correlation_id),
       coalesce(l.correlation_id, n.correlation_id) IS NULL
       AND coalesce(m.since <= u.captured_at, false)
FROM unnest(%b::text[], %b::uuid[], %b::text[], %b::text[], %b::text[],
            %b::timestamptz[])
     WITH ORDINALITY
     AS u(domain, definition, member, record_id, system, captured_at, place)
LEFT JOIN LATERAL (
    SELECT x.correlation_id FROM links x
    WHERE (x.domain, x.definition, x.member, x.record_id)
        = (u.domain, u.definition, u.member, u.record_id)
    LIMIT 1
) l ON true
LEFT JOIN LATERAL (
    SELECT x.correlation_id FROM unlinked x
    WHERE (x.domain, x.definition, x.member, x.record_id)
        = (u.domain, u.definition, u.member, u.record_id)
    LIMIT 1
) n ON true
LEFT JOIN making m ON (m.domain, m.system, m.definition, m.member)
                    = (u.domain, u.system, u.definition, u.member)
"""


@dataclass(slots=True)
class Docket:
    """One claimed correlation: as it stands, and its changes in order, up to the first
    that waits for a person. `owner` is whose record they are of, if another's."""

    lane: ClaimedIn
    known: Known
    head: int = 0
    events: list[StoredEvent] = field(default_factory=list)
    changes: list[tuple[int, ChangeCaptured]] = field(default_factory=list)
    written: set[str] = field(default_factory=set)
    has_strays: bool = False
    stops_at: float = inf
    is_making: bool = False
    owner: UUID | None = None

    @property
    def correlation(self) -> Correlation:
        return self.known.correlation

    def note(
        self,
        mapper: EventMapper,
        kind: int,
        sequence: int,
        version: int,
        text: str,
        state: bytes,
    ) -> None:
        """Take in a row of LOOK."""
        match kind:
            case Kind.READY:
                stored = StoredEvent(self.lane.correlation_id, version, text, state)
                self.changes.append((sequence, mapper.to_domain_event(stored)))
            case Kind.EVENT:
                stored = StoredEvent(self.lane.correlation_id, version, text, state)
                self.events.append(stored)
            case Kind.HEAD:
                self.head = version
            case Kind.STOPPED:
                self.stops_at = min(self.stops_at, sequence)
            case Kind.WRITTEN:
                self.written.add(text)
            case Kind.STRAY:
                self.has_strays = True

    def waits(self, captured: ChangeCaptured) -> bool:
        """Whether its member is being written to, which has to be settled before."""
        return captured.member in self.written and not is_judged_at_once(captured)

    @property
    def may_be_cut(self) -> bool:
        """Whether there may be changes that this turn does not judge."""
        return bool(self.written) or len(self.changes) >= CHANGES_MIN


class Reader:
    """Looks at claimed correlations, and remembers those it has seen."""

    def __init__(self, application: RemoteProcessSync) -> None:
        self._application = application
        self._questions = application.recorder.questions
        self._remembered = Remembered()
        self._parts = 1
        """Of a correlation among those looked at last."""

    @property
    def room(self) -> int:
        """How many lanes to take at a time: as many as can be remembered. Of more, each
        turn would have to read all again from their start."""
        return min(max(PARTS_MAX // self._parts, LANES_MIN), LANES_MAX)

    def look(self, lanes: Sequence[ClaimedIn]) -> list[Docket]:
        """What there is to judge; brings the configuration up to date too."""
        dockets = [
            Docket(lane, self._remembered.take(lane.correlation_id)) for lane in lanes
        ]
        self._read(dockets)
        self._bring_up(dockets)
        self._parts = sum(docket.known.parts for docket in dockets) // len(dockets)
        for docket in dockets:
            docket.changes = [
                (sequence, captured)
                for sequence, captured in sorted(docket.changes, key=itemgetter(0))
                if sequence < docket.stops_at and not docket.waits(captured)
            ]
        self._find_owners(
            [d for d in dockets if d.changes and not d.correlation.opened]
        )
        return dockets

    def remember(
        self, docket: Docket, events: Sequence[Event] = (), versions: Sequence[int] = ()
    ) -> None:
        """Keep a correlation as it was looked at, with `events` of ours folded into it
        that were appended as `versions`."""
        self._remembered.keep(docket.known.after(docket.head, events, versions))

    def _read(self, dockets: Sequence[Docket]) -> None:
        mapper = self._application.event_mapper
        most = min(max(TURN_MAX // len(dockets), CHANGES_MIN), CHANGES_MAX)
        most = max(most, self._parts // READ_FOR_ONE)
        ids = [docket.lane.correlation_id for docket in dockets]
        seen = [docket.known.version for docket in dockets]
        configuration = self._application.configuration
        asked = (column("uuid", ids), column("bigint", seen), most, most)
        for place, *row in self._questions.ask(LOOK, *asked):
            if place:
                dockets[place - 1].note(mapper, *row)
            elif row[2] > configuration.current.position:
                configuration.refresh()

    def _bring_up(self, dockets: Sequence[Docket]) -> None:
        """Fold what happened since; captures only move the version."""
        mapper = self._application.event_mapper
        for docket in dockets:
            docket.events.sort(key=attrgetter("originator_version"))
            if not docket.known.fold(docket.events, mapper):
                docket.known = self._from_the_start(docket)
            docket.correlation.version = docket.head
            if docket.changes:
                docket.correlation.domain = docket.changes[0][1].domain

    def _from_the_start(self, docket: Docket) -> Known:
        key = docket.lane.correlation_id
        known = Known.blank(key)
        stream = self._application.recorder.streams({key: 0})
        known.fold(
            [each for each in stream if each.originator_version <= docket.head],
            self._application.event_mapper,
        )
        return known

    def _find_owners(self, unopened: Sequence[Docket]) -> None:
        if not unopened:
            return
        firsts = [docket.changes[0][1] for docket in unopened]
        rows = self._questions.ask(
            OWNERS,
            column("text", list({first.domain for first in firsts})),
            column("text", [first.domain for first in firsts]),
            column("uuid", [UUID(first.definition) for first in firsts]),
            column("text", [first.member for first in firsts]),
            column("text", [first.record_id for first in firsts]),
            column("text", [first.system for first in firsts]),
            column(
                "moment",
                [f.timestamp if f.external_id is None else None for f in firsts],
            ),
        )
        for place, owner, is_making in rows:
            docket = unopened[place - 1]
            docket.is_making = is_making
            docket.owner = owner if owner != docket.lane.correlation_id else None
