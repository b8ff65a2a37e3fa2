"""What the demo shows: acts, a table that lives while they last, closing words.

80 columns. Without a terminal the same, in plain lines, each table once it is done.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from rps.cli.demo.journeys import Journey

COLUMNS = 80
STYLES = {
    "acknowledged": "green",
    "failed attempt": "red",
    "parked": "red",
    "ignored": "dim",
    "skipped": "dim",
}
FRAMES_A_SECOND = 12
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT([\d:]+)\.\d+\+00:00")
"""Of today, in what a command says: its time of day fits into the line."""


class Stage:
    """Everything goes to stdout: the show is the command's data."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        if not self.console.is_terminal:
            self.console = Console(highlight=False, width=COLUMNS)
        self._act = 0

    def act(self, title: str, text: str) -> None:
        """Begin the next act."""
        self._act += 1
        self.console.print()
        self.console.rule(f"[bold]{self._act}. {title}", align="left", characters="─")
        self.console.print(text)

    def done(self, text: str) -> None:
        """Say that something was shown to be so."""
        mark = "✓" if self.console.encoding.lower().startswith("utf") else "*"
        self.console.print(Text.assemble((f"{mark} ", "bold green"), text))

    def print(self, what: RenderableType = "") -> None:
        self.console.print(what)

    def line(self, text: str) -> None:
        """As it is: never wrapped, so that it can be copied."""
        self.console.print(Text(text), soft_wrap=True)

    def command(self, company: str, arguments: Sequence[str], said: str = "") -> None:
        """A command as it is typed at a company, and what it said."""
        self.console.print()
        shown = " ".join(each if " " not in each else f"'{each}'" for each in arguments)
        prompt = f"{company}$ "
        self.console.print(Text.assemble((prompt, "bold cyan"), "rps ", shown))
        for line in said.splitlines():
            shown = MOMENT.sub(r"\1", line).rstrip()
            self.console.print(Text(shown, "dim"), overflow="ellipsis", no_wrap=True)

    @contextmanager
    def status(self, text: str) -> Iterator[None]:
        """Show that something takes a moment, then that it is done."""
        if self.console.is_terminal:
            with self.console.status(text):
                yield
        else:
            yield
        self.done(text)

    @contextmanager
    def live(
        self, render: Callable[[], RenderableType]
    ) -> Iterator[Callable[[], None]]:
        """A picture that is drawn anew whenever the caller says so."""
        with Live(
            render(), console=self.console, auto_refresh=False, transient=False
        ) as live:

            def draw() -> None:
                live.update(render(), refresh=self.console.is_terminal)

            yield draw
        if not self.console.is_terminal:
            self.console.print()  # the last picture has no end of line there


def journey_table(journeys: Sequence[Journey], most: int = 14) -> Table:
    """The latest changes: how long after a node read of it each step was."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), width=COLUMNS)
    table.add_column("at", no_wrap=True, style="dim")
    table.add_column("ticket", no_wrap=True)
    table.add_column("change", no_wrap=True, ratio=1, overflow="ellipsis")
    table.add_column("delivered", justify="right", no_wrap=True)
    table.add_column("acknowledged", no_wrap=True, justify="right")
    for journey in journeys[-most:]:
        style = STYLES.get(journey.status, "yellow")
        table.add_row(
            f"{journey.captured_at.astimezone():%H:%M:%S}",
            Text(f"{journey.company} {journey.ticket}"),
            Text(journey.what),
            _after(journey.captured_at, journey.delivered_at),
            Text(_last_step(journey), style),
        )
    return table


def _last_step(journey: Journey) -> str:
    if journey.status == "acknowledged":
        return _after(journey.captured_at, journey.acknowledged_at)
    waiting = ("accepted", "failed attempt", "taken in")
    return "waits" if journey.status in waiting else journey.status


def _after(start: datetime, end: datetime | None) -> str:
    if end is None:
        return ""
    seconds = max((end - start).total_seconds(), 0.0)
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def with_bar(table: Table, text: str, done: int, total: int) -> Group:
    """A table, and below it how far something has come."""
    row = Table.grid(padding=(0, 1, 0, 0))
    row.add_row(ProgressBar(total=max(total, 1), completed=done, width=30), Text(text))
    return Group(table, "", row)
