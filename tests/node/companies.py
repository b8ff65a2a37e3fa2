"""Companies that each run a node of real processes and a desk, a sandbox, linked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from processes import HTTP, SECRET, Running, a_moment, free_port
from push_desk import Desk

from rps.workers.worker import clock

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SHARED = "ticket.shared"
FIELDS = ("title", "state", "note", "owner")
MANUAL = "owner"
QUIET = """
SELECT NOT EXISTS (SELECT FROM inbound_queue WHERE status <> 'processed'
                   AND status <> 'skipped')
   AND NOT EXISTS (SELECT FROM outbound_queue WHERE status IN
                   ('ready', 'uncertain', 'error'))
"""


def definition(
    desk_fields: dict[str, str], neighbours: Iterable[str]
) -> dict[str, Any]:
    """The desk's tickets, shared with these nodes; both use the fields' own names."""
    shared = {"fields": {name: name for name in FIELDS}, "table": SHARED}
    everything = ["create", "update", "delete"]
    terms = {
        "capture": everything,
        "deliver": everything,
        "journals": {"comments": "comments"},
    }
    return {
        "process_event": SHARED,
        "fields": {
            name: {
                "type": "text",
                "policy": "manual" if name == MANUAL else "newer_wins",
            }
            for name in FIELDS
        },
        "journals": {"comments": {"visibility": "public"}},
        "attachments": {"journal": "comments", "size_max": "1 MB"},
        "members": {
            "desk": {"table": "ticket", "fields": desk_fields, **terms},
            **{name: {**shared, **terms} for name in neighbours},
        },
    }


class Company(Running):
    def __init__(self, name: str, database: str, folder: Path, words: str) -> None:
        """`words`: what its desk puts before each field's name."""
        folder.mkdir()
        super().__init__(database, folder)
        self.name = name
        self.words = {field: f"{words}{field}" for field in FIELDS}
        self._configure_desk()
        self.start()

    def _configure_desk(self) -> None:
        port, now = free_port(), clock()
        with psycopg.connect(self.database) as connection:
            connection.execute(
                "INSERT INTO secrets (domain, name, value) VALUES ('top', 'd', %s)",
                (SECRET,),
            )
        self.application.ensure_domain("top", "", "test", now)
        settings = {"url": f"http://127.0.0.1:{port}/rps", "secrets": ["d"]}
        system, _ = self.application.register_system(
            "top", "desk", "push", "", settings, "test", now
        )
        self.application.activate_system(system.id, "test", now)
        token = self.account("desk", "ih_process_sync_api")
        report = ("--report-url", self.url, "--report-token", token)
        self.start_sandbox("desk", port, *report, secret=SECRET)
        self.desk = Desk("desk", f"http://127.0.0.1:{port}", "ticket")

    def invites(self, other: Company) -> None:
        """Link: we decide."""
        token = self.rps(
            *("system", "invite", other.name, "--url", self.url, "--as", self.name)
        )
        other.rps("system", "accept", token.strip(), "--url", other.url)

    def shares_with(self, *others: str) -> None:
        document = definition(self.words, others)
        self.application.apply_definition(document, "test", clock())

    def await_api(self) -> None:
        while not self.answers() or not self.desk.answers():
            a_moment()

    # --- what there is ------------------------------------------------------------

    def tickets(self) -> dict[str, str]:
        """The desk's tickets by the ids of their shared records."""
        rows = self.ask(
            "SELECT correlation_id::text, record_id FROM links WHERE member = 'desk'"
        )
        return dict(rows)

    def fields_of(self, ticket: str) -> dict[str, Any]:
        """In the words that are shared."""
        values = self.desk.ticket(ticket)
        return {name: values.get(own) for name, own in self.words.items()}

    def open_conflicts(self) -> set[tuple[str, str]]:
        return set(
            self.ask(
                "SELECT correlation_id::text, field FROM conflicts WHERE state = 'open'"
            )
        )

    def told(self, topic: str, member: str, key: str, source: str = "") -> set[str]:
        """Ids in the log: `key` of the member's events of that topic."""
        of_it = f" AND s.said ->> 'source' = '{source}'" if source else ""
        rows = self.ask(
            f"SELECT DISTINCT left(s.said ->> '{key}', 36) FROM (SELECT"
            " convert_from(state, 'UTF8')::jsonb AS said FROM rps_events"
            f" WHERE topic = '{topic}') s WHERE s.said ->> 'member' = '{member}'{of_it}"
        )
        return {row[0] for row in rows}


QUIET_SECONDS_MAX = 300
"""More than the third retry takes, which killing thrice can bring about."""


def wait_until_quiet(companies: list[Company]) -> None:
    """Until nothing is on its way anywhere, and nothing has begun meanwhile."""
    heads: list[int] = []
    while True:
        for company in companies:
            while HTTP.request("GET", f"{company.desk.url}/outbox").json():
                a_moment()
            company.wait_until(QUIET, QUIET_SECONDS_MAX)
        before, heads = heads, [c.application.recorder.head()[0] for c in companies]
        if heads == before:
            return
