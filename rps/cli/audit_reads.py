"""rps audit reads: who looked at what."""

from __future__ import annotations

import click

from rps.application.reads import Reads
from rps.cli.session import open_session
from rps.cli.terminal import output_option, show

COLUMNS = ("at", "domain", "reader", "via", "place", "what", "object")
LATEST = 50


@click.command()
@click.option("--domain", help="Only in this tenant.")
@click.option("--reader", help="Only by this account, or user of the machine.")
@click.option("--about", help="Only where the object has this in it, as an id.")
@click.option(
    "--limit", default=LATEST, show_default=True, type=click.IntRange(1, 10_000)
)
@output_option
def reads(
    domain: str | None, reader: str | None, about: str | None, limit: int, output: str
) -> None:
    """Show who looked at records, messages and exports, the latest first.

    Recorded before it is shown; the same look again within a minute counts once.
    """
    with open_session() as session:
        found = Reads(session.application.datastore).found(
            domain, 2**63 - 1, limit, reader=reader, about=about
        )
    for row in found if output == "table" else ():
        row["at"] = f"{row['at']:%Y-%m-%d %H:%M:%S}Z"
    show(found, COLUMNS, output, empty="nobody looked at anything")
