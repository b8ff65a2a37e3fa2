"""A write of several requests: what was begun is neither lost nor done twice."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from described import CONTENT, CORRELATION, FILE_OF, NOW, Files, connector, write
from loopback_server import LoopbackServer, answer
from plain_desk import TOKEN, PlainDesk, serving

from rps.connectors.conformance.unreliable import Unreliable
from rps.connectors.rest import presets
from rps.connectors.rest.calls import Placed
from rps.connectors.rest.connector import RestConnector
from rps.connectors.rest.description import Call
from rps.domain.delivery import (
    Changes,
    Delivered,
    Found,
    JournalEntry,
    Moved,
    NeedsCredentials,
    NotApplied,
    Preview,
    Refused,
    Snapshot,
    Uncertain,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rps.connectors.rest.description import Description
    from rps.connectors.transport import Transport
    from rps.domain.delivery import Write

FIRST = JournalEntry("acme:1", "comments", "first", "Ann", "2026-11-24T10:00:00Z")
THIRD = JournalEntry("acme:3", "comments", "third", "Ann", "2026-11-24T10:01:00Z")
OTHER = b"another shot"
SHA256_OF_OTHER = hashlib.sha256(OTHER).hexdigest()
SECOND = JournalEntry("acme:2", "comments", "second", "Ann", "2026-11-24T10:00:00Z")


class Placing:
    """A desk, and connectors to it: one for each process that writes."""

    def __init__(self, desk: PlainDesk, url: str, transport: Transport) -> None:
        self.desk = desk
        self.url = url
        self.wire = Unreliable(transport)
        _, self.description = presets.read_text(presets.text("generic"))

    def connector(self, description: Description | None = None) -> RestConnector:
        placed = Placed(description or self.description, self.url, {}, TOKEN)
        files = Files()
        files.held[SHA256_OF_OTHER] = OTHER
        return RestConnector(
            self.wire, placed, files, lambda: NOW, lambda _seconds: None
        )

    def without_markers(self) -> Description:
        """As systems are that have no place for our id in a comment."""
        tables = {
            name: replace(t, comments=replace(t.comments, marker=None))
            for name, t in self.description.tables.items()
            if t.comments is not None
        }
        return replace(self.description, tables=tables)

    def paging(self, limit: int) -> Description:
        """With so few records on a page; comments say when they were written."""
        table = self.description.tables["ticket"]
        assert table.changes is not None
        assert table.comments is not None
        listing = replace(table.comments.listing, changed="at")
        small = replace(
            table,
            changes=replace(table.changes, limit=limit),
            comments=replace(table.comments, listing=listing),
        )
        return replace(self.description, tables={"ticket": small})

    def texts(self, number: int = 1) -> list[str]:
        return [each["text"] for each in self.desk.comments[number]]


@pytest.fixture
def placing(patient: Transport) -> Iterator[Placing]:
    desk = PlainDesk()
    with serving(desk) as url:
        yield Placing(desk, url, patient)


def everything(**more: Any) -> Write:
    known = {"operation": "create", "record_id": None, "if_match": None}
    files = {"attachments": (FILE_OF,), "entries": (FIRST, SECOND)}
    return write(**known | files | more)


def test_a_record_comes_with_its_comments_and_files(placing: Placing) -> None:
    outcome = placing.connector().write(everything())
    assert isinstance(outcome, Delivered)
    assert outcome.record_id == "1"
    assert placing.desk.tickets[1]["external_id"] == CORRELATION
    assert placing.texts() == ["first", "second"]
    assert [f["name"] for f in placing.desk.files[1]] == ["shot.txt"]


def test_what_comments_move_is_put_right_once_all_of_them_are_there(
    placing: Placing,
) -> None:
    """A comment reopens a ticket there: one that was closed with a comment as well."""
    call = Call("PATCH", "/tickets/{record_id}", body={"state": "{fields.state}"})
    call = replace(call, when="state", changed="state", if_match="current")
    tables = {
        name: replace(table, comments=replace(table.comments, after=(call,)))
        for name, table in placing.description.tables.items()
        if table.comments is not None
    }
    commented = placing.desk._of_ticket

    def reopening(method: str, number: int, rest: list[str], *more: Any) -> Any:
        if (method, rest) == ("POST", ["comments"]):
            placing.desk.tickets[number]["state"] = "open"
        return commented(method, number, rest, *more)

    placing.desk._of_ticket = reopening  # type: ignore[method-assign]
    desk = placing.connector(replace(placing.description, tables=tables))
    outcome = desk.write(everything(fields={"title": "Printer", "state": "closed"}))
    assert isinstance(outcome, Delivered)
    assert placing.texts() == ["first", "second"]
    assert placing.desk.tickets[1]["state"] == "closed"
    patches = [path for method, path in placing.desk.asked if method == "PATCH"]
    assert len(patches) == 1


def test_a_file_of_the_same_name_is_not_taken_for_ours_where_no_size_is_told(
    placing: Placing,
) -> None:
    """It was: a message of several parts left out the file that it carried."""
    tables = {
        name: replace(table, files=replace(table.files, size=""))
        for name, table in placing.description.tables.items()
        if table.files is not None
    }
    desk = placing.connector(replace(placing.description, tables=tables))
    made = desk.write(everything())
    assert isinstance(made, Delivered)
    other = replace(FILE_OF, id="acme:att2", sha256=SHA256_OF_OTHER, size=len(OTHER))
    given = write(
        record_id="1",
        if_match=str(placing.desk.tickets[1]["version"]),
        entries=(THIRD,),
        attachments=(FILE_OF, other),
    )
    assert isinstance(desk.write(given), Delivered)
    kept = sorted(placing.desk.bytes[f["id"]] for f in placing.desk.files[1])
    assert kept == sorted([CONTENT, OTHER])


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("lost", range(1, 5))
def test_whichever_answer_is_lost_each_part_is_there_once(
    placing: Placing, lost: int, *, marked: bool
) -> None:
    """Of four writing requests each in turn; the process is another one afterwards."""
    description = None if marked else placing.without_markers()
    given = everything()
    first = placing.connector(description)
    placing.wire.send = _losing(placing.wire, lost)  # type: ignore[method-assign]
    outcome = first.write(given)
    assert isinstance(outcome, Uncertain)
    second = placing.connector(description)
    settled = second.settle(given)
    if isinstance(settled, NotApplied):
        settled = second.write(given)  # type: ignore[assignment]
    assert isinstance(settled, Found | Delivered), settled
    assert len(placing.desk.tickets) == 1
    assert placing.texts() == ["first", "second"]
    assert len(placing.desk.files[1]) == 1


def _losing(wire: Unreliable, number: int) -> Any:
    """Sends, and loses the answer of the n-th write."""
    send, count = wire.send, iter(range(1, 1000))

    def lossy(request: Any) -> Any:
        wire.loses = int(request.method != "GET" and next(count) == number)
        return send(request)

    return lossy


def test_a_write_that_was_refused_midway_is_gone_on_with(placing: Placing) -> None:
    """A person retries it, and it is another process that sends it."""
    given = everything(
        entries=(FIRST, replace(SECOND, journal="secret")), attachments=()
    )
    outcome = placing.connector().write(given)
    assert isinstance(outcome, Refused)
    assert "no journal secret: comments" in outcome.detail
    right = replace(given, entries=(FIRST, SECOND))
    assert isinstance(placing.connector().write(right), Delivered)
    assert len(placing.desk.tickets) == 1
    assert placing.texts() == ["first", "second"]


def test_a_write_of_which_a_part_is_done_is_not_as_if_it_had_not_been_sent(
    placing: Placing,
) -> None:
    """The system is busy when it comes to the second comment."""
    send, asked = placing.wire.send, []

    def busy(request: Any) -> Any:
        asked.append(request)
        placing.wire.throttles = int(b"second" in request.body)
        return send(request)

    placing.wire.send = busy  # type: ignore[method-assign]
    outcome = placing.connector().write(everything(attachments=()))
    assert isinstance(outcome, Uncertain)
    assert "a part of it was written: answered 429" in outcome.detail


@pytest.mark.parametrize("marked", [True, False])
def test_a_record_that_moved_after_a_part_was_written_is_judged_anew(
    placing: Placing, *, marked: bool
) -> None:
    """Title and comment arrived, the answer was lost, and somebody changed the title.
    What is made anew of the message may be the comment alone: it is there already."""
    desk = placing.connector(None if marked else placing.without_markers())
    desk.write(everything(entries=(), attachments=()))
    given = write(record_id="1", if_match="1", fields={"title": "A"}, entries=(FIRST,))
    placing.wire.send = _losing(placing.wire, 2)  # type: ignore[method-assign]
    assert isinstance(desk.write(given), Uncertain)
    placing.desk.edit(1, title="B")
    assert isinstance(desk.settle(given), NotApplied)
    assert isinstance(desk.write(given), Moved)
    anew = replace(given, delivery_id=f"{given.delivery_id}-1", fields={}, if_match="4")
    assert isinstance(desk.write(anew), Delivered)
    assert placing.texts() == ["first"]
    assert placing.desk.tickets[1]["title"] == "B"


def test_the_same_text_said_twice_is_written_twice(placing: Placing) -> None:
    desk = placing.connector(placing.without_markers())
    desk.write(everything(entries=(FIRST,), attachments=()))
    later = replace(FIRST, id="acme:3", written_at="2099-01-01T00:00:00Z")
    given = write(record_id="1", if_match="2", entries=(later,))
    assert isinstance(desk.write(given), Delivered)
    assert placing.texts() == ["first", "first"]


def test_an_update_that_arrived_is_found_and_one_that_did_not_is_not(
    placing: Placing,
) -> None:
    desk = placing.connector()
    desk.write(everything(entries=(), attachments=()))
    changed = write(record_id="1", if_match="1", fields={"title": "Out"})
    assert isinstance(desk.settle(changed), NotApplied)
    placing.wire.loses = 1
    assert isinstance(desk.write(changed), Uncertain)
    assert isinstance(desk.settle(changed), Found)


def test_what_is_cleared_and_what_is_a_time_is_written_in_the_systems_form(
    placing: Placing,
) -> None:
    desk = placing.connector()
    fields = {"title": "x", "owner": None, "due": "2026-12-01T09:00:00+01:00"}
    outcome = desk.write(everything(fields=fields, entries=(), attachments=()))
    assert placing.desk.tickets[1]["due"] == "2026-12-01T08:00:00Z"
    assert placing.desk.tickets[1]["owner"] is None
    seen = desk.read("ticket", outcome.record_id)  # type: ignore[union-attr]
    assert isinstance(seen, Snapshot)
    assert seen.fields["due"] == "2026-12-01T08:00:00+00:00"


def test_a_delete_that_was_done_before_is_done(placing: Placing) -> None:
    desk = placing.connector()
    desk.write(everything(entries=(), attachments=()))
    gone = write(operation="delete", record_id="1", if_match="1", fields={})
    assert isinstance(desk.write(gone), Delivered)
    missing = replace(gone, record_id="99")
    assert isinstance(desk.write(missing), Delivered)


# --- who we are ---------------------------------------------------------------------


def test_a_token_is_asked_for_once_and_anew_when_it_is_refused(
    patient: Transport,
) -> None:
    def grant(token: str) -> Any:
        said = {"access_token": token, "expires_in": 3600}
        return answer(200, json.dumps(said).encode())

    fine = answer(200, b'{"id": 7}')
    _, description = presets.read_text(presets.text("generic"))
    auth = replace(
        description.auth, kind="oauth", user="rps", token_path="/token", scope="t"
    )
    described = replace(description, auth=auth)
    with LoopbackServer(
        *(grant("one"), fine, fine, answer(401), grant("two"), fine)
    ) as server:
        placed = Placed(described, server.url, {}, "s3cret")
        desk = RestConnector(patient, placed, Files(), lambda: NOW)
        for _ in range(3):
            assert isinstance(desk.read("ticket", "7"), Snapshot)
    sent = [r.headers.get("authorization") for r in server.received]
    one, two = "Bearer one", "Bearer two"
    assert sent == [None, one, one, one, None, two]
    assert server.received[0].body == (
        b"grant_type=client_credentials&client_id=rps&client_secret=s3cret&scope=t"
    )


def test_a_refused_client_needs_credentials(patient: Transport) -> None:
    _, description = presets.read_text(presets.text("generic"))
    auth = replace(description.auth, kind="oauth", user="rps", token_path="/token")
    with LoopbackServer(answer(400, b'{"error": "invalid_client"}')) as server:
        placed = Placed(replace(description, auth=auth), server.url, {}, "s3cret")
        outcome = RestConnector(patient, placed, Files()).write(write())
    assert isinstance(outcome, NeedsCredentials)
    assert "s3cret" not in outcome.detail


@pytest.mark.parametrize(
    ("kind", "more", "header", "sent"),
    [
        ("basic", {"user": "rps"}, "authorization", "Basic cnBzOnMzY3JldA=="),
        ("bearer", {}, "authorization", "Bearer s3cret"),
        ("header", {"name": "X-Key", "form": "k {secret}"}, "x-key", "k s3cret"),
    ],
)
def test_each_kind_of_credentials_goes_where_it_belongs(
    patient: Transport, kind: Any, more: dict[str, str], header: str, sent: str
) -> None:
    _, description = presets.read_text(presets.text("generic"))
    auth = replace(description.auth, kind=kind, **more)
    with LoopbackServer(answer(200, b'{"id": 7}')) as server:
        placed = Placed(replace(description, auth=auth), server.url, {}, "s3cret")
        RestConnector(patient, placed, Files()).read("ticket", "7")
    assert server.received[0].headers[header] == sent


def test_a_key_in_the_query_is_added_to_it(patient: Transport) -> None:
    _, description = presets.read_text(presets.text("generic"))
    auth = replace(description.auth, kind="query", name="api_key")
    with LoopbackServer(answer(200, b'{"tickets": []}')) as server:
        placed = Placed(replace(description, auth=auth), server.url, {}, "s&t")
        RestConnector(patient, placed, Files()).find("ticket", "title", "x")
    assert server.received[0].target == "/tickets?title=x&api_key=s%26t"


# --- polling ------------------------------------------------------------------------


def test_more_records_of_one_second_than_a_page_holds_are_all_told_of(
    placing: Placing,
) -> None:
    """And one that is edited while pages are turned hides no other."""
    for number in range(12):
        placing.desk._created({"title": str(number)})
    moment = "2026-11-24T10:00:00+00:00"
    for ticket in placing.desk.tickets.values():
        ticket["updated_at"] = moment
    desk = placing.connector(placing.paging(5))
    told: set[str] = set()
    cursor: Any = {"since": moment}
    has_more, pages = True, 0
    while has_more:
        came = desk.changes_since("ticket", cursor)
        assert isinstance(came, Changes)
        told |= {each.record.record_id for each in came.records}
        cursor, has_more, pages = came.cursor, came.has_more, pages + 1
        if pages == 1:
            placing.desk.edit(2, title="edited")
        assert pages < 20
    assert told == {str(number) for number in range(1, 13)}


def test_what_was_said_before_its_page_began_is_shown_with_its_record(
    placing: Placing,
) -> None:
    """Of a record that was edited after a comment, on a page behind the first, the
    comment was taken for an old one: it was lost."""
    start = datetime.now(UTC)
    for number in range(1, 13):
        placing.desk._created({"title": str(number)})
        at = start + timedelta(seconds=10 * number)
        placing.desk.tickets[number]["updated_at"] = at.isoformat()
    said = (start + timedelta(seconds=15)).isoformat()
    comment = {"id": 99, "text": "Smoke", "author": "Dee", "at": said}
    placing.desk.comments[12].append(comment)
    desk = placing.connector(placing.paging(5))
    cursor: Any = {"since": (start + timedelta(seconds=120)).isoformat()}
    has_more, told = True, []
    while has_more:
        came = desk.changes_since("ticket", cursor)
        assert isinstance(came, Changes)
        told += [each["text"] for shown in came.records for each in shown.entries]
        cursor, has_more = came.cursor, came.has_more
    assert told == ["Smoke"]


def test_what_was_told_is_told_again_only_if_it_may_have_changed(
    placing: Placing,
) -> None:
    placing.desk._created({"title": "x"})
    placing.desk.tickets[1]["updated_at"] = "2026-11-24T10:00:00+00:00"
    desk = placing.connector()
    first = desk.changes_since("ticket", {"since": "2026-11-24T10:00:00+00:00"})
    assert isinstance(first, Changes)
    assert [each.record.fields["title"] for each in first.records] == ["x"]
    again = desk.changes_since("ticket", first.cursor)
    assert isinstance(again, Changes)
    assert again.records == ()
    placing.desk.edit(1, title="y")
    third = desk.changes_since("ticket", again.cursor)
    assert isinstance(third, Changes)
    assert [(e.record.fields["title"], e.changed_by) for e in third.records] == [
        ("y", "Dee")
    ]


def test_a_second_change_within_a_second_is_told_of(placing: Placing) -> None:
    """Its clock shows whole seconds: the record looks as it did a moment ago."""
    now = placing.desk.now()
    placing.desk.now = lambda: now  # type: ignore[method-assign]
    placing.desk._created({"title": "x"})
    desk = placing.connector()
    first = desk.changes_since("ticket", {"since": now.isoformat()})
    assert isinstance(first, Changes)
    placing.desk.edit(1, title="y")
    second = desk.changes_since("ticket", first.cursor)
    assert isinstance(second, Changes)
    assert [each.record.fields["title"] for each in second.records] == ["y"]


def test_who_tells_whether_rps_made_a_record(placing: Placing) -> None:
    desk = placing.connector()
    desk.write(everything(entries=(), attachments=()))
    placing.desk._created({"title": "theirs"})
    came = desk.changes_since("ticket", {"since": "2020-01-01T00:00:00+00:00"})
    assert isinstance(came, Changes)
    assert [each.external_id for each in came.records] == [CORRELATION, ""]


def test_reading_of_a_table_that_is_not_described_is_refused(
    patient: Transport,
) -> None:
    desk = connector(patient, "http://127.0.0.1:1")
    for refused in (
        desk.read("nothing", "1"),
        desk.changes_since("nothing", None),
        desk.write(write(table="nothing")),
    ):
        assert isinstance(refused, Refused)


def test_a_preview_is_the_first_request_without_who_we_are_and_sends_nothing(
    placing: Placing,
) -> None:
    new = write(operation="create", record_id=None, fields={"title": "Fire"})
    told = placing.connector().preview(new)
    assert isinstance(told, Preview)
    assert told.method == "POST"
    assert told.url.startswith(placing.url)
    assert told.headers["Authorization"] == "(left out)"
    assert "Fire" in told.body
    assert TOKEN not in str(told)
    assert placing.desk.comments == {}
    nowhere = placing.connector().preview(replace(write(), table="nowhere"))
    assert isinstance(nowhere, Refused)
