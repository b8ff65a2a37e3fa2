"""The act in which one system is down, and comes back."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.text import Text

from rps.cli.demo.journeys import Journeys
from rps.cli.demo.scene import wait_until
from rps.cli.demo.stage import journey_table, with_bar
from rps.cli.terminal import Failure

if TYPE_CHECKING:
    from rps.cli.demo.story import Story

NEW_TICKETS = 10
EDITS_EACH = 2
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


class Outage:
    """Zenith is killed, acme goes on, zenith comes back."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._stage = story.stage
        wait_until(
            lambda: not story.session.ask(LEFT),
            "what a run before this one left is delivered",
            story.processes,
        )
        self._watch = Journeys.from_now(story.session.application)
        self._start = self._watch.position
        self._backlog = 0

    def play(self) -> None:
        applied = self._story.zenith.applied()
        last = applied[-1]["n"] if applied else 0
        self._go_down()
        self._come_back()
        self._check_order(last)

    def _go_down(self) -> None:
        self._stage.act(
            "Zenith's system dies, Acme goes on",
            "kill -9. Its messages wait in order; after ten failures the breaker opens:"
            "\nnothing is sent but one probe now and then.",
        )
        self._story.processes.kill("zenith")
        total = NEW_TICKETS * (1 + EDITS_EACH) + len(self._story.tickets)
        with self._stage.live(self._standing) as draw:
            self._work(draw)
            wait_until(
                lambda: self._ask()["waiting"] >= total and self._is_open(),
                "the breaker is open",
                self._story.processes,
                draw,
            )
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

    def _work(self, draw: Any) -> None:
        """What acme's people do meanwhile."""
        story, tickets = self._story, []
        for number in range(1, NEW_TICKETS + 1):
            tickets.append(
                story.acme.create(
                    "anna",
                    short_description=f"Laptop {number} does not start",
                    urgency="3",
                    state="1",
                )
            )
            self._rest(story.pause / 5, draw)
        for ticket in story.tickets:
            story.acme.edit(ticket, "arne", description="The customer called again.")
        for state in ("2", "6")[:EDITS_EACH]:
            for ticket in tickets:
                story.acme.edit(ticket, "arne", state=state)
                self._rest(story.pause / 10, draw)

    def _come_back(self) -> None:
        self._stage.act(
            "Zenith comes back",
            "The next probe gets through, the breaker closes, the backlog goes out.",
        )
        self._story.scene.start_sandbox("zenith", self._story.processes)
        with self._stage.live(self._draining) as draw:
            wait_until(
                lambda: self._ask()["waiting"] == 0,
                "the backlog is delivered",
                self._story.processes,
                draw,
                DRAIN_SECONDS_MAX,
            )

    def _check_order(self, last: int) -> None:
        """What zenith applied, against what was captured, ticket by ticket."""
        made: dict[str, list[str]] = defaultdict(list)
        for row in self._story.session.ask(MADE, {"position": self._start}):
            if row["status"] == "processed":
                made[row["correlation_id"]].append(row["message_id"])
        applied: dict[str, list[str]] = defaultdict(list)
        for entry in self._story.zenith.applied(last):
            message_id = entry["webhook_id"][
                : len("00000000-0000-0000-0000-000000000000")
            ]
            applied[entry["correlation_id"]].append(message_id)
        if made != applied:
            raise Failure("zenith did not apply the messages in order, each once")
        count = sum(map(len, made.values()))
        self._stage.done(
            f"{count} messages for {len(made)} tickets applied, each once, "
            "in the order of the changes"
        )

    # --- pictures -------------------------------------------------------------------

    def _standing(self) -> Group:
        self._watch.look()
        row = self._ask()
        seconds = row["open_seconds"]
        breaker = (
            Text("breaker closed", "green")
            if seconds is None
            else Text(f"breaker open, probe in {max(seconds, 0):.1f} s", "red")
        )
        line = Text.assemble(
            ("zenith is down", "red"),
            f" · {row['waiting']} wait · ",
            f"{row['attempts']} attempts used · ",
            breaker,
        )
        return Group(journey_table(self._watch.of_users(), 8), Text(), line)

    def _draining(self) -> Group:
        self._watch.look()
        done = self._backlog - self._ask()["waiting"]
        text = f"{done} of {self._backlog} messages of the backlog delivered"
        return with_bar(
            journey_table(self._watch.of_users(), 8), text, done, self._backlog
        )

    def _ask(self) -> dict[str, Any]:
        return self._story.session.ask(STANDING)[0]

    def _is_open(self) -> bool:
        return self._ask()["open_seconds"] is not None

    def _rest(self, seconds: float, draw: Any) -> None:
        deadline = time.monotonic() + seconds
        draw()
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, 0.08))
            draw()
