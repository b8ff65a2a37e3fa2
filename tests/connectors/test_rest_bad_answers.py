"""What goes wrong between rps and a system is an outcome of one kind, and a sentence
that tells an operator what to do."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest.mock import ANY

import pytest
from described import NOW, Files, connector, write
from loopback_server import LoopbackServer, answer, raw

from rps.connectors.rest import presets, template
from rps.connectors.rest.calls import Placed
from rps.connectors.rest.connector import RestConnector
from rps.connectors.rest.description import ErrorRule
from rps.domain.delivery import (
    Changes,
    Missing,
    Moved,
    NeedsCredentials,
    Refused,
    Unavailable,
    Uncertain,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopback_server import Respond

    from rps.connectors.transport import Transport

PAGE = b"<!DOCTYPE html><title>Log in</title>"
TICKET = {
    "id": 7,
    "version": 2,
    "title": "Printer",
    "updated_at": "2026-11-24T10:00:00Z",
}


def said(value: Any) -> bytes:
    return json.dumps(value).encode()


def html(status: int) -> Respond:
    return answer(status, PAGE, [("Content-Type", "text/html")])


@pytest.mark.parametrize(
    ("answered", "kind", "words"),
    [
        (answer(400, said({"message": "no field x"})), Refused, "400: no field x"),
        (answer(401), NeedsCredentials, "give the system's secret anew"),
        (answer(403), Refused, "give it the right, then retry"),
        (answer(404), Refused, "the record is not there any more"),
        (answer(409), Moved, "answered 409"),
        (answer(412, said({"message": "it is at 3"})), Moved, "it is at 3"),
        (answer(429, b"", [("Retry-After", "9")]), Unavailable, "answered 429"),
        (answer(500), Unavailable, "answered 500"),  # repeatable: it was conditional
        (answer(503), Unavailable, "answered 503"),
        (
            answer(
                302, b"", [("Location", "https://login.example.com/x?token=s3cret")]
            ),
            Unavailable,
            "a redirect to login.example.com: rps follows none",
        ),
        (html(200), Uncertain, "a web page where JSON belongs"),
        (answer(200, b'{"id": 7, "title": "Pri'), Uncertain, "no whole JSON"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Le", keep=False), Uncertain, "HTTP"),
        (raw(b"SSH-2.0-OpenSSH_9.6\r\n", keep=False), Uncertain, "HTTP"),
    ],
)
def test_a_write_that_went_wrong(
    transport: Transport, answered: Respond, kind: type, words: str
) -> None:
    with LoopbackServer(answered) as server:
        outcome = connector(transport, server.url).write(write())
    assert isinstance(outcome, kind), outcome
    assert words in outcome.detail
    assert "s3cret" not in outcome.detail


@pytest.mark.parametrize(
    ("answered", "kind", "words"),
    [
        (answer(404), Missing, "404"),
        (html(200), Refused, "correct it"),
        (answer(200, b'{"id": 7, "tit'), Unavailable, "cut on the way"),
        (answer(200, said(["not a record"])), Refused, "see record/at"),
        (answer(200, b"[" * 100_000), Unavailable, "no whole JSON"),
        (answer(200, b"x" * 2_000_000), Unavailable, "limits/answer_bytes"),
    ],
)
def test_a_read_that_went_wrong(
    patient: Transport, answered: Respond, kind: type, words: str
) -> None:
    with LoopbackServer(answered) as server:
        outcome = connector(patient, server.url).read("ticket", "7")
    assert isinstance(outcome, kind), outcome
    assert words in outcome.detail


def test_a_page_that_is_empty_in_the_middle_ends_nothing_that_goes_on(
    transport: Transport,
) -> None:
    """A system that leaves out rows which the account may not see, after paging."""
    page = [{"id": n, "updated_at": "2026-11-24T10:00:00Z"} for n in range(100)]
    hidden = [{**each, "pull_request": {}} for each in page]
    pages = [
        hidden,
        [{"number": 5, "title": "x", "updated_at": "2026-11-24T10:00:00Z"}],
    ]
    none = answer(200, said([]))
    with LoopbackServer(*(answer(200, said(p)) for p in pages), none) as server:
        github = connector(
            transport, server.url, "github", owner="a", repo="r", account="rps"
        )
        first = github.changes_since("issue", {"since": "2026-11-24T10:01:00+00:00"})
        assert isinstance(first, Changes)
        assert (first.records, first.has_more) == ((), True)
        second = github.changes_since("issue", first.cursor)
    assert isinstance(second, Changes)
    assert [each.record.record_id for each in second.records] == ["5"]
    assert "page=2" in server.received[1].target


def test_a_field_that_was_renamed_is_no_field_that_was_cleared(
    transport: Transport,
) -> None:
    renamed = {"id": 7, "version": 1, "headline": "Printer", "owner": None}
    with LoopbackServer(answer(200, said(renamed))) as server:
        seen = connector(transport, server.url).read("ticket", "7")
    assert seen.fields == {"owner": None}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("expression", "raw", "found"),
    [
        ("a", {}, "absent"),
        ("a", {"a": None}, None),
        ("a.b", {"a": None}, None),
        ("a.b", {"a": {}}, "absent"),
        ("a[].b", {}, "absent"),
        ("a[].b", {"a": []}, []),
        ("a.b[0].c", {"a": {}}, "absent"),
        ("a.b[0].c", {"a": {"b": []}}, None),
        ("a[?b=='1'].c | [0]", {"x": 1}, "absent"),
        ("length(a)", {}, None),
    ],
)
def test_what_is_not_there_is_told_from_what_is_empty(
    expression: str, raw: dict[str, Any], found: object
) -> None:
    try:
        seen = template.shown(expression, raw)
    except template.Absent:
        seen = "absent"
    assert seen == found


def test_one_record_that_may_not_be_read_holds_up_no_others(
    transport: Transport,
) -> None:
    listed = {
        "issues": [{"id": n, "updated_on": "2026-11-24T10:00:00Z"} for n in (1, 2)]
    }
    whole = {"issue": {"id": 2, "subject": "x", "journals": [], "attachments": []}}
    with LoopbackServer(
        answer(200, said(listed)), answer(403), answer(200, said(whole))
    ) as server:
        redmine = connector(
            *(transport, server.url, "redmine"),
            project="desk",
            project_id="1",
            external_field="7",
        )
        came = redmine.changes_since("issue", {"since": "2026-11-24T10:00:00+00:00"})
    assert isinstance(came, Changes)
    assert [each.record.record_id for each in came.records] == ["2"]


def test_a_url_where_no_api_is_says_so(transport: Transport) -> None:
    with LoopbackServer(answer(404)) as server:
        fine, says = connector(transport, server.url).check()
    assert not fine
    assert "are --url and --set right?" in says


def test_a_next_page_at_another_address_is_not_asked_for(transport: Transport) -> None:
    """It would get our credentials."""
    with LoopbackServer(answer(200, said([]))) as server:
        github = connector(
            transport, server.url, "github", owner="a", repo="r", account="rps"
        )
        came = github.changes_since(
            "issue",
            {
                "since": "2026-11-24T10:00:00+00:00",
                "page": 2,
                "next": "https://evil.example.com/steal",
            },
        )
    assert isinstance(came, Refused)
    assert server.received == []


def test_hostile_values_stay_within_their_place(transport: Transport) -> None:
    """An id is one segment of a path, whatever it holds; a header takes no line end."""
    with LoopbackServer(answer(200, said(TICKET))) as server:
        desk = connector(transport, server.url)
        desk.read("ticket", "../../admin?x=1#y")
        desk.find("ticket", "title", "a&external_id=b")
        refused = desk.write(write(if_match='1"\r\nX-Evil: 1'))
    assert isinstance(refused, Refused)
    assert [each.target for each in server.received] == [
        "/tickets/..%2F..%2Fadmin%3Fx%3D1%23y",
        "/tickets?title=a%26external_id%3Db",
    ]


def test_a_200_that_holds_an_error_is_what_the_description_says_it_is(
    transport: Transport,
) -> None:
    rules = (
        ErrorRule("refused", where="status == 'failure'", detail="why"),
        ErrorRule("unavailable", header="X-Busy", retry_at_header="X-Until"),
    )
    failure = answer(200, said({"status": "failure", "why": "no such state"}))
    busy = answer(200, b"{}", [("X-Busy", "1"), ("X-Until", str(int(NOW) + 40))])
    with LoopbackServer(failure, busy) as server:
        desk = described(transport, server.url, errors=rules)
        assert desk.write(write()) == Refused("answered 200: no such state", ANY)
        assert desk.write(write()) == Unavailable("answered 200", 40.0, ANY)


def test_so_many_requests_a_second_and_no_more(transport: Transport) -> None:
    """The clock stands still, so each but the first has to wait its turn."""
    waited: list[float] = []
    with LoopbackServer(answer(404)) as server:
        desk = described(transport, server.url, waited.append, per_second=10)
        for _ in range(4):
            desk.read("ticket", "7")
    assert [round(each, 3) for each in waited] == [0.1, 0.2, 0.3]


def described(
    transport: Transport,
    url: str,
    pause: Callable[[float], None] = lambda _seconds: None,
    **more: Any,
) -> RestConnector:
    _, description = presets.read_text(presets.text("generic"))
    placed = Placed(replace(description, **more), url, {}, "a-token")
    return RestConnector(transport, placed, Files(), lambda: NOW, pause)
