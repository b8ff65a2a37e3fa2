"""rps audit: the log exported, verified, proven, compared, and read as a story."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rps.cli.audit_compare import compare
from rps.cli.audit_export import checkpoint, export, prove
from rps.cli.audit_keys import key
from rps.cli.audit_reads import reads
from rps.cli.audit_verify import verify
from rps.cli.audit_witness import witness
from rps.cli.session import open_session
from rps.cli.terminal import output_option, show_json, to_stdout
from rps.cli.timeline import timeline_rows, timeline_table

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.group()
def audit() -> None:
    """Export, verify and read the log of all that happened."""


COMMANDS: Sequence[click.Command] = (
    export,
    verify,
    checkpoint,
    prove,
    compare,
    witness,
    key,
    reads,
)
for _command in COMMANDS:
    audit.add_command(_command)


@audit.command()
@click.argument("correlation")
@output_option
def timeline(correlation: str, output: str) -> None:
    """Tell what happened to one shared record, event by event.

    CORRELATION is its id, or the id of one of its records, like INC0000001.
    """
    with open_session() as session:
        session.note_read("timeline", correlation)
        rows: list[dict[str, Any]] = timeline_rows(session, correlation)
    if output == "json":
        show_json(rows)
    else:
        to_stdout().print(timeline_table(rows))
