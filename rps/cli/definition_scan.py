"""rps definition scan: what is wrong with a definition on this very node."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rps.application.connections import Connections
from rps.application.definition_scan import DefinitionScan, drafted
from rps.cli.definition_files import problem_row, read_file, tell
from rps.cli.definition_life import found
from rps.cli.session import open_session
from rps.cli.terminal import Failure, domain_option, output_option, say, show_json
from rps.connectors.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from rps.application.definition_scan import Scanned
    from rps.domain.agreement import Definition


@click.command(name="scan")
@click.argument("what", metavar="FILE|NAME")
@click.option("--reach", is_flag=True, help="Ask each system whether it answers.")
@domain_option
@output_option
def scan_definition(*, what: str, reach: bool, domain: str, output: str) -> None:
    """Say all that is wrong with a FILE (- is stdin), or with the draft of NAME.

    As rps definition check, and what only the node knows: its systems and accounts, the
    other definitions, what is in flight. Changes nothing. What is refused keeps it from
    being published, exit 1; warnings do not.
    """
    with open_session() as session:
        transport = Transport.of(session.config)
        connections = Connections(
            session.application, transport, session.application.configuration
        )
        scan = DefinitionScan(session.application, connections.connect)
        read: Callable[[], tuple[Definition, str]]
        if what == "-" or Path(what).is_file():
            read = partial(read_file, what)
        else:
            read = partial(drafted, found(session, domain, what))
        scanned = scan.scan(read, session.now, reach=reach)
    rows = _rows(what, scanned)
    if output == "json":
        show_json(rows)
    else:
        tell(rows)
    if scanned.problems:
        raise Failure(f"{len(scanned.problems)} problem(s): it cannot be published")
    if output != "json":
        count = len(scanned.warnings)
        say(f"{count} warning(s): it can be published" if count else "no problem")


def _rows(what: str, scanned: Scanned) -> list[dict[str, Any]]:
    return [
        {**problem_row(what, each), "severity": severity}
        for severity, problems in (
            ("refused", scanned.problems),
            ("warning", scanned.warnings),
        )
        for each in problems
    ]
