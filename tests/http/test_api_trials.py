"""Dry runs over HTTP: nothing is written, here or there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from api_node import DOCUMENT, change_of
from trying import CONDITION, DRY_RUN, OTHER, WHAT_IF, checked, linked

if TYPE_CHECKING:
    from api_node import Node
    from trying import Wire


def test_a_dry_run_goes_from_a_change_to_the_request(sharing: Node, wire: Wire) -> None:
    sharing.call("PUT", "/v1/definitions/incident.shared", OTHER)
    head = sharing.application.recorder.head()

    found = checked(
        sharing, "DryRun", sharing.call("POST", DRY_RUN, {"change": change_of()})
    )

    assert (found["outcome"], found["shared"]) == ("accepted", False)
    assert found["definition"]["source"] == "draft"
    assert found["definition"]["revision"] == 2
    (message,) = found["messages"]
    body = orjson.loads(message["request"]["body"])
    assert body["fields"] == {"summary": "Printer", "state": "open"}
    assert message["request"]["url"] == "https://hooks.example/rps/globex/messages"
    assert message["request"]["headers"]["webhook-signature"] == "(left out)"
    assert [each["name"] for each in message["steps"]] == ["map"]
    assert message["steps"][0]["seconds"] > 0
    assert sharing.application.recorder.head() == head
    assert wire.written == []


def test_a_dry_run_is_judged_beside_the_record_as_it_is(
    sharing: Node, wire: Wire
) -> None:
    key = sharing.shared()
    linked(sharing, key)
    change = change_of(operation="update", fields={"short_description": "Scanner"})

    found = sharing.call("POST", DRY_RUN, {"change": change}).json
    new = sharing.call("POST", DRY_RUN, {"change": change, "as_new": True}).json

    assert found["correlation_id"] == str(key)
    assert (found["shared"], new["shared"]) == (True, False)
    write = found["messages"][0]["write"]
    assert (write["operation"], write["record_id"], write["if_match"]) == (
        *("update", "T1", "1"),
    )
    assert new["messages"][0]["write"]["operation"] == "create"
    assert wire.written == []


def test_a_record_is_read_from_its_system(sharing: Node, wire: Wire) -> None:
    wire.records["INC7"] = {
        "record_id": "INC7",
        "revision": "3",
        "fields": {"short_description": "Seen there", "state": "6"},
    }
    record = {"system": "acme", "table": "incident", "record_id": "INC7"}

    found = checked(
        sharing, "DryRun", sharing.call("POST", DRY_RUN, {"record": record})
    )

    assert found["record"]["read"] == "system"
    assert found["messages"][0]["fields"] == {"title": "Seen there", "state": "done"}
    assert wire.written == []


def test_a_system_that_is_away_leaves_what_is_known_of_the_record(
    sharing: Node, wire: Wire
) -> None:
    sharing.shared()
    wire.is_away = True
    record = {"system": "acme", "table": "incident", "record_id": "INC1"}

    known = sharing.call("POST", DRY_RUN, {"record": record, "as_new": True}).json
    unknown = sharing.call("POST", DRY_RUN, {"record": {**record, "record_id": "X"}})

    assert known["record"]["read"] == "log"
    assert "nobody listens there" in known["record"]["detail"]
    assert known["messages"][0]["fields"] == {"title": "Printer", "state": "new"}
    assert unknown.status == 409
    assert unknown.json["place"] == "/record"


def test_a_system_that_takes_no_part_is_not_asked(sharing: Node, wire: Wire) -> None:
    sharing.shared()
    disabled = sharing.call("POST", "/v1/systems/acme/disable", {"reason": "moving"})
    assert disabled.status == 200
    record = {"system": "acme", "table": "incident", "record_id": "INC1"}
    found = sharing.call("POST", DRY_RUN, {"record": record}).json

    assert found["record"] == {"read": "log", "detail": "as last known: it is disabled"}
    assert wire.asked == 0


def test_a_record_that_is_not_there_is_told(sharing: Node, wire: Wire) -> None:
    record = {"system": "acme", "table": "incident", "record_id": "INC404"}
    answered = sharing.call("POST", DRY_RUN, {"record": record})

    assert answered.status == 409
    assert "acme has no record INC404" in answered.json["detail"]
    assert wire.written == []


def test_a_dry_run_tells_what_is_refused_and_where(sharing: Node, wire: Wire) -> None:
    change = change_of(fields={"state": "unheard of"})
    found = checked(
        sharing, "DryRun", sharing.call("POST", DRY_RUN, {"change": change})
    )

    assert (found["outcome"], found["messages"]) == ("failed", [])
    assert found["error"]["place"] == "/members/acme/fields/state"
    assert found["error"]["line"] is None
    assert wire.written == []


def test_a_document_is_tried_and_not_kept(sharing: Node, wire: Wire) -> None:
    before = sharing.application.recorder.head()
    asked = {"change": change_of(), "document": CONDITION}
    found = checked(sharing, "DryRun", sharing.call("POST", DRY_RUN, asked))

    assert (found["outcome"], found["definition"]["source"]) == ("ignored", "document")
    assert found["steps"][-1]["held"] is False
    assert sharing.application.recorder.head() == before
    assert wire.written == []


def test_an_operation_that_is_not_captured_is_told(sharing: Node, wire: Wire) -> None:
    members = DOCUMENT["members"]
    acme = {**members["acme"], "capture": ["update"]}
    document = {**DOCUMENT, "members": {**members, "acme": acme}}
    asked = {"change": change_of(), "document": document}
    found = checked(sharing, "DryRun", sharing.call("POST", DRY_RUN, asked))

    assert found["outcome"] == "not_captured"
    assert found["reason"] == "not captured: create is not captured from acme"
    assert wire.written == []


BODIES: dict[str, tuple[Any, int, str]] = {
    "nothing": ({}, 422, "/change"),
    "both": (
        {
            "change": change_of(),
            "record": {"system": "a", "table": "b", "record_id": "c"},
        },
        422,
        "/change",
    ),
    "a list": ([], 422, ""),
    "unknown key": ({"chnage": {}}, 422, "/chnage"),
    "change a text": ({"change": "x"}, 422, "/change"),
    "change null": ({"change": None}, 422, "/change"),
    "change of another table": (
        {"change": {**change_of(), "table": "problem"}},
        422,
        "/change/table",
    ),
    "record of another table": (
        {"record": {"system": "acme", "table": "x", "record_id": "1"}},
        422,
        "/record/table",
    ),
    "wrong field": (
        {"change": change_of(operation="upsert")},
        422,
        "/change/operation",
    ),
    "record id a number": (
        {"record": {"system": "acme", "table": "incident", "record_id": 1}},
        422,
        "/record/record_id",
    ),
    "as new a text": ({"change": change_of(), "as_new": "yes"}, 422, "/as_new"),
    "revision zero": ({"change": change_of(), "revision": 0}, 422, "/revision"),
    "revision a text": ({"change": change_of(), "revision": "1"}, 422, "/revision"),
    "revision and document": (
        {"change": change_of(), "revision": 1, "document": DOCUMENT},
        422,
        "/document",
    ),
    "document a list": ({"change": change_of(), "document": []}, 422, ""),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_dry_run_of_nonsense_is_refused_at_its_place(
    sharing: Node, name: str
) -> None:
    body, status, place = BODIES[name]
    answered = sharing.call("POST", DRY_RUN, body)

    assert answered.status == status, answered.bytes
    assert answered.json.get("place", "") == place


@pytest.mark.parametrize("path", [DRY_RUN, WHAT_IF])
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"null",
        b'{"change": {"fields": {"a": NaN}}}',
        b'{"change": {"record_id": "\\ud800"}}',
        b'{"revision": 1, "revision": 2}',
        b'{"document": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b'{"document": {"a": [' + b"0," * 30_000 + b"0]}}",
        b"\xff",
    ],
    ids=lambda raw: raw[:12].hex(),
)
def test_bytes_that_are_no_body_are_refused(
    sharing: Node, path: str, raw: bytes
) -> None:
    answered = sharing.call("POST", path, raw=raw)
    assert 400 <= answered.status < 500, answered.bytes


def test_a_document_with_mistakes_is_refused_with_all_of_them(sharing: Node) -> None:
    wrong = {**DOCUMENT, "feilds": {}}
    for path, body in ((DRY_RUN, {"change": change_of()}), (WHAT_IF, {})):
        answered = sharing.call("POST", path, {**body, "document": wrong})
        assert answered.status == 422
        assert answered.json["problems"][0]["place"] == "/feilds"


def test_what_is_not_there_or_not_yours_is_not_found(sharing: Node) -> None:
    for path, body in ((DRY_RUN, {"change": change_of()}), (WHAT_IF, {})):
        other = path.replace("incident.shared", "nothing")
        assert sharing.call("POST", other, body).status == 404
        assert sharing.call("POST", other, {**body, "document": DOCUMENT}).status == 404
        assert sharing.call("POST", path, {**body, "revision": 9}).status == 404
        assert sharing.call("POST", path, body, who="stranger").status == 404
        assert sharing.call("POST", path, body, who="auditor").status == 403
