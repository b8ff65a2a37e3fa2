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
    ("Payroll export stops at 80 %", "2", "2"),
    ("VPN drops every hour", "1", "2"),
    ("Printer on floor 4 prints blanks", "3", "3"),
)
"""Title, impact, urgency."""
FOUND = "Found it: the disk is full."
AS_WELL = "Happens in Oslo as well."
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
        self.ann, self.carl = self.acme.desk.people
        self.zoe, self.zack = self.zenith.desk.people
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
            "Acme's node asks its ServiceNow once a second what changed, and tells\n"
            "Zenith's. That writes it to its Roundup in Zenith's words, and then\n"
            "acknowledges it. Times count from when a node had read the change.",
        )
        watch = Watch(self.scene.companies)

        def create() -> None:
            for title, impact, urgency in TICKETS:
                self.tickets.append(
                    self.acme.desk.create(
                        self.ann, title, impact=impact, urgency=urgency
                    )
                )
                self.rest()

        def arrived() -> bool:
            return {each.record_id for each in watch.look()} >= set(self.tickets)

        journeys = self.show(watch, create, arrived, len(TICKETS))
        journeys.sort(key=lambda each: self.tickets.index(each.record_id))
        first = journeys[0]
        copy = self.zenith.ticket_of(first.correlation_id)
        self.stage.done(
            f"acme's {first.ticket} is zenith's {self.zenith.shown(copy)}: priority "
            f"{self.acme.desk.ticket(first.record_id).priority} there is "
            f'"{self.zenith.desk.ticket(copy).priority}" here'
        )
        return journeys

    def work_together(self, shared: Sequence[Journey]) -> None:
        """Both change the same tickets, different fields; a file travels too."""
        self.stage.act(
            "Both work on the same tickets",
            "Only what a user changed travels, both ways; comments and files too.",
        )
        watch = Watch(self.scene.companies)
        acme, zenith = self.acme.desk, self.zenith.desk
        first, second = shared[0].record_id, shared[1].record_id
        copies = [self.zenith.ticket_of(each.correlation_id) for each in shared]
        picture = files("rps.cli.demo").joinpath(SCREENSHOT).read_bytes()

        def edit() -> None:
            zenith.edit(copies[0], self.zoe, status="in-progress")
            self.rest()
            acme.edit(first, self.ann, impact="1", urgency="1")
            self.rest()
            zenith.comment(copies[0], self.zoe, FOUND)
            self.rest()
            acme.attach(first, self.ann, SCREENSHOT, "image/png", picture)
            self.rest()
            acme.comment(second, self.carl, AS_WELL)
            self.rest()
            zenith.edit(copies[1], self.zack, priority="critical", status="need-eg")

        def arrived() -> bool:
            ours, theirs = acme.ticket(first), zenith.ticket(copies[0])
            others = acme.ticket(second), zenith.ticket(copies[1])
            return (
                (ours.state, theirs.priority) == ("2", "critical")
                and f"{self.zoe}: {FOUND}" in ours.comments
                and theirs.files.get(SCREENSHOT) == picture
                and (others[0].state, others[0].priority) == ("3", "1")
                and f"{self.carl}: {AS_WELL}" in others[1].comments
            )

        self.show(watch, edit, arrived, 5)
        self.stage.done(
            f"every change is on the other side, none came back; {SCREENSHOT}\n"
            f"  is at Zenith's desk, {len(picture)} bytes, the same as at Acme's"
        )

    # --- how an act is shown --------------------------------------------------------

    def show(
        self,
        watch: Watch,
        perform: Callable[[], None],
        arrived: Callable[[], bool],
        least: int,
    ) -> list[Journey]:
        """Perform while the table lives, until all of it has `arrived` and each change
        has settled: `least` of them, as a node reads of several saves at once."""

        def render() -> Any:
            journeys = watch.look()
            done = sum(journey.settled for journey in journeys)
            total = max(least, len(journeys))
            text = f"{done} of {total} changes acknowledged"
            return with_bar(journey_table(journeys), text, done, total)

        def settled() -> bool:
            return all(j.settled for j in watch.look()) and arrived()

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
