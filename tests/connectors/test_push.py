"""What an application's answer to a message means to its delivery."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from loopback_server import LoopbackServer, answer
from pushing import (
    BARE,
    CONDITIONAL,
    CREATE,
    FULL,
    NOW,
    OLD_SECRET,
    SECRET,
    UPDATE,
    close,
    push,
    said,
)

from rps.connectors.signature import verify
from rps.domain.delivery import (
    Delivered,
    Exchange,
    Gone,
    JournalEntry,
    Moved,
    NeedsCredentials,
    Refused,
    Unavailable,
    Uncertain,
)

if TYPE_CHECKING:
    from rps.connectors.transport import Transport


def test_a_message_travels_whole_and_signed(patient: Transport) -> None:
    with LoopbackServer(said(200)) as server:
        push(patient, server).write(UPDATE)
    received = server.received[0]
    assert (received.method, received.target) == ("POST", "/hooks/messages")
    for secret in (SECRET, OLD_SECRET):
        verify(received.headers, received.body, [secret], NOW)
    assert received.headers["webhook-id"] == UPDATE.delivery_id
    assert received.headers["webhook-timestamp"] == "1760000000"
    assert received.headers["content-type"] == "application/json"
    assert received.headers["if-match"] == '"7"'
    assert received.headers["x-sync-origin"] == "acme/jira,hub%2C2"
    assert received.headers["x-sync-hop"] == "3"
    assert json.loads(received.body) == {
        "type": "incident",
        "operation": "update",
        "correlation_id": "c-1",
        "table": "tickets",
        "record_id": "42",
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


def test_an_entry_says_what_it_is_where_it_is_no_new_one(patient: Transport) -> None:
    edited = JournalEntry("e-1", "comments", "bye", "ann", "2025-10-09", "update")
    removed = JournalEntry("e-2", "comments", "", operation="delete")
    with LoopbackServer(said(200)) as server:
        push(patient, server).write(replace(UPDATE, entries=(edited, removed)))
    entries = json.loads(server.received[0].body)["entries"]
    assert [(e["id"], e["operation"], e["text"]) for e in entries] == [
        ("e-1", "update", "bye"),
        ("e-2", "delete", ""),
    ]


def test_the_same_message_gives_the_same_bytes(patient: Transport) -> None:
    turned = replace(UPDATE, fields=dict(reversed(list(UPDATE.fields.items()))))
    with LoopbackServer(said(200)) as server:
        push(patient, server).write(UPDATE)
        push(patient, server).write(turned)
    assert server.received[0].body == server.received[1].body


def test_a_message_without_revision_and_origin_leaves_their_headers_out(
    patient: Transport,
) -> None:
    with LoopbackServer(said(200)) as server:
        push(patient, server).write(replace(CREATE, origin=()))
    assert "if-match" not in server.received[0].headers
    assert "x-sync-origin" not in server.received[0].headers


def test_a_delivery_reports_what_the_system_made_of_it(patient: Transport) -> None:
    stored = {"title": "MÜLLER", "priority": 2, "vip": True, "score": 0.5, "note": None}
    made = {"record_id": 43, "revision": 8, "fields": stored}
    with LoopbackServer(said(201, made)) as server:
        outcome = push(patient, server).write(UPDATE)
    assert isinstance(outcome, Delivered)
    assert (outcome.record_id, outcome.revision) == ("43", "8")
    assert outcome.stored == stored
    sha256 = hashlib.sha256(server.received[0].body).hexdigest()
    exchange = outcome.exchange
    assert exchange == Exchange(sha256, 201, json.dumps(made), exchange.seconds)
    assert 0 < exchange.seconds < 5


DEEP = b'{"fields":{},"record_id":"9","x":' + b"[" * 40 + b"]" * 40 + b"}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"ok",
        b"\xff\xfe",
        b"null",
        b"[1]",
        b'"text"',
        b'{"record_id":"9","fields":[]}',
        b'{"record_id":"9","fields":{"a":{}}}',
        b'{"record_id":"9","fields":{"a":[1]}}',
        b'{"record_id":"9","fields":{"a":"\\u0000"}}',
        b'{"record_id":"9","fields":{"\\u0000":1}}',
        b"[" * 60_000,
    ],
)
def test_an_unusable_body_of_a_success_still_counts_as_delivered(
    patient: Transport, body: bytes
) -> None:
    with LoopbackServer(answer(200, body)) as server:
        connector = push(patient, server)
        updated, created = connector.write(UPDATE), connector.write(CREATE)
    assert isinstance(updated, Delivered)
    assert (updated.record_id, updated.revision) == ("42", None)
    assert updated.stored == {}
    assert isinstance(created, Delivered)
    assert created.record_id == "c-1"
    assert "\x00" not in updated.exchange.response
    assert len(updated.exchange.response) <= 65536


@pytest.mark.parametrize(
    "body",
    [
        b'{"record_id":"9"',
        b'{"record_id":"9","fields":{"a":"\\ud800"}}',
        b'{"record_id":"9","fields":{"a":NaN}}',
        b'{"record_id":"9","fields":{"a":"' + b"x" * 70_000 + b'"}}',
        DEEP,
    ],
)
def test_a_create_whose_answer_is_cut_is_asked_after(
    patient: Transport, body: bytes
) -> None:
    """It counted as delivered, and the record went by an id that it does not have."""
    with LoopbackServer(answer(200, body)) as server:
        connector = push(patient, server)
        updated, created = connector.write(UPDATE), connector.write(CREATE)
        unread = push(patient, server, BARE).write(CREATE)
    assert isinstance(updated, Delivered)
    assert isinstance(created, Uncertain)
    assert "longer than 64 KiB" in created.detail
    assert isinstance(unread, Delivered)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("revision", 'a"b'),
        ("revision", "a b"),
        ("revision", ""),
        ("revision", True),
        ("revision", "x" * 256),
        ("revision", ["8"]),
        ("record_id", "a\nb"),
        ("record_id", ""),
        ("record_id", {}),
        ("record_id", False),
    ],
)
def test_an_identity_that_could_not_be_used_again_is_not_kept(
    patient: Transport, key: str, value: object
) -> None:
    with LoopbackServer(said(200, {key: value})) as server:
        outcome = push(patient, server).write(UPDATE)
    assert isinstance(outcome, Delivered)
    assert (outcome.record_id, outcome.revision) == ("42", None)


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (301, Unavailable),
        (307, Unavailable),
        (400, Refused),
        (401, NeedsCredentials),
        (403, NeedsCredentials),
        (404, Refused),
        (408, Unavailable),
        (409, Moved),
        (410, Gone),
        (412, Moved),
        (413, Refused),
        (422, Refused),
        (425, Unavailable),
        (429, Unavailable),
        (500, Unavailable),
        (502, Unavailable),
        (503, Unavailable),
        (504, Unavailable),
        (599, Unavailable),
        (999, Unavailable),
    ],
)
def test_each_answer_has_its_meaning(
    patient: Transport, status: int, meaning: type
) -> None:
    with LoopbackServer(said(status)) as server:
        outcome = push(patient, server).write(UPDATE)
    assert type(outcome) is meaning
    assert outcome.exchange.status == status
    assert len(outcome.exchange.request_sha256) == 64


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (500, Uncertain),
        (501, Unavailable),
        (502, Uncertain),
        (503, Unavailable),
        (504, Uncertain),
    ],
)
def test_an_error_after_which_the_work_may_be_done_is_uncertain(
    patient: Transport, status: int, meaning: type
) -> None:
    """A gateway that gave up may have passed the write on."""
    with LoopbackServer(said(status)) as server:
        assert type(push(patient, server, BARE).write(UPDATE)) is meaning
        assert type(push(patient, server, CONDITIONAL).write(CREATE)) is meaning
        conditional = push(patient, server, CONDITIONAL).write(UPDATE)
    assert isinstance(conditional, Unavailable)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        (" 7 ", 7.0),
        ("9999999999", 86400.0),
        ("Thu, 09 Oct 2025 08:54:20 GMT", 59.3),
        ("Thu, 09 Oct 2025 08:54:20", 59.3),
        ("Thu, 09 Oct 2025 10:54:20 +0200", 59.3),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Thu, 31 Dec 9999 23:59:59 -2359", 86400.0),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
        ("-5", None),
        ("1e9", None),
        ("", None),
        ("soon", None),
        ("9" * 5000, None),
        ("Thu, 99 Oct 99999 08:54:20 GMT", None),
    ],
)
def test_retry_after_is_read_and_bounded(
    patient: Transport, text: str, seconds: float | None
) -> None:
    respond = answer(503, headers=[("Retry-After", text)])
    with LoopbackServer(respond) as server:
        outcome = push(patient, server).write(UPDATE)
    assert isinstance(outcome, Unavailable)
    assert outcome.retry_after == (None if seconds is None else pytest.approx(seconds))


def test_a_refusal_tells_what_the_problem_says_on_one_short_line(
    patient: Transport,
) -> None:
    problem = {"title": "No such\r\n\x1b[31mpriority", "detail": "x" * 1000}
    with LoopbackServer(said(422, problem)) as server:
        outcome = push(patient, server).write(UPDATE)
    assert isinstance(outcome, Refused)
    assert outcome.detail.startswith("answered 422: No such [31mpriority: xxx")
    assert len(outcome.detail) == 500


def test_a_lost_answer_is_uncertain(patient: Transport) -> None:
    with LoopbackServer(close) as server:
        outcome = push(patient, server).write(UPDATE)
    assert isinstance(outcome, Uncertain)
    assert len(outcome.exchange.request_sha256) == 64
    assert outcome.exchange.seconds > 0


def test_what_was_not_sent_is_unavailable(patient: Transport) -> None:
    with LoopbackServer(close) as server:
        pass
    outcome = push(patient, server).write(UPDATE)
    assert isinstance(outcome, Unavailable)
    assert outcome.exchange.status is None


def test_only_a_receiver_that_deduplicates_is_sent_the_message_again(
    patient: Transport,
) -> None:
    for capabilities, meaning in ((FULL, Delivered), (BARE, Uncertain)):
        with LoopbackServer(said(200), close, said(200)) as server:
            connector = push(patient, server, capabilities)
            connector.write(UPDATE)
            assert type(connector.write(UPDATE)) is meaning


@pytest.mark.parametrize(
    "wrong",
    [
        {"if_match": 'a"\r\nX: y'},
        {"if_match": "é"},
        {"delivery_id": "a.b"},
        {"fields": {"a": 1 << 70}},
        {"fields": {"a": "\ud800"}},
        {"fields": {"a": object()}},
        {"origin": ("\ud800",)},
    ],
)
def test_a_message_that_cannot_be_written_down_is_refused_and_not_sent(
    patient: Transport, wrong: dict[str, object]
) -> None:
    with LoopbackServer(said(200)) as server:
        outcome = push(patient, server).write(replace(UPDATE, **wrong))  # type: ignore[arg-type]
    assert isinstance(outcome, Refused)
    assert server.connections == 0
