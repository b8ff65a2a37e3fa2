"""Problems over HTTP: one a mistake, with cause and remedy; a whole group treated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
from test_api_correlations import pages

from rps.domain import events
from rps.workers.sweeper import Sweeper
from rps.workers.worker import Projector

if TYPE_CHECKING:
    from uuid import UUID

    from api_node import Node

WHY = {"reason": "they mended it"}


def follow(node: Node) -> None:
    projector = Projector(node.application)
    while projector.work():
        pass


def sweep(node: Node) -> None:
    """Until nothing is left to do, with the view brought up after each round."""
    sweeper = Sweeper(node.application, lambda: node.now)
    for _ in range(4):
        sweeper.work()
        follow(node)


def problems(node: Node, query: str = "", who: str = "operator") -> list[Any]:
    follow(node)
    return list(node.get(f"/v1/problems{query}", who=who)["problems"])


def unreadable(node: Node, *records: str) -> None:
    for record in records:
        node.shared(record, fields={"state": f"of {record}"})


def refused(node: Node, *records: str, detail: str = "answered 422: no user") -> None:
    for record in records:
        correlation_id = node.shared(record)
        park(node, correlation_id, detail)


def park(node: Node, correlation_id: UUID, detail: str) -> None:
    node.tell(
        correlation_id,
        events.MessageParked,
        message_id=node.message(correlation_id),
        member="globex",
        detail=detail,
    )


def failed(node: Node, correlation_id: UUID, **more: Any) -> None:
    node.tell(
        correlation_id,
        events.MessageFailed,
        **{
            "message_id": node.message(correlation_id),
            "member": "globex",
            "attempt": 1,
            "kind": "retryable",
            "status": 503,
            "detail": "answered 503: busy",
            "retry_at": node.now.isoformat(),
            **more,
        },
    )


def test_the_same_mistake_is_one_problem_with_cause_and_remedy(sharing: Node) -> None:
    unreadable(sharing, "INC1", "INC2", "INC3", "INC4")
    refused(sharing, "INC5", "INC6")
    first, second = problems(sharing)
    assert (first["queue"], first["entries"]) == ("outbound", 2)
    assert (first["member"], first["system"]) == ("globex", "globex")
    assert (first["code"], first["status"]) == ("refused", 422)
    assert (second["queue"], second["entries"]) == ("inbound", 4)
    assert (second["code"], second["field"]) == ("value-unknown", "state")
    assert second["process_event"] == "incident.shared"
    assert f"rps problems retry {second['fingerprint']}" in second["remedy"]
    details = [each["detail"] for each in second["examples"]]
    assert len(details) == 3
    assert details[0].startswith("'state': 'of INC4' has no shared value")
    assert {"sequence", "correlation_id"} <= second["examples"][0].keys()
    one = sharing.get(f"/v1/problems/{second['fingerprint']}")
    assert len(one["examples"]) == 4


def test_what_is_tried_again_or_uncertain_is_a_problem_until_it_arrives(
    sharing: Node,
) -> None:
    correlation_id = sharing.shared()
    failed(sharing, correlation_id)
    (found,) = problems(sharing)
    assert (found["state"], found["code"]) == ("ready", "system-fails")
    assert found["breaker"] is None
    sharing.later(seconds=30)
    failed(sharing, correlation_id, attempt=2)
    (again,) = problems(sharing)
    assert again["fingerprint"] == found["fingerprint"]
    assert again["entries"] == 1
    assert again["first_at"] < again["last_at"]
    assert again["examples"][0]["attempts"] == 2
    failed(sharing, correlation_id, kind="uncertain", detail="not done in time")
    (lost,) = problems(sharing)
    assert (lost["state"], lost["code"]) == ("uncertain", "answer-lost")
    with psycopg.connect(sharing.application.database_url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO breakers VALUES"
            " ('top', 'globex', 3, '2099-01-01 00:00:00Z', NULL, 'timeouts')"
        )
    (lost,) = problems(sharing)
    assert (lost["breaker"]["trips"], lost["breaker"]["is_open"]) == (3, True)
    sharing.acknowledge(correlation_id)
    assert problems(sharing) == []


def test_what_was_made_anew_or_taken_over_there_is_no_problem(sharing: Node) -> None:
    correlation_id = sharing.shared()
    failed(sharing, correlation_id)
    failed(sharing, correlation_id, kind="moved", retry_at=None)
    assert problems(sharing) == []


def test_problems_come_in_pages_and_narrowed(sharing: Node) -> None:
    for number in range(3):
        refused(sharing, f"INC{number}", detail=f"answered 42{number}: no")
    unreadable(sharing, "INC9")
    follow(sharing)
    found = pages(sharing, "/v1/problems?limit=2", "problems")
    statuses = [[each["status"] for each in page] for page in found]
    assert statuses == [[0, 422], [421, 420]]
    assert len(problems(sharing, "?queue=outbound")) == 3
    assert len(problems(sharing, "?member=acme")) == 1
    assert problems(sharing, "?system=nobody") == []
    assert sharing.call("GET", "/v1/problems?state=fine").status == 400


def test_a_group_is_tried_again_as_a_whole_once_it_is_started(sharing: Node) -> None:
    refused(sharing, "INC1", "INC2", "INC3")
    refused(sharing, "INC4", detail="answered 400: other")
    other, mine = problems(sharing)
    path = f"/v1/problems/{mine['fingerprint']}/retry"
    planned = sharing.call("POST", path, WHY, who="operator")
    assert planned.status == 201
    assert planned.json["state"] == "planned"
    assert (planned.json["entries"], planned.json["left"]) == (3, 3)
    sweep(sharing)
    assert len(problems(sharing)) == 2  # planned is not started
    refused(sharing, "INC5")  # came too late to be meant
    treatment = f"/v1/treatments/{planned.json['treatment_id']}"
    assert sharing.call("POST", f"{treatment}/start").json["state"] == "started"
    sweep(sharing)
    done = sharing.get(treatment)
    assert (done["state"], done["done"], done["left"]) == ("completed", 3, 0)
    left = problems(sharing)
    assert {each["fingerprint"]: each["entries"] for each in left} == {
        mine["fingerprint"]: 1,
        other["fingerprint"]: 1,
    }
    statuses = [e["status"] for e in sharing.get("/v1/outbound")["entries"]]
    assert statuses == ["ready", "ready", "ready", "error", "error"]
    ended = sharing.call("POST", f"{treatment}/cancel", WHY)
    assert (ended.status, ended.json["type"][-15:]) == (409, "treatment-ended")


def test_a_group_is_skipped_as_a_whole_with_the_reason_kept(sharing: Node) -> None:
    unreadable(sharing, "INC1", "INC2")
    (mine,) = problems(sharing)
    path = f"/v1/problems/{mine['fingerprint']}/skip"
    assert sharing.call("POST", path, {}).status == 422
    planned = sharing.call("POST", path, WHY, who="operator").json
    sharing.call("POST", f"/v1/treatments/{planned['treatment_id']}/start")
    sweep(sharing)
    entries = sharing.get("/v1/inbound")["entries"]
    assert [each["status"] for each in entries] == ["skipped", "skipped"]
    assert {each["detail"] for each in entries} == {"operator: they mended it"}
    assert problems(sharing) == []


def test_an_entry_that_is_busy_is_told_in_the_next_round(sharing: Node) -> None:
    refused(sharing, "INC1", "INC2")
    (mine,) = problems(sharing)
    path = f"/v1/problems/{mine['fingerprint']}/retry"
    treatment_id = sharing.call("POST", path, WHY).json["treatment_id"]
    sharing.call("POST", f"/v1/treatments/{treatment_id}/start")
    with psycopg.connect(sharing.application.database_url, autocommit=True) as conn:
        held = conn.execute(
            "UPDATE lanes SET holder = 'x', leased_until = '2099-01-01 00:00:00Z'"
            " WHERE direction = 'out' AND correlation_id = (SELECT correlation_id"
            " FROM outbound_queue ORDER BY sequence LIMIT 1) RETURNING 1"
        ).fetchall()
        assert len(held) == 1
        sweep(sharing)
        under_way = sharing.get(f"/v1/treatments/{treatment_id}")
        told = (under_way["state"], under_way["done"], under_way["left"])
        assert told == ("started", 1, 1)
        conn.execute("UPDATE lanes SET holder = NULL, leased_until = NULL")
    sweep(sharing)
    done = sharing.get(f"/v1/treatments/{treatment_id}")
    assert (done["state"], done["done"], done["left"]) == ("completed", 2, 0)


def test_a_cancelled_treatment_tells_nobody(sharing: Node) -> None:
    refused(sharing, "INC1")
    (mine,) = problems(sharing)
    path = f"/v1/problems/{mine['fingerprint']}/retry"
    treatment = f"/v1/treatments/{sharing.call('POST', path, WHY).json['treatment_id']}"
    sharing.call("POST", f"{treatment}/start")
    assert sharing.call("POST", f"{treatment}/cancel", WHY).json["state"] == "cancelled"
    sweep(sharing)
    assert len(problems(sharing)) == 1


def test_an_entry_is_told_once_though_the_view_has_not_seen_it_yet(
    sharing: Node,
) -> None:
    """A sweeper that dies between telling entries and keeping its place."""
    refused(sharing, "INC1", "INC2")
    (mine,) = problems(sharing)
    path = f"/v1/problems/{mine['fingerprint']}/retry"
    treatment_id = sharing.call("POST", path, WHY).json["treatment_id"]
    sharing.call("POST", f"/v1/treatments/{treatment_id}/start")
    sweeper = Sweeper(sharing.application, lambda: sharing.now)
    assert sweeper.work() == 2
    with psycopg.connect(sharing.application.database_url, autocommit=True) as conn:
        conn.execute("DELETE FROM treatment_progress")
        assert sweeper.work() == 0
        told = conn.execute(
            "SELECT count(*) FROM rps_events WHERE topic = 'message.retried'"
        ).fetchone()
    assert told == (2,)


def test_foreign_problems_are_not_there(sharing: Node) -> None:
    refused(sharing, "INC1")
    (mine,) = problems(sharing)
    assert problems(sharing, who="stranger") == []
    path = f"/v1/problems/{mine['fingerprint']}"
    planned = sharing.call("POST", f"{path}/retry", WHY).json["treatment_id"]
    for method, where, sent in (
        ("GET", path, None),
        ("POST", f"{path}/retry", WHY),
        ("POST", f"{path}/skip", WHY),
        ("GET", f"/v1/treatments/{planned}", None),
        ("POST", f"/v1/treatments/{planned}/start", None),
        ("POST", f"/v1/treatments/{planned}/cancel", WHY),
        ("GET", f"/v1/treatments/{uuid4()}", None),
    ):
        assert sharing.call(method, where, sent, who="stranger").status == 404, where


def test_the_metrics_count_different_mistakes(sharing: Node) -> None:
    refused(sharing, "INC1", "INC2")
    follow(sharing)
    text = sharing.call("GET", "/metrics", who=None).bytes.decode()
    line = 'rps_problem_groups{domain="top",queue="outbound",state="error"} 1.0'
    assert line in text
