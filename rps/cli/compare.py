"""rps compare: what the systems show beside what the log says that they hold."""

from __future__ import annotations

import time
from collections import Counter
from datetime import datetime  # noqa: TC003 - click's parameters
from typing import TYPE_CHECKING, Any

import click

from rps.application import tried
from rps.application.comparing import DIFFERENT, Comparing, Unreachable, Within
from rps.application.connections import Connections
from rps.cli.session import open_session
from rps.cli.terminal import (
    Exit,
    Failure,
    Moment,
    domain_option,
    output_option,
    progress,
    say,
    show,
    show_json,
)
from rps.connectors.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rps.application.comparing import Compared
    from rps.cli.session import Session

COLUMNS = ("member", "record", "found", "field", "known", "there", "repair")


@click.command()
@click.argument("definition")
@click.option("--member", help="Only this member's records.")
@click.option("--record", help="Only the record with this id.")
@click.option("--since", type=Moment(), help="Only what was shared or changed since.")
@click.option(
    "--repair", is_flag=True, help="Take in what differs, as changes like any other."
)
@domain_option
@output_option
def compare(
    *,
    definition: str,
    member: str | None,
    record: str | None,
    since: datetime | None,
    repair: bool,
    domain: str,
    output: str,
) -> None:
    """Read every shared record of DEFINITION and say what differs from the log.

    It finds edits, deletions and removed files that a system neither reported nor
    showed to polling. Nothing is written: with --repair what was read becomes a change,
    and the definition's policies decide. Exit 0 where all is as known, 5 where
    something differs, 1 where only some of it could be compared.
    """
    with open_session() as session:
        session.note_read("comparison", definition, domain)
        compared, stopped = _compared(
            session, definition, domain, Within(member, record, since), repair=repair
        )
    counts = Counter[str](each.found for each in compared)
    other = [each for each in compared if each.found != "same"]
    if output == "json":
        show_json(
            {
                "definition": definition,
                "compared": len(compared),
                "counts": counts,
                "records": [each.to_json() for each in other],
                "stopped": stopped,
            }
        )
    elif other:
        show([row for each in other for row in _rows(each)], COLUMNS, output)
    _ended(counts, stopped, repair=repair)


def _compared(
    session: Session, name: str, domain: str, within: Within, *, repair: bool
) -> tuple[list[Compared], str]:
    """What was compared, and why it came to no end, else ""."""
    application = session.application
    which = tried.of_definition(application, domain, name, tried.PUBLISHED, session.now)
    transport = Transport.of(session.config)
    connections = Connections(application, transport, application.configuration)
    comparing = Comparing(
        *(application, which, within, connections.connect),
        clock=lambda: session.now,
        pause=time.sleep,
    )
    compared: list[Compared] = []
    with progress("records") as tell:
        total = comparing.count()
        tell(0, total)
        try:
            for each in comparing.compared(session.actor if repair else ""):
                compared.append(each)
                tell(len(compared), max(total, len(compared)))
        except Unreachable as unreachable:
            return compared, str(unreachable)
    return compared, ""


def _rows(each: Compared) -> Iterator[dict[str, Any]]:
    about = {"member": each.member, "record": each.record_id, "repair": each.repair}
    found = f"{each.found}: {each.detail}" if each.detail else each.found
    if not (each.fields or each.files):
        yield {**about, "found": found}
    for field in each.fields:
        yield {**about, "found": found, **field.to_json()}
    for name in sorted(each.files.values()):
        told = {"field": "(file)", "known": name, "there": "removed"}
        yield {**about, "found": found, **told}


def _ended(counts: Counter[str], stopped: str, *, repair: bool) -> None:
    """Raises Failure where not all is well."""
    total = counts.total()
    different = sum(counts[each] for each in DIFFERENT)
    told = f"{different} of {total} records differ"
    if repair and different:
        told += "; what was read is handed in as changes"
    if stopped:
        raise Failure(f"stopped after {total} records: {stopped}", Exit.UNREACHABLE)
    if different:
        raise Failure(told, Exit.DIFFERENT)
    if counts["unread"]:
        raise Failure(f"{counts['unread']} of {total} records could not be compared")
    waiting = f", {counts['waiting']} wait to be judged" if counts["waiting"] else ""
    say(f"{total} records compared: all as known{waiting}")
