"""Dry runs, what-if and executions over HTTP: nothing is written, nothing leaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson
import pytest
from api_node import DOCUMENT, change_of
from jsonschema import Draft202012Validator

from rps.connectors.push import PushConnector
from rps.connectors.signature import new_secret
from rps.connectors.transport import Answer, NotSent
from rps.domain import events
from rps.domain.delivery import Capabilities
from rps.projections import trial_questions

if TYPE_CHECKING:
    from api_node import Answered, Node

    from rps.connectors.transport import Request

DRY_RUN = "/v1/definitions/incident.shared/dry-run"
WHAT_IF = "/v1/definitions/incident.shared/what-if"
FULL = Capabilities(dedupe=True, conditional_write=True, read_back=True)
SECRET = new_secret(b"s" * 32)


class Wire:
    """Systems that show records and count what is written to them."""

    def __init__(self) -> None:
        self.written: list[Request] = []
        self.records: dict[str, Any] = {}
        self.is_away = False
        self.asked = 0

    def send(self, request: Request) -> Any:
        self.asked += 1
        if request.method != "GET":
            self.written.append(request)
        if self.is_away:
            return NotSent("nobody listens there")
        shown = self.records.get(request.url.rpartition("/")[2])
        if shown is None:
            return Answer(404, {}, b"{}", 0.0)
        return Answer(200, {}, orjson.dumps(shown), 0.0)


@pytest.fixture
def wire(sharing: Node, monkeypatch: pytest.MonkeyPatch) -> Wire:
    made = Wire()

    def connector(_self: Any, system: Any) -> Any:
        return PushConnector(
            made,  # type: ignore[arg-type]
            url=system.settings["url"],
            secrets=[SECRET],
            capabilities=FULL,
        )

    monkeypatch.setattr(type(sharing), "_connector", connector)
    sharing.app = sharing.make_app()
    sharing.client = sharing.app.test_client()
    return made


def with_values(name: str, values: dict[str, str]) -> dict[str, Any]:
    """The document, with other words of globex for a choice."""
    members = DOCUMENT["members"]
    fields = members["globex"]["fields"] | {name: {"field": name, "values": values}}
    return {
        **DOCUMENT,
        "members": {**members, "globex": {**members["globex"], "fields": fields}},
    }


OTHER = with_values("state", {"new": "open", "done": "shut"})
CONDITION = {
    **DOCUMENT,
    "members": {
        **DOCUMENT["members"],
        "acme": {**DOCUMENT["members"]["acme"], "capture_when": "state=6"},
    },
}


def checked(node: Node, name: str, answered: Answered) -> Any:
    """The answer, once it is what OpenAPI says of it."""
    assert answered.status == 200, answered.bytes
    document = node.get("/v1/openapi.json")
    schema = {
        "$ref": f"#/components/schemas/{name}",
        "components": document["components"],
    }
    Draft202012Validator(schema).validate(answered.json)
    return answered.json


# --- dry run ------------------------------------------------------------------------


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
    sharing.tell(
        key,
        events.CorrelationLinked,
        definition=_definition_id(sharing),
        member="globex",
        system="globex",
        table="ticket",
        record_id="T1",
        record_revision=None,
    )
    sharing.acknowledge(key)
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


def _definition_id(node: Node) -> str:
    return str(next(iter(node.application.configuration.current.revisions)))


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


# --- what-if ------------------------------------------------------------------------


def test_what_if_tells_which_messages_would_differ(sharing: Node, wire: Wire) -> None:
    for number in range(3):
        sharing.shared(f"INC{number}")
    sharing.call("PUT", "/v1/definitions/incident.shared", OTHER)
    head = sharing.application.recorder.head()

    found = checked(sharing, "WhatIf", sharing.call("POST", WHAT_IF, {}))
    same = checked(sharing, "WhatIf", sharing.call("POST", WHAT_IF, {"revision": 1}))

    assert (found["judged"], found["different"], found["same"]) == (3, 3, 0)
    assert found["cursor"] is None
    (message,) = found["differences"][0]["messages"]
    assert (message["kind"], message["member"]) == ("values", "globex")
    told = {each["field"]: each["tried"] for each in message["fields"]}
    assert told == {"status": None, "state": "open"}
    assert (same["judged"], same["same"], same["differences"]) == (3, 3, [])
    assert sharing.application.recorder.head() == head
    assert wire.written == []


def test_what_if_goes_on_where_it_stopped(sharing: Node) -> None:
    for number in range(5):
        sharing.shared(f"INC{number % 2}", change_id=f"c{number}", operation="update")
    seen: list[tuple[str, int]] = []
    asked: dict[str, Any] = {"document": CONDITION, "limit": 2}
    for _ in range(4):
        found = checked(sharing, "WhatIf", sharing.call("POST", WHAT_IF, asked))
        seen += [(d["correlation_id"], d["position"]) for d in found["differences"]]
        if found["cursor"] is None:
            break
        asked["cursor"] = found["cursor"]

    whole = sharing.call("POST", WHAT_IF, {"document": CONDITION}).json
    every = [(d["correlation_id"], d["position"]) for d in whole["differences"]]
    assert seen == every
    assert whole["judged"] == 5


def test_what_if_reads_long_streams_in_portions(
    sharing: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(9):
        sharing.shared(f"INC{number % 3}", change_id=f"c{number}", operation="update")
    whole = sharing.call("POST", WHAT_IF, {"document": CONDITION}).json
    monkeypatch.setattr(trial_questions, "PORTION", 2)
    portions = sharing.call("POST", WHAT_IF, {"document": CONDITION}).json

    assert portions == whole
    assert (whole["judged"], whole["different"]) == (9, 3)


def test_what_if_looks_at_its_range_only(sharing: Node) -> None:
    sharing.shared("INC1")
    sharing.later(hours=1)
    sharing.shared("INC2")
    until = {"until": "2025-01-02T12:30:00Z"}
    since = {"since": "2025-01-02T12:30:00Z"}

    counts = [
        sharing.call("POST", WHAT_IF, asked).json["judged"]
        for asked in ({}, until, since, {**since, "until": "2025-01-02T12:40:00Z"})
    ]
    assert counts == [2, 1, 1, 0]


def test_a_range_is_about_when_changes_were_judged(sharing: Node) -> None:
    sharing.capture()
    sharing.later(hours=1)
    sharing.receive()
    between = "2025-01-02T12:30:00Z"

    assert sharing.call("POST", WHAT_IF, {"until": between}).json["judged"] == 0
    assert sharing.call("POST", WHAT_IF, {"since": between}).json["judged"] == 1


def test_what_if_of_failed_and_ignored_changes(sharing: Node) -> None:
    sharing.shared("INC1", fields={"state": "unheard of"})
    sharing.shared("INC2")
    sharing.shared("INC2", operation="update", fields={"short_description": "Printer"})

    found = sharing.call("POST", WHAT_IF, {"document": CONDITION}).json
    kinds = {(d["recorded"]["kind"], d["tried"]["kind"]) for d in found["differences"]}
    assert kinds == {("failed", "ignored"), ("accepted", "ignored")}
    assert (found["judged"], found["different"]) == (3, 2)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"limit": 0}, "/limit"),
        ({"limit": 1001}, "/limit"),
        ({"limit": "5"}, "/limit"),
        ({"limit": 1e9}, "/limit"),
        ({"since": "yesterday"}, "/since"),
        ({"until": 5}, "/until"),
        ({"since": "2025-01-02T00:00:00Z", "until": "2025-01-01T00:00:00Z"}, "/until"),
        ({"cursor": 5}, "/cursor"),
        ({"member": "acme"}, "/member"),
    ],
)
def test_what_if_of_nonsense_is_refused_at_its_place(
    sharing: Node, body: Any, place: str
) -> None:
    answered = sharing.call("POST", WHAT_IF, body)
    assert (answered.status, answered.json["place"]) == (422, place)


@pytest.mark.parametrize("cursor", ["", "x", "WzFd", "WyJ4IiwxXQ", "W10", "x" * 3000])
def test_a_cursor_that_is_not_ours_is_refused(sharing: Node, cursor: str) -> None:
    answered = sharing.call("POST", WHAT_IF, {"cursor": cursor})
    assert answered.status in (400, 422), answered.bytes


# --- executions ---------------------------------------------------------------------


def test_a_messages_execution_tells_all_of_it(sharing: Node) -> None:
    key = sharing.shared(changed_by="anna")
    message_id = sharing.message(key)
    sharing.later(seconds=2)
    sharing.tell(
        key,
        events.MessageTransmitted,
        message_id=message_id,
        member="globex",
        attempt=1,
        delivery_id=message_id,
        operation="create",
        record_id=None,
        if_match=None,
        fields={"summary": "Printer", "status": "new"},
        entry_ids=[],
        request_sha256="0" * 64,
        status=200,
        response='{"record_id": "T1", "token": "s3cr3tvalue"}',
        seconds=0.25,
    )
    sharing.acknowledge(key)

    path = f"/v1/messages/{message_id}/execution"
    found = checked(sharing, "MessageExecution", sharing.call("GET", path))

    assert found["change"]["changed_by"] == "anna"
    assert found["judgement"]["as_recorded"] is True
    kinds = [each["kind"] for each in found["judgement"]["steps"]]
    assert kinds == ["capture", "map", "merge", "merge", "verdict"]
    (delivery,) = found["deliveries"]
    (attempt,) = delivery["attempts"]
    assert attempt["as_sent"] is True
    assert attempt["outcome"]["kind"] == "acknowledged"
    assert "s3cr3tvalue" not in attempt["response"]
    assert found["outcome"]["state"] == "delivered"
    assert found["seconds"]["judged_to_sent"] == 2.0
    assert found["error"] is None


def test_a_message_that_no_change_made_tells_who_did(sharing: Node) -> None:
    key = sharing.shared()
    sharing.tell(
        key,
        events.CorrelationLinked,
        definition=_definition_id(sharing),
        member="globex",
        system="globex",
        table="ticket",
        record_id="T1",
        record_revision=None,
    )
    sharing.acknowledge(key)
    at = f"/v1/correlations/{key}/members/globex"
    assert sharing.call("POST", f"{at}/unlink", {"reason": "a while"}).status == 200
    changed = {"short_description": "Scanner"}
    sharing.shared(operation="update", change_id="c2", fields=changed)
    assert sharing.call("POST", f"{at}/relink", {"reason": "again"}).status == 200

    path = f"/v1/messages/{sharing.message(key)}/execution"
    found = checked(sharing, "MessageExecution", sharing.call("GET", path))

    assert (found["change"], found["judgement"]) == (None, None)
    assert found["made_by"]["topic"] == "correlation.relinked"
    assert (found["made_by"]["actor"], found["made_by"]["reason"]) == ("admin", "again")
    assert found["deliveries"][0]["write"]["fields"]["summary"] == "Scanner"


def test_a_parked_message_names_its_step(sharing: Node) -> None:
    key = sharing.shared()
    message_id = sharing.park(key)
    found = checked(
        sharing,
        "MessageExecution",
        sharing.call("GET", f"/v1/messages/{message_id}/execution"),
    )

    assert found["outcome"]["state"] == "parked"
    assert found["error"] == {
        "step": "write",
        "place": "/members/globex",
        "line": None,
        "detail": "422 no such assignee",
    }


def test_a_failed_change_names_step_and_place(sharing: Node) -> None:
    sharing.capture(fields={"state": "unheard of"})
    sharing.receive()
    entry = _entry(sharing)
    path = f"/v1/inbound/{entry['correlation_id']}/{entry['sequence']}/execution"
    found = checked(sharing, "ChangeExecution", sharing.call("GET", path))

    assert found["judgement"]["outcome"] == "failed"
    assert found["error"]["step"] == "map"
    assert found["error"]["place"] == "/members/acme/fields/state"


def _entry(node: Node) -> Any:
    return node.get("/v1/inbound")["entries"][0]


def test_a_change_that_was_moved_is_followed_to_where_it_was_judged(
    sharing: Node,
) -> None:
    """Globex reported the record before its answer told that we had made it."""
    own = sharing.shared()
    early = {
        **change_of("T1", change_id="early"),
        "system": "globex",
        "table": "ticket",
    }
    early |= {"operation": "update", "fields": {"summary": "Plotter"}}
    receipt = sharing.call("POST", "/v1/changes", early).json
    sharing.tell(
        own,
        events.CorrelationLinked,
        definition=_definition_id(sharing),
        member="globex",
        system="globex",
        table="ticket",
        record_id="T1",
        record_revision=None,
    )
    sharing.acknowledge(own)
    sharing.receive()
    (where,) = receipt["correlations"]
    assert where["correlation_id"] != str(own)

    path = f"/v1/inbound/{where['correlation_id']}/{where['position']}/execution"
    found = checked(sharing, "ChangeExecution", sharing.call("GET", path))

    assert found["correlation_id"] == str(own)
    assert found["change"]["change_id"] == "early"
    assert found["judgement"]["outcome"] == "accepted"
    assert found["judgement"]["as_recorded"] is True
    judged = sharing.call("POST", WHAT_IF, {}).json
    assert (judged["judged"], judged["different"]) == (2, 0)


def test_a_change_that_waits_is_not_judged_yet(sharing: Node) -> None:
    sharing.capture()
    entry = _entry(sharing)
    path = f"/v1/inbound/{entry['correlation_id']}/{entry['sequence']}/execution"
    found = checked(sharing, "ChangeExecution", sharing.call("GET", path))

    assert found["judgement"] is None
    assert found["change"]["fields"] == {"short_description": "Printer", "state": "1"}


def test_an_execution_is_under_the_revision_that_was_in_force(sharing: Node) -> None:
    key = sharing.shared()
    message_id = sharing.message(key)
    sharing.call("PUT", "/v1/definitions/incident.shared", OTHER)
    sharing.call("POST", "/v1/definitions/incident.shared/publish")

    found = sharing.get(f"/v1/messages/{message_id}/execution")
    assert found["judgement"]["revision"] == 1
    assert found["deliveries"][0]["write"]["fields"]["status"] == "new"


def test_executions_of_others_are_the_same_404(sharing: Node) -> None:
    key = sharing.shared()
    own = f"/v1/messages/{sharing.message(key)}/execution"
    entry = f"/v1/inbound/{key}/{_entry(sharing)['sequence']}/execution"
    nobody = f"/v1/messages/{uuid4()}/execution"
    bodies = [
        sharing.call("GET", path, who=who)
        for path, who in ((own, "stranger"), (entry, "stranger"), (nobody, "admin"))
    ]

    assert [each.status for each in bodies] == [404, 404, 404]
    kinds = {(each.json["type"], each.json["detail"]) for each in bodies}
    assert len(kinds) == 1
    assert sharing.call("GET", own, who="auditor").status == 200
    assert sharing.call("GET", own, who="ih_process_sync_api").status == 403
    assert sharing.call("GET", own, who=None).status == 401


@pytest.mark.parametrize(
    "path",
    [
        "/v1/messages/nothing/execution",
        f"/v1/inbound/{uuid4()}/1/execution",
        f"/v1/inbound/{uuid4()}/99999999999999999999/execution",
        f"/v1/inbound/{uuid4()}/-1/execution",
    ],
)
def test_an_execution_of_nothing_is_not_found(sharing: Node, path: str) -> None:
    assert sharing.call("GET", path).status == 404
