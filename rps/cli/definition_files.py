"""Definition files: read, used, or refused with everything that is wrong with them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from rps.domain.problem import DefinitionRefused, Problem
from rps.domain.yaml_document import definition_in, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rps.domain.agreement import Definition

Row = dict[str, Any]

files_argument = click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
)


def read_file(file: str) -> tuple[Definition, str]:
    """The definition in `file` (- is stdin) and its text; raises DefinitionRefused with
    PlacedProblems."""
    with click.open_file(file, "rb") as opened:
        written = opened.read()
    return definition_in(written), text_of(written)


def used(
    files: Iterable[str], use: Callable[[Definition, str], Row]
) -> tuple[list[Row], list[Row]]:
    """What `use` makes of each file, and all that is wrong with the others."""
    rows: list[Row] = []
    refused: list[Row] = []
    for file in files:
        try:
            rows.append({"file": file, **use(*read_file(file))})
        except DefinitionRefused as error:
            refused += [problem_row(file, each) for each in error.problems]
    return rows, refused


def problem_row(file: str, problem: Problem) -> Row:
    return {"file": file, "line": None, "column": None, **asdict(problem)}


def tell(problems: Iterable[Row]) -> None:
    """As compilers do, so that editors can jump to it."""
    for problem in problems:
        where = problem["file"]
        if problem["line"]:
            where += f":{problem['line']}:{problem['column']}"
        kind = f"{problem['severity']}: " if "severity" in problem else ""
        click.echo(f"{where}: {kind}{problem['place'] or problem['code']}", err=True)
        click.echo(f"  {problem['cause']}", err=True)
        click.echo(f"  {problem['remedy']}", err=True)


def checked(definition: Definition, _source: str) -> Row:
    return {"process_event": definition.process_event, "result": "no problem"}
