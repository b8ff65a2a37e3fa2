"""rps compare, against a ServiceNow instance and a ticket system that tell nothing."""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import pytest
import urllib3
from werkzeug.serving import make_server

from rps.application.captured import Poster
from rps.application.connections import Connections
from rps.connectors.transport import Transport
from rps.sandbox.server import SandboxSettings
from rps.sandbox.servicenow.app import create_app as snow_app
from rps.sandbox.servicenow.instance import Instance
from rps.sandbox.servicenow.settings import InstanceSettings
from rps.sandbox.tickets import create_app
from rps.workers.deliverer import Deliverer
from rps.workers.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Rps
    from flask import Flask

    from rps.application import RemoteProcessSync

PASSWORD = "a password"
HTTP = urllib3.PoolManager(retries=False, timeout=10)
DEFINITION = """
process_event: ticket.shared
fields: {title: {type: text}}
members:
  snow:   {table: incident, fields: {title: short_description}}
  globex: {table: ticket, fields: {title: summary}}
"""


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Shared:
    """One ticket, at both: nobody polls, and nobody reports."""

    def __init__(
        self, rps: Rps, application: RemoteProcessSync, folder: Path, stack: ExitStack
    ) -> None:
        self._application = application
        (folder / "password").write_text(PASSWORD)
        (folder / "ticket.yaml").write_text(DEFINITION)
        rps("init", "--token-file", str(folder / "admin.token"))
        added = ("system", "add")
        first = rps(*added, "globex", "--url", "http://127.0.0.1:1/rps")
        tickets = SandboxSettings(
            "globex", folder / "globex.sqlite", (first.stdout.strip(),)
        )
        self.globex = stack.enter_context(serving(create_app(tickets)))
        settings = InstanceSettings(
            "snow", folder / "snow.sqlite", *([PASSWORD] * 4), plain=True
        )
        self.snow = stack.enter_context(serving(snow_app(Instance(settings))))
        rps(*added, "globex", "--url", f"{self.globex}/rps")
        rps(
            *(*added, "snow", "--url", self.snow, "--connector", "servicenow"),
            *("--username", "rps.integration"),
            *("--password-file", str(folder / "password")),
        )
        for name in ("globex", "snow"):
            assert rps("system", "activate", name).exit_code == 0
        applied = rps("definition", "apply", str(folder / "ticket.yaml"))
        assert applied.exit_code == 0, applied.output
        made = self._globex("POST", "", summary="Fire")
        self.ticket = made["id"]
        application.intake.capture(
            Poster("top", "globex"), [self._as_change(made)], datetime.now(UTC)
        )
        self.settle()
        [incident] = self._snow("GET", "?sysparm_query=short_description=Fire")
        self.incident = incident["sys_id"]

    def _as_change(self, made: dict[str, Any]) -> dict[str, Any]:
        return {
            "system": "globex",
            "table": "ticket",
            "record_id": made["id"],
            "operation": "create",
            "change_id": "first",
            "revision": str(made["revision"]),
            "fields": {"summary": "Fire"},
            "external_id": "",
        }

    def settle(self) -> None:
        """Judge and send until nothing moves any more."""

        def now() -> datetime:
            return datetime.now(UTC)

        self._application.configuration.refresh()
        transport = Transport((ip_network("127.0.0.0/8"),))
        connect = Connections(
            *(self._application.datastore, transport, self._application.configuration)
        ).connect
        finished = threading.Semaphore(0)
        receiver = Receiver(self._application, now)
        deliverer = Deliverer(
            *(self._application, connect, now, lambda: 0.5),
            threads=4,
            breaker_seconds=1.0,
            finished=finished.release,
        )
        while True:
            judged, begun = receiver.work(), deliverer.work()
            for _ in range(begun):
                assert finished.acquire(timeout=30)
            if not judged and not begun:
                break
        deliverer.close()
        transport.close()

    def edit_ticket(self, **fields: str) -> None:
        self._globex("PATCH", f"/{self.ticket}", **fields)

    def edit_incident(self, **fields: str) -> None:
        self._snow("PATCH", f"/{self.incident}", fields)

    def title_of_incident(self) -> str:
        return str(self._snow("GET", f"/{self.incident}")["short_description"])

    def delete_incident(self) -> None:
        self._snow("DELETE", f"/{self.incident}")

    def _globex(self, method: str, path: str, **values: str) -> Any:
        answer = HTTP.request(
            method,
            f"{self.globex}/records/ticket{path}",
            json={"fields": values, "user": "gil"},
        )
        assert answer.status < 300, answer.data
        return answer.json()

    def _snow(self, method: str, path: str, body: Any = None) -> Any:
        login = b64encode(f"admin:{PASSWORD}".encode()).decode()
        answer = HTTP.request(
            method,
            f"{self.snow}/api/now/table/incident{path}",
            json=body,
            headers={"Authorization": f"Basic {login}", "Accept": "application/json"},
        )
        assert answer.status < 300, answer.data
        return answer.json()["result"] if answer.data else None


@pytest.fixture
def shared(
    rps: Rps, application: RemoteProcessSync, tmp_path: Path
) -> Iterator[Shared]:
    with ExitStack() as stack:
        yield Shared(rps, application, tmp_path, stack)


def compared(rps: Rps, *options: str) -> tuple[int, dict[str, Any]]:
    result = rps("compare", "ticket.shared", "-o", "json", *options)
    return result.exit_code, json.loads(result.stdout)


def test_missed_edits_are_found_and_travel_once_they_are_taken_in(
    rps: Rps, shared: Shared
) -> None:
    code, found = compared(rps)
    assert (code, found["counts"], found["records"]) == (0, {"same": 2}, [])

    shared.edit_ticket(summary="Flood")
    code, found = compared(rps)
    [record] = found["records"]
    assert (code, record["member"], record["record_id"]) == (5, "globex", shared.ticket)
    assert record["fields"] == [{"field": "title", "known": "Fire", "there": "Flood"}]

    code, found = compared(rps, "--repair")
    assert (code, found["records"][0]["repair"]) == (5, "captured")
    shared.settle()
    assert shared.title_of_incident() == "Flood"
    shared.edit_incident(short_description="Smoke")
    code, found = compared(rps, "--member", "snow")
    assert (code, found["compared"]) == (5, 1)
    assert found["records"][0]["fields"][0]["there"] == "Smoke"


def test_people_read_it_as_a_table(rps: Rps, shared: Shared) -> None:
    same = rps("compare", "ticket.shared")
    assert "2 records compared: all as known" in same.stderr
    shared.edit_incident(short_description="Smoke")
    differs = rps("compare", "ticket.shared")
    assert differs.exit_code == 5
    assert "1 of 2 records differ" in differs.stderr
    line = next(each for each in differs.stdout.splitlines() if "Smoke" in each)
    assert line.split() == [
        *("snow", shared.incident, "different", "title", "Fire", "Smoke")
    ]
    shared.delete_incident()
    assert "gone" in rps("compare", "ticket.shared").stdout


def test_what_cannot_be_compared_says_so(rps: Rps, shared: Shared) -> None:
    assert rps("compare", "no.such").exit_code == 3
    wrong = rps("compare", "ticket.shared", "--member", "acme")
    assert wrong.exit_code == 3
    assert "no member acme, but snow, globex" in wrong.stderr
    none = rps("compare", "ticket.shared", "--record", "nobody")
    assert (none.exit_code, "0 records compared" in none.stderr) == (0, True)
    rps("system", "add", "globex", "--url", "http://127.0.0.1:1/rps")
    away = rps("compare", "ticket.shared", "--member", "globex")
    assert away.exit_code == 4
    assert "stopped after 0 records: globex: " in away.stderr
    assert shared.ticket
