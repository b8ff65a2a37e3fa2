"""rps rebuild: views made anew from the log."""

from __future__ import annotations

import sys

import click

from rps.cli.session import open_session
from rps.cli.terminal import Exit, Failure, output_option, progress, say, show
from rps.garbage import seldom_collected
from rps.projections.rebuild import Rebuild, names

SWITCH_SECONDS = 0.0003
"""One thread makes statements, another sends them and must not wait to be let on: with
the usual 5 ms the server idled for a seventh of the time."""


@click.command()
@click.argument("views", nargs=-1, metavar="[VIEW]...")
@click.option(
    "--check", is_flag=True, help="Swap nothing; show rows that differ, exit 1 if any."
)
@output_option
def rebuild(views: tuple[str, ...], *, check: bool, output: str) -> None:
    """Make views anew from the log, and swap them in.

    All where none is named. The live views serve meanwhile; the swap is one
    transaction.
    """
    # Making and swapping tables is for their owner.
    with open_session(role="") as session, progress("events") as tell:
        application = session.application
        seldom_collected()
        sys.setswitchinterval(SWITCH_SECONDS)
        rebuilding = Rebuild(application.recorder, application.event_mapper, tell)
        if not check:
            rebuilding.run(views)
            say(f"rebuilt: {', '.join(views or names())}")
            return
        differences = rebuilding.compare(views)
    rows = [{"table": d.table, "only_in": d.side, "row": d.row} for d in differences]
    show(rows, ("table", "only_in", "row"), output, empty="the same, row for row")
    if rows:
        raise Failure(f"{len(rows)} row(s) differ: rps rebuild", Exit.FAILED)
