"""The act in which one company's node is down, and comes back."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.text import Text

from rps.cli.demo.journeys import BATCH, Watch
from rps.cli.demo.stage import journey_table, with_bar
from rps.cli.demo.waiting import wait_until
from rps.cli.terminal import Failure
from rps.domain.between_nodes import NODE
from rps.projections.followed import decoded

if TYPE_CHECKING:
    from collections.abc import Callable

    from rps.cli.demo.journeys import Journey
    from rps.cli.demo.story import Story

NEW_TICKETS = 10
DRAIN_SECONDS_MAX = 120.0
STANDING = """
SELECT count(*) AS waiting, count(DISTINCT correlation_id) AS lanes,
       coalesce(sum(attempts), 0) AS attempts,
       (SELECT extract(epoch FROM open_until - clock_timestamp())::float8
        FROM breakers WHERE system = 'zenith') AS open_seconds
FROM outbound_queue
WHERE system = 'zenith' AND status IN ('ready', 'uncertain', 'error')
"""
LEFT = """
SELECT 1 FROM inbound_queue WHERE status = 'ready'
UNION ALL
SELECT 1 FROM outbound_queue WHERE status IN ('ready', 'uncertain') LIMIT 1
"""
MADE = """
SELECT correlation_id::text, message_id::text, status::text FROM outbound_queue
WHERE system = 'zenith' AND sequence > %(position)s ORDER BY sequence, place
"""
ID_CHARACTERS = 36


class Outage:
    """Zenith's node is killed, both desks go on, the node comes back."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._stage = story.stage
        self._acme, self._zenith = story.acme.session, story.zenith.session
        for session in (self._acme, self._zenith):
            wait_until(
                lambda session=session: not session.ask(LEFT),
                "what a run before this one left is delivered",
                story.processes,
            )
        self._watch = Watch(story.scene.companies)
        self._start = self._acme.application.recorder.head()[0]
        self._start_there = self._zenith.application.recorder.head()[0]
        self._backlog = 0

    def play(self, shared: Journey) -> None:
        """Meanwhile both change the ticket `shared`."""
        self._go_down(shared)
        self._come_back()
        self._check_order()

    def _go_down(self, shared: Journey) -> None:
        self._stage.act(
            "Zenith's node dies, both companies go on",
            "kill -9. Acme's messages wait in order; after ten failures the breaker\n"
            "opens: nothing is sent but one probe now and then. Zenith's people work\n"
            "on, too, and both change the first ticket.",
        )
        self._story.processes.kill(self._story.zenith.node)
        with self._stage.live(self._standing) as draw:
            self._work_at_zenith(shared)
            self._work(shared, draw)
            self._await(self._is_open, "the breaker is open", draw)
            used = self._ask()["attempts"]
            self._rest(max(2.0, self._story.pause * 3), draw)
            standing = self._ask()
        self._backlog = standing["waiting"]
        if standing["attempts"] != used:
            raise Failure("an attempt was used up while the breaker was open")
        self._stage.done(
            f"{self._backlog} messages wait for {standing['lanes']} tickets; "
            "no attempt is used up meanwhile"
        )

    def _work_at_zenith(self, shared: Journey) -> None:
        """Found once the node is there again."""
        zenith, zoe = self._story.zenith, self._story.zoe
        copy = zenith.ticket_of(shared.correlation_id)
        title = "Payroll export: disk full"
        zenith.desk.edit(copy, zoe, title=title, status="deferred")

    def _work(self, shared: Journey, draw: Any) -> None:
        """What acme's people do meanwhile, each time once their node has read of what
        they did before."""
        story, desk = self._story, self._story.acme.desk
        tickets = []
        for number in range(1, NEW_TICKETS + 1):
            title = f"Laptop {number} does not start"
            tickets.append(desk.create(story.ann, title, impact="3", urgency="3"))
            self._rest(story.pause / 5, draw)
        self._await_waiting(NEW_TICKETS, draw)
        for ticket in tickets:
            desk.edit(ticket, story.carl, state="2")
            self._rest(story.pause / 10, draw)
        desk.edit(
            shared.record_id, story.carl, short_description="Payroll run is blocked"
        )
        for ticket in story.tickets:
            desk.comment(ticket, story.carl, "The customer called again.")
        self._await_waiting(2 * NEW_TICKETS + len(story.tickets), draw)

    def _await_waiting(self, count: int, draw: Any) -> None:
        self._await(
            lambda: self._ask()["waiting"] >= count,
            f"{count} messages wait at Acme's node",
            draw,
        )

    def _await(self, condition: Callable[[], bool], what: str, draw: Any) -> None:
        wait_until(condition, what, self._story.processes, draw)

    def _come_back(self) -> None:
        self._stage.act(
            "Zenith's node comes back",
            "The next probe gets through, the breaker closes, the backlog goes out,\n"
            "and Zenith's node reads of what its people did meanwhile.",
        )
        self._story.zenith.start_node(self._story.processes)
        with self._stage.live(self._draining) as draw:
            wait_until(
                lambda: self._ask()["waiting"] == 0,
                "the backlog is delivered",
                self._story.processes,
                draw,
                DRAIN_SECONDS_MAX,
            )

    def _check_order(self) -> None:
        """What Zenith's node took in, against what Acme's sent, ticket by ticket."""
        made: dict[str, list[str]] = defaultdict(list)
        for row in self._acme.ask(MADE, {"position": self._start}):
            if row["status"] == "processed":
                made[row["correlation_id"]].append(row["message_id"])
        taken = self._taken_in(set().union(*made.values()))
        if made != taken:
            raise Failure("Zenith did not take the messages in in order, each once")
        count = sum(map(len, made.values()))
        self._stage.done(
            f"{count} messages for {len(made)} tickets taken in, each once, "
            "in the order\n  of the changes"
        )

    def _taken_in(self, sent: set[str]) -> dict[str, list[str]]:
        """In order; of one that was made anew, the time it counted."""
        taken: dict[str, dict[str, None]] = defaultdict(dict)
        application = self._zenith.application
        position = self._start_there
        while stored := decoded(
            application.recorder.read(position, BATCH), application.event_mapper
        ):
            for each in stored:
                event = each.event
                if event.TOPIC == "change.captured" and event.source == NODE:
                    key = event.change_id[:ID_CHARACTERS]
                    ticket = taken[str(event.originator_id)]
                    ticket.pop(key, None)
                    ticket[key] = None
            position = stored[-1].position
        return {
            ticket: [key for key in keys if key in sent]
            for ticket, keys in taken.items()
            if sent & keys.keys()
        }

    # --- pictures -------------------------------------------------------------------

    def _standing(self) -> Group:
        journeys = self._watch.look()
        row = self._ask()
        seconds = row["open_seconds"]
        breaker = (
            Text("breaker closed", "green")
            if seconds is None
            else Text(f"breaker open, probe in {max(seconds, 0):.1f} s", "red")
        )
        line = Text.assemble(
            ("Zenith is down", "red"),
            f" · {row['waiting']} wait · ",
            f"{row['attempts']} attempts used · ",
            breaker,
        )
        return Group(journey_table(journeys, 8), Text(), line)

    def _draining(self) -> Group:
        journeys = self._watch.look()
        done = self._backlog - self._ask()["waiting"]
        text = f"{done} of {self._backlog} messages of the backlog delivered"
        return with_bar(journey_table(journeys, 8), text, done, self._backlog)

    def _ask(self) -> dict[str, Any]:
        return self._acme.ask(STANDING)[0]

    def _is_open(self) -> bool:
        return self._ask()["open_seconds"] is not None

    def _rest(self, seconds: float, draw: Any) -> None:
        deadline = time.monotonic() + seconds
        draw()
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, 0.08))
            draw()
