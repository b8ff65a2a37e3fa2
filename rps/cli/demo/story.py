"""The demo's acts: nodes linked, tickets shared, an outage, a conflict, two audits."""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from rps.cli.demo.conflict import decide
from rps.cli.demo.journeys import Journey, Watch
from rps.cli.demo.link import link
from rps.cli.demo.outage import Outage
from rps.cli.demo.sides import side_by_side
from rps.cli.demo.stage import journey_table, with_bar
from rps.cli.demo.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rps.cli.demo.processes import Processes
    from rps.cli.demo.scene import Scene
    from rps.cli.demo.stage import Stage

TICKETS = (
    ("Payroll export stops at 80 %", "3"),
    ("VPN drops every hour", "2"),
    ("Printer on floor 4 prints blanks", "4"),
)
SCREENSHOT = "screenshot.png"
SETTLE_SECONDS_MAX = 60.0


@dataclass
class Story:
    """`pause` is how long an act rests so that people can read, in seconds."""

    stage: Stage
    scene: Scene
    processes: Processes
    pause: float

    def __post_init__(self) -> None:
        self.acme, self.zenith = self.scene.companies
        self.tickets: list[str] = []
        self._draw: Callable[[], None] = _nothing

    def play(self) -> str:
        """All acts; answers the correlation id of the ticket that was audited."""
        link(self.stage, self.scene)
        self.rest()
        journeys = self.share()
        self.work_together(journeys)
        first = journeys[0]
        Outage(self).play(first)
        decide(self, first)
        side_by_side(self, first)
        return str(first.correlation_id)

    # --- acts -----------------------------------------------------------------------

    def share(self) -> list[Journey]:
        """New tickets at acme appear at zenith."""
        self.stage.act(
            "Acme opens tickets, Zenith gets them",
            "Acme's desk reports each change to Acme's node. That tells Zenith's,\n"
            "which writes it to its desk in Zenith's words and then acknowledges it.\n"
            "Times count from the moment the user saved.",
        )
        watch = Watch(self.scene.companies)

        def create() -> None:
            for title, urgency in TICKETS:
                ticket = self.acme.desk.create(
                    "anna",
                    short_description=title,
                    description="Reported by phone.",
                    urgency=urgency,
                    state="1",
                )
                self.tickets.append(ticket)
                self.rest()

        journeys = self.show(watch, create, len(TICKETS))
        first = journeys[0]
        copy = self.zenith.ticket_of(first.correlation_id)
        self.stage.done(
            f"acme {first.ticket} is zenith {copy}: urgency "
            f"{self.acme.desk.ticket(first.ticket)['urgency']} there is severity "
            f"{self.zenith.desk.ticket(copy)['severity']} here"
        )
        return journeys

    def work_together(self, shared: Sequence[Journey]) -> None:
        """Both change the same tickets, different fields; a file travels too."""
        self.stage.act(
            "Both work on the same tickets",
            "Only what a user changed travels, both ways; comments and files too.",
        )
        watch = Watch(self.scene.companies)
        first, second = shared[0], shared[1]
        copies = [self.zenith.ticket_of(each.correlation_id) for each in shared]
        picture = files("rps.cli.demo").joinpath(SCREENSHOT).read_bytes()

        def edit() -> None:
            self.zenith.desk.edit(copies[0], "zoe", status="in progress")
            self.rest()
            self.acme.desk.edit(first.ticket, "anna", urgency="1")
            self.rest()
            self.zenith.desk.comment(copies[0], "zoe", "Found it: the disk is full.")
            self.rest()
            self.acme.desk.attach(
                first.ticket, "anna", SCREENSHOT, "image/png", picture
            )
            self.rest()
            self.acme.desk.comment(second.ticket, "arne", "Happens in Oslo as well.")
            self.rest()
            self.zenith.desk.edit(copies[1], "zack", severity="P1", status="on hold")

        self.show(watch, edit, 6)

        def arrived() -> bool:
            here = [
                f["sha256"]
                for f in self.zenith.desk.files(copies[0])
                if f["state"] == "here"
            ]
            there = [f["sha256"] for f in self.acme.desk.files(first.ticket)]
            return here == there

        wait_until(arrived, "the screenshot is at Zenith's desk", self.processes)
        self.stage.done(
            f"every change is on the other side, none came back; {SCREENSHOT}\n"
            f"  is at Zenith's desk, {len(picture)} bytes of the same SHA-256"
        )

    # --- how an act is shown --------------------------------------------------------

    def show(
        self, watch: Watch, perform: Callable[[], None], total: int
    ) -> list[Journey]:
        """Perform while the table lives, until each of `total` changes has settled."""

        def render() -> Any:
            journeys = watch.look()
            done = sum(journey.settled for journey in journeys)
            text = f"{done} of {total} changes acknowledged"
            return with_bar(journey_table(journeys), text, done, total)

        def settled() -> bool:
            journeys = watch.look()
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
        return watch.look()

    def rest(self) -> None:
        """Let people read; what lives on the stage goes on living."""
        deadline = time.monotonic() + self.pause
        while (left := deadline - time.monotonic()) > 0:
            self.processes.require_running()
            self._draw()
            time.sleep(min(left, 0.08))


def _nothing() -> None:
    """Between acts nothing lives on the stage."""
