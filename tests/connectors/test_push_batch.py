"""Many messages in one request: each is judged by its own receipt."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from loopback_server import LOOPBACK, Line, LoopbackServer, Received, Respond, answer
from pushing import BARE, FULL, NOW, OLD_SECRET, SECRET, UPDATE, close, push, said

from rps.connectors import batch
from rps.connectors.signature import verify
from rps.connectors.transport import Transport
from rps.domain.delivery import (
    Capabilities,
    Delivered,
    Gone,
    Moved,
    NeedsCredentials,
    NotApplied,
    Outcome,
    Refused,
    Unavailable,
    Uncertain,
    Write,
)

if TYPE_CHECKING:
    from rps.domain.delivery import Connector

BATCHING = replace(FULL, batch=100)
WRITES = [
    replace(UPDATE, delivery_id=f"m{n}", record_id=str(n), correlation_id=f"c{n}")
    for n in range(4)
]


def sent(connector: Connector, writes: list[Write] = WRITES) -> list[Outcome]:
    found = dict(pair for came in connector.write_many(writes) for pair in came)
    assert sorted(found) == list(range(len(writes)))
    return [found[place] for place in range(len(writes))]


def receipts(*given: object) -> Respond:
    return said(200, {"receipts": given})


def each(request: Received, status: int = 200) -> list[dict[str, Any]]:
    return [
        {"id": m["id"], "status": status, "record_id": m["record_id"], "revision": 9}
        for m in json.loads(request.body)["messages"]
    ]


def test_a_batch_is_one_signed_request(patient: Transport) -> None:
    def accept(line: Line, request: Received) -> bool:
        return receipts(*each(request))(line, request)

    with LoopbackServer(accept) as server:
        outcomes = sent(push(patient, server, BATCHING))
    (received,) = server.received
    assert (received.method, received.target) == ("POST", "/hooks/batches")
    for secret in (SECRET, OLD_SECRET):
        verify(received.headers, received.body, [secret], NOW)
    assert received.headers["webhook-id"].startswith("batch_")
    messages = json.loads(received.body)["messages"]
    assert [m["id"] for m in messages] == ["m0", "m1", "m2", "m3"]
    assert messages[2] == {
        "id": "m2",
        "type": "incident",
        "operation": "update",
        "correlation_id": "c2",
        "table": "tickets",
        "record_id": "2",
        "if_match": "7",
        "fields": {"title": "Müller", "priority": 2, "assignee": None},
        "entries": [
            {
                "id": "e-1",
                "journal": "comments",
                "text": "hello",
                "author": "ann",
                "written_at": "2025-10-09",
            }
        ],
        "origin": ["acme/jira", "hub,2"],
        "hop": 3,
    }
    for number, outcome in enumerate(outcomes):
        assert isinstance(outcome, Delivered)
        assert (outcome.record_id, outcome.revision) == (str(number), "9")
        assert outcome.exchange.status == 200
        assert json.loads(outcome.exchange.response)["id"] == f"m{number}"


def test_a_receipt_is_judged_like_an_answer(patient: Transport) -> None:
    respond = receipts(
        {"id": "m2", "status": 429, "retry_after": 7, "title": "slow down"},
        {"id": "m0", "status": 412, "detail": "it is at 8"},
        {"id": "m3", "status": 422, "title": "no\nsuch state"},
        {"id": "m1", "status": 201, "record_id": 4, "fields": {"a": 1}},
    )
    with LoopbackServer(respond) as server:
        moved, made, slow, refused = sent(push(patient, server, BATCHING))
    assert isinstance(moved, Moved)
    assert moved.detail == "answered 412: it is at 8"
    assert isinstance(made, Delivered)
    assert (made.record_id, made.stored) == ("4", {"a": 1})
    assert isinstance(slow, Unavailable)
    assert slow.retry_after == 7
    assert isinstance(refused, Refused)
    assert refused.detail == "answered 422: no such state"


@pytest.mark.parametrize(
    ("status", "meaning"),
    [(401, NeedsCredentials), (403, NeedsCredentials), (410, Gone), (500, Uncertain)],
)
def test_a_receipt_of_one_says_nothing_of_another(
    patient: Transport, status: int, meaning: type
) -> None:
    def respond(line: Line, request: Received) -> bool:
        told = each(request)
        told[1]["status"] = status
        return receipts(*told)(line, request)

    able = Capabilities(
        dedupe=False, conditional_write=False, read_back=True, batch=100
    )
    with LoopbackServer(respond) as server:
        outcomes = sent(push(patient, server, able))
    assert isinstance(outcomes[1], meaning)
    assert all(isinstance(outcomes[n], Delivered) for n in (0, 2, 3))


@pytest.mark.parametrize(
    "receipt",
    [
        None,
        "m1",
        {"status": 200},
        {"id": 1, "status": 200},
        {"id": "m1"},
        {"id": "m1", "status": "200"},
        {"id": "m1", "status": True},
        {"id": "m1", "status": 199},
        {"id": "m1", "status": 2000},
        {"id": "other", "status": 200},
    ],
)
def test_a_message_without_a_readable_receipt_is_uncertain(
    patient: Transport, receipt: object
) -> None:
    def respond(line: Line, request: Received) -> bool:
        told: list[object] = [*each(request)]
        told[1] = receipt
        return receipts(*told)(line, request)

    with LoopbackServer(respond) as server:
        outcomes = sent(push(patient, server, BATCHING))
    assert isinstance(outcomes[1], Uncertain)
    assert outcomes[1].exchange.status is None
    assert all(isinstance(outcomes[n], Delivered) for n in (0, 2, 3))


def test_two_receipts_that_differ_are_none(patient: Transport) -> None:
    def respond(line: Line, request: Received) -> bool:
        told = each(request)
        return receipts(*told, {"id": "m1", "status": 422}, told[2])(line, request)

    with LoopbackServer(respond) as server:
        outcomes = sent(push(patient, server, BATCHING))
    assert isinstance(outcomes[1], Uncertain)
    assert isinstance(outcomes[2], Delivered)


@pytest.mark.parametrize(
    "respond",
    [
        close,
        said(200),
        said(200, []),
        said(200, {"receipts": {}}),
        answer(200, b'{"receipts": [' + b"[" * 40 + b"]" * 40 + b"]}"),
        answer(200, b"{"),
    ],
)
def test_without_an_answer_all_are_uncertain(
    patient: Transport, respond: Respond
) -> None:
    with LoopbackServer(respond) as server:
        outcomes = sent(push(patient, server, BATCHING))
    assert all(isinstance(outcome, Uncertain) for outcome in outcomes)


@pytest.mark.parametrize(
    ("status", "able", "meaning"),
    [
        (401, BATCHING, NeedsCredentials),
        (410, BATCHING, Gone),
        (429, BATCHING, Unavailable),
        (500, BATCHING, Unavailable),
        (500, replace(BARE, batch=100), Uncertain),
        (503, replace(BARE, batch=100), Unavailable),
    ],
)
def test_a_failure_of_the_whole_is_one_of_each(
    patient: Transport, status: int, able: Capabilities, meaning: type
) -> None:
    with LoopbackServer(said(status)) as server:
        outcomes = sent(push(patient, server, able))
    assert len(server.received) == 1
    assert all(isinstance(outcome, meaning) for outcome in outcomes)


@pytest.mark.parametrize("status", [400, 404, 409, 412, 413, 422])
def test_a_refusal_of_the_whole_has_each_judged_alone(
    patient: Transport, status: int
) -> None:
    """One message that spoils a batch must not park the others."""

    def judge(line: Line, request: Received) -> bool:
        if request.target.endswith("/batches"):
            return said(status)(line, request)
        spoils = json.loads(request.body)["record_id"] == "2"
        return said(422 if spoils else 200)(line, request)

    with LoopbackServer(judge) as server:
        outcomes = sent(push(patient, server, BATCHING))
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [Delivered, Delivered, Refused, Delivered]
    singles = [r.headers["webhook-id"] for r in server.received[1:]]
    assert sorted(singles) == ["m0", "m1", "m2", "m3"]


def test_nothing_is_lost_where_nobody_listens(patient: Transport) -> None:
    with LoopbackServer(said(200)) as server:
        pass
    outcomes = sent(push(patient, server, BATCHING))
    assert all(isinstance(outcome, Unavailable) for outcome in outcomes)


def test_what_cannot_be_sent_is_refused_alone(patient: Transport) -> None:
    def accept(line: Line, request: Received) -> bool:
        return receipts(*each(request))(line, request)

    odd = replace(WRITES[1], if_match='"')
    with LoopbackServer(accept) as server:
        outcomes = sent(push(patient, server, BATCHING), [WRITES[0], odd, WRITES[2]])
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [Delivered, Refused, Delivered]


def test_a_batch_is_cut_at_its_bounds(
    patient: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def accept(line: Line, request: Received) -> bool:
        return receipts(*each(request))(line, request)

    monkeypatch.setattr(batch, "REQUEST_BYTES_MAX", 1_000)
    large = replace(WRITES[1], fields={"title": "x" * 2_000})
    with LoopbackServer(accept) as server:
        outcomes = sent(
            push(patient, server, BATCHING), [WRITES[0], large, *WRITES[2:]]
        )
    assert all(isinstance(outcome, Delivered) for outcome in outcomes)
    sizes = [len(json.loads(r.body)["messages"]) for r in server.received]
    assert sizes == [1, 1, 2]


def test_the_answer_may_grow_with_the_batch(patient: Transport) -> None:
    def accept(line: Line, request: Received) -> bool:
        told = [{**each, "fields": {"a": "x" * 60_000}} for each in _each(request)]
        return receipts(*told)(line, request)

    _each = each
    with LoopbackServer(accept) as server:
        outcomes = sent(push(patient, server, BATCHING))
    for outcome in outcomes:
        assert isinstance(outcome, Delivered)
        assert outcome.stored == {"a": "x" * 60_000}


def test_a_cut_batch_is_settled_message_by_message() -> None:
    """The application took two of them before the line was cut."""
    applied = {"m0", "m2"}

    def respond(line: Line, request: Received) -> bool:
        if request.method == "POST":
            return close(line, request)
        name = request.target.rpartition("/")[2]
        return said(200 if name in applied else 404, {"record_id": name})(line, request)

    with LoopbackServer(respond) as server:
        connector = push(Transport(LOOPBACK), server, replace(BATCHING, dedupe=False))
        assert all(isinstance(o, Uncertain) for o in sent(connector))
        settled = [connector.settle(write) for write in WRITES]
    kinds = [type(settlement) for settlement in settled]
    assert kinds == [Delivered, NotApplied, Delivered, NotApplied]
