"""Two instances are followed and written to by real processes that are killed."""

from __future__ import annotations

import json
import random
import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import urllib3
from processes import HTTP, Process, Running, free_port

from rps.workers.worker import clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "a long password"
RECORDS, EDITS = 60, 6

DEFINITION: dict[str, Any] = {
    "process_event": "incident",
    "fields": {"title": {"type": "text"}, "note": {"type": "text"}},
    "journals": {"comments": {"visibility": "public"}},
    "members": {
        "acme": {
            "table": "incident",
            "deliver": ["create", "update"],
            "fields": {"title": "short_description", "note": "description"},
            "journals": {"comments": "comments"},
        },
        "umbrella": {
            "table": "incident",
            "deliver": ["create", "update"],
            "fields": {"title": "short_description", "note": "description"},
            "journals": {"comments": {"journal": "comments", "prefix": "{author}: "}},
        },
    },
}


class Instance:
    """A sandbox of its own process, and one of its users."""

    def __init__(self, node: Running, name: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        database = str(node.folder / f"{name}.sqlite")
        command = ["sandbox", "servicenow", name, "--http", "--port", str(self.port)]
        environ = {**node.environ, "RPS_SANDBOX_PASSWORD": PASSWORD}
        made = Process(name, [*command, "--database", database], environ, node.folder)
        node.sandboxes.append(made)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = urllib3.make_headers(basic_auth=f"ann.agent:{PASSWORD}")
        headers |= {"Content-Type": "application/json", "Accept": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        answer = HTTP.request(
            method, f"{self.url}/api/now/{path}", body=data, headers=headers
        )
        assert answer.status < 300, answer.data
        return answer.json()["result"]

    def await_it(self) -> None:
        while True:
            try:
                self.ask("GET", "table/incident?sysparm_limit=1")
            except urllib3.exceptions.HTTPError:
                threading.Event().wait(0.1)
            else:
                return


class Following(Running):
    """A node between two instances; both are polled each second."""

    def __init__(self, database: str, folder: Path) -> None:
        super().__init__(database, folder)
        self.acme, self.umbrella = Instance(self, "acme"), Instance(self, "umbrella")
        now = clock()
        self.application.ensure_domain("top", "", "test", now)
        for name in ("acme", "umbrella"):
            there: Instance = getattr(self, name)
            there.await_it()
            with psycopg.connect(database) as connection:
                connection.execute(
                    "INSERT INTO secrets (domain, name, value) VALUES ('top', %s, %s)",
                    (name, json.dumps({"password": PASSWORD})),
                )
            settings = {
                "url": there.url,
                "secrets": [name],
                "username": "rps.integration",
                "poll_seconds": 1,
            }
            system, _ = self.application.register_system(
                "top", name, "servicenow", "", settings, "test", now
            )
            system.activate("test", now)
            self.application.save(system)
        self.application.apply_definition(DEFINITION, "test", now)
        self.start()
        self.wait_until("SELECT count(cursor) = 2 FROM polls")


@pytest.fixture
def node(database: str, tmp_path: Path) -> Iterator[Following]:
    made = Following(database, tmp_path)
    yield made
    made.close()


def records(there: Instance) -> dict[str, tuple[str, str, list[str]]]:
    """By title: the note, how many records have it, and what was said there."""
    fields = "sys_id,short_description,description"
    rows = there.ask("GET", f"table/incident?sysparm_fields={fields}")
    said: dict[str, list[str]] = {}
    query = "sysparm_query=ORDERBYsys_created_on&sysparm_fields=element_id,value"
    for row in there.ask("GET", f"table/sys_journal_field?{query}"):
        text = row["value"].removeprefix("ann.agent: ")
        said.setdefault(row["element_id"], []).append(text)
    found = {
        row["short_description"]: (
            row["description"],
            str(sum(r["short_description"] == row["short_description"] for r in rows)),
            sorted(said.get(row["sys_id"], [])),
        )
        for row in rows
    }
    assert len(found) == len(rows)
    return found


def test_every_record_and_comment_is_at_both_sides_once_whoever_is_killed(
    node: Following,
) -> None:
    chance = random.Random(61)
    ids = [
        node.acme.ask("POST", "table/incident", {"short_description": f"r{number}"})[
            "sys_id"
        ]
        for number in range(RECORDS)
    ]
    victims = [node.processes[name] for name in ("poller", "deliverer", "receiver")]
    for number in range(EDITS):
        for key in chance.sample(ids, RECORDS // 3):
            body = {"description": f"edit {number}", "comments": f"said {number}"}
            node.acme.ask("PATCH", f"table/incident/{key}", body)
        victim = victims[number % len(victims)]
        victim.kill()
        victim.revive()
    node.wait_until(
        "SELECT (SELECT count(*) FROM links WHERE system = 'umbrella') = "
        f"{RECORDS} AND NOT EXISTS (SELECT FROM outbound_queue"
        " WHERE status IN ('ready', 'uncertain'))",
        150,
    )
    deadline = 200
    while records(node.acme) != records(node.umbrella) and deadline:
        deadline -= 1
        threading.Event().wait(0.2)
    assert records(node.acme) == records(node.umbrella)
    assert node.ask("SELECT count(*) FROM outbound_queue WHERE status = 'error'") == [
        (0,)
    ]
