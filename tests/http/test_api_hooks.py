"""Webhooks in, and systems that are described, over http."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from api_node import URL

from rps.connectors.signature import Signer, new_secret

if TYPE_CHECKING:
    from api_node import Answered, Node

SECRET = "the hook's secret"
ISSUE: dict[str, Any] = {
    "number": 7,
    "title": "Printer",
    "state": "open",
    "updated_at": "2024-12-24T10:00:00Z",
}
SETTINGS = {
    "github": {"owner": "acme", "repo": "desk", "account": "bot"},
    "gitlab": {"project": "acme/desk"},
    "generic": {},
}


def registered(node: Node, preset: str = "github", **more: Any) -> Answered:
    settings = {"url": URL, "preset": preset, "set": SETTINGS[preset]}
    body = {"connector": "rest", "settings": settings, "secret": "a token", **more}
    return node.call("PUT", "/v1/systems/desk", body, who="ih_process_sync")


@pytest.fixture
def desk(node: Node) -> Node:
    """`desk` is a repository whose issues are shared with acme."""
    assert registered(node, hook_secret=SECRET).status == 201
    settings = {"settings": {"url": URL}}
    assert node.call("PUT", "/v1/systems/acme", settings).status == 201
    for name in ("desk", "acme"):
        assert node.call("POST", f"/v1/systems/{name}/activate").status == 200
    path = "/v1/definitions/issue.shared"
    members = {
        "desk": {"table": "issue", "fields": {"title": "title"}},
        "acme": {"table": "incident", "fields": {"title": "short_description"}},
    }
    document = {"fields": {"title": {"type": "text"}}, "members": members}
    assert node.call("PUT", path, document).status == 201
    assert node.call("POST", f"{path}/publish").status == 200
    return node


def signed(body: bytes, secret: str = SECRET) -> str:
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def hook(node: Node, payload: Any, delivery: str = "d-1", **more: str) -> Answered:
    body = orjson.dumps(payload)
    headers = {
        "X_Hub_Signature_256": signed(body),
        "X_GitHub_Delivery": delivery,
        **more,
    }
    return node.call("POST", "/v1/hooks/desk", raw=body, who=None, **headers)


def captured(node: Node) -> list[tuple[str, str, Any]]:
    with node.application.datastore.get_connection() as conn:
        rows = conn.execute(
            "SELECT convert_from(state, 'UTF8')::jsonb AS said FROM rps_events"
            " WHERE topic = 'change.captured' ORDER BY notification_id"
        ).fetchall()
    said = [row["said"] for row in rows]
    return [(s["record_id"], s["change_id"], s["fields"]) for s in said]


def hints(node: Node) -> list[tuple[str, str]]:
    with node.application.datastore.get_connection() as conn:
        rows = conn.execute("SELECT record_table, record_id FROM hints").fetchall()
    return [(row["record_table"], row["record_id"]) for row in rows]


def test_a_payload_with_the_whole_record_is_captured_once(desk: Node) -> None:
    first = hook(desk, {"action": "edited", "issue": ISSUE})
    assert (first.status, first.json) == (202, {"status": "captured"})
    again = hook(desk, {"action": "edited", "issue": ISSUE})
    assert (again.status, again.json) == (202, {"status": "duplicate"})
    replayed = hook(desk, {"action": "edited", "issue": ISSUE}, "d-2")
    assert replayed.json == {"status": "duplicate"}, "its id is not what is signed"
    [(record, _, fields)] = captured(desk)
    assert (record, fields) == ("7", {"title": "Printer"})
    assert hints(desk) == []


def test_a_partial_payload_is_a_hint_to_read_the_record(desk: Node) -> None:
    payload = {"action": "created", "issue": ISSUE, "comment": {"body": "Hm"}}
    for delivery in ("d-1", "d-1", "d-2"):
        answered = hook(desk, payload, delivery)
        assert (answered.status, answered.json) == (202, {"status": "noted"})
    assert captured(desk) == []
    assert hints(desk) == [("issue", "7")]


def test_what_is_not_shared_is_ignored(desk: Node) -> None:
    pull_request = {**ISSUE, "pull_request": {"url": "x"}}
    for payload in ({"zen": "Keep it simple"}, {"issue": pull_request}):
        assert hook(desk, payload).json == {"status": "ignored"}
    assert captured(desk) == hints(desk) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Hub_Signature_256": signed(b"{}")},
        {"X_Hub_Signature_256": signed(orjson.dumps({"issue": ISSUE}), "another")},
        {"X_Hub_Signature_256": "sha256="},
        {"X_Hub_Signature_256": ""},
        {"X_Hub_Signature_256": "sha256=\xff\xfe"},
    ],
)
def test_a_wrong_signature_is_401_and_says_nothing_more(
    desk: Node, headers: dict[str, str]
) -> None:
    answered = hook(desk, {"issue": ISSUE}, **headers)
    assert answered.status == 401
    unknown = desk.call("POST", "/v1/hooks/nobody", raw=b"{}", who=None)
    assert unknown.status == 401
    assert answered.json["detail"] == unknown.json["detail"]
    assert captured(desk) == hints(desk) == []


def test_a_system_that_takes_no_hooks_or_has_no_secret_is_401(desk: Node) -> None:
    body = b"{}"
    for name in ("acme",):
        answered = desk.call("POST", f"/v1/hooks/{name}", raw=body, who=None)
        assert answered.status == 401


def test_a_disabled_system_is_told_so_only_if_it_is_itself(desk: Node) -> None:
    reason = {"reason": "moved"}
    assert desk.call("POST", "/v1/systems/desk/disable", reason).status == 200
    assert hook(desk, {"issue": ISSUE}).status == 409
    assert hook(desk, {"issue": ISSUE}, X_Hub_Signature_256="x").status == 401


def test_a_body_that_is_no_json_is_a_400_once_it_is_verified(desk: Node) -> None:
    body = b"{"
    answered = desk.call(
        *("POST", "/v1/hooks/desk"),
        raw=body,
        who=None,
        X_Hub_Signature_256=signed(body),
    )
    assert answered.status == 400


def test_another_domain_is_asked_for_by_name(desk: Node) -> None:
    body = orjson.dumps({"issue": ISSUE})
    sent = {"X_Hub_Signature_256": signed(body), "X_GitHub_Delivery": "d-1"}
    there = desk.call("POST", "/v1/hooks/desk?domain=top", raw=body, who=None, **sent)
    elsewhere = desk.call(
        "POST", "/v1/hooks/desk?domain=top/else", raw=body, who=None, **sent
    )
    assert (there.status, elsewhere.status) == (202, 401)


def test_a_plain_token_and_standard_webhooks_are_verified(node: Node) -> None:
    assert registered(node, "gitlab", hook_secret="a token").status == 201
    settings = {"settings": {"url": URL}}
    assert node.call("PUT", "/v1/systems/acme", settings).status == 201
    node.call("POST", "/v1/systems/desk/activate")
    body = orjson.dumps({"object_kind": "note", "issue": {"iid": 3}})
    path = "/v1/hooks/desk"
    right = node.call("POST", path, raw=body, who=None, X_Gitlab_Token="a token")
    wrong = node.call("POST", path, raw=body, who=None, X_Gitlab_Token="A token")
    assert (right.status, wrong.status) == (202, 401)

    document = node.get("/v1/systems/desk")["settings"]["described"]
    document["hook"] = {
        "kind": "standard-webhooks",
        "table": "'issue'",
        "record_id": "id",
    }
    secret = new_secret(b"h" * 32)
    standard = {"url": URL, "described": document, "set": SETTINGS["gitlab"]}
    changed = {"connector": "rest", "settings": standard, "hook_secret": secret}
    assert node.call("PUT", path.replace("hooks", "systems"), changed).status == 200
    signature = Signer([secret]).headers("m1", int(node.now.timestamp()), body)
    assert node.call("POST", path, raw=body, who=None, **signature).status == 202
    signature["webhook-id"] = "m2"
    assert node.call("POST", path, raw=body, who=None, **signature).status == 401


# --- described systems --------------------------------------------------------------


def test_a_described_system_keeps_its_whole_description_and_no_secret(
    node: Node,
) -> None:
    made = registered(node, hook_secret=SECRET)
    assert made.status == 201
    assert "secret" not in made.json
    settings = made.json["settings"]
    assert settings["described"]["name"] == "github"
    assert settings["set"] == SETTINGS["github"]
    assert b"a token" not in made.bytes
    assert SECRET.encode() not in made.bytes


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": URL, "preset": "nobody"}, b"no preset 'nobody'; there are"),
        ({"url": URL}, b"no preset"),
        ({"url": URL, "preset": "github"}, b"the setting 'owner' is missing"),
        ({"url": URL, "preset": "gitlab", "set": {"x": "y"}}, b"no setting 'x'"),
        ({"url": URL, "described": {"name": "x"}}, b"the key 'tables' is missing"),
        ({"url": URL, "described": {"a": [[[[]]]]}}, b"there is no key 'a' here"),
        ({"url": URL, "preset": "gitlab", "set": {"project": 1}}, b"string"),
    ],
)
def test_what_is_wrong_with_a_described_system_is_a_422_that_says_so(
    node: Node, settings: dict[str, Any], said: bytes
) -> None:
    body = {"connector": "rest", "settings": settings}
    answered = node.call("PUT", "/v1/systems/desk", body)
    assert answered.status == 422
    assert said in answered.bytes
