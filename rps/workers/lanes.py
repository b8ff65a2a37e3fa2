"""Claiming lanes: one holder at a time, fenced by an epoch, held by heartbeats."""

from __future__ import annotations

import os
import socket
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self
from uuid import UUID, uuid4

from psycopg.rows import tuple_row

from rps.application.lane_commands import Held
from rps.log.columns import columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rps.application import RemoteProcessSync

LEASE_SECONDS = 8.0
HEARTBEAT_SECONDS = 2.0

# The statement's own time can bound the scan of the index; the clock's could not, and
# every claim would go through what waits for its next attempt.
CLAIM_IN = """
WITH due AS (
    SELECT correlation_id, direction, member FROM lanes
    WHERE direction = 'in' AND due_at <= statement_timestamp()
      AND (not_before IS NULL OR not_before <= clock_timestamp())
      AND (holder IS NULL OR leased_until < clock_timestamp())
    ORDER BY due_at LIMIT %b::bigint FOR UPDATE SKIP LOCKED
)
UPDATE lanes l
SET epoch = l.epoch + 1, holder = %b::text, not_before = NULL,
    leased_until = clock_timestamp() + %b::float8 * interval '1 second'
FROM due d
WHERE (l.correlation_id, l.direction, l.member)
    = (d.correlation_id, d.direction, d.member)
RETURNING l.correlation_id, l.epoch
"""
# One scan a system, so that a system with a long backlog hides no other one.
CLAIM_OUT = """
WITH due AS (
    SELECT l.correlation_id, l.direction, l.member, l.holder
    FROM unnest(%b::text[], %b::text[], %b::bigint[]) AS s(domain, system, most)
    CROSS JOIN LATERAL (
        SELECT * FROM lanes x
        WHERE x.direction = 'out' AND x.domain = s.domain AND x.system = s.system
          AND x.due_at <= statement_timestamp()
          AND (x.not_before IS NULL OR x.not_before <= clock_timestamp())
          AND (x.holder IS NULL OR x.leased_until < clock_timestamp())
        ORDER BY x.due_at LIMIT s.most FOR UPDATE SKIP LOCKED
    ) l
)
UPDATE lanes l
SET epoch = l.epoch + 1, holder = %b::text, not_before = NULL,
    leased_until = clock_timestamp() + %b::float8 * interval '1 second'
FROM due d
WHERE (l.correlation_id, l.direction, l.member)
    = (d.correlation_id, d.direction, d.member)
RETURNING l.correlation_id, l.member, l.epoch, d.holder IS NOT NULL
"""
CLAIM_ONE = """
WITH free AS (
    SELECT correlation_id, direction, member, holder FROM lanes
    WHERE (correlation_id, direction, member) = (%b::uuid, %b::text, %b::text)
      AND (holder IS NULL OR leased_until < clock_timestamp())
    FOR UPDATE
)
UPDATE lanes l
SET epoch = l.epoch + 1, holder = %b::text,
    leased_until = clock_timestamp() + %b::float8 * interval '1 second'
FROM free f
WHERE (l.correlation_id, l.direction, l.member)
    = (f.correlation_id, f.direction, f.member)
RETURNING l.epoch, f.holder IS NOT NULL
"""
GIVE_BACK = """
UPDATE lanes
SET holder = NULL, leased_until = NULL,
    not_before = clock_timestamp() + %b * interval '1 second'
WHERE (correlation_id, direction, member, epoch) = (%b, %b, %b, %b)
"""
# As if its last holder had died with it, which may have sent its message.
LEAVE = """
UPDATE lanes SET holder = 'nobody', leased_until = clock_timestamp()
WHERE (correlation_id, direction, member, epoch) = (%b, %b, %b, %b)
"""
BEAT = """
UPDATE lanes l SET leased_until = clock_timestamp() + %b * interval '1 second'
FROM (SELECT correlation_id, direction, member FROM lanes
      WHERE holder = %b FOR UPDATE SKIP LOCKED) h
WHERE (l.correlation_id, l.direction, l.member)
    = (h.correlation_id, h.direction, h.member)
"""


class ClaimedIn(NamedTuple):
    correlation_id: UUID
    epoch: int


class ClaimedOut(NamedTuple):
    """`interrupted`: its last holder never came back and may have sent its message."""

    correlation_id: UUID
    member: str
    epoch: int
    interrupted: bool


class Room(NamedTuple):
    """How many more lanes of a system may be taken now."""

    domain: str
    system: str
    most: int


class Lanes:
    """One worker's hold on lanes. `name` says in the table who it is."""

    def __init__(self, application: RemoteProcessSync, kind: str) -> None:
        self._datastore = application.datastore
        self._questions = application.recorder.questions
        self.holder = f"{kind}@{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"

    def claim_in(self, most: int) -> list[ClaimedIn]:
        rows = self._questions.ask(CLAIM_IN, most, self.holder, LEASE_SECONDS)
        return [ClaimedIn(*row) for row in rows]

    def claim_out(self, rooms: Sequence[Room]) -> list[ClaimedOut]:
        if not rooms:
            return []
        sql, params = self.claiming_out(rooms)
        return [ClaimedOut(*row) for row in self._questions.ask(sql, *params)]

    def claiming_out(self, rooms: Sequence[Room]) -> tuple[str, tuple[Any, ...]]:
        """The question whose rows are the lanes that it claims."""
        asked = columns(("text", "text", "bigint"), rooms)
        return CLAIM_OUT, (*asked, self.holder, LEASE_SECONDS)

    def hold(self, correlation_id: UUID, direction: str, member: str) -> Held | None:
        """Take this one lane; None while somebody else has it."""
        key = (correlation_id, direction, member)
        rows = self._run(CLAIM_ONE, *key, self.holder, LEASE_SECONDS)
        return Held(*key, *rows[0]) if rows else None

    def let_go(self, lane: Held) -> None:
        if lane.interrupted:
            self._run(LEAVE, *lane[:4])
        else:
            self._run(GIVE_BACK, 0.0, *lane[:4])

    def give_back(self, lanes: Sequence[tuple[UUID, str, str, int, float]]) -> None:
        """Let go of (correlation, direction, member, epoch), to be due again after a
        pause in seconds. One by one: who locks several lanes may meet an append that
        locks them in another order."""
        for *lane, pause in lanes:
            self._run(GIVE_BACK, pause, *lane)

    def leave(self, lanes: Sequence[ClaimedOut]) -> None:
        """Let go of lanes that were claimed and not sent; those that were interrupted
        before stay so for whoever claims them next."""
        self.give_back(
            [
                (lane.correlation_id, "out", lane.member, lane.epoch, 0.0)
                for lane in lanes
                if not lane.interrupted
            ]
        )
        for lane in lanes:
            if lane.interrupted:
                self._run(LEAVE, lane.correlation_id, "out", lane.member, lane.epoch)

    def beat(self) -> None:
        self._run(BEAT, LEASE_SECONDS, self.holder)

    def _run(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        with self._datastore.get_connection() as conn:
            cursor = conn.cursor(row_factory=tuple_row, binary=True)
            cursor.execute(sql, params, prepare=True)
            return cursor.fetchall() if cursor.description else []


class Holds(Protocol):
    """What is held by leases."""

    def beat(self) -> None:
        """Extend them."""


class Heartbeat:
    """Extends what is held for as long as this process lives."""

    def __init__(self, held: Holds) -> None:
        self._held = held
        self._stop = Event()
        self._thread = Thread(target=self._run, name="heartbeat", daemon=True)
        self.failed: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            try:
                self._held.beat()
            except Exception as error:  # noqa: BLE001 - the worker raises it
                self.failed = error
                return
