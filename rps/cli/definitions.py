"""rps definition: process sync definitions from YAML files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import yaml

from rps.application.operations import NotFound
from rps.cli.definition_files import checked, files_argument, tell, used
from rps.cli.definition_init import init_definition
from rps.cli.definition_life import (
    diff,
    draft,
    found,
    publish,
    retire,
    revisions,
    rollback,
    shown,
)
from rps.cli.definition_scan import scan_definition
from rps.cli.definition_schema import definition_schema
from rps.cli.session import open_session
from rps.cli.terminal import Failure, domain_option, output_option, show, show_json
from rps.cli.trials import try_definition, what_if

if TYPE_CHECKING:
    from rps.domain.agreement import Definition
    from rps.domain.definition_story import Story
    from rps.domain.process_sync_definition import ProcessSyncDefinition

COLUMNS = ("domain", "process_event", "state", "revision", "members")


@click.group()
def definition() -> None:
    """Say which fields are shared between which systems."""


for _command in (
    *(definition_schema, init_definition, scan_definition),
    *(draft, diff, publish, rollback, retire, revisions, try_definition, what_if),
):
    definition.add_command(_command)


@definition.command()
@files_argument
@output_option
def apply(files: tuple[str, ...], output: str) -> None:
    """Check and publish each FILE (YAML; - is stdin). Again, it changes nothing.

    A file with problems is refused with all of them, line, cause and remedy; the other
    files are applied all the same. Exit 1 where one was refused.
    """
    with open_session() as session:

        def put_in_force(read: Definition, source: str) -> dict[str, Any]:
            aggregate, changed = session.application.apply_definition(
                read.to_document(), session.actor, session.now, source
            )
            result = "published" if changed else "unchanged"
            return {**shown(aggregate), "result": result}

        rows, refused = used(files, put_in_force)
    if output == "json":
        show_json({"applied": rows, "problems": refused})
    else:
        columns = ("file", "process_event", "revision", "result")
        show(rows, columns, output, empty="")
        tell(refused)
    if refused:
        raise Failure(f"{len(refused)} problem(s): nothing of those files was applied")


@definition.command()
@files_argument
@output_option
def check(files: tuple[str, ...], output: str) -> None:
    """Say everything that is wrong with each FILE (YAML; - is stdin).

    Needs no node and changes nothing. Exit 1 where there is a problem. What only a node
    knows, such as loops with its other definitions, rps definition scan says.
    """
    rows, refused = used(files, checked)
    if output == "json":
        show_json({"checked": rows, "problems": refused})
    else:
        show(rows, ("file", "process_event", "result"), output, empty="")
        tell(refused)
    if refused:
        raise Failure(f"{len(refused)} problem(s)")


@definition.command(name="list")
@output_option
def list_definitions(output: str) -> None:
    """List all definitions."""
    with open_session() as session:
        rows = [shown(each) for each in session.configuration().definitions()]
    rows.sort(key=lambda row: (row["domain"], row["process_event"]))
    show(rows, COLUMNS, output, empty="no definitions: rps definition init")


@definition.command(name="show")
@click.argument("name")
@click.option("--draft", "is_draft", is_flag=True, help="The draft.")
@click.option("--revision", type=click.IntRange(1), help="That revision.")
@click.option("--source", is_flag=True, help="The file it was written as.")
@domain_option
@output_option
def show_definition(
    *,
    name: str,
    is_draft: bool,
    revision: int | None,
    source: bool,
    domain: str,
    output: str,
) -> None:
    """Print a definition as YAML: what is in force, else its draft.

    With --source as the file it came as, comments and all; what came as JSON has none.
    """
    if is_draft and revision is not None:
        raise click.UsageError("give one of --draft and --revision")
    with open_session() as session:
        aggregate = found(session, domain, name)
        story = session.application.definition_story(aggregate.id)
    if not is_draft and revision is None:
        is_draft, revision = aggregate.published is None, aggregate.revision
    document, text = _written(aggregate, story, None if is_draft else revision)
    if output == "json":
        show_json(shown(aggregate) | {"document": document, "source": text})
    elif not source:
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
        click.echo(text, nl=False)
    elif text:
        click.echo(text, nl=False)
    else:
        raise NotFound(f"no file was kept of {name}: it came as JSON")


def _written(
    aggregate: ProcessSyncDefinition, story: Story, revision: int | None
) -> tuple[dict[str, Any], str]:
    """The document of a revision, or of the draft, and the text it is written as."""
    if revision is None:
        return aggregate.document, aggregate.source
    return story.revision(revision).document, story.source(revision)
