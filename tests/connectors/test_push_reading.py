"""What an application says when it is asked: settle, read, check."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from loopback_server import LoopbackServer, Respond, answer, raw
from pushing import BARE, CREATE, FULL, NOW, READABLE, SECRET, UPDATE, close, push, said

from rps.connectors.signature import verify
from rps.domain.delivery import (
    Capabilities,
    Delivered,
    Found,
    Gone,
    Missing,
    NeedsCredentials,
    NotApplied,
    Refused,
    Snapshot,
    Unavailable,
)

if TYPE_CHECKING:
    from rps.connectors.transport import Transport


def test_settling_finds_the_stored_answer(patient: Transport) -> None:
    stored = {"record_id": "42", "revision": "8", "fields": {"priority": 1}}
    with LoopbackServer(said(200, stored)) as server:
        settled = push(patient, server).settle(UPDATE)
    assert isinstance(settled, Delivered)
    assert (settled.record_id, settled.revision) == ("42", "8")
    asked = server.received[0]
    assert asked.method == "GET"
    assert asked.target == f"/hooks/messages/{UPDATE.delivery_id}"
    assert asked.headers["webhook-id"] == "read_" + "00" * 16
    verify(asked.headers, b"", [SECRET], NOW)


def test_settling_an_update_nobody_has_seen_says_not_applied(
    patient: Transport,
) -> None:
    with LoopbackServer(said(404)) as server:
        assert isinstance(push(patient, server).settle(UPDATE), NotApplied)
    assert len(server.received) == 1


RECORD = {"record_id": "50", "revision": "1", "fields": {"title": "x"}}


@pytest.mark.parametrize(
    ("status", "value", "meaning"),
    [
        (200, {"records": [RECORD]}, Found),
        (200, {"records": []}, NotApplied),
        (200, {"records": [RECORD, RECORD]}, Refused),
        (200, {"records": ["x"]}, Refused),
        (200, {"records": [{"revision": "1"}]}, Refused),
        (200, {"records": {}}, Refused),
        (200, None, Refused),
        (404, None, NotApplied),
        (405, None, Refused),
        (401, None, NeedsCredentials),
        (500, None, Unavailable),
    ],
)
def test_settling_a_create_looks_for_the_external_id(
    patient: Transport, status: int, value: object, meaning: type
) -> None:
    with LoopbackServer(said(404), said(status, value)) as server:
        settled = push(patient, server, READABLE).settle(CREATE)
    assert type(settled) is meaning
    assert server.received[1].target == "/hooks/records/tickets?external_id=c-1"
    if isinstance(settled, Found):
        assert settled.record == Snapshot("50", settled.record.revision, {"title": "x"})


@pytest.mark.parametrize(
    ("respond", "with_dedupe", "without"),
    [
        (said(401), NeedsCredentials, NeedsCredentials),
        (said(410), Gone, Gone),
        (said(429), Unavailable, Unavailable),
        (said(500), Unavailable, Unavailable),
        (close, Unavailable, Unavailable),
        (said(405), NotApplied, Refused),
        (said(409), NotApplied, Refused),
        (answer(200, b"<html>"), NotApplied, Refused),
    ],
)
def test_what_cannot_be_settled_is_sent_again_only_where_that_is_safe(
    patient: Transport, respond: Respond, with_dedupe: type, without: type
) -> None:
    with LoopbackServer(respond) as server:
        assert type(push(patient, server, FULL).settle(UPDATE)) is with_dedupe
        assert type(push(patient, server, READABLE).settle(UPDATE)) is without


def test_a_system_that_cannot_be_asked_is_not_asked(patient: Transport) -> None:
    dedupes = Capabilities(dedupe=True, conditional_write=False, read_back=False)
    with LoopbackServer(said(200)) as server:
        assert isinstance(push(patient, server, dedupes).settle(UPDATE), NotApplied)
        settled = push(patient, server, BARE).settle(UPDATE)
    assert isinstance(settled, Refused)
    assert "a person must look" in settled.detail
    assert server.connections == 0


def test_reading_shows_the_record(patient: Transport) -> None:
    record = {**RECORD, "deleted": True, "updated_at": "2025-10-09T08:00:00Z"}
    with LoopbackServer(said(200, record)) as server:
        reading = push(patient, server).read("tickets", "50")
    at = "2025-10-09T08:00:00Z"
    assert reading == Snapshot("50", "1", {"title": "x"}, deleted=True, updated_at=at)
    assert server.received[0].target == "/hooks/records/tickets/50"


@pytest.mark.parametrize(
    ("respond", "meaning"),
    [
        (said(404), Missing),
        (said(410), Missing),
        (said(403), NeedsCredentials),
        (said(409), Refused),
        (said(422), Refused),
        (said(503), Unavailable),
        (said(302), Unavailable),
        (close, Unavailable),
        (answer(200, b"<html>"), Refused),
        (said(200, {"fields": {"a": {}}}), Refused),
        (raw(b"HTTP/1.1 101 Switching\r\n\r\n"), Unavailable),
    ],
)
def test_each_answer_to_a_read_has_its_meaning(
    patient: Transport, respond: Respond, meaning: type
) -> None:
    with LoopbackServer(respond) as server:
        assert type(push(patient, server).read("tickets", "50")) is meaning


@pytest.mark.parametrize(
    ("record_id", "target"),
    [
        ("a/b?c#d", "/hooks/records/my%20table/a%2Fb%3Fc%23d"),
        ("ü", "/hooks/records/my%20table/%C3%BC"),
        ("%2e", "/hooks/records/my%20table/%252e"),
        ("..", "/hooks/records/my%20table/%252E%252E"),
        ("\ud800", "/hooks/records/my%20table/%3F"),
    ],
)
def test_an_id_stays_in_its_place_in_the_path(
    patient: Transport, record_id: str, target: str
) -> None:
    with LoopbackServer(said(404)) as server:
        push(patient, server).read("my table", record_id)
    assert server.received[0].target == target


def test_a_check_says_whether_the_system_answers_and_accepts_us(
    patient: Transport,
) -> None:
    with LoopbackServer(said(204), said(401, {"title": "Bad signature"})) as server:
        connector = push(patient, server)
        assert connector.check() == (True, "answered 204")
        fine, told = connector.check()
    assert not fine
    assert told.startswith("answered 401: Bad signature: it does not accept our")
    assert server.received[0].target == "/hooks/ping"


def test_a_check_says_when_nobody_listens(patient: Transport) -> None:
    with LoopbackServer(said(204)) as server:
        pass
    answers, detail = push(patient, server).check()
    assert not answers
    assert "refused" in detail
