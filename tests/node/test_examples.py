"""The definitions in docs/examples at work: a node and two ticket systems that run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import yaml
from companies import QUIET
from processes import HTTP, SECRET, Running, a_moment, free_port
from push_desk import Desk

from rps.workers.worker import clock

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@dataclass(frozen=True, slots=True)
class Example:
    """`home` opens a record with `opened`, which `away` comes to show as `arrives`.
    `strange` is a record that is not shared. Then both edit: what, and what comes of
    it. `said` is how a comment of Ann's reads at the other side."""

    home: str
    away: str
    opened: dict[str, Any]
    arrives: dict[str, Any]
    strange: dict[str, Any]
    edit: tuple[dict[str, Any], dict[str, Any]]
    back: tuple[dict[str, Any], dict[str, Any]]
    journals: tuple[str, str] = ("comments", "comments")
    said: str = "[Ann] Any news?"


CASES = {
    "incident": Example(
        home="acme",
        away="globex",
        opened={
            "short_description": "Printer is on fire",
            "urgency": "2",
            "state": "1",
            "caller_id": "Ann@acme.example",
            "assignment_group": "Globex Printing",
            "watch_list": "b@acme.example,a@acme.example",
        },
        arrives={
            "title": "Printer is on fire",
            "priority": "high",
            "status": "open",
            "reporter": "ann@acme.example",
            "queue": "Acme / Globex Printing",
            "labels": ["a@acme.example", "b@acme.example"],
            "source": "Acme ServiceNow",
            "headline": "high: Printer is on fire",
        },
        strange={"short_description": "Lunch", "assignment_group": "Canteen"},
        edit=(
            {"urgency": "1", "due_date": "2026-12-01 08:00:00"},
            {
                "priority": "critical",
                "due_at": "2026-12-01T08:00:00Z",
                "headline": "critical: Printer is on fire",
            },
        ),
        back=(
            {"status": "in progress", "queue": "Acme / Globex Fire"},
            {"state": "2", "assignment_group": "Globex Fire"},
        ),
    ),
    "change": Example(
        home="acme",
        away="initech",
        opened={
            "short_description": "New core switch",
            "type": "normal",
            "state": "-2",
            "start_date": "2026-12-05 22:00:00",
            "u_planned_downtime": "1970-01-01 01:30:00",
        },
        arrives={
            "summary": "[Acme] New core switch",
            "category": "planned",
            "status": "approved",
            "window_start": "2026-12-05T22:00:00Z",
            "outage": "PT1H30M",
            "customer": "Acme",
        },
        strange={"short_description": "Not approved", "type": "normal", "state": "-5"},
        edit=(
            {"risk": "2", "u_planned_downtime": "1970-01-02 00:00:00"},
            {
                "risk": "high",
                "outage": "P1D",
                "headline": "high risk: New core switch",
            },
        ),
        back=(
            {"status": "done", "result": "partly", "report": "One port was dead."},
            {
                "state": "0",
                "close_code": "successful_issues",
                "close_notes": "One port was dead.",
            },
        ),
        journals=("comments", "discussion"),
    ),
    "case": Example(
        home="umbra",
        away="acme",
        opened={
            "short_description": "Sensor reads 200 °C",
            "priority": "2",
            "state": "10",
            "account": "ACCT0001234",
            "contact": "Ann@Acme.example",
            "product": "S-200",
            "contact_type": "",
        },
        arrives={
            "short_description": "Sensor reads 200 °C",
            "urgency": "2",
            "state": "2",
            "company": "ACCT0001234",
            "caller_id": "ann@acme.example",
            "cmdb_ci": "Umbra S-200",
            "contact_type": "self-service",
            "assignment_group": "Umbra Support",
            "correlation_display": "ACCT0001234 / S-200",
        },
        strange={"short_description": "Other customer", "account": "ACCT0009999"},
        edit=(
            {"state": "18", "u_needs_visit": "true"},
            {"state": "3", "u_on_site": True},
        ),
        back=(
            {"cmdb_ci": "Umbra S-300", "state": "2"},
            {"product": "S-300", "state": "10"},
        ),
        said="Any news?",
    ),
    "problem": Example(
        home="acme",
        away="vandelay",
        opened={
            "short_description": "Printers catch fire",
            "state": "103",
            "priority": "",
            "known_error": "false",
            "first_reported_by_task": "INC0000001",
            "u_affected": "LX-1,LX-2",
        },
        arrives={
            "title": "Acme: Printers catch fire",
            "status": "analysing",
            "severity": "S5",
            "confirmed": False,
            "customer_reference": "INC0000001",
            "components": ["LX-1", "LX-2"],
            "reported_through": "rps",
            "label": "planning / INC0000001",
        },
        strange={
            "short_description": "A hunch",
            "state": "101",
            "known_error": "false",
        },
        edit=(
            {"priority": "1", "known_error": "true"},
            {"severity": "S1", "confirmed": True, "label": "critical / INC0000001"},
        ),
        back=(
            {"root_cause": "Paper is dry.", "spent": "PT26H", "components": ["LX-1"]},
            {
                "cause_notes": "Paper is dry.",
                "calendar_duration": "1970-01-02 02:00:00",
                "u_affected": ["LX-1"],
            },
        ),
        journals=("comments", "replies"),
    ),
}


class Place(Running):
    """A node with the example published, and its members' ticket systems."""

    def __init__(self, database: str, folder: Path, name: str) -> None:
        super().__init__(database, folder)
        document = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())
        self.desks: dict[str, Desk] = {}
        with psycopg.connect(database) as connection:
            connection.execute(
                "INSERT INTO secrets (domain, name, value) VALUES ('top', 's', %s)",
                (SECRET,),
            )
        self.application.ensure_domain("top", "", "test", clock())
        token = self.account("desks", "ih_process_sync_api")
        for member, said in document["members"].items():
            self._open(member, said["table"], token)
        self.application.apply_definition(document, "test", clock())
        self.start(supervised=True)

    def _open(self, member: str, table: str, token: str) -> None:
        port = free_port()
        settings = {"url": f"http://127.0.0.1:{port}/rps", "secrets": ["s"]}
        system, _ = self.application.register_system(
            "top", member, "push", "", settings, "test", clock()
        )
        self.application.activate_system(system.id, "test", clock())
        report = ("--report-url", self.url, "--report-token", token)
        self.start_sandbox(member, port, *report, secret=SECRET)
        self.desks[member] = Desk(member, f"http://127.0.0.1:{port}", table)

    def await_desks(self) -> None:
        while not all(desk.answers() for desk in self.desks.values()):
            a_moment()

    def settle(self) -> None:
        """Until nothing is on its way, and nothing has begun meanwhile."""
        head = -1
        while head != (head := self.application.recorder.head()[0]):
            for desk in self.desks.values():
                while HTTP.request("GET", f"{desk.url}/outbox").json():
                    a_moment()
            self.wait_until(QUIET)

    def twin(self, member: str) -> str:
        """The one record that it has of what is shared."""
        ((record,),) = self.ask(f"SELECT record_id FROM links WHERE member='{member}'")
        return str(record)

    def says(self, member: str, record: str, journal: str, text: str) -> None:
        desk = self.desks[member]
        path = f"{desk.url}/records/{desk.table}/{record}/comments"
        said = {"text": text, "user": "Ann", "journal": journal}
        assert HTTP.request("POST", path, json=said).status == 201


@pytest.fixture
def place(
    request: pytest.FixtureRequest, database: str, tmp_path: Path
) -> Iterator[Place]:
    made = Place(database, tmp_path, request.param)
    made.await_desks()
    yield made
    made.close()


def shows(desk: Desk, record: str, expected: dict[str, Any]) -> None:
    fields = desk.ticket(record)
    assert {name: fields.get(name) for name in expected} == expected


def test_every_example_has_a_case_here() -> None:
    assert {file.stem for file in EXAMPLES.glob("*.yaml")} == set(CASES)


@pytest.mark.parametrize(
    ("place", "case"), CASES.items(), ids=list(CASES), indirect=["place"]
)
def test_an_example_keeps_two_systems_in_step(place: Place, case: Example) -> None:
    home, away = place.desks[case.home], place.desks[case.away]

    home.create("Ann", **case.strange)
    ours = home.create("Ann", **case.opened)
    place.settle()
    theirs = place.twin(case.away)
    assert (away.tickets(), place.twin(case.home)) == ([theirs], ours)
    shows(away, theirs, case.arrives)

    home.edit(ours, "Ann", **case.edit[0])
    place.settle()
    shows(away, theirs, case.edit[1])
    away.edit(theirs, "Bob", **case.back[0])
    place.settle()
    shows(home, ours, case.back[1])

    place.says(case.home, ours, case.journals[0], "Any news?")
    place.settle()
    place.says(case.away, theirs, case.journals[1], "Not yet.")
    home.attach(ours, "Ann", "trace.pdf", "application/pdf", b"%PDF what was seen")
    place.settle()
    assert away.comments(theirs) == [case.said, "Not yet."]
    assert home.comments(ours) == ["Any news?", "Not yet."]
    assert [file["name"] for file in away.files(theirs)] == ["trace.pdf"]
    assert place.ask("SELECT count(*) FROM inbound_queue WHERE status='error'") == [
        (0,)
    ]
