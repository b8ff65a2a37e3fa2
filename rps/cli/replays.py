"""rps replay: bring members back to the shared values; planned, then started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import click

from rps.application.operations import NotFound
from rps.cli.session import identifier, open_session
from rps.cli.terminal import (
    Moment,
    domain_option,
    output_option,
    say,
    show,
    show_json,
)
from rps.domain.replay import Replay
from rps.projections.lookup import Selector

if TYPE_CHECKING:
    from datetime import datetime

    from rps.cli.session import Session

REPLAYS = """
SELECT originator_id AS id FROM rps_events
WHERE topic = 'replay.planned' AND topic LIKE 'replay.%' ORDER BY notification_id DESC
LIMIT 100
"""
COLUMNS = ("id", "state", "lanes", "sent", "reason", "actor")


@click.group()
def replay() -> None:
    """Send again what a member should hold. History stays; nothing is sent twice.

    A replay writes the shared values of today, not those of then.
    """


@replay.command()
@click.option("--correlation", help="Only this shared record.")
@click.option("--system", help="Only what went to this remote system.")
@click.option("--process-event", help="Only this definition.")
@click.option("--since", type=Moment(), help="Only messages made at or after.")
@click.option("--until", type=Moment(), help="Only messages made before.")
@click.option("--reason", required=True, help="Why; kept in the history.")
@domain_option
@output_option
def plan(
    *,
    correlation: str | None,
    system: str | None,
    process_event: str | None,
    since: datetime | None,
    until: datetime | None,
    reason: str,
    domain: str,
    output: str,
) -> None:
    """Work out what a replay would send; sends nothing."""
    selector = Selector(
        correlation_id=identifier(correlation) if correlation else None,
        system=system,
        process_event=process_event,
        since=since,
        until=until,
    )
    if not selector.to_json():
        raise click.UsageError("say what to replay: --correlation, --system, …")
    with open_session() as session:
        planned = session.operations.plan_replay(
            uuid4(), domain, selector, reason, session.actor, session.now
        )
    if output == "json":
        show_json(_shown(planned) | {"planned": planned.lanes})
        return
    rows = [
        {**lane, "fields": ", ".join(lane["fields"]), "entries": len(lane["entries"])}
        for lane in planned.lanes
    ]
    columns = ("correlation_id", "member", "fields", "entries")
    show(rows, columns, output, empty="nothing to send")
    click.echo(planned.id)
    say(f"start it with: rps replay start {planned.id}")


@replay.command()
@click.argument("replay_id")
@domain_option
@output_option
def start(replay_id: str, domain: str, output: str) -> None:
    """Let the sweeper make the messages of a planned replay."""
    with open_session() as session:
        started = session.operations.start_replay(
            domain, identifier(replay_id), session.actor, session.now
        )
    show([_shown(started)], COLUMNS, output)


@replay.command()
@click.argument("replay_id")
@click.option("--reason", required=True, help="Why; kept in the history.")
@domain_option
@output_option
def cancel(replay_id: str, reason: str, domain: str, output: str) -> None:
    """Make no more messages of a replay and skip those not yet sent."""
    with open_session() as session:
        cancelled = session.operations.cancel_replay(
            domain, identifier(replay_id), reason, session.actor, session.now
        )
    show([_shown(cancelled)], COLUMNS, output)


@replay.command()
@click.argument("replay_id", required=False)
@domain_option
@output_option
def status(replay_id: str | None, domain: str, output: str) -> None:
    """Show one replay, or the latest ones."""
    with open_session() as session:
        if replay_id is not None:
            found = [session.operations.replay(domain, identifier(replay_id))]
        else:
            found = list(_latest(session, domain))
        rows = [
            _shown(each)
            | {"sent": session.application.lookup.replay_count(UUID(str(each.id)))}
            for each in found
        ]
    show(rows, COLUMNS, output, empty="no replays")


def _latest(session: Session, domain: str) -> list[Replay]:
    replays = []
    for row in session.ask(REPLAYS):
        found = session.application.find(Replay, row["id"])
        if found is None:
            raise NotFound(f"no replay {row['id']}")
        if found.domain == domain:
            replays.append(found)
    return replays


def _shown(replay: Replay) -> dict[str, Any]:
    return {
        "id": str(replay.id),
        "state": replay.state,
        "lanes": len(replay.lanes),
        "sent": replay.sent,
        "selector": replay.selector,
        "reason": replay.reason,
        "actor": replay.actor,
    }
