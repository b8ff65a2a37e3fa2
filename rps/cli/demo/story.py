"""The demo's acts: tickets shared, a conflict, an outage, an audit."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.text import Text

from rps.cli.audit import verified_log
from rps.cli.demo.journeys import Conflict, Journey, Journeys
from rps.cli.demo.outage import Outage
from rps.cli.demo.scene import ACTOR, TABLES, tell, wait_until
from rps.cli.demo.stage import journey_table, with_bar
from rps.cli.terminal import Failure
from rps.cli.timeline import timeline_rows, timeline_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rps.cli.demo.processes import Processes
    from rps.cli.demo.scene import Scene
    from rps.cli.demo.stage import Stage
    from rps.cli.session import Session

TICKETS = (
    ("Payroll export stops at 80 %", "3"),
    ("VPN drops every hour", "2"),
    ("Printer on floor 4 prints blanks", "4"),
)
SETTLE_SECONDS_MAX = 60.0


@dataclass
class Story:
    """`pause` is how long an act rests so that people can read, in seconds."""

    stage: Stage
    scene: Scene
    session: Session
    processes: Processes
    pause: float

    def __post_init__(self) -> None:
        self.acme = self.scene.desk("acme")
        self.zenith = self.scene.desk("zenith")
        self.tickets: list[str] = []
        self._draw: Callable[[], None] = _nothing

    def play(self) -> str:
        """All acts; answers the correlation id of the ticket that was audited."""
        journeys = self.share()
        correlation_id = journeys[0].correlation_id
        self.work_together(journeys)
        self.conflict(journeys[0])
        Outage(self).play()
        self.audit(str(correlation_id))
        return str(correlation_id)

    # --- acts -----------------------------------------------------------------------

    def share(self) -> list[Journey]:
        """New tickets at acme appear at zenith."""
        self.stage.act(
            "Acme opens tickets, Zenith gets them",
            "Acme works in its own system, which reports each change to rps. rps\n"
            "commits it, then writes it to Zenith's system in Zenith's words. Times\n"
            "count from the moment the user saved.",
        )
        watch = Journeys.from_now(self.session.application)

        def create() -> None:
            for title, urgency in TICKETS:
                ticket = self.acme.create(
                    "anna",
                    short_description=title,
                    description="Reported by phone.",
                    urgency=urgency,
                    state="1",
                )
                self.tickets.append(ticket)
                self.rest()

        self.show(watch, create, len(TICKETS))
        journeys = watch.of_users()
        copy = journeys[0].record_id
        self.stage.done(
            f"acme {journeys[0].ticket} is zenith {copy}: urgency "
            f"{self.acme.ticket(journeys[0].ticket)['urgency']} there is severity "
            f"{self.zenith.ticket(copy)['severity']} here"
        )
        return journeys

    def work_together(self, shared: Sequence[Journey]) -> None:
        """Both change the same tickets, different fields."""
        self.stage.act(
            "Both work on the same tickets",
            "Only what a user changed travels, both ways; comments too.",
        )
        watch = Journeys.from_now(self.session.application)
        first, second = shared[0], shared[1]

        def edit() -> None:
            self.zenith.edit(first.record_id, "zoe", status="in progress")
            self.rest()
            self.acme.edit(first.ticket, "anna", urgency="1")
            self.rest()
            self.zenith.comment(first.record_id, "zoe", "Found it: the disk is full.")
            self.rest()
            self.acme.comment(second.ticket, "arne", "Happens in Oslo as well.")
            self.rest()
            self.zenith.edit(second.record_id, "zack", severity="P1", status="on hold")

        self.show(watch, edit, 5)
        self.stage.done("every change is on the other side, no change came back")

    def conflict(self, shared: Journey) -> None:
        """Both change one field before either hears of the other."""
        self.stage.act(
            "Both change the same field at once",
            "Deliveries are paused for a moment so that neither hears of the other.",
        )
        watch = Journeys.from_now(self.session.application)
        for name in TABLES:
            self.tell(name, lambda s: s.pause("demo", ACTOR, self.session.now))
        self.zenith.edit(shared.record_id, "zoe", summary="Payroll export: disk full")
        self.acme.edit(
            shared.ticket, "anna", short_description="Payroll run is blocked"
        )

        def judged() -> bool:
            watch.look()
            return bool(watch.conflicts)

        wait_until(judged, "the conflict is recorded", self.processes)
        for name in TABLES:
            self.tell(name, lambda s: s.resume("", ACTOR, self.session.now))
        found = watch.conflicts[0]
        self.stage.print(_told(found))
        titles: list[str] = []

        def agree() -> bool:
            titles[:] = [
                str(self.acme.ticket(shared.ticket)["short_description"]),
                str(self.zenith.ticket(shared.record_id)["summary"]),
            ]
            return titles[0] == titles[1]

        wait_until(agree, "both sides agree", self.processes)
        self.stage.done(
            f'both sides now say "{titles[0]}"; the other is in the history'
        )
        self.rest()

    def audit(self, correlation_id: str) -> None:
        """The hash chain, and one ticket's whole life."""
        self.stage.act(
            "The audit",
            "All of it is in one log; each event's hash covers the one before.",
        )
        verified = verified_log(self.session, lambda _done, _total: None)
        if verified.breaks:
            raise Failure(f"the log is broken: {verified.breaks[0].detail}")
        self.stage.done(
            f"{verified.events} events verified, none changed, removed or added; "
            f"hash {verified.hash.hex()[:12]}…"
        )
        self.stage.print(f"\nThe whole life of acme {self.tickets[0]}:\n")
        self.stage.print(timeline_table(timeline_rows(self.session, correlation_id)))

    # --- how an act is shown --------------------------------------------------------

    def show(self, watch: Journeys, perform: Callable[[], None], total: int) -> None:
        """Perform while the table lives, until each of `total` changes has settled."""

        def render() -> Any:
            watch.look()
            done = sum(journey.settled for journey in watch.of_users())
            text = f"{done} of {total} changes acknowledged"
            return with_bar(journey_table(watch.of_users()), text, done, total)

        def settled() -> bool:
            watch.look()
            journeys = watch.of_users()
            return len(journeys) == total and all(j.settled for j in journeys)

        with self.stage.live(render) as draw:
            self._draw = draw
            perform()
            wait_until(
                settled,
                "all changes are acknowledged",
                self.processes,
                draw,
                SETTLE_SECONDS_MAX,
            )
            self._draw = _nothing
        self.rest()

    def rest(self) -> None:
        """Let people read; what lives on the stage goes on living."""
        deadline = time.monotonic() + self.pause
        while (left := deadline - time.monotonic()) > 0:
            self.processes.require_running()
            self._draw()
            time.sleep(min(left, 0.08))

    def tell(self, name: str, command: Any) -> None:
        tell(self.session, name, command)


def _nothing() -> None:
    """Between acts nothing lives on the stage."""


def _told(conflict: Conflict) -> Text:
    kept = conflict.theirs if conflict.winner == "remote" else conflict.mine
    other = next(name for name in TABLES if name != conflict.member)
    return Text(
        f"  {conflict.field:<16} {conflict.base}\n"
        f"  {other:<6} says      {conflict.mine}\n"
        f"  {conflict.member:<6} says      {conflict.theirs}\n"
        f"  kept             {kept}  (policy {conflict.policy})",
        style="magenta",
    )
