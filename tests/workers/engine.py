"""Many random schedules at a time on a node as it is: a real database, its receiver and
its deliverer, which is killed now and then, and systems of one class."""

from __future__ import annotations

import sys
import threading
import traceback
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from eventsourcing.persistence import StoredEvent
from psycopg.rows import tuple_row
from simulated_people import MEMBERS, document_of
from story import Killed, Site, Story

from rps.application import RemoteProcessSync
from rps.application.captured import Poster
from rps.application.operations import Operations
from rps.domain.correlation import Correlation
from rps.domain.events import ChangeCaptured
from rps.workers.deliverer import Deliverer
from rps.workers.lanes import Lanes
from rps.workers.receiver import Receiver
from rps.workers.worker import Projector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rps.domain.remote_system import RemoteSystem

ROUNDS = 80
ROUNDS_MAX = 300
IDLE_ROUNDS = 4
"""A worker may put off what it could do, for a moment."""
TOGETHER = {"a": {"batch": 32}, "b": {"abreast": 16}, "c": {}}
"""How many writes a request, or requests at a time: every way there is to send."""

# Of many lanes at once: passes by those that an append is at, which locks them in an
# order of its own.
LOOSE = """
FROM (SELECT correlation_id, direction, member FROM lanes
      WHERE holder IS NULL AND due_at IS NOT NULL FOR UPDATE SKIP LOCKED) f
WHERE (l.correlation_id, l.direction, l.member)
    = (f.correlation_id, f.direction, f.member)
"""
SHUFFLE = f"""
UPDATE lanes l SET
    not_before = CASE WHEN random() < %s THEN 'infinity'::timestamptz END,
    due_at = least(due_at, now())
{LOOSE}"""
FREE = f"""
UPDATE lanes l SET not_before = NULL, due_at = least(due_at, now())
{LOOSE}"""
ONLY_UNSETTLED = f"""
UPDATE lanes l SET not_before = 'infinity'
{LOOSE} AND l.direction = 'out' AND l.head_status = 'ready'
"""
BURY = "UPDATE lanes SET leased_until = now() - interval '1 second' WHERE holder = %s"
WAITING = """
SELECT correlation_id, member, count(*) FROM outbound_queue
WHERE status IN ('ready', 'uncertain', 'error') GROUP BY 1, 2
"""
PARKED = """
SELECT message_id, correlation_id FROM outbound_queue WHERE status = 'error'
"""
ACTIVITY = """
SELECT pid, state, wait_event_type, wait_event, now() - query_start, query
FROM pg_stat_activity WHERE datname = current_database()
"""
OPEN = """
SELECT "position", correlation_id FROM conflicts WHERE state = 'open' ORDER BY 1
"""


class Engine:
    """One node. `run` is given schedules, which take place side by side."""

    def __init__(self, database: str, grade: str) -> None:
        self.application = RemoteProcessSync(database, connections=24)
        self._operations = Operations(
            self.application, Lanes(self.application, "tester")
        )
        self._poster = Poster("top", "tester")
        self._start = datetime.now(UTC) - timedelta(days=30)
        self.seconds = 0
        self._chance = Random(grade)
        self._stories: dict[UUID, Story] = {}
        self._sites = {
            name: Site(name, grade, self.story, TOGETHER[name]) for name in MEMBERS
        }
        for name in MEMBERS:
            settings = {"url": "http://none"}
            system, _ = self.application.register_system(
                "top", name, "push", "", settings, "tester", self.now()
            )
            self.application.activate_system(system.id, "tester", self.now())
        self._published: set[str] = set()
        self._decided: set[UUID] = set()
        self._receiver = Receiver(self.application, self.now)
        self.deaths = 0
        self._employ()

    def now(self) -> datetime:
        """Long past for the database, so that nothing has to be waited for."""
        return self._start + timedelta(seconds=self.seconds)

    def story(self, correlation_id: str) -> Story:
        return self._stories[UUID(correlation_id)]

    def close(self) -> None:
        self._hearts.close()
        self._deliverer.close()
        self.application.close()

    # --- workers --------------------------------------------------------------------

    def _employ(self) -> None:
        finished = threading.Semaphore(0)
        self._deliverer = Deliverer(
            self.application,
            self._connect,
            self.now,
            lambda: 0.5,
            threads=12,
            breaker_seconds=0.0,
            finished=finished.release,
        )
        self._finished, self._under_way = finished, 0
        self._hearts = ExitStack()
        self._hearts.enter_context(self._deliverer.heartbeat())

    def _connect(self, system: RemoteSystem) -> Site:
        return self._sites[system.name]

    def _bury(self) -> None:
        """The deliverer was killed: nobody gives back what it held."""
        self.deaths += 1
        self._hearts.close()
        self._deliverer._turns.close()
        self._deliverer._committer.close()
        self.ask(BURY, self._deliverer.lanes.holder)
        self._employ()

    def _judge(self) -> None:
        while self._receiver.work():
            pass

    def _send(self, share: float) -> None:
        """Start on what is due; wait until that share of it has come back."""
        try:
            self._under_way += self._deliverer.work()
            for _ in range(int(self._under_way * share)):
                if not self._finished.acquire(timeout=60):
                    raise TimeoutError(f"nothing came back\n{self._standing()}")
                self._under_way -= 1
                if self._deliverer._broken is not None:
                    raise self._deliverer._broken
        except Killed:
            self._bury()

    def _standing(self) -> str:
        """Where threads and statements are, for whoever has to find out why."""
        found = [
            "".join(traceback.format_stack(frame))
            for frame in sys._current_frames().values()
        ]
        for key, queue in self._deliverer._turns._queues.items():
            ready, apart = len(queue.ready), len(queue.apart)
            found.append(
                f"{key}: {ready} ready, {apart} apart, {queue.under_way} under way,"
                f" {queue.turns} turns, {queue.doubtful} doubtful, share {queue.share}"
            )
        found += [f"{row}" for row in self.ask(ACTIVITY)]
        return "\n".join(found)

    # --- what happens ---------------------------------------------------------------

    def run(self, stories: Sequence[Story]) -> None:
        """Let these schedules happen and come to rest."""
        self._stories.clear()
        for story in stories:
            story.capture = self._capture
            self._publish(story)
            for name, remote in story.remotes.items():
                self._sites[name].records[remote.record_id] = story
        for _ in range(ROUNDS):
            self._round(stories)
        for story in stories:
            story.is_calm = True
        self._come_to_rest(stories)
        for story in stories:
            self._look_at(story)

    def _publish(self, people: Story) -> None:
        name = _name(people)
        if name not in self._published:
            self._published.add(name)
            document = document_of(**people.rules, name=name, table=name)
            self.application.apply_definition(document, "tester", self.now())

    def _round(self, stories: Sequence[Story]) -> None:
        self.seconds += self._chance.choice((1, 2, 5))
        self._capture(
            each
            for story in stories
            if self._chance.random() < 0.7
            for each in story.step(self.seconds)
        )
        if self._chance.random() < 0.8:
            self.ask(SHUFFLE, 0.5)
        if self._chance.random() < 0.7:
            self._judge()
        if self._chance.random() < 0.7:
            self._send(self._chance.choice((0.3, 0.8, 1.0)))

    def _capture(self, told: Iterable[tuple[Story, dict[str, Any]]]) -> None:
        for some in batched(told, 100):
            given = [
                {
                    **change,
                    "system": change["member"],
                    "table": _name(story),
                    "record_id": story.remotes[change["member"]].record_id,
                    "revision": change["record_revision"],
                }
                for story, change in some
            ]
            receipts = self.application.intake.capture(self._poster, given, self.now())
            for (story, _), receipt in zip(some, receipts, strict=True):
                for each in receipt.correlations:
                    key = UUID(str(each["correlation_id"]))
                    self._stories.setdefault(key, story)
                    story.correlations.add(key)

    # --- coming to rest -------------------------------------------------------------

    def _come_to_rest(self, stories: Sequence[Story]) -> None:
        for _ in range(ROUNDS_MAX):
            self._settle_all(stories)
            self._note_backlog(stories)
            self._until_quiet(stories)
            if not self._resolve() + self._retry(stories):
                break
        else:
            said = ["there is always more to decide"]
            for correlation_id in self._decided:
                story = self._stories[correlation_id]
                self._look_at(story)
                said += [f"{story.number} {story.rules}", *told(story)]
            raise LookupError("\n".join(said))
        self._capture(e for s in stories for e in s.tell_all(self.seconds))
        self._until_quiet(stories)

    def _settle_all(self, stories: Sequence[Story]) -> None:
        """Every report arrives, every answer comes, every change is judged; messages
        that nobody has begun with stay where they are."""
        for _ in self._while_it_goes_on(stories):
            self.ask(FREE)
            self._judge()
            self.ask(ONLY_UNSETTLED)
            self._send(1.0)

    def _until_quiet(self, stories: Sequence[Story]) -> None:
        for _ in self._while_it_goes_on(stories):
            self.ask(FREE)
            self._judge()
            self._send(1.0)

    def _while_it_goes_on(self, stories: Sequence[Story]) -> Iterator[None]:
        """Rounds in which something happens, and some in which nothing does."""
        recorder, at, idle = self.application.recorder, None, 0
        for _ in range(ROUNDS_MAX):
            before, at = at, recorder.max_notification_id()
            idle = idle + 1 if before == at else 0
            if idle == IDLE_ROUNDS:
                return
            self.seconds += 1
            self._capture(e for s in stories for e in s.report(self.seconds))
            yield
        raise LookupError("there is always more to judge or to send")

    def _note_backlog(self, stories: Sequence[Story]) -> None:
        for story in stories:
            story.backlog = story.deliveries.copy()
        for correlation_id, member, count in self.ask(WAITING):
            if story := self._stories.get(correlation_id):
                story.backlog[member] += count

    def _resolve(self) -> int:
        """Somebody decides one open conflict of every record that has any."""
        projector = Projector(self.application)
        while projector.work():
            pass
        self._decided = decided = set[UUID]()
        for number, correlation_id in self.ask(OPEN):
            story = self._stories.get(correlation_id)
            if story is None or correlation_id in decided:
                continue
            decided.add(correlation_id)
            field = self._operations.conflict("top", number)["field"]
            keep, other = story.decision(field)
            self._operations.resolve_conflict(
                "top", number, keep, other, "so it is", "anna", self.now()
            )
        return len(decided)

    def _retry(self, stories: Sequence[Story]) -> int:
        """Somebody looks at what was tried too often, and at the records."""
        if self.ask(PARKED):
            self._capture(e for s in stories for e in s.tell_all(self.seconds))
            self._settle_all(stories)
        parked = self.ask(PARKED)
        self._decided |= {correlation_id for _, correlation_id in parked}
        for message_id, _ in parked:
            self._operations.retry_message(
                "top", message_id, "looked at", "anna", self.now()
            )
        return len(parked)

    # --- what there is --------------------------------------------------------------

    def ask(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        with self.application.datastore.get_connection() as conn:
            cursor = conn.cursor(row_factory=tuple_row)
            cursor.execute(sql, params)
            return cursor.fetchall() if cursor.description else []

    def _look_at(self, story: Story) -> None:
        """A record is shared once, whatever it passed for in between."""
        found = [self._found(key, story) for key in story.correlations]
        opened = [each for each in found if each.correlation.opened]
        if len(opened) != 1:
            story.problems.append(f"it was opened {len(opened)} times")
        for each in found:
            if each not in opened and each.inbound:
                story.problems.append("a change waits under a record of its own")
        story.node = (opened or found)[0]

    def _found(self, correlation_id: UUID, story: Story) -> Any:
        """What the log and the queues say in the end, as checks ask for it."""
        rows = self.ask(
            "SELECT originator_version, topic, state, notification_id FROM rps_events"
            " WHERE originator_id = %s ORDER BY originator_version",
            correlation_id,
        )
        events = [
            self.application.event_mapper.to_domain_event(
                StoredEvent(correlation_id, version, topic, state)
            )
            for version, topic, state, _ in rows
        ]
        judged = {
            event.sequence or row[3]: event
            for event, row in zip(events, rows, strict=True)
            if isinstance(event, ChangeCaptured)
        }
        waiting = self.ask(
            "SELECT member, status, detail FROM outbound_queue WHERE correlation_id ="
            " %s AND status IN ('ready', 'uncertain', 'error')",
            correlation_id,
        )
        lanes = {name: SimpleNamespace(head=None) for name in story.remotes}
        for member, status, detail in waiting:
            lanes[member].head = SimpleNamespace(status=status, message=detail)
        return SimpleNamespace(
            correlation=self.application.find(Correlation, correlation_id),
            log=events,
            judged=judged,
            inbound=self.ask(
                "SELECT 1 FROM inbound_queue WHERE correlation_id = %s"
                " AND status IN ('ready', 'error')",
                correlation_id,
            ),
            lanes=lanes,
        )


def told(story: Story) -> Iterator[str]:
    """What happened, for whoever has to find out why."""
    common = ("originator_id", "timestamp", "domain", "definition", "process_event")
    for event in story.node.log:
        said = {k: v for k, v in vars(event).items() if v and k not in common}
        yield f"{event.TOPIC} {said}"


def batched(given: Iterable[Any], size: int) -> Iterator[list[Any]]:
    several = iter(given)
    while some := list(islice(several, size)):
        yield some


def _name(people: Story) -> str:
    """Of the definition and its tables: one for all who go by the same rules."""
    rules = (people.policies, *sorted(people.latest))
    return f"{'-'.join(rules)}-{people.deletes:d}{people.edits:d}"
