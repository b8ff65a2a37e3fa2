"""rps doctor: what is wrong with a node, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import psycopg

from rps.cli.checks import DATABASE_CHECKS, NODE_CHECKS
from rps.cli.findings import Finding
from rps.cli.session import Session, actor, application_of
from rps.cli.terminal import Failure, output_option, say, show_json, to_stdout
from rps.config import Config
from rps.migrate import MigrationError
from rps.postgres import PostgresError, open_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SIGNS = {"error": "red", "warning": "yellow", "ok": "green"}


@click.command()
@output_option
def doctor(output: str) -> None:
    """Find what is wrong with a node, and say what to do.

    Looks at database, schema, workers, systems, secrets and tokens; exit 1 where
    anything is an error.
    """
    found = list(examined(Config.from_environ()))
    if output == "json":
        show_json([finding.to_json() for finding in found])
    else:
        _print(found)
    errors = sum(finding.level == "error" for finding in found)
    if errors:
        raise Failure(f"{errors} error(s) found")
    say("no errors found")


def examined(config: Config) -> Iterator[Finding]:
    """All findings; where the database is away, that one only."""
    try:
        with open_server(config) as database_url:
            yield from _examined(config, database_url)
    except (psycopg.OperationalError, PostgresError) as error:
        yield Finding(
            "error",
            "database",
            str(error).strip(),
            "Start PostgreSQL, or correct RPS_DATABASE_URL or RPS_DATA_DIR.",
        )
    except MigrationError as error:
        yield Finding("error", "schema", str(error), "See above.")


def _examined(config: Config, database_url: str) -> Iterator[Finding]:
    broken = False
    with psycopg.connect(database_url, autocommit=True) as connection:
        for check in DATABASE_CHECKS:
            found = list(check(connection, database_url))
            broken = broken or any(each.check == "schema" for each in found)
            yield from found or [_fine(check)]
    if broken:  # nothing else would work
        return
    with application_of(config, database_url) as application:
        session = Session(config, database_url, application, actor())
        for node_check in NODE_CHECKS:
            yield from list(node_check(session)) or [_fine(node_check)]


def _fine(check: Callable[..., object]) -> Finding:
    return Finding("ok", check.__name__.replace("_", " "))


def _print(found: Iterable[Finding]) -> None:
    out = to_stdout()
    for finding in found:
        style = SIGNS[finding.level]
        out.print(f"[{style}]{finding.level:8}[/] {finding.check}", end="")
        if finding.level == "ok":
            out.print()
        else:
            out.print(f": {finding.cause}", markup=False, highlight=False)
            out.print(f"         {finding.remedy}", markup=False, highlight=False)
