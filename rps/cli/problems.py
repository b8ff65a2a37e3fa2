"""rps problems: what fails, by mistake, why, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click

from rps.application.problems import Problems
from rps.cli.session import identifier, open_session
from rps.cli.terminal import domain_option, output_option, say, show, show_json
from rps.domain.treatment import RETRY, SKIP

if TYPE_CHECKING:
    from collections.abc import Callable

    from rps.domain.treatment import Treatment

LATEST = 50
COLUMNS = ("fingerprint", "entries", "waits_for", "member", "cause", "last_at")
EXAMPLES = ("correlation_id", "entry", "since", "attempts", "detail")
TREATMENT = ("id", "action", "state", "entries", "done", "settled", "left", "reason")
WAITS_FOR = {"error": "a person", "ready": "next attempt", "uncertain": "its answer"}


@click.group(invoke_without_command=True)
@click.option("--system", help="Only of this remote system.")
@click.option("--process-event", help="Only of this definition.")
@click.option("--parked", is_flag=True, help="Only what waits for a person.")
@domain_option
@output_option
@click.pass_context
def problems(
    ctx: click.Context,
    *,
    system: str | None,
    process_event: str | None,
    parked: bool,
    domain: str,
    output: str,
) -> None:
    """Show what waits for a person or fails now, grouped by mistake.

    The same mistake has the same fingerprint, whatever record, value or moment it is
    about: mend it once, then retry or skip all its entries at once.
    """
    if ctx.invoked_subcommand is not None:
        return
    wanted = {
        "system": system,
        "process_event": process_event,
        "state": "error" if parked else None,
    }
    with open_session() as session:
        rows = Problems(session.application).groups(domain, wanted, LATEST + 1)
    for row in rows:
        row["waits_for"] = WAITS_FOR[row["state"]]
    show(rows[:LATEST], COLUMNS, output, empty="no problems")
    if len(rows) > LATEST:
        say(f"these are the latest {LATEST}: narrow them, or GET /v1/problems")


@problems.command(name="show")
@click.argument("fingerprint")
@domain_option
@output_option
def show_problem(fingerprint: str, domain: str, output: str) -> None:
    """Show a mistake: its cause, what to do, and the latest entries that have it."""
    with open_session() as session:
        found = Problems(session.application).group(domain, fingerprint)
    if output == "json":
        show_json(found)
        return
    say(found["cause"])
    say(found["remedy"])
    say(
        f"{found['entries']} {found['queue']} since {found['first_at']}, of "
        f"{found['process_event']}, {found['member']} ({found['system']}); wait for "
        f"{WAITS_FOR[found['state']]}"
    )
    if breaker := found["breaker"]:
        standing = "open" if breaker["is_open"] else "about to try again"
        say(f"the system's breaker is {standing}: {breaker['reason']}")
    rows = [
        {**each, "entry": each.get("message_id") or each["sequence"]}
        for each in found["examples"]
    ]
    show(rows, EXAMPLES, output)


def planning(action: str, text: str) -> Callable[..., None]:
    """The command that plans `action` for a group."""

    @click.argument("fingerprint")
    @click.option("--reason", required=True, help="Why; kept in the history.")
    @click.option("--start", is_flag=True, help="Do it at once.")
    @domain_option
    @output_option
    def plan(
        *, fingerprint: str, reason: str, start: bool, domain: str, output: str
    ) -> None:
        with open_session() as session:
            known = Problems(session.application)
            about = (domain, fingerprint, action, reason, session.actor, session.now)
            treatment = known.plan(uuid4(), *about)
            if start:
                treatment = known.start(
                    domain, treatment.id, session.actor, session.now
                )
            row = _shown(treatment, known)
        show([row], TREATMENT, output)
        if start:
            say(f"see how far it is: rps problems progress {treatment.id}")
        else:
            say(f"start it with: rps problems start {treatment.id}")

    plan.__doc__ = text
    return plan


problems.command(name="retry")(
    planning(RETRY, "Plan to try all entries of a group again.")
)
problems.command(name="skip")(
    planning(SKIP, "Plan to skip all entries of a group, for good.")
)


@problems.command()
@click.argument("treatment_id")
@domain_option
@output_option
def start(treatment_id: str, domain: str, output: str) -> None:
    """Let the sweeper carry out a planned retry or skip."""
    with open_session() as session:
        known = Problems(session.application)
        key = identifier(treatment_id)
        started = known.start(domain, key, session.actor, session.now)
        row = _shown(started, known)
    show([row], TREATMENT, output)


@problems.command()
@click.argument("treatment_id")
@click.option("--reason", required=True, help="Why; kept in the history.")
@domain_option
@output_option
def cancel(treatment_id: str, reason: str, domain: str, output: str) -> None:
    """Tell no more entries; those that were told stay so."""
    with open_session() as session:
        known = Problems(session.application)
        key = identifier(treatment_id)
        cancelled = known.cancel(domain, key, reason, session.actor, session.now)
        row = _shown(cancelled, known)
    show([row], TREATMENT, output)


@problems.command()
@click.argument("treatment_id", required=False)
@domain_option
@output_option
def progress(treatment_id: str | None, domain: str, output: str) -> None:
    """Show how far one retry or skip has come, or the latest ones."""
    with open_session() as session:
        known = Problems(session.application)
        if treatment_id is None:
            found = known.latest(domain, LATEST)
        else:
            found = [known.treatment(domain, identifier(treatment_id))]
        rows = [_shown(each, known) for each in found]
    show(rows, TREATMENT, output, empty="none yet")


def _shown(treatment: Treatment, known: Problems) -> dict[str, Any]:
    return {
        "id": str(treatment.id),
        "fingerprint": treatment.fingerprint,
        "action": treatment.action,
        "state": treatment.state,
        "entries": treatment.entries,
        **known.progress(treatment),
        "reason": treatment.reason,
        "actor": treatment.actor,
    }
