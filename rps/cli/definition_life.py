"""rps definition draft, diff, publish, rollback, retire, revisions."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml

from rps.application.operations import NotFound
from rps.cli.definition_files import files_argument, problem_row, read_file, tell, used
from rps.cli.session import open_session
from rps.cli.terminal import (
    Failure,
    domain_option,
    output_option,
    say,
    show,
    show_json,
)
from rps.domain.document_diff import differences
from rps.domain.problem import DefinitionRefused
from rps.domain.process_sync_definition import ProcessSyncDefinition

if TYPE_CHECKING:
    from rps.cli.session import Session
    from rps.domain.agreement import Definition
    from rps.domain.document_diff import Difference

reason_option = click.option("--reason", required=True, help="Kept in the history.")
SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def found(session: Session, domain: str, name: str) -> ProcessSyncDefinition:
    """Raises NotFound."""
    key = ProcessSyncDefinition.id_of(domain, name)
    aggregate = session.application.find(ProcessSyncDefinition, key)
    if aggregate is None:
        raise NotFound(f"no definition {name} in {domain}")
    return aggregate


def shown(aggregate: ProcessSyncDefinition) -> dict[str, Any]:
    document = aggregate.published or aggregate.document
    state = "published" if aggregate.published else "draft"
    return {
        "domain": aggregate.domain,
        "process_event": aggregate.process_event,
        "state": "retired" if aggregate.retired else state,
        "revision": aggregate.revision,
        "unpublished": aggregate.document != aggregate.published,
        "members": ", ".join(document.get("members", {})),
    }


@click.command()
@files_argument
@output_option
def draft(files: tuple[str, ...], output: str) -> None:
    """Check each FILE (YAML; - is stdin) and keep it as the draft.

    Nothing changes until it is published. Exit 1 where a file was refused.
    """
    with open_session() as session:

        def keep(read: Definition, source: str) -> dict[str, Any]:
            aggregate = session.application.draft_definition(
                read.to_document(), session.actor, session.now, source
            )
            row = shown(aggregate)
            return {**row, "result": "drafted" if row["unpublished"] else "unchanged"}

        rows, refused = used(files, keep)
    if output == "json":
        show_json({"drafted": rows, "problems": refused})
    else:
        columns = ("file", "process_event", "revision", "result")
        show(rows, columns, output, empty="")
        tell(refused)
    if refused:
        raise Failure(f"{len(refused)} problem(s): nothing of those files was kept")


@click.command()
@click.argument("what", metavar="NAME|FILE")
@click.option(
    "--revision", type=click.IntRange(1), help="Against that one, not what is in force."
)
@domain_option
@output_option
def diff(what: str, revision: int | None, domain: str, output: str) -> None:
    """Say what the draft of NAME, or a FILE, would change, place by place.

    \b
    + added    - removed    ~ changed
    """
    with open_session() as session:
        if Path(what).is_file():
            after, name, domain = _of_file(what)
            key = ProcessSyncDefinition.id_of(domain, name)
            known = session.application.find(ProcessSyncDefinition, key)
        else:
            known = found(session, domain, what)
            after = known.document
        before: dict[str, Any] = {}
        if revision is not None:
            if known is None:
                raise NotFound(f"no definition {name} in {domain}")
            story = session.application.definition_story(known.id)
            before = story.revision(revision).document
        elif known is not None:
            before = known.published or {}
    changes = list(differences(before, after))
    if output == "json":
        show_json([asdict(each) for each in changes])
        return
    for each in changes:
        click.echo(_line(each))
    if not changes:
        say("no difference")


def _of_file(file: str) -> tuple[dict[str, Any], str, str]:
    """Its document, name and domain; Failure where it is refused."""
    try:
        read, _ = read_file(file)
    except DefinitionRefused as error:
        tell(problem_row(file, each) for each in error.problems)
        raise Failure(f"{len(error.problems)} problem(s)") from None
    return read.to_document(), read.process_event, read.domain


def _line(each: Difference) -> str:
    said = f"{SIGNS[each.kind]} {each.place}"
    if each.kind == "changed":
        return f"{said}: {_brief(each.before)} → {_brief(each.after)}"
    return f"{said}: {_brief(each.after if each.kind == 'added' else each.before)}"


def _brief(value: object) -> str:
    """On one line, as YAML."""
    written: str = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=True, width=10**6, sort_keys=False
    )
    return written.removesuffix("...\n").strip()


@click.command()
@click.argument("name")
@domain_option
@output_option
def publish(name: str, domain: str, output: str) -> None:
    """Put the draft of NAME in force. Again, it changes nothing."""
    with open_session() as session:
        aggregate = found(session, domain, name)
        before = aggregate.revision
        try:
            session.application.publish_definition(
                aggregate, session.actor, session.now
            )
        except DefinitionRefused as error:
            _refuse(name, error)
    result = "unchanged" if aggregate.revision == before else "published"
    _ended(aggregate, result, output)


@click.command()
@click.argument("name")
@click.option(
    "--revision", type=click.IntRange(1), help="Which one; else the one before."
)
@reason_option
@domain_option
@output_option
def rollback(
    name: str, revision: int | None, reason: str, domain: str, output: str
) -> None:
    """Put an earlier revision of NAME in force again, as the next revision.

    Of a retired definition the last one, if none is named. Messages that wait keep the
    revision they were made under.
    """
    with open_session() as session:
        aggregate = found(session, domain, name)
        before = aggregate.revision
        try:
            session.application.roll_back_definition(
                aggregate, revision, reason, session.actor, session.now
            )
        except DefinitionRefused as error:
            _refuse(name, error)
    result = "unchanged" if aggregate.revision == before else "rolled back"
    _ended(aggregate, result, output)


@click.command()
@click.argument("name")
@reason_option
@domain_option
@output_option
def retire(name: str, reason: str, domain: str, output: str) -> None:
    """Capture nothing under NAME any more; what waits is still delivered."""
    with open_session() as session:
        aggregate = session.application.change(
            ProcessSyncDefinition,
            found(session, domain, name).id,
            lambda each: each.retire(reason, session.actor, session.now),
        )
    _ended(aggregate, "retired", output)


@click.command()
@click.argument("name")
@domain_option
@output_option
def revisions(name: str, domain: str, output: str) -> None:
    """List what was put in force, rolled back and retired, when and by whom."""
    with open_session() as session:
        key = found(session, domain, name).id
        steps = session.application.definition_story(key).steps
    rows = [{**asdict(step), "at": step.at.isoformat(" ", "seconds")} for step in steps]
    columns = ("revision", "kind", "rolled_back_to", "at", "actor", "reason")
    show(rows, columns, output, empty=f"{name} was never published")


def _refuse(name: str, error: DefinitionRefused) -> None:
    tell(problem_row(name, each) for each in error.problems)
    raise Failure(f"{len(error.problems)} problem(s): nothing was changed") from None


def _ended(aggregate: ProcessSyncDefinition, result: str, output: str) -> None:
    row = {**shown(aggregate), "result": result}
    if output == "json":
        show_json(row)
    else:
        show([row], ("process_event", "state", "revision", "result"), output)
