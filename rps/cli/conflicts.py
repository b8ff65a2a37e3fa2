"""rps conflict: fields that two sides changed at the same time, and deciding them."""

from __future__ import annotations

import json
from typing import Any, Literal

import click

from rps.cli.session import identifier, open_session
from rps.cli.terminal import domain_option, output_option, say, show, show_json
from rps.http.timeline import Timelines
from rps.projections.conflict_questions import ConflictQuestions

COLUMNS = ("id", "state", "member", "field", "base", "mine", "theirs", "correlation_id")
LATEST = 100


@click.group()
def conflict() -> None:
    """List, show and decide conflicts.

    A field under the policy `manual` that two sides changed before either heard of the
    other waits for a person: it is held back towards one member, the rest flows.
    """


@conflict.command(name="list")
@click.option("--all", "every", is_flag=True, help="Also those that are decided.")
@click.option("--correlation", help="Only this shared record.")
@domain_option
@output_option
def list_conflicts(
    *, every: bool, correlation: str | None, domain: str, output: str
) -> None:
    """List open conflicts, the latest first."""
    wanted: dict[str, Any] = {} if every else {"state": "open"}
    if correlation:
        wanted["correlation_id"] = identifier(correlation)
    with open_session() as session:
        session.note_read("conflicts", correlation or "all", domain)
        rows = ConflictQuestions(session.application.datastore).found(
            domain, wanted, LATEST
        )
    for row in rows if output == "table" else ():
        row.update({name: _short(row[name]) for name in ("base", "mine", "theirs")})
    show(rows, COLUMNS, output, empty="no conflicts")


@conflict.command(name="show")
@click.argument("number", type=click.IntRange(1))
@domain_option
@output_option
def show_conflict(number: int, domain: str, output: str) -> None:
    """Show both sides of a conflict, who wrote them and when."""
    with open_session() as session:
        session.note_read("conflict", str(number), domain)
        found = session.operations.conflict(domain, number)
        found |= Timelines(session.application).both_sides(domain, found)
    if output == "json":
        show_json(found)
        return
    sides = [
        {"side": "base", "value": _short(found["base"]), "of": "both, before"},
        {"side": "mine", "value": _short(found["mine"]), **_by(found["mine_by"])},
        {"side": "theirs", "value": _short(found["theirs"]), **_by(found["theirs_by"])},
    ]
    say(f"{found['field']} of {found['correlation_id']}: {found['state']}")
    show(sides, ("side", "value", "of", "who", "at"), output)
    if found["state"] == "open":
        now = found["now"]
        for side in ("mine", "theirs"):
            if now[side] != found[side]:
                say(f"since then {side} became {_short(now[side])}")
        say(f"decide it: rps conflict resolve {number} --keep mine --reason …")
    elif found["state"] == "resolved":
        say(f"{found['actor']} chose {_short(found['value'])}: {found['reason']}")


@conflict.command()
@click.argument("number", type=click.IntRange(1))
@click.option(
    "--keep",
    type=click.Choice(("mine", "theirs")),
    help="mine: what is shared; theirs: what the member has.",
)
@click.option("--value", help="Another value; tags as a JSON list, null for none.")
@click.option("--reason", required=True, help="Why; kept in the history.")
@domain_option
def resolve(
    *,
    number: int,
    keep: Literal["mine", "theirs"] | None,
    value: str | None,
    reason: str,
    domain: str,
) -> None:
    """Decide an open conflict; who lacks the value is told."""
    if (keep is None) == (value is None):
        raise click.UsageError("say --keep mine, --keep theirs, or give a --value")
    with open_session() as session:
        session.operations.resolve_conflict(
            domain,
            number,
            keep or "other",
            None if value is None else _given(value),
            reason,
            session.actor,
            session.now,
        )
    say("resolved")


def _by(author: dict[str, Any] | None) -> dict[str, Any]:
    if author is None:
        return {}
    return {"of": author["member"], "who": author["who"], "at": author["at"]}


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _given(text: str) -> Any:
    """A list or null as JSON; all else as the text it is, which every type reads."""
    if text != "null" and not text.startswith("["):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise click.UsageError(f"--value is no JSON: {error}") from None
