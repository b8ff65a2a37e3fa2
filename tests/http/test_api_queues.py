"""Queues and replays over HTTP: what waits and why, and what people do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg
from test_api_correlations import pages

from rps.domain import events

if TYPE_CHECKING:
    from api_node import Node

WHY = {"reason": "the partner mended it"}


def outbound(node: Node, query: str = "") -> list[Any]:
    return list(node.get(f"/v1/outbound{query}", who="operator")["entries"])


def waiting_twice(node: Node) -> UUID:
    """A correlation with two messages to globex, the first one parked."""
    correlation_id = node.shared(revision=1)
    node.shared(
        revision=2, operation="update", fields={"short_description": "Printer on fire"}
    )
    node.park(correlation_id)
    return correlation_id


def bad_changes(node: Node, count: int) -> None:
    for number in range(count):
        node.shared(f"INC{number}", fields={"state": "nonsense"})


def test_an_entry_says_what_it_waits_behind_and_why(sharing: Node) -> None:
    waiting_twice(sharing)
    first, second = outbound(sharing)
    assert first["waits_for"] == {"why": "a person: 422 no such assignee"}
    assert second["waits_for"] == {
        "message_id": first["message_id"],
        "why": "a person: 422 no such assignee",
    }
    assert (first["status"], second["status"]) == ("error", "ready")


def test_an_entry_that_is_due_waits_for_whatever_stands_in_the_way(
    sharing: Node,
) -> None:
    correlation_id = sharing.shared()

    def why() -> str:
        return str(outbound(sharing)[0]["waits_for"]["why"])

    assert why() == "a deliverer to take it"
    sharing.call("POST", "/v1/systems/globex/pause", {"reason": "x"})
    assert why() == "the system is paused"
    sharing.call("POST", "/v1/systems/globex/resume")
    retry_at = sharing.now.replace(minute=5)
    sharing.tell(
        correlation_id,
        events.MessageFailed,
        message_id=sharing.message(correlation_id),
        member="globex",
        attempt=1,
        kind="retryable",
        status=503,
        detail="503 busy",
        retry_at=retry_at.isoformat(),
    )
    assert why() == "the next attempt at 2025-01-02T12:05:00+00:00, 1 made: 503 busy"
    with psycopg.connect(sharing.application.database_url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO breakers VALUES"
            " ('top', 'globex', 1, '2099-01-01 00:00:00Z', NULL, 'timeouts')"
        )
    assert why() == "the system's breaker, until 2099-01-01T00:00:00+00:00: timeouts"
    sharing.tell(
        correlation_id,
        events.MessageFailed,
        message_id=sharing.message(correlation_id),
        member="globex",
        attempt=2,
        kind="uncertain",
        status=None,
        detail="no answer",
        retry_at=None,
    )
    sharing.call("POST", "/v1/systems/globex/activate")
    assert why().startswith("its answer was lost")


def test_a_settled_entry_waits_for_nothing(sharing: Node) -> None:
    sharing.acknowledge(sharing.shared())
    (entry,) = outbound(sharing)
    assert entry["status"] == "processed"
    assert "waits_for" not in entry


def test_the_queues_are_filtered_and_paged(sharing: Node) -> None:
    for number in range(5):
        sharing.shared(f"INC{number}")
    first = outbound(sharing)[0]
    found = pages(sharing, "/v1/outbound?limit=2&status=ready", "entries")
    assert [len(page) for page in found] == [2, 2, 1]
    assert outbound(sharing, "?status=error") == []
    assert outbound(sharing, "?system=acme") == []
    assert len(outbound(sharing, "?system=globex&process_event=incident.shared")) == 5
    one = outbound(sharing, f"?correlation_id={first['correlation_id']}")
    assert one == [first]
    found = pages(sharing, "/v1/inbound?limit=2&system=acme", "entries")
    assert [len(page) for page in found] == [2, 2, 1]
    assert [e["record_id"] for page in found for e in page] == [
        f"INC{number}" for number in range(5)
    ]


def test_a_failed_change_holds_what_comes_after_it(sharing: Node) -> None:
    bad_changes(sharing, 1)
    sharing.capture("INC0", operation="update", fields={"state": "1"})
    failed, behind = sharing.get("/v1/inbound")["entries"]
    assert failed["waits_for"]["why"].startswith("a person: ")
    assert behind["waits_for"] == {
        "sequence": failed["sequence"],
        "why": "the change before it is error",
    }


def test_a_failed_change_is_judged_again_or_left_out(sharing: Node) -> None:
    bad_changes(sharing, 1)
    (entry,) = sharing.get("/v1/inbound?status=error")["entries"]
    path = f"/v1/inbound/{entry['correlation_id']}/{entry['sequence']}"
    assert sharing.call("POST", f"{path}/retry", WHY).json == {"result": "retried"}
    sharing.receive()
    assert sharing.get("/v1/inbound")["entries"][0]["status"] == "error"
    assert sharing.call("POST", f"{path}/skip", WHY).json == {"result": "skipped"}
    (entry,) = sharing.get("/v1/inbound")["entries"]
    assert (entry["status"], entry["detail"]) == (
        "skipped",
        "admin: the partner mended it",
    )
    assert sharing.call("POST", f"{path}/skip", WHY).status == 409


def test_a_parked_message_is_sent_again(sharing: Node) -> None:
    waiting_twice(sharing)
    first, second = outbound(sharing)
    path = f"/v1/outbound/{first['message_id']}/retry"
    done = sharing.call("POST", path, WHY, who="operator")
    assert done.json == {"message_id": first["message_id"], "result": "retried"}
    first, second = outbound(sharing)
    assert (first["status"], first["attempts"]) == ("ready", 0)
    assert second["waits_for"]["message_id"] == first["message_id"]


def test_a_skipped_message_lets_its_lane_go_on(sharing: Node) -> None:
    waiting_twice(sharing)
    first, second = outbound(sharing)
    path = f"/v1/outbound/{first['message_id']}/skip"
    assert sharing.call("POST", path, WHY).status == 200
    assert sharing.call("POST", path, WHY).status == 409
    (entry,) = outbound(sharing, "?status=ready")
    assert entry["message_id"] == second["message_id"]
    assert entry["waits_for"] == {"why": "a deliverer to take it"}


def test_an_entry_somebody_works_on_is_left_alone(sharing: Node) -> None:
    sharing.shared()
    (entry,) = outbound(sharing)
    with psycopg.connect(sharing.application.database_url, autocommit=True) as conn:
        conn.execute(
            "UPDATE lanes SET holder = 'deliverer',"
            " leased_until = clock_timestamp() + interval '1 minute'"
        )
    path = f"/v1/outbound/{entry['message_id']}/skip"
    answered = sharing.call("POST", path, WHY)
    assert answered.status == 409
    assert answered.json["type"] == "urn:rps:problem:lane-busy"
    assert outbound(sharing)[0]["waits_for"] == {"why": "it is being sent"}
    body = {"filter": {"status": "ready"}, "reason": "x"}
    results = sharing.call("POST", "/v1/outbound/skip", body).json["results"]
    assert [result["result"] for result in results] == ["busy"]


def test_many_entries_are_told_by_one_filter(sharing: Node) -> None:
    for number in range(3):
        sharing.park(sharing.shared(f"INC{number}"))
    sharing.shared("INC9")
    body = {"filter": {"system": "globex"}, "reason": "mended", "limit": 2}
    results = sharing.call("POST", "/v1/outbound/retry", body).json["results"]
    assert [result["result"] for result in results] == ["retried", "retried"]
    body = {"filter": {"status": "error", "process_event": "incident.shared"}}
    results = sharing.call("POST", "/v1/outbound/skip", {**body, **WHY}).json["results"]
    assert [result["result"] for result in results] == ["skipped"]
    assert len(outbound(sharing, "?status=ready")) == 3


# --- replays ------------------------------------------------------------------------


def plan(node: Node, **selector: Any) -> Any:
    body = {"selector": selector, "reason": "their restore lost a day"}
    answered = node.call("POST", "/v1/replays", body, who="operator")
    assert answered.status == 201, answered.bytes
    return answered.json


def test_a_replay_is_planned_started_and_cancelled(sharing: Node) -> None:
    correlation_id = sharing.shared()
    sharing.acknowledge(correlation_id)
    planned = plan(sharing, correlation_id=str(correlation_id))
    assert (planned["state"], planned["lane_count"]) == ("planned", 1)
    (lane,) = planned["lanes"]
    assert lane["member"] == "globex"
    assert lane["fields"] == {"title": "Printer", "state": "new"}
    assert len(outbound(sharing)) == 1
    path = f"/v1/replays/{planned['replay_id']}"
    assert sharing.call("POST", f"{path}/start").json["state"] == "started"
    seen = sharing.get(path, who="auditor")
    assert (seen["state"], seen["messages"]) == ("started", {})
    cancelled = sharing.call("POST", f"{path}/cancel", WHY).json
    assert cancelled["state"] == "cancelled"
    assert sharing.call("POST", f"{path}/start").status == 409


def test_a_replay_shows_its_messages_by_status(sharing: Node) -> None:
    sharing.acknowledge(sharing.shared())
    planned = plan(sharing, system="globex")
    path = f"/v1/replays/{planned['replay_id']}"
    sharing.call("POST", f"{path}/start")
    replay = sharing.operations.replay("top", UUID(planned["replay_id"]))
    assert sharing.operations.replay_lane(replay, replay.lanes[0], sharing.now)
    assert sharing.get(path)["messages"] == {"ready": 1}
    sharing.call("POST", f"{path}/cancel", WHY)
    assert sharing.get(path)["messages"] == {"skipped": 1}


def test_a_replay_chooses_by_system_definition_or_time(sharing: Node) -> None:
    sharing.shared("INC1")
    sharing.later(hours=1)
    noon = sharing.now.isoformat()
    sharing.shared("INC2")
    assert plan(sharing, process_event="incident.shared")["lane_count"] == 2
    assert plan(sharing, since=noon)["lane_count"] == 1
    assert plan(sharing, until=noon, system="globex")["lane_count"] == 1
    assert plan(sharing, system="acme")["lane_count"] == 0


def test_what_is_not_there_cannot_be_told_anything(sharing: Node) -> None:
    for path in (
        f"/v1/outbound/{uuid4()}/retry",
        f"/v1/outbound/{uuid4()}/skip",
        f"/v1/inbound/{uuid4()}/1/retry",
        f"/v1/inbound/{uuid4()}/9223372036854775807/skip",
        f"/v1/replays/{uuid4()}/cancel",
    ):
        assert sharing.call("POST", path, WHY).status == 404
