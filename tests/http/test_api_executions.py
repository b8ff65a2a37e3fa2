"""Executions over HTTP: why a message looked as it did, and nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from api_node import change_of
from trying import OTHER, WHAT_IF, checked, linked

from rps.domain import events

if TYPE_CHECKING:
    from api_node import Node


NOBODY = UUID(int=404)


def test_a_messages_execution_tells_all_of_it(sharing: Node) -> None:
    key = sharing.shared(changed_by="anna")
    message_id = sharing.message(key)
    sharing.later(seconds=2)
    sharing.tell(
        key,
        events.MessageTransmitted,
        message_id=message_id,
        member="globex",
        attempt=1,
        delivery_id=message_id,
        operation="create",
        record_id=None,
        if_match=None,
        fields={"summary": "Printer", "status": "new"},
        entry_ids=[],
        request_sha256="0" * 64,
        status=200,
        response='{"record_id": "T1", "token": "s3cr3tvalue"}',
        seconds=0.25,
    )
    sharing.acknowledge(key)

    path = f"/v1/messages/{message_id}/execution"
    found = checked(sharing, "MessageExecution", sharing.call("GET", path))

    assert found["change"]["changed_by"] == "anna"
    assert found["judgement"]["as_recorded"] is True
    kinds = [each["kind"] for each in found["judgement"]["steps"]]
    assert kinds == ["capture", "map", "merge", "merge", "verdict"]
    (delivery,) = found["deliveries"]
    (attempt,) = delivery["attempts"]
    assert attempt["as_sent"] is True
    assert attempt["outcome"]["kind"] == "acknowledged"
    assert "s3cr3tvalue" not in attempt["response"]
    assert found["outcome"]["state"] == "delivered"
    assert found["seconds"]["judged_to_sent"] == 2.0
    assert found["error"] is None


def test_a_message_that_no_change_made_tells_who_did(sharing: Node) -> None:
    key = sharing.shared()
    linked(sharing, key)
    at = f"/v1/correlations/{key}/members/globex"
    assert sharing.call("POST", f"{at}/unlink", {"reason": "a while"}).status == 200
    changed = {"short_description": "Scanner"}
    sharing.shared(operation="update", change_id="c2", fields=changed)
    assert sharing.call("POST", f"{at}/relink", {"reason": "again"}).status == 200

    path = f"/v1/messages/{sharing.message(key)}/execution"
    found = checked(sharing, "MessageExecution", sharing.call("GET", path))

    assert (found["change"], found["judgement"]) == (None, None)
    assert found["made_by"]["topic"] == "correlation.relinked"
    assert (found["made_by"]["actor"], found["made_by"]["reason"]) == ("admin", "again")
    assert found["deliveries"][0]["write"]["fields"]["summary"] == "Scanner"


def test_a_parked_message_names_its_step(sharing: Node) -> None:
    key = sharing.shared()
    message_id = sharing.park(key)
    found = checked(
        sharing,
        "MessageExecution",
        sharing.call("GET", f"/v1/messages/{message_id}/execution"),
    )

    assert found["outcome"]["state"] == "parked"
    assert found["error"] == {
        "step": "write",
        "place": "/members/globex",
        "line": None,
        "detail": "422 no such assignee",
    }


def test_a_failed_change_names_step_and_place(sharing: Node) -> None:
    sharing.capture(fields={"state": "unheard of"})
    sharing.receive()
    entry = _entry(sharing)
    path = f"/v1/inbound/{entry['correlation_id']}/{entry['sequence']}/execution"
    found = checked(sharing, "ChangeExecution", sharing.call("GET", path))

    assert found["judgement"]["outcome"] == "failed"
    assert found["error"]["step"] == "map"
    assert found["error"]["place"] == "/members/acme/fields/state"


def _entry(node: Node) -> Any:
    return node.get("/v1/inbound")["entries"][0]


def test_a_change_that_was_moved_is_followed_to_where_it_was_judged(
    sharing: Node,
) -> None:
    """Globex reported the record before its answer told that we had made it."""
    own = sharing.shared()
    early = {
        **change_of("T1", change_id="early"),
        "system": "globex",
        "table": "ticket",
    }
    early |= {"operation": "update", "fields": {"summary": "Plotter"}}
    receipt = sharing.call("POST", "/v1/changes", early).json
    linked(sharing, own)
    sharing.receive()
    (where,) = receipt["correlations"]
    assert where["correlation_id"] != str(own)

    path = f"/v1/inbound/{where['correlation_id']}/{where['position']}/execution"
    found = checked(sharing, "ChangeExecution", sharing.call("GET", path))

    assert found["correlation_id"] == str(own)
    assert found["change"]["change_id"] == "early"
    assert found["judgement"]["outcome"] == "accepted"
    assert found["judgement"]["as_recorded"] is True
    judged = sharing.call("POST", WHAT_IF, {}).json
    assert (judged["judged"], judged["different"]) == (2, 0)


def test_a_change_that_waits_is_not_judged_yet(sharing: Node) -> None:
    sharing.capture()
    entry = _entry(sharing)
    path = f"/v1/inbound/{entry['correlation_id']}/{entry['sequence']}/execution"
    found = checked(sharing, "ChangeExecution", sharing.call("GET", path))

    assert found["judgement"] is None
    assert found["change"]["fields"] == {"short_description": "Printer", "state": "1"}


def test_an_execution_is_under_the_revision_that_was_in_force(sharing: Node) -> None:
    key = sharing.shared()
    message_id = sharing.message(key)
    sharing.call("PUT", "/v1/definitions/incident.shared", OTHER)
    sharing.call("POST", "/v1/definitions/incident.shared/publish")

    found = sharing.get(f"/v1/messages/{message_id}/execution")
    assert found["judgement"]["revision"] == 1
    assert found["deliveries"][0]["write"]["fields"]["status"] == "new"


def test_executions_of_others_are_the_same_404(sharing: Node) -> None:
    key = sharing.shared()
    own = f"/v1/messages/{sharing.message(key)}/execution"
    entry = f"/v1/inbound/{key}/{_entry(sharing)['sequence']}/execution"
    nobody = f"/v1/messages/{NOBODY}/execution"
    bodies = [
        sharing.call("GET", path, who=who)
        for path, who in ((own, "stranger"), (entry, "stranger"), (nobody, "admin"))
    ]

    assert [each.status for each in bodies] == [404, 404, 404]
    kinds = {(each.json["type"], each.json["detail"]) for each in bodies}
    assert len(kinds) == 1
    assert sharing.call("GET", own, who="auditor").status == 200
    assert sharing.call("GET", own, who="ih_process_sync_api").status == 403
    assert sharing.call("GET", own, who=None).status == 401


@pytest.mark.parametrize(
    "path",
    [
        "/v1/messages/nothing/execution",
        f"/v1/inbound/{NOBODY}/1/execution",
        f"/v1/inbound/{NOBODY}/99999999999999999999/execution",
        f"/v1/inbound/{NOBODY}/-1/execution",
    ],
)
def test_an_execution_of_nothing_is_not_found(sharing: Node, path: str) -> None:
    assert sharing.call("GET", path).status == 404
