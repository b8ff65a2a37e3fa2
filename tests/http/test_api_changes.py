"""Changes over HTTP: receipts after the commit, the same again for the same again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from api_node import change_of
from eventsourcing.persistence import OperationalError

from rps.http.change_progress import WAITERS_MAX

if TYPE_CHECKING:
    import pytest
    from api_node import Node

API = "ih_process_sync_api"
NDJSON = "application/x-ndjson"


def post(node: Node, body: Any, **headers: str) -> Any:
    return node.call("POST", "/v1/changes", body, who=API, **headers)


def stream(node: Node, lines: list[Any], **headers: str) -> Any:
    raw = b"\n".join(
        line if isinstance(line, bytes) else orjson.dumps(line) for line in lines
    )
    return node.call(
        "POST", "/v1/changes", raw=raw, who=API, Content_Type=NDJSON, **headers
    )


def captured(node: Node) -> list[Any]:
    rows = node.application.recorder.read(0, 10_000)
    return [orjson.loads(r.state) for r in rows if r.topic == "change.captured"]


def test_one_change_gets_one_receipt(sharing: Node) -> None:
    answered = post(sharing, change_of(change_id="c1", revision=7), X_Request_Id="t-1")
    assert answered.status == 202
    receipt = answered.json
    assert receipt["change_id"] == "c1"
    assert receipt["status"] == "captured"
    (correlation,) = receipt["correlations"]
    assert correlation["process_event"] == "incident.shared"
    head, _ = sharing.application.recorder.head()
    assert correlation["position"] == head
    (event,) = captured(sharing)
    assert (event["record_revision"], event["trace_id"]) == ("7", "t-1")
    assert event["account"] == API


def test_a_list_gets_receipts_in_its_order(sharing: Node) -> None:
    answered = post(sharing, [change_of(f"INC{n}") for n in range(5)])
    receipts = answered.json["receipts"]
    positions = [receipt["correlations"][0]["position"] for receipt in receipts]
    assert positions == sorted(positions)
    assert len({receipt["change_id"] for receipt in receipts}) == 5


def test_a_change_nobody_captures_is_receipted_with_the_reason(sharing: Node) -> None:
    receipt = post(sharing, change_of(table="problem")).json
    assert receipt["status"] == "not_captured"
    assert "acme.problem" in receipt["reason"]
    assert captured(sharing) == []


def test_the_trace_of_the_caller_is_kept(sharing: Node) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    post(sharing, change_of(), traceparent=f"00-{trace}-b7ad6b7169203331-01")
    assert captured(sharing)[0]["trace_id"] == trace


def test_the_same_change_again_is_a_duplicate_at_the_same_place(sharing: Node) -> None:
    first = post(sharing, change_of(change_id="c1")).json
    again = post(sharing, change_of(change_id="c1")).json
    assert again == {**first, "status": "duplicate"}
    assert len(captured(sharing)) == 1


def test_a_change_id_used_for_something_else_is_refused(sharing: Node) -> None:
    post(sharing, change_of(change_id="c1"))
    answered = post(sharing, [change_of(), change_of(change_id="c1", hop=1)])
    assert answered.status == 422
    assert answered.json["place"] == "/1/change_id"
    assert len(captured(sharing)) == 1


def test_the_same_key_and_body_give_the_same_receipts(sharing: Node) -> None:
    body = [change_of("INC1"), change_of("INC2")]
    first = post(sharing, body, Idempotency_Key="k1").json["receipts"]
    again = post(sharing, body, Idempotency_Key="k1").json["receipts"]
    assert again == [{**receipt, "status": "duplicate"} for receipt in first]
    assert len(captured(sharing)) == 2


def test_the_same_key_with_another_body_is_refused(sharing: Node) -> None:
    post(sharing, change_of("INC1"), Idempotency_Key="k1")
    answered = post(sharing, change_of("INC2"), Idempotency_Key="k1")
    assert answered.status == 422
    assert answered.json["place"] == "header Idempotency-Key"
    assert len(captured(sharing)) == 1


def test_a_key_belongs_to_its_account(sharing: Node) -> None:
    sharing.tokens["other"] = sharing.token("top", "other", [API])
    post(sharing, change_of("INC1"), Idempotency_Key="k1")
    answered = sharing.call(
        "POST", "/v1/changes", change_of("INC2"), who="other", Idempotency_Key="k1"
    )
    assert answered.status == 202


def test_a_change_twice_in_one_request_is_refused_naming_both(sharing: Node) -> None:
    body = [change_of(change_id="c"), change_of("INC2"), change_of(change_id="c")]
    answered = post(sharing, body)
    assert answered.status == 422
    assert answered.json["places"] == ["/0/change_id", "/2/change_id"]
    assert captured(sharing) == []


def test_an_unknown_system_is_named_by_its_place(sharing: Node) -> None:
    unknown = change_of(system="acne")
    one, many = post(sharing, unknown), post(sharing, [change_of(), unknown])
    assert (one.status, one.json["place"]) == (422, "/system")
    assert (many.status, many.json["place"]) == (422, "/1/system")
    assert captured(sharing) == []


def test_a_disabled_system_is_not_heard(sharing: Node) -> None:
    sharing.call("POST", "/v1/systems/acme/disable", {"reason": "moving house"})
    answered = post(sharing, change_of())
    assert answered.status == 409
    assert answered.json["type"] == "urn:rps:problem:system-disabled"


# --- NDJSON -------------------------------------------------------------------------


def test_each_line_of_a_stream_gets_its_own_line(sharing: Node) -> None:
    answered = stream(
        sharing,
        [
            change_of("INC1", change_id="a"),
            b"{not json",
            b"",
            {**change_of("INC2"), "tabel": "x"},
            change_of("INC3", system="acne"),
            change_of("INC4", change_id="a"),
            change_of("INC5", table="problem"),
            change_of("INC6", change_id="b"),
        ],
    )
    assert answered.status == 202
    assert answered.headers["Content-Type"] == NDJSON
    lines = answered.lines
    assert [line["line"] for line in lines] == [1, 2, 4, 5, 6, 7, 8]
    said = [
        line.get("status") or line["problem"]["type"].rpartition(":")[2]
        for line in lines
    ]
    assert said == [
        "captured",
        "not-json",
        "wrong-shape",
        "system-unknown",
        "change-id-repeated",
        "not_captured",
        "captured",
    ]
    assert lines[3]["problem"]["place"] == "/system"
    assert [event["record_id"] for event in captured(sharing)] == ["INC1", "INC6"]


def test_a_stream_is_committed_in_chunks_in_its_order(sharing: Node) -> None:
    lines = [change_of(f"INC{n}", change_id=f"c{n}") for n in range(1100)]
    answered = stream(sharing, lines)
    assert {line["status"] for line in answered.lines} == {"captured"}
    assert [event["change_id"] for event in captured(sharing)] == [
        f"c{n}" for n in range(1100)
    ]


def test_reused_ids_in_a_stream_stop_only_their_own_lines(sharing: Node) -> None:
    post(sharing, [change_of(f"INC{n}", change_id=f"c{n}") for n in (3, 11)])
    lines = [change_of(f"INC{n}", change_id=f"c{n}", hop=1) for n in range(20)]
    answered = stream(sharing, lines)
    refused = [line["line"] for line in answered.lines if "problem" in line]
    assert refused == [4, 12]
    assert len(captured(sharing)) == 20


def test_a_stream_with_a_key_gives_the_same_receipts_again(sharing: Node) -> None:
    lines = [change_of("INC1"), change_of("INC2")]
    first = stream(sharing, lines, Idempotency_Key="k").lines
    again = stream(sharing, lines, Idempotency_Key="k").lines
    assert again == [{**line, "status": "duplicate"} for line in first]
    other = stream(sharing, [change_of("INC1")], Idempotency_Key="k")
    assert other.status == 422


def test_lines_after_a_lost_database_get_no_receipt(
    sharing: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = sharing.application.intake
    capture, calls = intake.capture, []

    def lost(*args: Any) -> Any:
        calls.append(args)
        if len(calls) > 1:
            raise OperationalError("FATAL: terminating connection at /var/lib/pg")
        return capture(*args)

    monkeypatch.setattr(intake, "capture", lost)
    lines = [change_of(f"INC{n}") for n in range(1200)]
    answered = stream(sharing, lines).lines
    assert [("problem" in line) for line in answered] == [False] * 500 + [True] * 700
    assert answered[-1]["problem"]["status"] == 503
    assert b"FATAL" not in orjson.dumps(answered)
    assert len(calls) == 2


def test_a_database_that_is_away_acknowledges_nothing(
    sharing: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: Any) -> Any:
        raise OperationalError("FATAL: no pg_hba.conf entry")

    monkeypatch.setattr(sharing.application.intake, "capture", lost)
    for answered in (post(sharing, change_of()), stream(sharing, [change_of()])):
        assert answered.status == 503
        assert answered.headers["Retry-After"] == "2"
        assert b"pg_hba" not in answered.bytes


def test_a_stream_ends_at_its_most_lines(
    sharing: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rps.http.change_stream.LINES_MAX", 3)
    answered = stream(sharing, [b"1"] * 9).lines
    assert [line["line"] for line in answered] == [1, 2, 3, 4]
    assert answered[-1]["problem"]["type"] == "urn:rps:problem:too-many-lines"


# --- how far it has come ------------------------------------------------------------


def test_a_change_is_followed_from_capture_to_delivery(sharing: Node) -> None:
    sharing.capture(change_id="c1")
    seen = sharing.get("/v1/changes/c1", who=API)
    assert (seen["state"], seen["changes"][0]["status"]) == ("waiting", "ready")
    sharing.receive()
    seen = sharing.get("/v1/changes/c1", who=API)
    (change,) = seen["changes"]
    (message,) = change["messages"]
    assert (seen["state"], change["detail"]) == ("waiting", "accepted")
    assert (message["member"], message["status"]) == ("globex", "ready")
    sharing.acknowledge(UUID(change["correlation_id"]))
    seen = sharing.get("/v1/changes/c1?system=acme", who=API)
    assert seen["state"] == "delivered"


def test_a_change_that_needs_a_person_says_so(sharing: Node) -> None:
    sharing.park(sharing.shared(change_id="c1"))
    seen = sharing.get("/v1/changes/c1")
    assert seen["state"] == "error"
    assert seen["changes"][0]["messages"][0]["detail"] == "422 no such assignee"


def test_an_unreadable_value_is_named(sharing: Node) -> None:
    fields = {"short_description": "x", "state": "nonsense"}
    sharing.shared(change_id="c1", fields=fields)
    seen = sharing.get("/v1/changes/c1")
    assert seen["state"] == "error"
    assert "state" in seen["changes"][0]["detail"]


def test_an_echo_is_ignored_with_its_reason(sharing: Node) -> None:
    sharing.shared(change_id="c1", revision=1)
    sharing.shared(change_id="c2", revision=1, operation="update")
    seen = sharing.get("/v1/changes/c2")
    assert seen["state"] == "ignored"
    assert seen["changes"][0]["detail"].startswith("ignored: ")


def test_waiting_ends_when_nothing_of_the_change_is_on_its_way(sharing: Node) -> None:
    receipt = sharing.capture(change_id="c1")
    correlation_id = UUID(receipt["correlations"][0]["correlation_id"])
    sharing.pauses = [
        lambda: None,
        sharing.receive,
        lambda: sharing.park(correlation_id),
    ]
    seen = sharing.get("/v1/changes/c1?wait=30")
    assert seen["state"] == "error"
    assert sharing.pauses == []


def test_waiting_ends_with_its_time(sharing: Node) -> None:
    sharing.capture(change_id="c1")
    counted: list[int] = []
    sharing.pauses = [lambda: counted.append(1)] * 100
    assert sharing.get("/v1/changes/c1?wait=1")["state"] == "waiting"
    assert len(counted) == 20


def test_only_so_many_wait_that_others_are_still_served(sharing: Node) -> None:
    sharing.capture(change_id="c1")
    path, answered = "/v1/changes/c1?wait=1", []

    def wait_as_well() -> None:
        answered.append(sharing.get(path)["state"])

    # Each waiter lets the next one ask; the one too many is answered at once.
    sharing.pauses = [wait_as_well] * WAITERS_MAX
    assert sharing.get(path)["state"] == "waiting"
    assert sharing.pauses == []
    assert answered == ["waiting"] * WAITERS_MAX


def test_a_change_id_may_hold_any_visible_character(sharing: Node) -> None:
    sharing.capture(change_id="a/b c?é")
    assert sharing.get("/v1/changes/a/b%20c%3F%C3%A9")["change_id"] == "a/b c?é"


def test_an_api_account_sees_only_its_own_changes(sharing: Node) -> None:
    sharing.tokens["other"] = sharing.token("top", "other", [API])
    sharing.capture(change_id="c1")
    assert sharing.call("GET", "/v1/changes/c1", who="other").status == 404
    assert sharing.call("GET", "/v1/changes/c1", who="operator").status == 200
