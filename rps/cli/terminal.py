"""What every command shares: where it writes, in which form, how it ends."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Command = TypeVar("Command", bound="Callable[..., Any]")

VERBOSE = "RPS_VERBOSE"

PLAIN_COLUMNS = 200
"""How wide a table may get where nobody looks at it through a terminal."""


class Exit(IntEnum):
    """How a command ends; told in `rps --help`."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    UNREACHABLE = 4
    DIFFERENT = 5


class Failure(click.ClickException):
    """Ends the command: `message` on stderr, `exit_code` as its end."""

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.exit_code = int(code)  # type: ignore[misc]  # click reads the instance

    def show(self, file: Any = None) -> None:
        """Write the message where talk goes."""
        click.echo(f"rps: {self.message}", err=True, file=file)


class Moment(click.ParamType[datetime]):
    """ISO 8601; without a zone, UTC."""

    name = "TIME"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Override click's."""
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r}: give a time like 2026-05-17T08:30:00Z", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def to_stdout() -> Console:
    """For data. Made anew: tests and pipes change where stdout goes."""
    return _console(stderr=False)


def to_stderr() -> Console:
    """For talk: progress, remarks, questions."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PLAIN_COLUMNS
    return Console(stderr=stderr, width=width, highlight=False, soft_wrap=False)


def verbosity() -> dict[str, str]:
    """What lets the processes we start say as much as we do."""
    return {VERBOSE: str(click.get_current_context().find_root().params["verbose"])}


def say(text: str) -> None:
    click.echo(text, err=True)


def output_option(command: Command) -> Command:
    """Add `-o table|json` as the argument `output`."""
    option = click.option(
        "-o",
        "--output",
        type=click.Choice(("table", "json")),
        default="table",
        show_default=True,
        help="How data is written to stdout.",
    )
    return option(command)


def domain_option(command: Command) -> Command:
    """Add `--domain` as the argument `domain`."""
    option = click.option(
        "--domain", default="top", show_default=True, help="The tenant, as a path."
    )
    return option(command)


def show(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    output: str,
    *,
    title: str = "",
    empty: str = "nothing",
) -> None:
    """Write `rows` to stdout: as JSON with all they hold, as a table with `columns`."""
    if output == "json":
        show_json(list(rows))
    elif rows:
        to_stdout().print(tabulated(rows, columns, title))
    else:
        say(empty)


def show_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def tabulated(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], title: str = ""
) -> Table:
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        numbers = all(isinstance(row.get(column), int | float) for row in rows)
        table.add_column(
            column.replace("_", " "),
            justify="right" if numbers else "left",
            overflow="fold",
        )
    for row in rows:
        # Text: what came from outside is never read as markup.
        table.add_row(*(Text(_cell(row.get(column))) for column in columns))
    return table


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.1f}"
        case _:
            return "".join(c if c.isprintable() else "�" for c in str(value))


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr; the caller tells it (done, total)."""
    console = to_stderr()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task(what, total=None)

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield tell
