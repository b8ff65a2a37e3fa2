"""What rps has the ticket sandbox write."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sandbox_neighbours import SECRET, Client, Node, message, signed

from rps.sandbox.server import SandboxSettings
from rps.sandbox.tickets import create_app

if TYPE_CHECKING:
    from pathlib import Path

OTHER_SECRET = "whsec_" + "b3RoZXIgc2VjcmV0IG90aGVyIHNlY3JldA=="


def comment(entry_id: str, text: str = "Hello") -> dict[str, str]:
    return {
        "id": entry_id,
        "journal": "comments",
        "text": text,
        "author": "ann",
        "written_at": "2026-01-01T00:00:00Z",
    }


def test_create_answers_with_id_revision_and_stored_fields(node: Node) -> None:
    answer = node.write("m1", message(fields={"state": "new", "n": 1, "open": True}))

    assert answer.status_code == 201
    assert answer.json == {
        "record_id": "INC0000001",
        "revision": "1",
        "fields": {"state": "new", "n": 1, "open": True},
    }


@pytest.mark.parametrize(
    ("table", "record_id"),
    [
        ("change", "CHG0000001"),
        ("task", "TSK0000001"),
        ("problem", "PRO0000001"),
        ("u_x", "UX0000001"),
    ],
)
def test_ids_are_numbered_by_table(node: Node, table: str, record_id: str) -> None:
    answer = node.write("m1", message(table=table))

    assert answer.json["record_id"] == record_id


def test_a_repeated_message_gets_the_first_answer_and_has_no_effect(
    node: Node, client: Client
) -> None:
    node.write("m1", message(fields={"state": "new"}))
    first = node.write("m2", message("update", fields={"state": "open"}))
    node.write("m3", message("update", fields={"state": "closed"}))

    again = node.write("m2", message("update", fields={"state": "open"}))

    assert (again.status_code, again.data) == (200, first.data)
    assert again.headers["X-Replayed"] == "true"
    assert "X-Replayed" not in first.headers
    held = node.read("/rps/records/incident/INC0000001").json
    assert (held["revision"], held["fields"]) == ("3", {"state": "closed"})
    log = client.get("/log").json
    assert [(row["webhook_id"], row["replays"]) for row in log] == [
        ("m1", 0),
        ("m2", 1),
        ("m3", 0),
    ]


def test_a_second_create_for_a_correlation_works_on_its_record(node: Node) -> None:
    node.write("m1", message(fields={"state": "new"}, entries=[comment("e1")]))

    same = node.write("m2", message(fields={"state": "new"}, entries=[comment("e1")]))
    other = node.write("m3", message(fields={"state": "open"}))

    assert (same.status_code, same.json["revision"]) == (200, "1")
    assert other.json == {
        "record_id": "INC0000001",
        "revision": "2",
        "fields": {"state": "open"},
    }


def test_an_update_changes_only_its_fields_and_nothing_if_they_are_so(
    node: Node,
) -> None:
    node.write("m1", message(fields={"state": "new", "priority": 3}))

    changed = node.write("m2", message("update", fields={"priority": 1}))
    unchanged = node.write("m3", message("update", fields={"priority": 1}))
    retyped = node.write("m4", message("update", fields={"priority": True}))

    assert changed.json["fields"] == {"state": "new", "priority": 1}
    assert [changed.json["revision"], unchanged.json["revision"]] == ["2", "2"]
    assert retyped.json["fields"]["priority"] is True


@pytest.mark.parametrize("operation", ["update", "delete"])
def test_a_write_to_a_missing_record_is_not_found(node: Node, operation: str) -> None:
    answer = node.write("m1", message(operation, record_id="INC0000009"))

    assert answer.status_code == 404
    assert answer.mimetype == "application/problem+json"


@pytest.mark.parametrize("operation", ["create", "update", "delete"])
def test_a_write_for_another_revision_is_refused_with_ours(
    node: Node, operation: str
) -> None:
    node.write("m1", message(fields={"state": "new"}))
    node.write("m2", message("update", fields={"state": "open"}))

    in_body = node.write("m3", message(operation, if_match="1", fields={"state": "x"}))
    in_header = node.write("m4", message(operation), if_match='"1"')

    for answer in (in_body, in_header):
        assert (answer.status_code, answer.json["revision"]) == (412, "2")
    assert node.read("/rps/records/incident/INC0000001").json["revision"] == "2"


def test_a_refusal_is_not_kept_so_the_same_message_can_succeed_later(
    node: Node, client: Client
) -> None:
    late = message("update", record_id="INC0000001", fields={"state": "open"})
    assert node.write("m1", late).status_code == 404
    assert node.read("/rps/messages/m1").status_code == 404
    client.post("/records/incident", json={"fields": {}})

    assert node.write("m1", late, if_match='"1"').json["revision"] == "2"


def test_an_entry_is_appended_once_whatever_message_brings_it(
    node: Node, client: Client
) -> None:
    node.write("m1", message(entries=[comment("e1", "One")]))
    again = [comment("e1", "One"), comment("e2", "Two")]
    node.write("m2", message("update", entries=again))

    held = client.get("/records/incident/INC0000001").json

    assert held["comments"] == [comment("e1", "One"), comment("e2", "Two")]
    assert held["revision"] == 2


def test_a_delete_marks_the_record_once_and_nothing_brings_it_back(node: Node) -> None:
    node.write("m1", message(fields={"state": "new"}))

    assert node.write("m2", message("delete")).json["revision"] == "2"
    assert node.write("m3", message("delete")).json["revision"] == "2"
    assert node.write("m4", message("update", if_match="1")).status_code == 412
    assert node.write("m5", message("update")).json["deleted"] is True
    assert node.write("m6", message("create")).status_code == 422
    held = node.read("/rps/records/incident/INC0000001").json
    assert (held["deleted"], held["revision"]) == (True, "2")


def test_an_answer_can_be_asked_for_again(node: Node) -> None:
    first = node.write("m1", message(fields={"state": "new"}))

    assert node.read("/rps/messages/m1").data == first.data
    assert node.read("/rps/messages/m2").status_code == 404


def test_records_can_be_read_back_by_id_and_by_correlation(node: Node) -> None:
    node.write("m1", message(fields={"state": "new"}))
    node.write("m2", message(correlation_id="c2"))

    one = node.read("/rps/records/incident/INC0000001").json

    assert one.pop("updated_at").endswith("+00:00")
    assert one == {
        "record_id": "INC0000001",
        "revision": "1",
        "fields": {"state": "new"},
        "deleted": False,
        "external_id": "c1",
    }
    listed = node.read("/rps/records/incident?external_id=c2").json
    assert [each["record_id"] for each in listed["records"]] == ["INC0000002"]
    nobody = node.read("/rps/records/incident?external_id=c3").json
    assert nobody == {"records": []}
    assert node.read("/rps/records/incident/INC0000009").status_code == 404
    assert node.read("/rps/ping").json == {"ok": True, "name": "globex"}


def test_a_users_record_keeps_the_first_correlation_that_writes_to_it(
    node: Node, client: Client
) -> None:
    client.post("/records/incident", json={"fields": {}})
    for number, correlation in enumerate(["c7", "c8"]):
        node.write(
            f"m{number}",
            message("update", correlation_id=correlation, record_id="INC0000001"),
        )

    held = node.read("/rps/records/incident/INC0000001").json

    assert (held["external_id"], held["revision"]) == ("c7", "1")


def test_the_log_tells_what_was_applied_in_order(node: Node, client: Client) -> None:
    for number in range(3):
        operation = "update" if number else "create"
        node.write(f"m{number}", message(operation, fields={"n": number}))

    log = client.get("/log").json
    rest = client.get(f"/log?after={log[1]['n']}").json

    assert [row["fields"] for row in log] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert rest == log[2:]
    assert {row["record_id"] for row in log} == {"INC0000001"}


def test_each_of_several_secrets_is_accepted(tmp_path: Path) -> None:
    settings = SandboxSettings(
        name="s", database=tmp_path / "s.sqlite", secrets=(SECRET, OTHER_SECRET)
    )
    node = Node(create_app(settings).test_client())

    assert node.write("m1", message(), secret=SECRET).status_code == 201
    assert node.write("m2", message("update"), secret=OTHER_SECRET).status_code == 200


GOOD = json.dumps(message())
HOSTILE_HEADERS: dict[str, dict[str, str | None]] = {
    "no id": {"webhook-id": None},
    "no timestamp": {"webhook-timestamp": None},
    "no signature": {"webhook-signature": None},
    "another id": {"webhook-id": "m2"},
    "an id with a dot": {"webhook-id": "m.1"},
    "an id not ASCII": {"webhook-id": "mü"},
    "an endless id": {"webhook-id": "m" * 5000},
    "an old timestamp": {"webhook-timestamp": "1000000000"},
    "a timestamp to come": {"webhook-timestamp": "99999999999"},
    "a timestamp with a fraction": {"webhook-timestamp": "1795000000.9"},
    "a timestamp in other digits": {"webhook-timestamp": "\u00b9\u00b2\u00b3"},
    "a timestamp not a number": {"webhook-timestamp": "NaN"},
    "a signature without comma": {"webhook-signature": "v1"},
    "a signature with two commas": {"webhook-signature": "v1,a,b"},
    "a signature not base64": {"webhook-signature": "v1,===="},
    "a signature of another length": {"webhook-signature": "v1,QUJD"},
    "a signature of another version": {"webhook-signature": "v2," + "A" * 43 + "="},
    "a signature by nobody": {"webhook-signature": "v1," + "A" * 43 + "="},
    "ten thousand signatures": {
        "webhook-signature": " ".join(["v1," + "A" * 43 + "="] * 10_000)
    },
    "an empty signature": {"webhook-signature": ""},
}


@pytest.mark.parametrize("headers", HOSTILE_HEADERS.values(), ids=HOSTILE_HEADERS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_hostile_signature_is_unauthorized(
    client: Client, headers: dict[str, str | None], method: str
) -> None:
    body = GOOD if method == "POST" else ""
    path = "/rps/messages" if method == "POST" else "/rps/records/incident/INC0000001"
    sent = {**signed("m1", body), **headers}

    answer = client.open(
        path,
        method=method,
        data=body,
        headers={name: value for name, value in sent.items() if value is not None},
    )

    assert answer.status_code == 401
    assert answer.mimetype == "application/problem+json"
    assert client.get("/log").json == []


def test_a_body_other_than_the_signed_one_is_unauthorized(client: Client) -> None:
    for body in (GOOD + " ", b"\xff\xfe", b""):
        answer = client.post("/rps/messages", data=body, headers=signed("m1", GOOD))
        assert answer.status_code == 401


HOSTILE_BODIES: dict[str, tuple[str, int]] = {
    "nothing": ("", 400),
    "not JSON": ("{", 400),
    "NaN": ('{"hop": NaN}', 400),
    "Infinity": ('{"hop": Infinity}', 400),
    "1e400": (GOOD.replace('"fields": {}', '"fields": {"a": 1e400}'), 400),
    "a lone surrogate": (GOOD.replace('"c1"', '"\\ud800"'), 400),
    "depth": ("[" * 100_000, 400),
    "a list": ("[]", 422),
    "null": ("null", 422),
    "a string": ('"x"', 422),
    "an empty object": ("{}", 422),
    "fields a list": (json.dumps(message(fields=[])), 422),
    "a field an object": (json.dumps(message(fields={"a": {}})), 422),
    "a field name empty": (json.dumps(message(fields={"": 1})), 422),
    "a field too long": (json.dumps(message(fields={"a": "x" * 70_000})), 422),
    "too many fields": (
        json.dumps(message(fields=dict.fromkeys(map(str, range(999))))),
        422,
    ),
    "an unknown operation": (json.dumps(message("upsert")), 422),
    "a table like a path": (json.dumps(message(table="../x")), 422),
    "a table ending in a line": (json.dumps(message(table="incident\n")), 422),
    "a correlation null": (json.dumps(message(correlation_id=None)), 422),
    "a record id a number": (json.dumps(message(record_id=1)), 422),
    "a revision a number": (json.dumps(message(if_match=1)), 422),
    "entries an object": (json.dumps(message(entries={})), 422),
    "an entry without id": (json.dumps(message(entries=[{"text": "x"}])), 422),
    "an entry null": (json.dumps(message(entries=[None])), 422),
    "hop a fraction": (json.dumps(message(hop=1.5)), 422),
    "too large": (json.dumps(message(fields={"a": "x" * 2_000_000})), 413),
}


@pytest.mark.parametrize(
    ("body", "status"), HOSTILE_BODIES.values(), ids=HOSTILE_BODIES
)
def test_a_hostile_body_is_refused_though_signed(
    client: Client, body: str, status: int
) -> None:
    answer = client.post("/rps/messages", data=body, headers=signed("m1", body))

    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    assert client.get("/log").json == []


@pytest.mark.parametrize(
    "fields", [{"a": "\x00"}, {"a": 2**53 + 1}, {"a": "😀\u2028"}, {"a": -0.0}]
)
def test_odd_but_legal_values_are_stored_and_read_back(
    node: Node, fields: dict[str, Any]
) -> None:
    written = node.write("m1", message(fields=fields, entries=[comment("e\x001")]))

    assert written.status_code == 201
    assert node.read("/rps/records/incident/INC0000001").json["fields"] == fields


def test_each_message_of_a_batch_takes_effect_or_not_by_itself(node: Node) -> None:
    node.write("m1", message(fields={"state": "new"}))
    batch = [
        {"id": "b1", **message(correlation_id="c2", fields={"n": 1})},
        {"id": "b2", **message("update", if_match="7", fields={"n": 2})},
        {"id": "b3", **message("sing")},
        {"id": "m1", **message(fields={"state": "new"})},
        {"id": "b4", **message("update", fields={"n": 3}, if_match="1")},
    ]
    answer = node.write_many(batch)
    assert answer.status_code == 200
    made, moved, refused, again, written = answer.json["receipts"]
    assert made == {
        "id": "b1",
        "status": 201,
        "record_id": "INC0000002",
        "revision": "1",
        "fields": {"n": 1},
    }
    assert (moved["id"], moved["status"], moved["revision"]) == ("b2", 412, "1")
    assert (refused["id"], refused["status"]) == ("b3", 422)
    assert (again["status"], again["revision"]) == (200, "1")
    assert (written["status"], written["fields"]) == (200, {"state": "new", "n": 3})


@pytest.mark.parametrize(
    "batch",
    [
        {},
        {"messages": []},
        {"messages": [{**message()}]},
        {"messages": [{"id": "a.b", **message()}]},
        {"messages": [{"id": "a", **message()}] * 501},
    ],
)
def test_a_batch_that_is_none_has_no_effect(node: Node, batch: object) -> None:
    answer = node.write_many(batch)
    assert answer.status_code == 422
    assert node.read("/rps/records/incident").json == {"records": []}


def test_a_batch_signed_by_another_has_no_effect(node: Node) -> None:
    answer = node.write_many([{"id": "a", **message()}], secret=OTHER_SECRET)
    assert answer.status_code == 401
    assert node.read("/rps/records/incident").json == {"records": []}


def test_an_entry_is_changed_and_removed_by_its_id(node: Node, client: Client) -> None:
    node.write("m1", message(entries=[comment("e1"), comment("e2", "Other")]))
    edited = {**comment("e1", "Bye"), "operation": "update"}
    removed = {**comment("e2", ""), "operation": "delete"}

    answer = node.write("m2", message("update", entries=[edited, removed]))
    again = node.write("m3", message("update", entries=[edited, removed]))

    assert (answer.json["revision"], again.json["revision"]) == ("2", "2")
    held = client.get("/records/incident/INC0000001").json["comments"]
    assert [(c["id"], c["text"]) for c in held] == [("e1", "Bye")]


def test_a_changed_entry_that_is_not_there_is_added(node: Node, client: Client) -> None:
    node.write("m1", message())
    edited = {**comment("e1", "Bye"), "operation": "update"}
    node.write("m2", message("update", entries=[edited]))
    held = client.get("/records/incident/INC0000001").json["comments"]
    assert [(c["id"], c["text"]) for c in held] == [("e1", "Bye")]


def test_an_entry_of_an_unknown_kind_is_refused(node: Node) -> None:
    wrong = {**comment("e1"), "operation": "merge"}
    assert node.write("m1", message(entries=[wrong])).status_code == 422
