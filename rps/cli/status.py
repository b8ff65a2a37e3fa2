"""rps status: what waits, where, since when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rps.cli.notify import subscriptions
from rps.cli.session import open_session
from rps.cli.terminal import output_option, show_json, tabulated, to_stdout
from rps.projections.views import followed_views

if TYPE_CHECKING:
    from rps.cli.session import Session

INBOUND = """
SELECT domain, system, status::text, count(*) AS changes,
       extract(epoch FROM now() - min(captured_at))::float8 AS oldest_seconds
FROM inbound_queue WHERE status IN ('ready', 'error') AND domain <> ''
GROUP BY domain, system, status ORDER BY domain, system, status
"""
OUTBOUND = """
SELECT domain, system, status::text, count(*) AS messages,
       extract(epoch FROM now() - min(made_at))::float8 AS oldest_seconds,
       max(attempts) AS attempts_most
FROM outbound_queue
WHERE status IN ('ready', 'error', 'uncertain') AND domain <> ''
GROUP BY domain, system, status ORDER BY domain, system, status
"""
BREAKERS = """
SELECT domain, system, trips, reason,
       greatest(extract(epoch FROM open_until - now()), 0)::float8 AS open_seconds
FROM breakers ORDER BY domain, system
"""
PEERS = "SELECT domain, system, heard_at FROM peers"
TRACKING = (
    "SELECT application_name AS view, notification_id AS position FROM rps_tracking"
)


@click.command()
@output_option
def status(output: str) -> None:
    """Show the queues, the systems and how far the views have come."""
    with open_session() as session:
        found = standing(session)
    if output == "json":
        show_json(found)
    else:
        _print(found)


def standing(session: Session) -> dict[str, Any]:
    """The node now, as plain data."""
    head, _ = session.application.recorder.head()
    return {
        "log": {"head": head, "views": lags(session, head)},
        "inbound_queue": session.ask(INBOUND),
        "outbound_queue": session.ask(OUTBOUND),
        "systems": systems(session),
        "subscriptions": subscriptions(session),
    }


def lags(session: Session, head: int) -> list[dict[str, Any]]:
    """How far each followed view is behind the log, in events."""
    tracked = {row["view"]: row["position"] for row in session.ask(TRACKING)}
    return [
        {
            "view": view.name,
            "position": tracked.get(view.name, 0),
            "behind": head - tracked.get(view.name, 0),
        }
        for view in followed_views()
    ]


def systems(session: Session) -> list[dict[str, Any]]:
    breakers = {(row["domain"], row["system"]): row for row in session.ask(BREAKERS)}
    heard = {(r["domain"], r["system"]): r["heard_at"] for r in session.ask(PEERS)}
    return [
        {
            "domain": system.domain,
            "name": system.name,
            "connector": system.connector,
            "state": system.state,
            "fault": system.fault,
            "breaker": _breaker(breakers.get((system.domain, system.name))),
            "url": system.settings.get("url", ""),
            "heard_at": heard.get((system.domain, system.name)),
        }
        for system in sorted(
            session.configuration().systems(), key=lambda s: (s.domain, s.name)
        )
    ]


def _breaker(row: dict[str, Any] | None) -> str:
    if row is None:
        return "closed"
    return f"open for {row['open_seconds']:.0f} s, tripped {row['trips']} times"


def _print(found: dict[str, Any]) -> None:
    out = to_stdout()
    log = found["log"]
    behind = max((view["behind"] for view in log["views"]), default=0)
    out.print(f"log: {log['head']} events, views {behind} behind")
    for name, columns in (
        ("systems", ("domain", "name", "state", "breaker", "fault")),
        (
            "inbound_queue",
            ("domain", "system", "status", "changes", "oldest_seconds"),
        ),
        (
            "outbound_queue",
            (
                *("domain", "system", "status", "messages", "oldest_seconds"),
                "attempts_most",
            ),
        ),
        ("subscriptions", ("domain", "name", "kind", "state", "waiting", "failed")),
    ):
        title = name.replace("_", " ")
        if found[name]:
            out.print()
            out.print(tabulated(found[name], columns, title))
        else:
            out.print(f"\n{title}: {'none' if name == 'subscriptions' else 'empty'}")
