"""Definitions over HTTP: as YAML, scanned, rolled back, revision by revision."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from api_node import DOCUMENT, change_of

if TYPE_CHECKING:
    from api_node import Answered, Node

PATH = "/v1/definitions/incident.shared"
WHO = "ih_process_sync"
TEXT = f"# ours\n{yaml.safe_dump(DOCUMENT)}"


def put(node: Node, text: str | bytes, path: str = PATH, **more: Any) -> Answered:
    raw = text if isinstance(text, bytes) else text.encode()
    sent = {"who": WHO, "Content_Type": "application/yaml", **more}
    return node.call("PUT", path, raw=raw, **sent)


def renamed(field: str) -> str:
    return TEXT.replace("short_description", field)


# --- as YAML ------------------------------------------------------------------------


def test_a_file_is_kept_as_it_is(node: Node) -> None:
    drafted = put(node, TEXT)

    assert (drafted.status, drafted.json["source"]) == (201, TEXT)
    assert drafted.json["document"]["process_event"] == "incident.shared"
    node.call("POST", f"{PATH}/publish")
    assert node.get(f"{PATH}/revisions/1")["source"] == TEXT


def test_the_same_document_as_json_leaves_the_file_alone(node: Node) -> None:
    put(node, TEXT)
    again = node.call("PUT", PATH, DOCUMENT)
    assert again.json["source"] == TEXT


def test_problems_of_a_file_have_their_line_and_column(node: Node) -> None:
    wrong = "fields:\n  title: {type: txet}\nmembers: {}\nfeilds: 1\nfeilds: 2\n"

    answered = put(node, wrong)

    assert answered.status == 422
    told = [(p["code"], p["line"], p["column"]) for p in answered.json["problems"]]
    assert told == [
        ("unknown-word", 2, 17),
        ("too-few-members", 3, 10),
        ("unknown-key", 4, 1),
        ("duplicate-key", 5, 1),
    ]


def test_a_file_of_another_name_is_refused_at_its_line(node: Node) -> None:
    answered = put(node, f"{TEXT}process_event: other\n")
    (problem,) = answered.json["problems"]
    line = len(TEXT.splitlines()) + 1
    assert (problem["code"], problem["line"]) == ("other-name", line)


HOSTILE = {
    "empty": (b"", "wrong-type"),
    "not utf-8": (b"\xff\xfe\x00", "yaml"),
    "a nul": (b"a: \x00", "yaml"),
    "an alias": (b"a: &x [1]\nb: *x", "alias"),
    "laughs": (b"a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]", "alias"),
    "deep": (b"[" * 100_000, "yaml"),
    "an object": (b"a: !!python/object:os.system x", "yaml"),
    "many values": (b"[" + b"1," * 300_000 + b"1]", "too-large"),
    "a merge": (b"<<: {process_event: x}", "yaml"),
    "a huge number": (b"description: " + b"9" * 10_000, "yaml"),
    "a surrogate": (b'description: "\\ud800"', "bad-text"),
    "a date": (b"description: 2026-01-01", "wrong-type"),
    "two documents": (b"a: 1\n---\nb: 1", "yaml"),
    "a list": (b"- a", "wrong-type"),
    "a number": (b"7", "wrong-type"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_yaml_is_refused_with_a_code(node: Node, name: str) -> None:
    raw, code = HOSTILE[name]
    answered = put(node, raw)
    assert answered.status == 422
    assert code in {problem["code"] for problem in answered.json["problems"]}


def test_yaml_cut_anywhere_and_changed_anywhere_is_never_an_error(node: Node) -> None:
    chance = random.Random(20261128)
    text = TEXT.encode()
    for _ in range(60):
        at = chance.randrange(len(text))
        junk = bytes(chance.randrange(256) for _ in range(chance.randrange(4)))
        answered = put(node, text[:at] + junk + text[at + len(junk) :])
        assert answered.status in (200, 201, 422), answered.bytes
        assert put(node, text[:at]).status in (200, 201, 422)


def test_more_than_a_mebibyte_is_too_large(node: Node) -> None:
    assert put(node, b"#" * 1_100_000).status == 413


def test_another_media_type_is_refused(node: Node) -> None:
    assert put(node, TEXT, Content_Type="text/html").status == 415
    assert put(node, TEXT, Content_Encoding="gzip").status == 415


# --- rolled back --------------------------------------------------------------------


@pytest.fixture
def twice(node: Node) -> Node:
    """Two revisions."""
    for field in ("short_description", "subject"):
        put(node, renamed(field))
        assert node.call("POST", f"{PATH}/publish").status == 200
    return node


def title(shown: dict[str, Any]) -> str:
    return str(shown["published"]["members"]["acme"]["fields"]["title"]["field"])


def test_an_earlier_revision_is_put_in_force_again_as_the_next(twice: Node) -> None:
    rolled = twice.call("POST", f"{PATH}/rollback", {"reason": "wrong"}, who=WHO).json

    assert (rolled["revision"], title(rolled)) == (3, "short_description")
    assert rolled["unpublished"] is False
    rows = twice.get(f"{PATH}/revisions")["revisions"]
    assert [(r["revision"], r["kind"], r["rolled_back_to"]) for r in rows] == [
        (1, "published", None),
        (2, "published", None),
        (3, "rolled back", 1),
    ]
    assert [(r["actor"], r["reason"]) for r in rows][1:] == [
        ("admin", ""),
        (WHO, "wrong"),
    ]
    assert twice.get(f"{PATH}/revisions/3")["source"] == TEXT


def test_messages_in_flight_keep_the_revision_they_were_made_under(
    sharing: Node,
) -> None:
    node = sharing
    sent = node.shared()
    put(node, TEXT.replace("title: summary", "title: heading"))
    node.call("POST", f"{PATH}/publish")
    second = node.shared("INC2")
    node.call("POST", f"{PATH}/rollback", {"reason": "wrong"})
    third = node.shared("INC3")

    made = {row["correlation_id"]: row for row in node.get("/v1/outbound")["entries"]}
    revisions = [
        made[str(each)]["definition_revision"] for each in (sent, second, third)
    ]
    assert revisions == [1, 2, 3]


def test_the_audit_tells_who_rolled_back(twice: Node) -> None:
    twice.call("POST", f"{PATH}/rollback", {"reason": "wrong", "revision": 1})
    lines = twice.call("GET", "/v1/audit?whole=true").lines
    (event,) = [
        line["event"] for line in lines if line.get("event", {}).get("rolled_back_to")
    ]
    assert (event["actor"], event["reason"]) == ("admin", "wrong")


@pytest.mark.parametrize(
    ("posted", "status"),
    [
        ({}, 422),
        ({"reason": ""}, 422),
        ({"reason": "x", "revision": 9}, 409),
        ({"reason": "x", "revision": 0}, 422),
        ({"reason": "x", "revision": 2**63}, 422),
        ({"reason": "x", "revision": "1"}, 422),
        ({"reason": "x", "revision": True}, 422),
        ({"reason": "x", "to": 1}, 422),
    ],
)
def test_a_rollback_to_nowhere_is_refused(
    twice: Node, posted: dict[str, Any], status: int
) -> None:
    answered = twice.call("POST", f"{PATH}/rollback", posted)
    assert answered.status == status
    assert twice.get(PATH)["revision"] == 2


def test_nobody_rolls_back_what_has_changed_since_or_is_not_theirs(
    twice: Node,
) -> None:
    body = {"reason": "x"}
    for who, status in (("operator", 403), ("stranger", 404), ("nobody", 403)):
        answered = twice.call("POST", f"{PATH}/rollback", body, who=who)
        assert answered.status == status
    stale = twice.call("POST", f"{PATH}/rollback", body, If_Match='"1"')
    assert stale.status == 412


# --- scanned ------------------------------------------------------------------------


def scan(node: Node, *, query: str = "", **more: Any) -> tuple[set[str], set[str]]:
    """Codes of problems and of warnings."""
    answered = node.call("POST", f"{PATH}/scan{query}", who="operator", **more)
    assert answered.status == 200, answered.bytes
    found = answered.json
    assert all(
        set(each) == {"code", "place", "cause", "remedy", "line", "column"}
        for each in found["problems"] + found["warnings"]
    )
    return (
        {each["code"] for each in found["problems"]},
        {each["code"] for each in found["warnings"]},
    )


def test_a_draft_is_scanned_against_the_node(sharing: Node) -> None:
    assert scan(sharing) == (set(), {"both-create"})


def test_a_document_is_scanned_without_being_kept(node: Node) -> None:
    node.call("PUT", PATH, DOCUMENT)
    tag = node.call("GET", PATH).headers["ETag"]

    wrong = scan(
        node,
        raw=b"fields: 1\nmembers: {a: {}, b: {table: t}}",
        Content_Type="application/yaml",
    )
    good = scan(node, body=DOCUMENT)

    assert wrong == ({"wrong-type", "missing-key", "maps-nothing"}, set())
    assert good == (set(), {"both-create", "system-unregistered"})
    assert node.call("GET", PATH).headers["ETag"] == tag
    assert node.call("POST", "/v1/definitions/other/scan").status == 404


def test_systems_are_asked_where_that_is_wanted_only(sharing: Node) -> None:
    asked = sharing.remote.asked
    sharing.remote.says = (False, "answered 401")

    assert scan(sharing) == (set(), {"both-create"})
    assert sharing.remote.asked == asked
    reached = scan(sharing, query="?reach=true")
    assert reached == (set(), {"both-create", "system-unreachable"})
    assert sharing.call("POST", f"{PATH}/scan?reach=maybe").status == 400


def test_what_waits_for_a_member_that_leaves_is_told(sharing: Node) -> None:
    node = sharing
    node.shared()
    change = change_of("INC2", fields={"short_description": "two", "state": "1"})
    node.call("POST", "/v1/changes", change)
    members = DOCUMENT["members"]
    left = {**DOCUMENT, "members": {"acme": members["acme"], "new": members["globex"]}}

    _, warnings = scan(node, body=left)

    assert "messages-stranded" in warnings
    fewer = {**members["globex"], "fields": {"state": "status"}}
    changed = {**DOCUMENT, "members": {**members, "globex": fewer}}
    changed["fields"] = {"state": DOCUMENT["fields"]["state"]}
    acme = {**members["acme"], "fields": {"state": members["acme"]["fields"]["state"]}}
    changed["members"]["acme"] = acme
    _, warnings = scan(node, body=changed)
    assert "field-stranded" in warnings


def test_a_draft_that_would_loop_is_refused_by_scan_and_by_publish(
    sharing: Node,
) -> None:
    other = "/v1/definitions/incident.again"
    put(sharing, TEXT, other)

    scanned = sharing.call("POST", f"{other}/scan").json
    published = sharing.call("POST", f"{other}/publish")

    assert {each["code"] for each in scanned["problems"]} == {"loop"}
    assert all(each["line"] for each in scanned["problems"])
    assert published.status == 422


def test_readers_may_not_make_the_node_ask_around(sharing: Node) -> None:
    assert sharing.call("POST", f"{PATH}/scan", who="auditor").status == 403
