"""rps definition: process sync definitions from YAML files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import yaml

from rps.application.operations import NotFound
from rps.cli.definition_schema import definition_schema
from rps.cli.session import open_session
from rps.cli.terminal import (
    Failure,
    domain_option,
    output_option,
    show,
    show_json,
)
from rps.cli.trials import try_definition, what_if
from rps.cli.yaml_document import Located, read_located
from rps.domain.document import parse
from rps.domain.problem import DefinitionRefused, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rps.domain.process_sync_definition import ProcessSyncDefinition

COLUMNS = ("domain", "process_event", "state", "revision", "members")


@click.group()
def definition() -> None:
    """Say which fields are shared between which systems."""


definition.add_command(definition_schema)
definition.add_command(try_definition)
definition.add_command(what_if)


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

    A file with problems is refused with all of them, line, cause and remedy; the other
    files are applied all the same. Exit 1 where one was refused.
    """
    rows: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    with open_session() as session:

        def publish(document: object) -> dict[str, Any]:
            aggregate, changed = session.application.apply_definition(
                document, session.actor, session.now
            )
            result = "published" if changed else "unchanged"
            return {**_shown(aggregate), "result": result}

        for file in files:
            row, problems = _read(file, publish)
            rows += row
            refused += problems
    if output == "json":
        show_json({"applied": rows, "problems": refused})
    else:
        columns = ("file", "process_event", "revision", "result")
        show(rows, columns, output, empty="")
        _tell(refused)
    if refused:
        raise Failure(f"{len(refused)} problem(s): nothing of those files was applied")


@definition.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
)
@output_option
def check(files: tuple[str, ...], output: str) -> None:
    """Say everything that is wrong with each FILE (YAML; - is stdin).

    Needs no node and changes nothing. Exit 1 where there is a problem. Loops with
    other definitions of a node are found when it is applied there.
    """
    rows: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    for file in files:
        row, problems = _read(file, _checked)
        rows += row
        refused += problems
    if output == "json":
        show_json({"checked": rows, "problems": refused})
    else:
        show(rows, ("file", "process_event", "result"), output, empty="")
        _tell(refused)
    if refused:
        raise Failure(f"{len(refused)} problem(s)")


def _checked(document: object) -> dict[str, Any]:
    return {"process_event": parse(document).process_event, "result": "no problem"}


def _read(
    file: str, use: Callable[[object], dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What `use` makes of the document in `file`, or all that is wrong with it."""
    located = Located(None)
    rows: list[dict[str, Any]] = []
    problems: list[Problem] = []
    try:
        with click.open_file(file, "rb") as opened:
            located = read_located(opened.read())
        problems += located.problems
        if problems:  # told with all else that is wrong, and nothing is used
            parse(located.document)
        else:
            rows.append({"file": file, **use(located.document)})
    except DefinitionRefused as error:
        problems += error.problems
    told = [_problem(file, each, located) for each in problems]
    told.sort(key=lambda each: (each["line"] or 0, each["column"] or 0))
    return rows, told


def _problem(file: str, problem: Problem, located: Located) -> dict[str, Any]:
    position = located.position(problem)
    return {
        "file": file,
        "line": position.line if position else None,
        "column": position.column if position else None,
        "place": problem.place,
        "code": problem.code,
        "cause": problem.cause,
        "remedy": problem.remedy,
    }


def _tell(problems: Iterable[dict[str, Any]]) -> None:
    """As compilers do, so that editors can jump to it."""
    for problem in problems:
        where = problem["file"]
        if problem["line"]:
            where += f":{problem['line']}:{problem['column']}"
        place = problem["place"] if problem["place"].startswith("/") else ""
        click.echo(f"{where}: {place or problem['code']}", err=True)
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
