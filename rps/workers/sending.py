"""One turn of a thread: the next message of each of some lanes of one system, sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rps.domain import flow
from rps.domain.correlation import Correlation
from rps.domain.delivery import Delivered, Moved, NotApplied, Snapshot
from rps.workers import outcomes
from rps.workers.outbound import Attempt, written
from rps.workers.scene import Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from rps.application import RemoteProcessSync
    from rps.domain.aggregate import Event
    from rps.domain.delivery import Connector, Outcome, Reading, Write
    from rps.domain.execution import Course
    from rps.domain.remote_system import RemoteSystem
    from rps.workers.outbound import Lane

SETTLE_SECONDS = 35.0
"""A system that does not dedupe may still be at work on a request whose answer was
lost: it is asked only after the deadline of that request has passed."""


class Sending:
    """`connect` makes the connector of a system; `chance` is uniform in [0, 1)."""

    def __init__(
        self,
        application: RemoteProcessSync,
        connect: Callable[[RemoteSystem], Connector],
        clock: Callable[[], datetime],
        chance: Callable[[], float],
    ) -> None:
        self._application = application
        self._connect = connect
        self._clock = clock
        self._chance = chance

    def connector(self, key: tuple[str, str]) -> Connector:
        system = self._application.configuration.current.system(*key)
        if system is None:  # lanes are claimed by active systems
            raise LookupError(f"{key[1]} in {key[0]}")
        return self._connect(system)

    def attempts(self, lanes: list[Lane]) -> Iterator[list[Attempt]]:
        """What came of it, as answers come in: one attempt a lane in the end."""
        connector = self.connector(lanes[0].system)
        scenes: list[tuple[Lane, Scene, Write]] = []
        unsent: list[Attempt] = []
        now = self._clock()
        for lane in lanes:
            scene = self._scene(lane, connector, now)
            try:
                write, course = written(scene, lane)
            except flow.MappingRefused as refused:
                found = outcomes.parked(scene, str(refused), refused.step)
                unsent.append(Attempt(lane, scene, found, None))
                continue
            if course.asks or course.skipped:
                found = self._not_sent(scene, course)
                unsent.append(Attempt(lane, scene, found, None))
                continue
            scene.notices = course.notices
            scenes.append((lane, scene, write))
        if unsent:
            yield unsent
        if len(scenes) == 1:
            yield [self._alone(*scenes[0], connector)]
        elif scenes:
            for came in connector.write_many([write for *_, write in scenes]):
                yield [self._came(*scenes[at], it, connector) for at, it in came]

    def _not_sent(self, scene: Scene, course: Course) -> list[Event]:
        """The flow has to know something first, or does not want it to be sent."""
        if course.asks is not None:
            return [outcomes.asked(scene, course.asks)]
        message = scene.message
        correlation = self._application.find(Correlation, message.correlation_id)
        if correlation is None:  # its messages are events of its own
            raise LookupError(f"no correlation {message.correlation_id}")
        revision, definition = self._application.configuration.current.newest(
            message.definition_id, message.definition_revision
        )
        correlation.pass_over_message(
            str(message.message_id), course.skipped, definition, revision, scene.now
        )
        return cast("list[Event]", correlation.collect_events())

    def _scene(self, lane: Lane, connector: Connector, now: datetime) -> Scene:
        message = lane.message
        definition = self._application.configuration.current.definition_at(
            message.definition_id, message.definition_revision
        )
        return Scene(
            message,
            definition,
            definition.members[message.member],
            now,
            self._chance(),
            lane.probe,
            0.0 if connector.capabilities.dedupe else SETTLE_SECONDS,
            lane.is_suspect or message.status == "uncertain",
        )

    def _alone(
        self, lane: Lane, scene: Scene, write: Write, connector: Connector
    ) -> Attempt:
        """Settle what may have been sent before, look where it is needed, then send."""
        able = connector.capabilities
        if lane.may_have_been_sent(able):
            settlement = connector.settle(write)
            if not isinstance(settlement, NotApplied):
                scene.now = self._clock()
                found = outcomes.settled(scene, write, settlement)
                return Attempt(lane, scene, found, settlement)
        if (
            able.conditional_write
            and write.record_id is not None
            and write.if_match is None
        ):
            seen = connector.read(write.table, write.record_id)
            if isinstance(seen, Snapshot) and seen.revision is not None:
                found = outcomes.read_first(scene, seen)
                return Attempt(lane, scene, found, Moved("read first"))
        return self._came(lane, scene, write, connector.write(write), connector)

    def _came(
        self,
        lane: Lane,
        scene: Scene,
        write: Write,
        outcome: Outcome,
        connector: Connector,
    ) -> Attempt:
        reading: Reading | None = None
        if isinstance(outcome, Moved) and write.record_id is not None:
            reading = outcome.record or connector.read(write.table, write.record_id)
        scene.now = self._clock()
        events = outcomes.recorded(scene, write, outcome, reading)
        if isinstance(outcome, Delivered) and (
            not connector.capabilities.conditional_write
        ):
            events += outcomes.seen_beside(scene, write, outcome)
        return Attempt(lane, scene, events, outcome)
