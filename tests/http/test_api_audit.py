"""The audit over http: checkpoints, proofs, exports that prove themselves, reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from rps.http.openapi import SCHEMAS
from rps.log.checkpoint import Checkpoint
from rps.log.examining import Examined, Examiner
from rps.log.exported import read
from rps.log.note import Note, PublicKey
from rps.log.trust import Held

if TYPE_CHECKING:
    from uuid import UUID

    from api_node import Node

# Routes that show records, messages or files; what only configures shows none. Written
# out: a route that is added has to be judged.
LOOKED_AT = {
    "get_attachment",
    "get_audit",
    "get_change_execution",
    "get_conflict",
    "get_correlation",
    "get_message_execution",
    "get_problem",
    "get_proof",
    "get_state",
    "get_timeline",
    "list_conflicts",
    "list_correlations",
    "list_inbound",
    "list_outbound",
    "list_problems",
    "post_dry_run",
    "post_what_if",
}


def examined(answered: Any, *checkpoints: Note) -> Examined:
    lines = answered.bytes.splitlines(keepends=True)
    return Examiner(Held(checkpoints=checkpoints)).examine(read(lines))


def signed(node: Node) -> Note:
    answered = node.call("POST", "/v1/audit/checkpoints", who="auditor")
    assert answered.status == 200, answered.bytes
    return Note.of(answered.json["note"])


@pytest.fixture
def shared(sharing: Node) -> UUID:
    return sharing.shared()


@pytest.mark.usefixtures("shared")
def test_a_checkpoint_is_signed_when_it_is_asked_for_and_listed(sharing: Node) -> None:
    assert sharing.get("/v1/audit/checkpoints", who="auditor")["checkpoints"] == []
    note = signed(sharing)
    assert signed(sharing) == note
    sharing.capture("INC2")
    newer = signed(sharing)
    said = sharing.get("/v1/audit/checkpoints", who="auditor")
    assert [row["note"] for row in said["checkpoints"]] == [str(newer), str(note)]
    [key] = [PublicKey.of(each["key"]) for each in said["keys"]]
    assert note.signers([key]) == [key]
    first = sharing.call("GET", "/v1/audit/checkpoints?limit=1", who="auditor")
    [row] = first.json["checkpoints"]
    assert row["size"] == Checkpoint.of(newer.text).size
    following = first.headers["Link"].partition("<")[2].partition(">")[0]
    [row] = sharing.get(following, who="auditor")["checkpoints"]
    assert row["root"] == Checkpoint.of(note.text).root.hex()
    jsonschema.validate(row, SCHEMAS["AuditCheckpoint"])


@pytest.mark.usefixtures("shared")
def test_the_whole_log_comes_with_what_proves_it(sharing: Node) -> None:
    note = signed(sharing)
    answered = sharing.call("GET", "/v1/audit?whole=true", who="auditor")
    found = examined(answered, note)
    assert (found.breaks, found.seen_to) == ([], Checkpoint.of(note.text).size)
    part = sharing.call("GET", "/v1/audit?whole=true&after=3", who="auditor")
    assert examined(part, note).breaks == []
    for line in [*answered.lines, *part.lines]:
        jsonschema.validate(line, SCHEMAS["AuditLine"])


def test_a_tenant_verifies_its_own_events_without_those_of_others(
    sharing: Node, shared: UUID
) -> None:
    sharing.tokens["theirs"] = sharing.token("top/else", "theirs", ["auditor"])
    note = signed(sharing)
    for who, domain in (("auditor", "top"), ("theirs", "top/else")):
        answered = sharing.call("GET", "/v1/audit?proofs=true", who=who)
        found = examined(answered, note)
        assert (found.breaks, found.selection) == ([], {"domain": domain})
        assert found.events > 1
    one = sharing.call(
        "GET", f"/v1/audit?proofs=true&correlation_id={shared}", who="auditor"
    )
    found = examined(one, note)
    assert (found.breaks, found.events) == ([], 4)
    for line in one.lines:
        jsonschema.validate(line, SCHEMAS["AuditLine"])


def test_a_message_is_proven(sharing: Node, shared: UUID) -> None:
    path = f"/v1/audit/proofs/{sharing.message(shared)}"
    uncovered = sharing.call("GET", path, who="auditor")
    assert (uncovered.status, uncovered.json["type"][-11:]) == (409, "not-covered")
    old = signed(sharing)
    assert examined(sharing.call("GET", path, who="auditor"), old).breaks == []
    sharing.acknowledge(shared)
    assert sharing.call("GET", path, who="auditor").status == 409
    note = signed(sharing)
    found = examined(sharing.call("GET", path, who="auditor"), note)
    assert (found.breaks, found.events) == ([], 3)
    assert found.seen_to == Checkpoint.of(note.text).size


def test_a_foreign_message_is_as_good_as_none(sharing: Node, shared: UUID) -> None:
    signed(sharing)
    message = sharing.message(shared)
    foreign = sharing.call("GET", f"/v1/audit/proofs/{message}", who="stranger")
    missing = sharing.call("GET", "/v1/audit/proofs/nosuch", who="stranger")
    assert (foreign.status, missing.status) == (404, 404)
    told = ({**each.json, "instance": ""} for each in (foreign, missing))
    assert next(told) == next(told)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/audit?proofs=maybe",
        "/v1/audit?proofs=true&whole=true",
        "/v1/audit?proofs=true&after=3",
        "/v1/audit/checkpoints?cursor=x",
        "/v1/audit/checkpoints?limit=0",
        "/v1/audit/proofs/m?size=0",
        "/v1/audit/proofs/m?size=x",
        "/v1/audit/reads?reader=",
        "/v1/audit/reads?object=%00",
        "/v1/audit/reads?other=1",
    ],
)
def test_a_question_that_makes_no_sense_is_refused(sharing: Node, path: str) -> None:
    answered = sharing.call("GET", path, who="auditor")
    assert answered.status == 400, answered.bytes


# --- who looked at what ---------------------------------------------------------------


def test_every_route_that_shows_content_is_recorded(node: Node) -> None:
    views = node.app.view_functions
    marked = {
        name.rpartition(".")[2]
        for name, view in views.items()
        if getattr(view, "looks_at", "")
    }
    assert marked == LOOKED_AT


def test_who_looked_at_a_record_is_told_to_auditors_of_the_domain(
    sharing: Node, shared: UUID
) -> None:
    assert sharing.get(f"/v1/correlations/{shared}", who="operator")
    assert sharing.get(f"/v1/correlations/{shared}", who="operator")
    assert sharing.get("/v1/correlations?q=Printer", who="ih_process_sync")
    sharing.call("GET", f"/v1/correlations/{shared}", who="stranger")  # 404
    sharing.call("GET", f"/v1/correlations/{shared}", who="nobody")  # 403
    said = sharing.get("/v1/audit/reads", who="auditor")
    jsonschema.validate(said, SCHEMAS["AuditReads"])
    told = [(r["reader"], r["via"], r["what"], r["object"]) for r in said["reads"]]
    assert told == [
        ("ih_process_sync", "api", "correlations", "?q=Printer"),
        ("operator", "api", "correlation", str(shared)),
    ]
    assert {read["place"] for read in said["reads"]} == {"127.0.0.1"}
    assert sharing.get("/v1/audit/reads", who="stranger")["reads"] == []
    one = sharing.get("/v1/audit/reads?reader=operator&limit=1", who="auditor")
    assert [read["object"] for read in one["reads"]] == [str(shared)]


def test_what_cannot_be_recorded_is_not_shown(sharing: Node, shared: UUID) -> None:
    with sharing.application.datastore.get_connection() as conn:
        conn.execute("SET ROLE NONE")
        conn.execute("ALTER TABLE reads RENAME TO gone")
    answered = sharing.call("GET", f"/v1/correlations/{shared}", who="operator")
    assert answered.status >= 500
    assert b"Printer" not in answered.bytes
