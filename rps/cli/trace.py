"""rps trace: why a message looked as it did."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from rps.application.operations import NotFound
from rps.application.traces import Traces
from rps.cli.execution_shown import execution_tree
from rps.cli.session import open_session
from rps.cli.terminal import domain_option, output_option, show_json, to_stdout
from rps.projections.change_questions import ChangeQuestions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rps.cli.session import Session


@click.command()
@click.argument("message")
@domain_option
@output_option
def trace(message: str, domain: str, output: str) -> None:
    """Show each step of MESSAGE, from the change it came from to what was answered.

    MESSAGE is a message's id, or the id of a change. Steps are recomputed from the log;
    times of attempts and waits are the recorded ones.
    """
    with open_session() as session:
        session.note_read("execution", message, domain)
        found = list(_executions(session, domain, message))
    if not found:
        raise NotFound(f"no message and no change {message} in {domain}")
    if output == "json":
        show_json(found[0] if len(found) == 1 else found)
        return
    for each in found:
        to_stdout().print(execution_tree(each))


def _executions(session: Session, domain: str, name: str) -> Iterator[dict[str, Any]]:
    """Of the message, else of the change in each definition that took it in."""
    session.configuration()
    traces = Traces(session.application, time.perf_counter)
    if message_id := _uuid(name):
        try:
            yield traces.message(domain, message_id)
        except NotFound:
            pass  # the id of a change may be a UUID as well
        else:
            return
    systems = [s.name for s in session.configuration().systems() if s.domain == domain]
    questions = ChangeQuestions(session.application.datastore)
    for row in questions.taken(domain, systems, name):
        yield traces.change(domain, row["correlation_id"], row["position"])


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
