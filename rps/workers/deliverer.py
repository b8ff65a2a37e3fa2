"""The deliverer: writes waiting messages to their systems, lane by lane.

It claims more lanes than it writes at a time, so that some are always ready. Each lane
has one message in flight; a system gets a fair share of what is under way, so that a
slow one holds up no other. No sending thread waits for a commit: outcomes are committed
by threads of their own, and only then does a lane go on with its next message.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from math import ceil
from threading import Lock
from typing import TYPE_CHECKING

from rps.application.connections import ConnectorUnknown
from rps.connectors.signature import SecretUnusable
from rps.domain.delivery import (
    Delivered,
    Gone,
    NeedsCredentials,
    Unavailable,
    Uncertain,
)
from rps.workers.breaker import STANDING, Breakers, Standing
from rps.workers.committer import Committer
from rps.workers.earlier import filled
from rps.workers.lanes import ClaimedOut, Heartbeat, Lanes, Room
from rps.workers.latest import caught_up
from rps.workers.outbound import read
from rps.workers.sending import Sending
from rps.workers.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from rps.application import RemoteProcessSync
    from rps.domain.delivery import Capabilities, Connector, Outcome, Settlement
    from rps.domain.remote_system import RemoteSystem
    from rps.workers.outbound import Attempt, Lane
    from rps.workers.turns import Key

log = logging.getLogger("rps.deliverer")

HELD_AHEAD = 4
"""Lanes held for each one that is written, where a turn takes several."""
HELD_MAX = 2_000
BUSY = 16
BUSY_SECONDS = 0.02

FAILING = (Unavailable, Uncertain, NeedsCredentials, Gone)


class Deliverer:
    """`connect` makes the connector of a system; `chance` is uniform in [0, 1);
    `threads` is how many writes are under way at most. It tells `due` when there may be
    lanes to claim, and `finished` when it has let go of one."""

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
        due: Callable[[], None] = lambda: None,
        finished: Callable[[], None] = lambda: None,
    ) -> None:
        self._application = application
        self._clock = clock
        self._threads = threads
        self._due = due
        self._finished = finished
        self._looks = 0
        self._more = False
        self.lanes = Lanes(application, "deliverer")
        self._breakers = Breakers(application, clock, breaker_seconds)
        self._sending = Sending(application, connect, clock, chance)
        self._lock = Lock()
        self._held: Counter[Key] = Counter()
        self._able: dict[Key, Capabilities] = {}
        self._shares: dict[Key, int] = {}
        self._standing = Standing(set(), set())
        self._broken: BaseException | None = None
        self._closing = False
        self._turns = Turns(self._turn, threads)
        self._committer = Committer(application, self._go_on, self._lost, self._break)

    @property
    def gather_seconds(self) -> float:
        """With much at hand, a claim may wait until it is a large one."""
        return BUSY_SECONDS if sum(self._held.values()) > BUSY else 0.0

    @property
    def has_more(self) -> bool:
        """Whether more may be due than was claimed by the last look."""
        return self._more

    def heartbeat(self) -> Heartbeat:
        return Heartbeat(self.lanes)

    def close(self) -> None:
        """Let what is in flight come to its end."""
        self._closing = True
        self._give_back(self._turns.close())
        self._committer.close()

    def work(self) -> int:
        """Claim lanes that are due and start on them; answers how many."""
        if self._broken is not None:
            raise self._broken
        self._looks += 1
        rooms, probes, claimed = self._claimed()
        least = min((room.most for room in rooms), default=0)
        self._more = self._more or len(claimed) >= least
        lanes = self._read(claimed)
        started: defaultdict[Key, list[Lane]] = defaultdict(list)
        for lane in lanes:
            lane.probe = lane.system in probes
            lane.look = self._looks
            probes.discard(lane.system)
            started[lane.system].append(lane)
        for key, mine in started.items():
            self._start(key, mine)
        for key in probes:
            self._breakers.end_probe(key)
        return len(lanes)

    def _start(self, key: Key, lanes: list[Lane]) -> None:
        with self._lock:
            self._held[key] += len(lanes)
        try:
            able = self._able[key] = self._sending.connector(key).capabilities
        except (ConnectorUnknown, SecretUnusable) as unusable:
            self._leave_alone(lanes, str(unusable))
            return
        self._turns.share(key, able, self._shares[key])
        self._wait(key, lanes)

    def _claimed(self) -> tuple[list[Room], set[Key], list[ClaimedOut]]:
        """Rooms, probes, and the lanes claimed. Where no breaker was open a moment ago,
        nobody waits to hear it again: if that was wrong, what was claimed goes back."""
        configuration = self._application.configuration
        if any(self._standing):
            (rows,) = configuration.refresh_and_ask((STANDING, ()))
        else:
            before = configuration.current
            rooms, _ = self._rooms()
            asked = [self.lanes.claiming_out(rooms)] if rooms else []
            rows, *answers = configuration.refresh_and_ask((STANDING, ()), *asked)
            claimed = [ClaimedOut(*row) for answer in answers for row in answer]
            if not rows and configuration.current is before:
                return rooms, set(), claimed
            self.lanes.leave(claimed)
        self._standing = Standing.of(rows)
        rooms, probes = self._rooms()
        return rooms, probes, self.lanes.claim_out(rooms)

    # --- who gets how much ----------------------------------------------------------

    def _rooms(self) -> tuple[list[Room], set[Key]]:
        """Room for each active system whose breaker lets it: its share of what is under
        way, and some ahead of that. What waits for another system is given back."""
        self._more = False
        closed_off, to_probe = self._standing
        active = list(self._application.configuration.current.active_systems())
        with self._lock:
            held = {key: count for key, count in self._held.items() if count}
        for key in held.keys() - (set(active) - closed_off):
            self._stop_sending(key)
        used = {key: ceil(count / self._depth(key)) for key, count in held.items()}
        total = sum(used.values())
        probes: set[Key] = set()
        rooms: list[Room] = []
        for key in active:
            free = self._threads - total
            if key in to_probe:
                if free > 0 and self._breakers.take_probe(key):
                    probes.add(key)
                    self._shares[key] = 1
                    rooms.append(Room(*key, 1))
            elif key not in closed_off:
                mine = used.get(key, 0)
                room = self._threads - (total - mine)
                share = self._share(key, room, alone=len(active) == 1)
                if key in held:
                    self._turns.share(key, self._able[key], share)
                most = self._most(key, min(share, mine + free), held.get(key, 0))
                if most > 0:
                    rooms.append(Room(*key, most))
                else:
                    self._more = True
        return rooms, probes

    def _share(self, key: Key, room: int, *, alone: bool) -> int:
        """Where there are neighbours, a quarter of what they leave stays free."""
        share = room if alone else max(1, room * 3 // 4)
        able = self._able.get(key)
        self._shares[key] = able.share_of(share) if able else share
        return self._shares[key]

    def _depth(self, key: Key) -> int:
        """Lanes held for each write, or request with many, that is under way."""
        able = self._able.get(key)
        if able is None or able.together == 1:
            return 1
        return max(able.batch, HELD_AHEAD)

    def _most(self, key: Key, share: int, held: int) -> int:
        """How many lanes to claim: few claims of many rather than many of few."""
        depth = self._depth(key)
        capacity = min(share * depth, HELD_MAX)
        free = capacity - held
        return free if depth == 1 or free >= capacity // 4 else 0

    def _read(self, claimed: list[ClaimedOut]) -> list[Lane]:
        lanes = read(self._application.recorder.questions, claimed)
        found = {lane.claimed for lane in lanes}
        # Where nothing waits, nothing can have been sent.
        empty = [c._replace(interrupted=False) for c in claimed if c not in found]
        self.lanes.leave(empty)
        lanes = caught_up(self._application, lanes, self._clock)
        return filled(self._application, lanes)

    def _give_back(self, lanes: list[Lane]) -> None:
        """Those that were claimed and will not be sent."""
        self.lanes.leave([lane.claimed for lane in lanes])
        self._end(lanes)

    def _end(self, lanes: list[Lane]) -> None:
        with self._lock:
            for lane in lanes:
                self._held[lane.system] -= 1
        for _ in lanes:
            self._finished()
        if self._more or any(self._may_be_due(lane) for lane in lanes):
            self._due()

    def _may_be_due(self, lane: Lane) -> bool:
        """Whether there may be a message that nobody could claim while we held its
        lane: it came since, was behind those we read, or has to go again."""
        return lane.look != self._looks or not lane.is_done or lane.may_be_cut

    def _wait(self, key: Key, lanes: list[Lane]) -> None:
        if not self._turns.put(key, lanes):
            self._give_back(lanes)

    def _leave_alone(self, lanes: list[Lane], why: str) -> None:
        """Nothing can be sent to their system as it is set up; the others go on."""
        probe = any(lane.probe for lane in lanes)
        self._breakers.told(lanes[0].system, NeedsCredentials(why), probe=probe)
        self._give_back(lanes)

    def _stop_sending(self, key: Key) -> None:
        self._give_back(self._turns.drop(key))

    def _break(self, error: BaseException) -> None:
        """What nobody foresaw ends the worker: `work` raises it."""
        self._broken = error
        self._due()
        self._finished()

    # --- a turn, and what came of it --------------------------------------------------

    def _turn(self, lanes: list[Lane]) -> None:
        """Send each lane's next message, in a thread; what comes back is committed by
        another, together with whatever else came back meanwhile."""
        key = lanes[0].system
        if self._closing:
            for lane in lanes:
                del lane.messages[lane.at + 1 :]
        try:
            for attempts in self._sending.attempts(lanes):
                failing = [a for a in attempts if isinstance(a.outcome, FAILING)]
                doubtful = 2 * len(failing) > len(attempts)
                for attempt in attempts:
                    attempt.doubtful = doubtful
                self._turns.answered(key, len(attempts), doubtful=doubtful)
                self._committer.put(attempts)
        except (ConnectorUnknown, SecretUnusable) as unusable:  # before it sent any
            self._leave_alone(lanes, str(unusable))
        except BaseException as error:  # noqa: BLE001 - the worker raises it
            self._break(error)

    def _lost(self, attempt: Attempt) -> None:
        key = attempt.lane.system
        self._turns.told(key, int(attempt.doubtful))
        self._end([attempt.lane])

    def _go_on(self, attempts: list[Attempt]) -> None:
        """These are in the log: let their lanes go on, or go."""
        on: defaultdict[Key, list[Lane]] = defaultdict(list)
        ended: list[Lane] = []
        for attempt in attempts:
            lane, outcome = attempt.lane, attempt.outcome
            if outcome is not None:
                self._tell_breaker(lane, outcome)
                _say(lane, attempt.scene.attempt, outcome)
            if isinstance(outcome, Delivered) and attempt.goes_on:
                lane.advance(outcome)
                on[lane.system].append(lane)
            else:
                lane.is_done = isinstance(outcome, Delivered) and not lane.has_more
                ended.append(lane)
        for key, lanes in on.items():
            self._wait(key, lanes)
        told = Counter(a.lane.system for a in attempts if a.doubtful)
        for key, count in told.items():
            self._turns.told(key, count)
        if ended:
            self._end(ended)

    def _tell_breaker(self, lane: Lane, outcome: Outcome | Settlement) -> None:
        if self._breakers.told(lane.system, outcome, probe=lane.probe):
            self._stop_sending(lane.system)


def _say(lane: Lane, number: int, outcome: Outcome | Settlement) -> None:
    message, exchange = lane.message, outcome.exchange
    log.info(
        "delivery.attempted message=%s system=%s attempt=%d outcome=%s status=%s"
        " seconds=%.3f",
        message.message_id,
        message.system,
        number,
        type(outcome).__name__,
        exchange.status,
        exchange.seconds,
    )
