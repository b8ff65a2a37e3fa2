"""A message is written once to an instance, whatever gets lost on the way."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from servicenow_cases import CORRELATION, Case, attachment, entry, write

from rps.connectors.transport import Answer, Headers, NotSent
from rps.domain.delivery import (
    Delivered,
    Found,
    Gone,
    JournalEntry,
    Moved,
    NeedsCredentials,
    NotApplied,
    Preview,
    Refused,
    Unavailable,
    Uncertain,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from rps.connectors.transport import Request

SHOT = b"a screenshot" * 5000
SHA256 = hashlib.sha256(SHOT).hexdigest()


@pytest.fixture
def case() -> Case:
    made = Case()
    made.files.contents[SHA256] = SHOT
    return made


def made(case: Case, **values: str) -> str:
    return case.there.insert(short_description="Printer on fire", **values)


def lost_once(
    method: str, part: str = "", says: bytes = b""
) -> Callable[[Request], bool]:
    """Loses the answer to the first such request."""
    left = [1]

    def lose(request: Request) -> bool:
        is_it = (
            request.method == method and part in request.url and says in request.body
        )
        if is_it and left:
            left.pop()
            return True
        return False

    return lose


# --- records ------------------------------------------------------------------------


def test_a_create_keeps_our_id_and_answers_with_record_revision_and_values(
    case: Case,
) -> None:
    told = case.connector.write(
        write(fields={"short_description": "Fire", "state": "2"})
    )
    assert isinstance(told, Delivered)
    row = case.there.tables["incident"][told.record_id]
    assert (row["correlation_id"], row["correlation_display"]) == (
        CORRELATION,
        "incident.shared",
    )
    assert told.revision == "0"
    assert told.stored["short_description"] == "Fire"


def test_a_create_that_is_written_twice_makes_one_record(case: Case) -> None:
    first = case.connector.write(write())
    second = case.connector.write(write())
    assert isinstance(first, Delivered)
    assert isinstance(second, Delivered)
    assert first.record_id == second.record_id
    assert len(case.there.tables["incident"]) == 1


def test_a_create_whose_answer_is_lost_is_found_by_its_correlation_id(
    case: Case,
) -> None:
    case.there.lose = lost_once("POST")
    assert isinstance(case.connector.write(write()), Uncertain)
    found = case.connector.settle(write())
    assert isinstance(found, Found)
    assert found.record.fields["short_description"] == "Printer on fire"
    assert len(case.there.tables["incident"]) == 1


def test_a_create_that_never_arrived_may_be_sent_again(case: Case) -> None:
    assert isinstance(case.connector.settle(write()), NotApplied)


def test_two_records_with_our_id_are_left_to_a_person(case: Case) -> None:
    for _ in range(2):
        made(case, correlation_id=CORRELATION)
    told = case.connector.settle(write())
    assert isinstance(told, Refused)
    assert "a person must look" in told.detail


def test_only_fields_that_differ_are_patched(case: Case) -> None:
    record_id = made(case)
    fields = {"short_description": "Printer on fire", "state": "2"}
    told = case.connector.write(write("update", record_id=record_id, fields=fields))
    assert isinstance(told, Delivered)
    assert case.there.asked[-1].body == b'{"state":"2"}'
    case.calls()
    again = case.connector.write(write("update", record_id=record_id, fields=fields))
    assert isinstance(again, Delivered)
    assert case.calls() == ["GET"]


def test_a_record_that_somebody_changed_is_not_overwritten(case: Case) -> None:
    record_id = made(case)
    case.there.edit(record_id, short_description="Printer is wet")
    update = write(
        "update", record_id=record_id, if_match="0", fields={"short_description": "Out"}
    )
    told = case.connector.write(update)
    assert isinstance(told, Moved)
    assert told.record is not None
    assert told.record.revision == "1"
    assert told.record.fields["short_description"] == "Printer is wet"
    row = case.there.tables["incident"][record_id]
    assert row["short_description"] == "Printer is wet"


def test_an_update_whose_answer_is_lost_is_found_by_its_values(case: Case) -> None:
    record_id = made(case)
    update = write("update", record_id=record_id, if_match="0", fields={"state": "2"})
    case.there.lose = lost_once("PATCH")
    assert isinstance(case.connector.write(update), Uncertain)
    found = case.connector.settle(update)
    assert isinstance(found, Found)
    assert found.record.revision == "1"


def test_an_update_that_never_arrived_may_be_sent_again(case: Case) -> None:
    update = write("update", record_id=made(case), fields={"state": "2"})
    assert isinstance(case.connector.settle(update), NotApplied)


def test_values_are_written_as_the_instance_says_them(case: Case) -> None:
    record_id = made(case)
    fields = {
        "due_date": "2026-11-24T10:00:00.5Z",
        "state": 2,
        "short_description": None,
    }
    update = write("update", record_id=record_id, fields=fields)
    told = case.connector.write(update)
    assert isinstance(told, Delivered)
    row = case.there.tables["incident"][record_id]
    assert (row["due_date"], row["state"], row["short_description"]) == (
        "2026-11-24 10:00:00",
        "2",
        "",
    )
    found = case.connector.settle(update)
    assert isinstance(found, Found)
    assert dict(found.record.fields) == fields


def test_fields_named_so_are_read_and_written_as_people_see_them() -> None:
    case = Case(display_values=["assignment_group"])
    network = "287ebd7da9fe198100f92cc8d1d2154e"
    case.uses = replace(
        case.uses, fields={**case.uses.fields, "assignment_group": "reference"}
    )
    record_id = made(case, assignment_group=network)
    shown = case.connector.read("incident", record_id)
    assert shown.fields["assignment_group"] == "Network"
    fields = {"assignment_group": "Hardware", "state": "2"}
    case.connector.write(write("update", record_id=record_id, fields=fields))
    asked = [r for r in case.there.asked if r.method == "PATCH"]
    assert [r.body for r in asked] == [
        b'{"state":"2"}',
        b'{"assignment_group":"Hardware"}',
    ]
    assert ["sysparm_input_display_value=true" in r.url for r in asked] == [False, True]


def test_a_delete_is_done_where_the_record_is_gone_already(case: Case) -> None:
    record_id = made(case)
    delete = write("delete", record_id=record_id, fields={})
    assert isinstance(case.connector.settle(delete), NotApplied)
    assert isinstance(case.connector.write(delete), Delivered)
    assert isinstance(case.connector.write(delete), Delivered)
    assert isinstance(case.connector.settle(delete), Delivered)


def test_without_a_column_for_our_id_a_lost_create_is_left_to_a_person() -> None:
    case = Case(correlation_field="")
    case.there.lose = lost_once("POST")
    assert isinstance(case.connector.write(write()), Uncertain)
    told = case.connect().settle(write())
    assert isinstance(told, Refused)
    assert "a person must look" in told.detail
    assert len(case.there.tables["incident"]) == 1
    assert isinstance(case.connector.write(write()), Delivered)  # the person's retry


def test_without_a_column_for_our_id_what_was_answered_is_not_made_again() -> None:
    case = Case(correlation_field="")
    case.there.instead = lambda r: NotSent("refused") if b"Smoke" in r.body else None
    create = write(entries=(entry("Smoke"),))
    assert isinstance(case.connector.write(create), Unavailable)
    case.there.instead = lambda _request: None
    assert isinstance(case.connect().write(create), Delivered)
    [record_id] = case.there.tables["incident"]
    assert case.there.texts(record_id) == ["Smoke"]


def test_a_hidden_column_for_our_id_is_named_before_anything_is_made(
    case: Case,
) -> None:
    made(case)
    case.there.hidden_fields.add("correlation_id")
    told = case.connector.write(write(fields={"state": "2"}))
    assert isinstance(told, Refused)
    assert "correlation_id" in told.detail
    assert len(case.there.tables["incident"]) == 1


# --- entries ------------------------------------------------------------------------


def test_each_entry_is_a_write_of_its_own_in_order(case: Case) -> None:
    record_id = made(case)
    entries = (
        entry("one"),
        entry("two", "zenith:c2"),
        entry("hush", "zenith:w1", "work_notes"),
    )
    update = write("update", record_id=record_id, fields={}, entries=entries)
    told = case.connector.write(update)
    assert isinstance(told, Delivered)
    assert told.revision == "3"
    assert case.there.texts(record_id) == ["one", "two"]
    assert case.there.texts(record_id, "work_notes") == ["hush"]


@pytest.mark.parametrize("lost", ["one", "two", "three"])
def test_whichever_answer_is_lost_each_entry_is_there_once(
    case: Case, lost: str
) -> None:
    record_id = made(case)
    entries = tuple(entry(text, f"zenith:{text}") for text in ("one", "two", "three"))
    update = write(
        "update", record_id=record_id, fields={"state": "2"}, entries=entries
    )
    case.there.lose = lost_once("PATCH", says=lost.encode())
    assert isinstance(case.connector.write(update), Uncertain)
    found = case.connect().settle(update)  # after a kill: another process
    assert isinstance(found, Found)
    assert case.there.texts(record_id) == ["one", "two", "three"]


def test_an_entry_that_never_arrived_is_written_when_the_rest_is_found(
    case: Case,
) -> None:
    record_id = made(case)
    update = write(
        "update", record_id=record_id, fields={"state": "2"}, entries=(entry("one"),)
    )
    case.there.instead = lambda r: NotSent("refused") if b"one" in r.body else None
    assert isinstance(case.connector.write(update), Unavailable)
    case.there.instead = lambda _request: None
    assert isinstance(case.connector.write(update), Delivered)
    assert case.there.texts(record_id) == ["one"]


def test_the_same_text_said_twice_is_there_twice(case: Case) -> None:
    record_id = made(case)
    for key in ("zenith:c1", "zenith:c2"):
        update = write(
            "update", record_id=record_id, fields={}, entries=(entry("ok", key),)
        )
        assert isinstance(case.connector.write(update), Delivered)
    assert case.there.texts(record_id) == ["ok", "ok"]


def test_the_same_text_said_just_before_is_not_taken_for_the_one_that_was_lost(
    case: Case,
) -> None:
    record_id = made(case)
    first = write("update", record_id=record_id, fields={}, entries=(entry("ok"),))
    case.connector.write(first)
    second = replace(first, delivery_id="m2", entries=(entry("ok", "zenith:c2"),))
    case.there.instead = lambda r: (
        Answer(500, Headers({}), b"", 0.0) if r.method == "PATCH" else None
    )
    assert isinstance(case.connector.write(second), Uncertain)
    case.there.instead = lambda _request: None
    assert isinstance(case.connector.settle(second), Found)
    assert case.there.texts(record_id) == ["ok", "ok"]


def test_an_instance_whose_clock_is_an_hour_off_is_asked_by_its_own_clock(
    case: Case,
) -> None:
    case.there.ahead = -3600
    record_id = made(case)
    update = write("update", record_id=record_id, fields={}, entries=(entry("one"),))
    case.there.lose = lost_once("PATCH")
    assert isinstance(case.connector.write(update), Uncertain)
    assert isinstance(case.connector.settle(update), Found)
    assert case.there.texts(record_id) == ["one"]


def test_entries_cannot_be_edited_there(case: Case) -> None:
    edited = JournalEntry("zenith:c1", "comments", "new", operation="update")
    told = case.connector.write(
        write("update", record_id=made(case), fields={}, entries=(edited,))
    )
    assert isinstance(told, Refused)
    assert "leave 'edits' out" in told.detail


# --- files --------------------------------------------------------------------------


def test_a_file_is_attached_once_though_its_answer_was_lost(case: Case) -> None:
    record_id = made(case)
    update = write(
        "update",
        record_id=record_id,
        fields={},
        attachments=(attachment(SHOT, SHA256),),
    )
    case.there.lose = lost_once("POST", "attachment/file")
    assert isinstance(case.connector.write(update), Uncertain)
    assert isinstance(case.connect().settle(update), Found)
    assert case.there.files_of(record_id) == [("shot.png", SHOT)]
    assert isinstance(case.connector.write(update), Delivered)
    assert case.there.files_of(record_id) == [("shot.png", SHOT)]


def test_another_file_of_the_same_name_and_size_is_not_taken_for_it(
    case: Case,
) -> None:
    record_id = made(case)
    case.there.attach(record_id, "shot.png", b"x" * len(SHOT))
    update = write(
        "update",
        record_id=record_id,
        fields={},
        attachments=(attachment(SHOT, SHA256),),
    )
    case.there.instead = lambda r: NotSent("refused") if r.method == "POST" else None
    assert isinstance(case.connector.write(update), Unavailable)
    case.there.instead = lambda _request: None
    assert isinstance(case.connector.write(update), Delivered)
    assert len(case.there.files_of(record_id)) == 2


def test_a_file_that_was_removed_elsewhere_is_removed(case: Case) -> None:
    record_id = made(case)
    file = attachment(SHOT, SHA256)
    update = write("update", record_id=record_id, fields={}, attachments=(file,))
    case.connector.write(update)
    gone = replace(update, attachments=(replace(file, deleted=True),))
    assert isinstance(case.connector.write(gone), Delivered)
    assert case.there.files_of(record_id) == []
    assert isinstance(case.connector.write(gone), Delivered)
    case.connector.write(update)  # and is back there
    assert case.there.files_of(record_id) == [("shot.png", SHOT)]


# --- bad answers --------------------------------------------------------------------

HTML = Answer(200, Headers({"content-type": "text/html"}), b"<html>Hibernating", 0.0)
CUT = Answer(
    200, Headers({"content-type": "application/json"}), b'{"result": [{"sy', 0.0
)
REDIRECT = Answer(302, Headers({"location": "https://evil.example/x"}), b"", 0.0)
CANCELLED = Answer(
    200,
    Headers({}),
    b'{"error":{"message":"Transaction cancelled: maximum execution time exceeded"}}',
    0.0,
)
NOT_OURS = Answer(
    403,
    Headers({}),
    b'{"error":{"message":"Operation Failed","detail":"ACL Exception Update Failed due'
    b' to security constraints"},"status":"failure"}',
    0.0,
)
LIMITED = Answer(
    429,
    Headers({"retry-after": "37"}),
    b'{"error":{"message":"Rate limit exceeded"}}',
    0.0,
)


@pytest.mark.parametrize(
    ("told", "kind", "says"),
    [
        (NotSent("TLS: certificate has expired"), Unavailable, "has expired"),
        (HTML, Unavailable, "a web page instead of JSON"),
        (CUT, Unavailable, "cut off or unreadable"),
        (REDIRECT, Unavailable, "redirect to evil.example: rps follows none"),
        (CANCELLED, Unavailable, "raise the quota"),
        (NOT_OURS, Refused, "give it a role that may"),
        (LIMITED, Unavailable, "Rate limit exceeded"),
        (Answer(401, Headers({}), b"", 0.0), NeedsCredentials, "right credentials"),
        (
            Answer(403, Headers({}), b"", 0.0),
            NeedsCredentials,
            "a role that may do this",
        ),
        (Answer(410, Headers({}), b"", 0.0), Gone, "410"),
        (Answer(404, Headers({}), HTML.body, 0.0), Unavailable, "a web page"),
    ],
)
def test_a_bad_answer_to_the_first_request_says_what_to_do(
    case: Case, told: Answer, kind: type, says: str
) -> None:
    case.there.instead = lambda _request: told
    outcome = case.connector.write(write())
    assert isinstance(outcome, kind)
    assert says in outcome.detail


@pytest.mark.parametrize(
    "told", [HTML, CUT, CANCELLED, Answer(500, Headers({}), b"", 0.0)]
)
def test_after_a_write_such_an_answer_is_uncertain(case: Case, told: Answer) -> None:
    case.there.instead = lambda r: told if r.method == "POST" else None
    assert isinstance(case.connector.write(write()), Uncertain)


def test_a_pause_that_is_asked_for_is_told(case: Case) -> None:
    case.there.instead = lambda _request: LIMITED
    told = case.connector.write(write())
    assert isinstance(told, Unavailable)
    assert told.retry_after == 37


def test_a_field_that_was_renamed_there_is_named_before_anything_is_written(
    case: Case,
) -> None:
    record_id = made(case)
    for operation, key in (("create", None), ("update", record_id)):
        told = case.connector.write(
            write(operation, record_id=key, fields={"state": "2", "u_gone": "x"})
        )
        assert isinstance(told, Refused)
        assert "incident shows no 'u_gone'" in told.detail
    assert case.there.tables["incident"][record_id]["state"] == "1"
    assert len(case.there.tables["incident"]) == 1


def test_a_record_that_is_hidden_says_so(case: Case) -> None:
    record_id = made(case)
    case.there.hidden.add(record_id)
    told = case.connector.write(write("update", record_id=record_id))
    assert isinstance(told, Refused)
    assert "is gone, or access controls hide it" in told.detail


def test_a_table_that_is_not_there_says_so(case: Case) -> None:
    told = case.connector.write(write(table="incidnet"))
    assert isinstance(told, Refused)
    assert "Invalid table incidnet" in told.detail


def test_a_query_that_the_instance_ignores_is_not_believed(case: Case) -> None:
    """An invalid part of a query is dropped there, and everything is found."""
    made(case)
    ignoring = Case(correlation_field="u_nowhere")
    ignoring.there.insert()
    told = ignoring.connector.settle(write())
    assert isinstance(told, Refused)
    assert "cannot be searched by u_nowhere" in told.detail


# --- who we are ---------------------------------------------------------------------


@pytest.mark.parametrize("auth", ["oauth-password", "oauth-client"])
def test_a_token_that_ends_is_replaced_and_the_write_done_once(auth: str) -> None:
    case = Case(auth=auth, client_id="abc")
    assert isinstance(case.connector.write(write()), Delivered)
    case.there.tokens.clear()
    update = write("update", record_id=next(iter(case.there.tables["incident"])))
    assert isinstance(case.connector.write(update), Delivered)
    tokens = [r for r in case.there.asked if "oauth_token" in r.url]
    assert len(tokens) == 2
    assert len(case.there.tables["incident"]) == 1


def test_wrong_credentials_are_told_and_no_secret_with_them() -> None:
    case = Case(auth="oauth-password", client_id="abc")
    case.there.instead = lambda r: (
        Answer(401, Headers({}), b'{"error":"invalid_client"}', 0.0)
        if "oauth_token" in r.url
        else None
    )
    told = case.connector.write(write())
    assert isinstance(told, NeedsCredentials)
    assert "invalid_client" in told.detail
    shown = repr(case.connector.instance.credentials) + repr(told)
    assert "correct horse" not in shown
    assert "hush" not in shown


# --- tried only -----------------------------------------------------------------------


def test_a_preview_is_the_request_without_who_we_are_and_sends_nothing(
    case: Case,
) -> None:
    told = case.connector.preview(write(fields={"short_description": "Fire"}))
    assert isinstance(told, Preview)
    assert told.method == "POST"
    assert "/api/now/table/incident?" in told.url
    assert told.headers["Authorization"] == "(left out)"
    assert json.loads(told.body) == {
        "short_description": "Fire",
        "correlation_id": CORRELATION,
        "correlation_display": "incident.shared",
    }
    record_id = made(case)
    told = case.connector.preview(write(operation="update", record_id=record_id))
    assert isinstance(told, Preview)
    assert (told.method, record_id in told.url) == ("PATCH", True)
    assert len(case.there.tables["incident"]) == 1
