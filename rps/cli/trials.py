"""rps definition try, rps definition what-if: definitions tried before they count."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson
from marshmallow import ValidationError

from rps.application import tried
from rps.application.connections import Connections
from rps.application.dry_run import DryRun, NotOfDefinition, Record, RecordUnread
from rps.application.what_if import Range, WhatIf
from rps.cli.session import open_session
from rps.cli.terminal import (
    Exit,
    Failure,
    Moment,
    domain_option,
    output_option,
    progress,
    say,
    show_json,
    to_stdout,
)
from rps.cli.trials_shown import dry_run_tree, what_if_tree
from rps.connectors.transport import Transport
from rps.domain.problem import DefinitionRefused
from rps.domain.yaml_document import definition_in, text_of

if TYPE_CHECKING:
    from datetime import datetime

    from rps.application.tried import Tried
    from rps.application.what_if import Retrial
    from rps.cli.session import Session

SHOWN = 20
STEP = 50
"""Changes between two movements of the progress bar."""


class RecordName(click.ParamType[Record]):
    """SYSTEM:TABLE:RECORD_ID; only the last may have colons."""

    name = "SYSTEM:TABLE:RECORD_ID"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Record:
        """Override click's."""
        parts = value.split(":", 2)
        if len(parts) < 3 or not all(parts):  # noqa: PLR2004 - system, table, record
            self.fail(f"{value!r}: give SYSTEM:TABLE:RECORD_ID", param, ctx)
        return Record(*parts)


revision_option = click.option(
    "--revision", type=click.IntRange(1), help="A published revision, not the draft."
)


@click.command(name="try")
@click.argument("name_or_file")
@click.option(
    "--change",
    type=click.File("rb"),
    help="A change as POST /v1/changes takes it (JSON; - is stdin).",
)
@click.option("--record", type=RecordName(), help="A record, as its system shows it.")
@click.option("--as-new", is_flag=True, help="As if nobody shared the record yet.")
@click.option("--call-actions", is_flag=True, help="Call the actions of flows, too.")
@revision_option
@domain_option
@output_option
def try_definition(
    *,
    name_or_file: str,
    change: Any,
    record: Record | None,
    as_new: bool,
    call_actions: bool,
    revision: int | None,
    domain: str,
    output: str,
) -> None:
    """Take a change through a definition: every step, and the requests it would send.

    NAME_OR_FILE is a definition's name (its draft is tried) or a YAML file. Nothing is
    written, here or there. Exit 1 where a step was refused.
    """
    if (change is None) == (record is None):
        raise click.UsageError("give --change or --record, one of them")
    how = {"as_new": as_new, "call_actions": call_actions}
    posted = None if change is None else _change(change.read())
    with open_session() as session:
        which = _tried(session, name_or_file, domain, revision)
        transport = Transport.of(session.config)
        connections = Connections(session.application, transport)
        dry_run = DryRun(session.application, connections.connect, time.perf_counter)
        try:
            if record is not None:
                found = dry_run.of_record(which, record, session.now, **how)
            else:
                found = dry_run.of_change(which, posted or {}, session.now, **how)
        except (NotOfDefinition, RecordUnread) as error:
            raise Failure(str(error), Exit.NOT_FOUND) from None
    if output == "json":
        show_json(found)
    else:
        to_stdout().print(dry_run_tree(found))
    errors = [each["error"] for each in (found, *found["messages"]) if each["error"]]
    if errors:
        where = f"{name_or_file}:{errors[0]['line']}: " if errors[0]["line"] else ""
        raise Failure(f"{where}{errors[0]['detail']} ({errors[0]['place']})")


@click.command(name="what-if")
@click.argument("name")
@click.option("--draft", is_flag=True, help="Try the draft; so it is by itself.")
@revision_option
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="Try a YAML file (- is stdin).",
)
@click.option("--since", type=Moment(), help="Only what was judged from then on.")
@click.option("--until", type=Moment(), help="Only what was judged before.")
@click.option(
    "--limit", type=click.IntRange(1), help="Judge at most so many changes again."
)
@click.option(
    "--show",
    "shown_max",
    type=click.IntRange(0),
    default=SHOWN,
    show_default=True,
    help="How many differences are written out.",
)
@domain_option
@output_option
def what_if(
    *,
    name: str,
    draft: bool,
    revision: int | None,
    file: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int | None,
    shown_max: int,
    domain: str,
    output: str,
) -> None:
    """Judge what was recorded again under another definition: what would differ?

    Each recorded change is judged with its shared record as it was then, so that a
    difference is the one that this change alone would have made. Nothing is written.
    Exit 0 where all is the same, 5 where something differs.
    """
    if draft + (revision is not None) + (file is not None) > 1:
        raise click.UsageError("give one of --draft, --revision and --file")
    with open_session() as session:
        which = _tried(session, file or name, domain, revision, of=name)
        within = Range(domain, which.definition_id, since, until)
        trial = WhatIf(session.application, within, which.definition)
        found = _looked_over(trial, limit, shown_max)
    found = {"definition": which.to_json(), **found}
    if output == "json":
        show_json(found)
    else:
        to_stdout().print(what_if_tree(found))
    if found["different"]:
        text = f"{found['different']} of {found['judged']} changes would differ"
        raise Failure(text, Exit.DIFFERENT)
    say(f"{found['judged']} change(s) judged again: all the same")


def _looked_over(trial: WhatIf, limit: int | None, shown_max: int) -> dict[str, Any]:
    total = trial.count()
    if limit is not None:
        total = min(total, limit)
    judged = different = refused = 0
    differences: list[dict[str, Any]] = []

    def count(retrial: Retrial) -> None:
        nonlocal different, refused
        different += bool(retrial.comparison)
        refused += retrial.comparison.is_refused
        if retrial.comparison and len(differences) < shown_max:
            differences.append(retrial.to_json())

    with progress("changes") as tell:
        tell(0, total)
        for judged, retrial in enumerate(trial.retrials(), 1):
            count(retrial)
            if judged % STEP == 0:
                tell(judged, max(total, judged))
            if judged == limit:
                break
        tell(judged, judged)
    return {
        "judged": judged,
        "same": judged - different,
        "different": different,
        "refused": refused,
        "differences": differences,
    }


def _tried(
    session: Session, name_or_file: str, domain: str, revision: int | None, of: str = ""
) -> Tried:
    """The definition in the file, or of that name. `of`: the name that a file has to
    have. Raises NotFound, Failure."""
    application, now = session.application, session.now
    if name_or_file != "-" and not Path(name_or_file).is_file():
        which = tried.DRAFT if revision is None else revision
        return tried.of_definition(application, domain, name_or_file, which, now)
    if revision is not None:
        raise click.UsageError("a file has no revisions")
    found = _of_file(session, name_or_file)
    if of and (found.definition.process_event, found.domain) != (of, domain):
        name = f"{found.definition.process_event} in {found.domain}"
        raise Failure(f"{name_or_file} is of {name}, not of {of} in {domain}")
    return found


def _of_file(session: Session, file: str) -> Tried:
    with click.open_file(file, "rb") as opened:
        text = opened.read()
    try:
        definition = definition_in(text)
        lines = tried.lines_of(text_of(text))
        application, document = session.application, definition.to_document()
        return tried.of_document(application, document, session.now, lines)
    except DefinitionRefused as refused:
        for problem in refused.problems:
            line = getattr(problem, "line", None)
            where = f"{file}:{line}:{getattr(problem, 'column', 1)}" if line else file
            say(f"{where}: {problem.place}\n  {problem.cause}\n  {problem.remedy}")
        count = len(refused.problems)
        raise Failure(f"{count} problem(s): {file} cannot be tried") from None


def _change(text: bytes) -> dict[str, Any]:
    # Flask comes with it, which no other command about definitions needs.
    from rps.http.change_schema import checked  # noqa: PLC0415
    from rps.http.json_body import BodyRefused, decode  # noqa: PLC0415

    try:
        return checked(decode(text))
    except BodyRefused as error:
        raise Failure(f"the change is not taken: {error.detail}") from None
    except ValidationError as error:
        told = orjson.dumps(error.messages, option=orjson.OPT_NON_STR_KEYS).decode()
        raise Failure(f"the change is not one: {told}") from None
