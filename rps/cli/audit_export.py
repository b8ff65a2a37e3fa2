"""rps audit export, prove, checkpoint: what leaves the node, with what proves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rps.application.audit_export import AuditExport, Wanted
from rps.application.checkpoints import Checkpoints
from rps.application.operations import NotFound
from rps.cli.session import identifier, open_session
from rps.cli.terminal import (
    Moment,
    domain_option,
    output_option,
    progress,
    say,
    show_json,
)
from rps.domain.process_sync_definition import ProcessSyncDefinition
from rps.log.checkpoint import Checkpoint
from rps.log.exported import CSV, NDJSON, written

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from typing import BinaryIO

    from rps.cli.session import Session
    from rps.log.exported import Item

size_option = click.option(
    "--at",
    "size",
    type=click.IntRange(1),
    help="Prove against the checkpoint of so many events, which you hold.",
)


@click.command()
@click.argument("file", type=click.File("wb"), default="-")
@click.option(
    "--format",
    "form",
    type=click.Choice((NDJSON, CSV)),
    default=NDJSON,
    show_default=True,
)
@click.option("--after", default=0, help="Begin past this position.")
@click.option("--domain", help="Only events of this tenant.")
@click.option("--definition", help="Only of this process event, and what it shares.")
@click.option("--correlation", help="Only of this shared record.")
@click.option("--since", type=Moment(), help="Only what happened at or after.")
@click.option("--until", type=Moment(), help="Only what happened before.")
@size_option
def export(
    *,
    file: BinaryIO,
    form: str,
    after: int,
    domain: str | None,
    definition: str | None,
    correlation: str | None,
    since: datetime | None,
    until: datetime | None,
    size: int | None,
) -> None:
    """Write the log to FILE or stdout, one event a line, with its hash.

    With it go the keys, the signed checkpoints and, as the last line, where the log
    ends. Of a selection each event has its proof instead. `rps audit verify FILE`
    checks either without the node.
    """
    with open_session() as session, progress("events") as tell:
        wanted = _wanted(session, domain, definition, correlation, since, until)
        checkpoints = Checkpoints(session.application)
        exported = AuditExport(session.application, checkpoints, tell)
        session.note_read("export", _about(wanted))
        if not wanted.said and size is None:
            items = exported.log(after)
        elif after:
            raise click.UsageError("--after is for the whole log")
        else:
            if size is None:
                checkpoints.make(session.actor, session.now)
            items = exported.selected(wanted, size)
        count = _write(items, file, form)
    say(f"{count} line(s) written")


@click.command()
@click.argument("message")
@click.option(
    "-o",
    "--output",
    "file",
    type=click.File("wb"),
    default="-",
    help="Where the proof goes; stdout without it.",
)
@size_option
@domain_option
def prove(message: str, file: BinaryIO, size: int | None, domain: str) -> None:
    """Prove what the log has about MESSAGE, in one file.

    MESSAGE is a message's id, or a change's. The file holds its events, their proofs,
    the signed checkpoint and the public key: `rps audit verify FILE` checks it without
    this node, and nothing of other records is in it.
    """
    with open_session() as session:
        checkpoints = Checkpoints(session.application)
        if size is None:
            checkpoints.make(session.actor, session.now)
        session.note_read("proof", message, domain)
        exported = AuditExport(session.application, checkpoints)
        items = list(exported.message(domain, message, size))
    _write(items, file, NDJSON)
    say(f"{len(items)} line(s) written; check them with rps audit verify FILE")


@click.command()
@output_option
def checkpoint(output: str) -> None:
    """Sign a checkpoint of the whole log as it is now, and print it.

    One is signed by itself every 1,000 events or hour. Keep it on another machine, or
    have it handed there: rps audit witness add.
    """
    with open_session() as session:
        note = Checkpoints(session.application).make(session.actor, session.now)
    said = Checkpoint.of(note.text)
    if output == "json":
        shown = {"origin": said.origin, "size": said.size, "root": said.root.hex()}
        show_json({**shown, "checkpoint": str(note)})
    else:
        click.echo(str(note), nl=False)


def _wanted(
    session: Session,
    domain: str | None,
    definition: str | None,
    correlation: str | None,
    since: datetime | None,
    until: datetime | None,
) -> Wanted:
    definition_id = None
    if definition is not None:
        domain = domain or "top"
        definition_id = ProcessSyncDefinition.id_of(domain, definition)
        if session.application.find(ProcessSyncDefinition, definition_id) is None:
            raise NotFound(f"no definition {definition} in {domain}")
    return Wanted(
        domain=domain,
        definition=definition,
        definition_id=definition_id,
        correlation=identifier(correlation) if correlation else None,
        since=since,
        until=until,
    )


def _about(wanted: Wanted) -> str:
    said: dict[str, Any] = wanted.said
    return ", ".join(f"{name} {value}" for name, value in said.items()) or "the log"


def _write(items: Iterable[Item], file: BinaryIO, form: str) -> int:
    count = 0
    for line in written(items, form):
        file.write(line)
        count += 1
    return count
