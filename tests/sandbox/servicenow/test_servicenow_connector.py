"""Our own connector against an instance in a process of its own, over TLS, which
misbehaves: each fault ends as an outcome that says why, and nothing is there twice."""

from __future__ import annotations

import hashlib
import ipaddress
import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from instance_process import CLIENT, PASSWORD, InstanceProcess

from rps.connectors.servicenow.connector import ServiceNowConnector
from rps.connectors.servicenow.keeping import MemoryFiles, MemoryLedger
from rps.connectors.transport import Transport
from rps.domain.agreement import SharedAttachments
from rps.domain.delivery import (
    Attachment,
    Changes,
    Delivered,
    Found,
    JournalEntry,
    Moved,
    NeedsCredentials,
    Refused,
    Snapshot,
    Unavailable,
    Uncertain,
    Write,
)
from rps.domain.uses import Uses

if TYPE_CHECKING:
    from collections.abc import Iterator

SHOT = b"a screenshot" * 50_000
SHA256 = hashlib.sha256(SHOT).hexdigest()
USES = Uses(
    {"short_description": "text", "due_date": "date-time"},
    frozenset({"comments", "work_notes"}),
    frozenset({"create", "update", "delete"}),
    frozenset({"create", "update", "delete"}),
    (SharedAttachments("comments", 10_000_000),),
)


class OurFiles(MemoryFiles):
    def read(self, sha256: str) -> Iterator[bytes]:
        assert sha256 == SHA256
        yield from (SHOT[:70_000], SHOT[70_000:])


class There:
    def __init__(self, running: InstanceProcess, *, trusted: bool = True) -> None:
        self.running = running
        self.ledger, self.files = MemoryLedger(), OurFiles()
        trust = {"authorities": running.pem.read_text()} if trusted else {}
        networks = (ipaddress.ip_network("127.0.0.0/8"),)
        self.transport = Transport(networks, total_seconds=5, **trust)
        self.connector = self.connect()

    def connect(self, **settings: Any) -> ServiceNowConnector:
        secrets = {"password": PASSWORD, "client_secret": CLIENT[1]}
        told = {"url": self.running.url, "username": "rps.integration", **settings}
        return ServiceNowConnector(
            self.transport,
            settings=told,
            secrets=[json.dumps(secrets)],
            uses=lambda _table: USES,
            ledger=self.ledger,
            files=self.files,
        )

    def faults(self, *faults: dict[str, Any]) -> None:
        self.running.control("PUT", "/faults", {"faults": list(faults)})

    def count(self, table: str, query: str) -> int:
        path = f"/api/now/table/{table}?sysparm_query={query}&sysparm_limit=1"
        answer = self.running.ask("GET", path)
        return int(answer.headers["X-Total-Count"])

    def made(self) -> str:
        told = self.connector.write(write())
        assert isinstance(told, Delivered)
        return told.record_id


@pytest.fixture
def there(running: InstanceProcess) -> Iterator[There]:
    made = There(running)
    yield made
    made.transport.close()


def write(operation: str = "create", **given: Any) -> Write:
    about: dict[str, Any] = {
        "delivery_id": "m1",
        "correlation_id": str(uuid4()),
        "process_event": "incident.shared",
        "operation": operation,
        "table": "incident",
        "record_id": None,
        "if_match": None,
        "fields": {"short_description": "Printer on fire"},
    }
    return Write(**{**about, **given})


@pytest.mark.parametrize("kind", ["lost", "cut", "truncated", "html", "error-body"])
def test_a_create_that_goes_wrong_is_settled_and_there_once(
    there: There, kind: str
) -> None:
    create = write(entries=(JournalEntry("z:1", "comments", "Smoke"),))
    there.faults({"kind": kind, "method": "POST", "after": True})
    first = there.connector.write(create)
    assert isinstance(first, Uncertain)
    found = there.connector.settle(create)
    assert isinstance(found, Found)
    assert there.count("incident", f"correlation_id={create.correlation_id}") == 1
    record_id = found.record.record_id
    assert there.count("sys_journal_field", f"element_id={record_id}") == 1


@pytest.mark.parametrize("kind", ["lost", "cut", "truncated", "html"])
def test_a_comment_that_goes_wrong_is_settled_and_there_once(
    there: There, kind: str
) -> None:
    record_id = there.made()
    entries = (
        JournalEntry("z:1", "comments", "ok"),
        JournalEntry("z:2", "comments", "ok"),
    )
    update = write("update", record_id=record_id, fields={}, entries=entries)
    there.faults({"kind": kind, "method": "PATCH", "after": True, "skip": 1})
    assert isinstance(there.connector.write(update), Uncertain)
    assert isinstance(there.connect().settle(update), Found)
    assert there.count("sys_journal_field", f"element_id={record_id}") == 2


def test_a_file_that_goes_wrong_is_settled_and_there_once(there: There) -> None:
    record_id = there.made()
    file = Attachment("z:a", "shot.png", len(SHOT), "image/png", SHA256)
    update = write("update", record_id=record_id, fields={}, attachments=(file,))
    there.faults(
        {"kind": "lost", "method": "POST", "path": "attachment", "after": True}
    )
    assert isinstance(there.connector.write(update), Uncertain)
    assert isinstance(there.connect().settle(update), Found)
    assert there.count("sys_attachment", f"table_sys_id={record_id}") == 1
    came = there.connector.fetch(SHA256, 0)
    assert b"".join(came.pieces) == SHOT


def test_a_busy_instance_asks_for_a_pause(there: There) -> None:
    there.faults({"kind": "status", "status": 429, "retry_after": 9})
    told = there.connector.write(write())
    assert isinstance(told, Unavailable)
    assert told.retry_after == 9


def test_dates_journals_and_revisions_are_as_they_are_there(there: There) -> None:
    create = write(
        fields={"short_description": "x", "due_date": "2026-12-01T10:00:00Z"}
    )
    told = there.connector.write(create)
    assert isinstance(told, Delivered)
    seen = there.connector.read("incident", told.record_id)
    assert isinstance(seen, Snapshot)
    assert seen.fields["due_date"] == "2026-12-01 10:00:00"
    assert seen.revision == told.revision
    stale = write("update", record_id=told.record_id, if_match="99")
    assert isinstance(there.connector.write(stale), Moved)


def test_what_people_do_there_is_told(there: There) -> None:
    came = there.connector.changes_since("incident", None)
    assert isinstance(came, Changes)
    posted = there.running.ask(
        "POST",
        "/api/now/table/incident",
        "ann.agent",
        json={"short_description": "Fire", "comments": "Smoke"},
    ).json()["result"]
    other = there.made()
    there.running.ask("DELETE", f"/api/now/table/incident/{other}")
    came = there.connector.changes_since("incident", came.cursor)
    assert isinstance(came, Changes)
    [shown] = [s for s in came.records if s.record.record_id == posted["sys_id"]]
    assert shown.changed_by == "ann.agent"
    assert shown.is_new
    assert [each["text"] for each in shown.entries] == ["Smoke"]
    assert [s.record.record_id for s in came.records if s.record.deleted] == [other]


@pytest.mark.parametrize("auth", ["oauth-password", "oauth-client"])
def test_oauth_works_and_a_token_that_ended_is_replaced(
    there: There, auth: str
) -> None:
    connector = there.connect(auth=auth, client_id=CLIENT[0])
    assert isinstance(connector.write(write()), Delivered)
    there.faults({"kind": "status", "status": 401, "method": "PATCH"})
    record_id = there.made()
    update = write("update", record_id=record_id, fields={"short_description": "y"})
    assert isinstance(connector.write(update), Delivered)


def test_a_certificate_that_nobody_trusts_says_so(running: InstanceProcess) -> None:
    there = There(running, trusted=False)
    told = there.connector.write(write())
    assert isinstance(told, Unavailable)
    assert "a certificate that is trusted" in told.detail
    there.transport.close()


def test_who_may_not_write_is_told_which_right_is_missing(there: There) -> None:
    record_id = there.made()
    reader = there.connect(username="rita.reader")
    told = reader.write(
        write("update", record_id=record_id, fields={"short_description": "z"})
    )
    assert isinstance(told, Refused | NeedsCredentials)
    assert "role" in told.detail
    checked = {each.what: each for each in reader.examine(["incident"])}
    assert checked["writing incident"].result == "error"
    assert "role" in checked["writing incident"].remedy


def test_a_check_of_who_may_all_finds_nothing_wrong(there: There) -> None:
    there.made()
    checked = list(there.connector.examine(["incident"]))
    assert [each for each in checked if each.result != "ok"] == []
