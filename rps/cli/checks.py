"""What `rps doctor` looks at. Each check answers with what is wrong, if anything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rps.cli.audit_checks import checkpoints
from rps.cli.findings import Finding
from rps.cli.key_checks import keys
from rps.cli.link_checks import agreements, links
from rps.cli.notice_checks import notifications
from rps.cli.status import BREAKERS, lags
from rps.connectors.addresses import endpoint_refusal, looked_up, resolve, url_refusal
from rps.migrate import pending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from psycopg import Connection

    from rps.cli.session import Session

SKEW_SECONDS_MAX = 2.0
LAG_EVENTS_MAX = 10_000
STALE_SECONDS_MAX = 60
EXPIRY_DAYS = 14
RESOLVE_SECONDS = 3.0

PARKED = """
SELECT domain, system, 'message' AS what, count(*) AS parked, min(detail) AS detail
FROM outbound_queue WHERE status = 'error' AND domain <> '' GROUP BY domain, system
UNION ALL
SELECT domain, system, 'change', count(*), min(detail)
FROM inbound_queue WHERE status = 'error' AND domain <> '' GROUP BY domain, system
ORDER BY 1, 2, 3
"""
UNDECIDED = """
SELECT domain, count(*) AS conflicts,
       count(*) FILTER (WHERE policy = 'oscillation') AS loops
FROM conflicts WHERE state = 'open' GROUP BY domain ORDER BY domain
"""
WAITING = """
SELECT domain, system, count(*) AS waiting FROM outbound_queue
WHERE status IN ('ready', 'uncertain') AND domain <> '' GROUP BY domain, system
"""
FAILING_POLLS = """
SELECT domain, system, record_table, attempts, detail FROM polls WHERE attempts > 1
ORDER BY domain, system, record_table
"""
STALE = """
SELECT 'receiver' AS kind, 'record(s) with changes' AS what, count(*) AS stale
FROM lanes WHERE direction = 'in' AND due_at < now() - %(seconds)s * interval '1 second'
UNION ALL
SELECT 'inquirer', 'question(s) of flows', count(*)
FROM questions q LEFT JOIN inquiries i ON i.inquiry = q.inquiry
WHERE greatest(q.asked_at, i.due_at) < now() - %(seconds)s * interval '1 second'
  AND (q.system = '' OR EXISTS (
      SELECT FROM remote_systems s
      WHERE (s.domain, s.name, s.state) = (q.domain, q.system, 'active')))
  AND NOT EXISTS (
      SELECT FROM breakers b
      WHERE (b.domain, b.system) = (q.domain, q.system) AND b.open_until > now())
"""
SECRETS = "SELECT domain, name FROM secrets"
TRIGGER = """
SELECT tgenabled FROM pg_trigger
WHERE tgrelid = 'rps_events'::regclass AND tgname = 'rps_events_append_only'
"""


# --- the database -------------------------------------------------------------------


def durability(connection: Connection[Any], _url: str) -> Iterator[Finding]:
    for name, unsafe in (
        ("fsync", ("off",)),
        ("full_page_writes", ("off",)),
        ("synchronous_commit", ("off",)),
    ):
        row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
        if row and row[0] in unsafe:
            yield Finding(
                "error",
                "durability",
                f"{name} is {row[0]}: what was acknowledged may be lost in a crash",
                f"Set {name} = on in postgresql.conf and reload.",
            )


def clock(connection: Connection[Any], _url: str) -> Iterator[Finding]:
    before = datetime.now(UTC)
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    after = datetime.now(UTC)
    if row is None:
        return
    skew = max((before - row[0]).total_seconds(), (row[0] - after).total_seconds())
    if skew > SKEW_SECONDS_MAX:
        yield Finding(
            "error",
            "clock",
            f"this machine and the database are {skew:.1f} s apart",
            "Let both follow a time server; which edit is newer depends on it.",
        )


def schema(connection: Connection[Any], url: str) -> Iterator[Finding]:
    if missing := pending(url):
        yield Finding(
            "error", "schema", f"not applied: {', '.join(missing)}", "Run rps migrate."
        )
        return
    row = connection.execute(TRIGGER).fetchone()
    if row is None or row[0] == "D":
        yield Finding(
            "error",
            "schema",
            "the log can be changed: its append-only trigger is gone or disabled",
            "Find out who did that; run rps audit verify; then "
            "ALTER TABLE rps_events ENABLE TRIGGER rps_events_append_only.",
        )


# --- the node -----------------------------------------------------------------------


def views(session: Session) -> Iterator[Finding]:
    head, _ = session.application.recorder.head()
    for view in lags(session, head):
        if view["behind"] > LAG_EVENTS_MAX:
            yield Finding(
                "warning",
                "views",
                f"{view['view']} is {view['behind']} events behind the log",
                "Is a projector running? rps work projector",
            )


def receivers(session: Session) -> Iterator[Finding]:
    for row in session.ask(STALE, {"seconds": STALE_SECONDS_MAX}):
        if row["stale"]:
            since = f"for more than {STALE_SECONDS_MAX} s"
            yield Finding(
                "error",
                f"{row['kind']}s",
                f"{row['stale']} {row['what']} wait {since}",
                f"Is one of them running? rps work {row['kind']}",
            )


def breakers(session: Session) -> Iterator[Finding]:
    for row in session.ask(BREAKERS):
        yield Finding(
            "warning",
            "breakers",
            f"{row['system']} ({row['domain']}) fails: {row['reason']}",
            "Mend the system; deliveries go on by themselves once it answers.",
        )


def parked(session: Session) -> Iterator[Finding]:
    for row in session.ask(PARKED):
        yield Finding(
            "error",
            "parked",
            f"{row['parked']} {row['what']}(s) of {row['system']} ({row['domain']}) "
            f"wait for a person: {row['detail']}",
            "Mend the cause, then retry or skip each with a reason.",
        )


def conflicts(session: Session) -> Iterator[Finding]:
    for row in session.ask(UNDECIDED):
        loops = f", {row['loops']} of them loops" if row["loops"] else ""
        yield Finding(
            "warning",
            "conflicts",
            f"{row['conflicts']} conflict(s) in {row['domain']} wait for a person"
            f"{loops}; their fields are held back",
            f"rps conflict list --domain {row['domain']}",
        )


def polls(session: Session) -> Iterator[Finding]:
    for row in session.ask(FAILING_POLLS):
        yield Finding(
            "error",
            "polls",
            f"{row['record_table']} of {row['system']} ({row['domain']}) was not read,"
            f" {row['attempts']} time(s) in a row: {row['detail']}",
            f"rps system check {row['system']} says what is missing.",
        )


def taking_part(session: Session) -> Iterator[Finding]:
    configuration = session.configuration()
    for row in session.ask(WAITING):
        system = configuration.system(row["domain"], row["system"])
        state = system.state if system else "not registered"
        if state != "active":
            yield Finding(
                "warning",
                "taking part",
                f"{row['waiting']} message(s) wait for {row['system']}, "
                f"which is {state}",
                f"rps system {'resume' if state == 'paused' else 'activate'} "
                f"{row['system']}",
            )


def tokens(session: Session) -> Iterator[Finding]:
    soon = session.now + timedelta(days=EXPIRY_DAYS)
    for account in session.configuration().accounts():
        ends = [token.expires_at for token in account.tokens.values()]
        if not ends or max(ends) > soon:
            continue
        expired = max(ends) <= session.now
        yield Finding(
            "error" if expired else "warning",
            "tokens",
            f"the last token of {account.name} ({account.domain}) "
            f"{'ended' if expired else 'ends'} {max(ends):%Y-%m-%d}",
            f"rps token issue {account.name}",
        )


def secrets(session: Session) -> Iterator[Finding]:
    known = {(row["domain"], row["name"]) for row in session.ask(SECRETS)}
    for system in session.configuration().systems():
        if not system.settings.get("url"):
            continue  # invited, and not linked yet
        named = system.settings.get("secrets") or []
        missing = [name for name in named if (system.domain, name) not in known]
        if missing or not named:
            yield Finding(
                "error",
                "secrets",
                f"{system.name} ({system.domain}) names no secret that is there"
                f"{': ' + ', '.join(missing) if missing else ''}",
                f"rps system add {system.name} --url … --secret-file FILE",
            )


def addresses(session: Session) -> Iterator[Finding]:
    for system in session.configuration().systems():
        if system.state == "disabled":
            continue
        reason = _unreachable(session, str(system.settings.get("url", "")))
        if reason is not None:
            yield Finding(
                "error",
                "addresses",
                f"nothing is delivered to {system.name} ({system.domain}): {reason}",
                "Correct its URL, or name its network in RPS_ALLOW_NETWORKS.",
            )


def _unreachable(session: Session, url: str) -> str | None:
    if refusal := url_refusal(url):
        return refusal
    target = urlsplit(url)
    port = target.port or (443 if target.scheme == "https" else 80)
    host = target.hostname or ""
    try:
        found = looked_up(resolve, host, port, RESOLVE_SECONDS)
    except (OSError, ValueError) as error:
        return f"{host}: {error}"
    allowed = session.config.allow_networks
    refusals = [
        endpoint_refusal(target.scheme, address, port, allowed) for address in found
    ]
    return next((refusal for refusal in refusals if refusal), None)


DATABASE_CHECKS: tuple[Callable[[Connection[Any], str], Iterator[Finding]], ...] = (
    durability,
    clock,
    schema,
)
NODE_CHECKS: tuple[Callable[[Session], Iterator[Finding]], ...] = (
    keys,
    views,
    receivers,
    breakers,
    polls,
    parked,
    conflicts,
    taking_part,
    tokens,
    secrets,
    addresses,
    links,
    agreements,
    notifications,
    checkpoints,
)
"""The names of these functions are how findings are grouped."""
