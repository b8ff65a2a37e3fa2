"""The deliverer: writes waiting messages to their systems, lane by lane.

Lanes run side by side in threads, each with one message in flight; a system gets a
fair share of them, so that a slow one holds up no other. No thread waits for a commit:
outcomes are committed by a thread of their own, all that came back at a time, and only
then does a lane go on with its next message.
"""

from __future__ import annotations

import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING

from eventsourcing.persistence import IntegrityError

from rps.domain import flow
from rps.domain.delivery import (
    Delivered,
    Gone,
    Moved,
    NeedsCredentials,
    NotApplied,
    Snapshot,
    Unavailable,
    Uncertain,
    Write,
)
from rps.domain.remote_system import RemoteSystem
from rps.log.append import Append, Appended, LeaseLost
from rps.workers import outcomes
from rps.workers.breaker import Breakers
from rps.workers.lanes import ClaimedOut, Heartbeat, Lanes, Room
from rps.workers.outbound import Attempt, Lane, read, written
from rps.workers.scene import Message, Scene

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from rps.application import RemoteProcessSync
    from rps.domain.aggregate import Event
    from rps.domain.delivery import Connector, Outcome, Settlement

log = logging.getLogger("rps.deliverer")

SETTLE_SECONDS = 35.0
"""A system that does not dedupe may still be at work on a request whose answer was
lost: it is asked only after the deadline of that request has passed."""

Key = tuple[str, str]


class Deliverer:
    """`connect` makes the connector of a system; `chance` is uniform in [0, 1)."""

    idle_seconds = 1.0

    def __init__(
        self,
        application: RemoteProcessSync,
        connect: Callable[[RemoteSystem], Connector],
        clock: Callable[[], datetime],
        chance: Callable[[], float],
        *,
        threads: int = 16,
        breaker_seconds: float = 30.0,
        finished: Callable[[], None] = lambda: None,
    ) -> None:
        self._application = application
        self._connect = connect
        self._clock = clock
        self._chance = chance
        self._threads = threads
        self._finished = finished
        self.lanes = Lanes(application.datastore, "deliverer")
        self._breakers = Breakers(application, clock, breaker_seconds)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="deliverer")
        self._lock = Lock()
        self._running: Counter[Key] = Counter()
        self._broken: BaseException | None = None
        self._closing = False
        self._attempts: SimpleQueue[Attempt | None] = SimpleQueue()
        self._committer = Thread(target=self._commit_all, name="committer", daemon=True)
        self._committer.start()

    def heartbeat(self) -> Heartbeat:
        return Heartbeat(self.lanes)

    def close(self) -> None:
        """Let what is in flight come to its end."""
        self._closing = True
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._attempts.put(None)
        self._committer.join()

    def work(self) -> int:
        """Claim lanes that are due and start on them; answers how many."""
        if self._broken is not None:
            raise self._broken
        self._application.configuration.refresh()
        rooms, probes = self._rooms()
        lanes = self._read(self.lanes.claim_out(rooms))
        for lane in lanes:
            lane.probe = lane.system in probes
            probes.discard(lane.system)
            with self._lock:
                self._running[lane.system] += 1
            self._pool.submit(self._step, lane)
        for key in probes:
            self._breakers.end_probe(key)
        return len(lanes)

    # --- who gets how much ----------------------------------------------------------

    def _rooms(self) -> tuple[list[Room], set[Key]]:
        """A share of the threads for each active system whose breaker lets it."""
        closed_off, to_probe = self._breakers.standing()
        active = [
            (system.domain, system.name)
            for system in self._application.configuration.current.systems()
            if system.state == "active"
        ]
        with self._lock:
            running = dict(self._running)
        total = sum(running.values())
        free = self._threads - total
        probes: set[Key] = set()
        rooms: list[Room] = []
        for key in active:
            if key in to_probe:
                if free > 0 and self._breakers.take_probe(key):
                    probes.add(key)
                    rooms.append(Room(*key, 1))
            elif key not in closed_off:
                mine = running.get(key, 0)
                others = total - mine
                room = self._threads - others
                # Where there are neighbours, a quarter of what they leave stays free.
                share = room if len(active) == 1 else max(1, room * 3 // 4)
                most = min(free, share - mine)
                if most > 0:
                    rooms.append(Room(*key, most))
        return rooms, probes

    def _end(self, lane: Lane) -> None:
        with self._lock:
            self._running[lane.system] -= 1
        self._finished()

    def _break(self, error: BaseException) -> None:
        """What nobody foresaw ends the worker: `work` raises it."""
        self._broken = error
        self._finished()

    def _read(self, claimed: list[ClaimedOut]) -> list[Lane]:
        lanes = read(self._application.datastore, claimed)
        found = {lane.claimed for lane in lanes}
        self.lanes.give_back(
            [
                (lane.correlation_id, "out", lane.member, lane.epoch, 0.0)
                for lane in claimed
                if lane not in found
            ]
        )
        return lanes

    # --- one lane -------------------------------------------------------------------

    def _step(self, lane: Lane) -> None:
        """Send the lane's next message, in a thread; its outcome is committed by one
        thread for all, together with whatever else came back meanwhile."""
        try:
            self._attempts.put(self._tried(lane))
        except BaseException as error:  # noqa: BLE001 - the worker raises it
            self._break(error)

    def _tried(self, lane: Lane) -> Attempt:
        if self._closing:
            del lane.messages[lane.at + 1 :]
        message = lane.message
        configuration = self._application.configuration.current
        definition = configuration.definition_at(
            message.definition_id, message.definition_revision
        )
        connector = self._connect(self._system(message))
        scene = Scene(
            message,
            definition,
            definition.members[message.member],
            self._clock(),
            self._chance(),
            lane.probe,
            0.0 if connector.capabilities.dedupe else SETTLE_SECONDS,
        )
        try:
            write = written(scene, lane)
        except flow.MappingRefused as refused:
            return Attempt(lane, scene, outcomes.parked(scene, str(refused)), None)
        events, outcome = self._attempt(scene, write, connector, lane.is_suspect)
        return Attempt(lane, scene, events, outcome)

    def _attempt(
        self, scene: Scene, write: Write, connector: Connector, suspect: bool
    ) -> tuple[list[Event], Outcome | Settlement]:
        """Settle what may have been sent before, look where it is needed, then send."""
        able = connector.capabilities
        if scene.message.status == "uncertain" or (suspect and not able.dedupe):
            settlement = connector.settle(write)
            if not isinstance(settlement, NotApplied):
                scene = replace(scene, now=self._clock())
                return outcomes.settled(scene, write, settlement), settlement
        if (
            able.conditional_write
            and write.record_id is not None
            and write.if_match is None
        ):
            seen = connector.read(write.table, write.record_id)
            if isinstance(seen, Snapshot) and seen.revision is not None:
                return outcomes.read_first(scene, seen), Moved("read first")
        return self._send(scene, write, connector)

    def _send(
        self, scene: Scene, write: Write, connector: Connector
    ) -> tuple[list[Event], Outcome]:
        outcome = connector.write(write)
        reading = None
        if isinstance(outcome, Moved) and write.record_id is not None:
            reading = connector.read(write.table, write.record_id)
        scene = replace(scene, now=self._clock())
        events = outcomes.recorded(scene, write, outcome, reading)
        if isinstance(outcome, Delivered) and (
            not connector.capabilities.conditional_write
        ):
            events += outcomes.seen_beside(scene, write, outcome)
        return events, outcome

    # --- what came of it ------------------------------------------------------------

    def _commit_all(self) -> None:
        """Commit attempts as they come back, all that are there at a time."""
        try:
            while (first := self._attempts.get()) is not None:
                attempts = [first]
                while not self._attempts.empty():
                    if (another := self._attempts.get()) is None:
                        self._commit(attempts)
                        return
                    attempts.append(another)
                self._commit(attempts)
        except BaseException as error:  # noqa: BLE001 - the worker raises it
            self._break(error)

    def _commit(self, attempts: list[Attempt]) -> None:
        """Append under each lane's lease, then let the lane go on or give it back."""
        appends = [Append(each.events, each.fence) for each in attempts]
        results = self._application.recorder.append(appends)
        for attempt, result in zip(attempts, results, strict=True):
            if isinstance(result, IntegrityError) and attempt.outcome is not None:
                events = outcomes.contradicted(attempt.scene, attempt.events)
                self._commit([Attempt(attempt.lane, attempt.scene, events, None)])
            elif isinstance(result, LeaseLost):
                log.warning("lease.lost %s", result)
                self._end(attempt.lane)
            elif not isinstance(result, Appended):
                raise result
            else:
                self._go_on(attempt)

    def _go_on(self, attempt: Attempt) -> None:
        lane, outcome = attempt.lane, attempt.outcome
        if outcome is not None:
            self._tell_breaker(lane, lane.message, outcome)
            _say(attempt.scene, outcome)
        if attempt.goes_on and isinstance(outcome, Delivered) and not self._closing:
            lane.advance(outcome)
            self._pool.submit(self._step, lane)
        else:
            self._end(lane)

    def _system(self, message: Message) -> RemoteSystem:
        configuration = self._application.configuration.current
        system = configuration.system(message.domain, message.system)
        if system is None:  # lanes are claimed by active systems
            raise LookupError(f"{message.system} in {message.domain}")
        return system

    def _tell_breaker(
        self, lane: Lane, message: Message, outcome: Outcome | Settlement
    ) -> None:
        key = (message.domain, message.system)
        match outcome:
            case Unavailable(detail, retry_after) if retry_after is not None:
                self._breakers.failed(key, detail, probe=lane.probe)
                self._breakers.throttle(key, retry_after, detail)
            case Unavailable(detail) | Uncertain(detail):
                self._breakers.failed(key, detail, probe=lane.probe)
            case NeedsCredentials(detail):
                if lane.probe:
                    self._breakers.failed(key, detail, probe=True)
                else:
                    self._breakers.trip(key, f"needs credentials: {detail}")
            case Gone(detail):
                self._application.change(
                    RemoteSystem,
                    RemoteSystem.id_of(*key),
                    lambda system: system.disable(
                        f"it answered 410: {detail}", "rps", self._clock()
                    ),
                )
            case _:
                self._breakers.answered(key, probe=lane.probe)


def _say(scene: Scene, outcome: Outcome | Settlement) -> None:
    message = scene.message
    log.info(
        "delivery.attempted message=%s system=%s attempt=%d outcome=%s status=%s"
        " seconds=%.3f",
        message.message_id,
        message.system,
        scene.attempt,
        type(outcome).__name__,
        outcome.exchange.status,
        outcome.exchange.seconds,
    )
