"""rps definition: process sync definitions from YAML files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import yaml

from rps.application.operations import NotFound
from rps.cli.session import open_session
from rps.cli.terminal import (
    Failure,
    domain_option,
    output_option,
    show,
    show_json,
)
from rps.cli.yaml_document import read_document
from rps.domain.problem import DefinitionRefused, Problem

if TYPE_CHECKING:
    from rps.cli.session import Session
    from rps.domain.process_sync_definition import ProcessSyncDefinition

COLUMNS = ("domain", "process_event", "state", "revision", "members")


@click.group()
def definition() -> None:
    """Say which fields are shared between which systems."""


@definition.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
)
@output_option
def apply(files: tuple[str, ...], output: str) -> None:
    """Check and publish each FILE (YAML; - is stdin). Again, it changes nothing.

    A file with problems is refused with all of them, place, cause and remedy; the
    other files are applied all the same. Exit 1 where one was refused.
    """
    rows: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    with open_session() as session:
        for file in files:
            try:
                rows.append(_applied(session, file))
            except DefinitionRefused as error:
                refused += [_problem(file, each) for each in error.problems]
    if output == "json":
        show_json({"applied": rows, "problems": refused})
    else:
        columns = ("file", "process_event", "revision", "result")
        show(rows, columns, output, empty="")
        for problem in refused:
            _tell(problem)
    if refused:
        raise Failure(f"{len(refused)} problem(s): nothing of those files was applied")


def _applied(session: Session, file: str) -> dict[str, Any]:
    with click.open_file(file, "rb") as opened:
        document = read_document(opened.read())
    aggregate, changed = session.application.apply_definition(
        document, session.actor, session.now
    )
    return {
        "file": file,
        **_shown(aggregate),
        "result": "published" if changed else "unchanged",
    }


def _problem(file: str, problem: Problem) -> dict[str, str]:
    return {
        "file": file,
        "place": problem.place,
        "code": problem.code,
        "cause": problem.cause,
        "remedy": problem.remedy,
    }


def _tell(problem: dict[str, str]) -> None:
    click.echo(f"{problem['file']}: {problem['place'] or '/'}", err=True)
    click.echo(f"  {problem['cause']}", err=True)
    click.echo(f"  {problem['remedy']}", err=True)


@definition.command(name="list")
@output_option
def list_definitions(output: str) -> None:
    """List all definitions."""
    with open_session() as session:
        rows = [_shown(each) for each in session.configuration().definitions()]
    rows.sort(key=lambda row: (row["domain"], row["process_event"]))
    show(rows, COLUMNS, output, empty="no definitions: rps definition apply FILE")


@definition.command(name="show")
@click.argument("process_event")
@domain_option
@output_option
def show_definition(process_event: str, domain: str, output: str) -> None:
    """Print a definition as YAML: the one in force, else its draft."""
    with open_session() as session:
        for each in session.configuration().definitions():
            if (each.domain, each.process_event) == (domain, process_event):
                break
        else:
            raise NotFound(f"no definition {process_event} in {domain}")
    document = each.published or each.document
    if output == "json":
        show_json(_shown(each) | {"document": document})
    else:
        click.echo(
            yaml.safe_dump(document, sort_keys=False, allow_unicode=True), nl=False
        )


def _shown(aggregate: ProcessSyncDefinition) -> dict[str, Any]:
    document = aggregate.published or aggregate.document
    state = "published" if aggregate.published else "draft"
    return {
        "domain": aggregate.domain,
        "process_event": aggregate.process_event,
        "state": "retired" if aggregate.retired else state,
        "revision": aggregate.revision,
        "members": ", ".join(document.get("members", {})),
    }
