"""Remote systems, accounts and domains over HTTP."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from api_node import URL, change_of
from private_authority import Authority

if TYPE_CHECKING:
    from api_node import Node

PATH = "/v1/systems/acme"
BODY: dict[str, Any] = {"settings": {"url": URL}, "description": "the desk"}
SECRET = "whsec_" + "A" * 43 + "="


def register(node: Node, **more: Any) -> Any:
    return node.call("PUT", PATH, {**BODY, **more}, who="ih_process_sync")


def stored_secrets(node: Node) -> dict[tuple[str, str], str]:
    return node.kept_secrets()


def test_a_new_system_is_disabled_and_its_secret_is_shown_once(node: Node) -> None:
    made = register(node)
    assert (made.status, made.json["state"]) == (201, "disabled")
    secret = made.json["secret"]
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret)
    assert stored_secrets(node) == {("top", "acme"): secret}
    assert made.json["settings"] == {
        "url": URL,
        "secrets": ["acme"],
        "dedupe": True,
        "conditional_write": True,
        "read_back": True,
    }
    again = register(node, description="another")
    assert again.status == 200
    assert "secret" not in again.json
    assert "secret" not in node.get(PATH)


def test_a_secret_that_is_given_is_kept_out_of_answers_and_the_log(node: Node) -> None:
    register(node)
    assert "secret" not in register(node, secret=SECRET).json
    assert stored_secrets(node) == {("top", "acme"): SECRET}
    log = b"".join(row.state for row in node.application.recorder.read(0, 1000))
    everything = log + node.call("GET", PATH).bytes
    assert b"whsec_" not in everything


def test_a_system_may_take_many_messages_in_a_request(node: Node) -> None:
    made = register(node, settings={"url": URL, "batch": 100})
    assert made.json["settings"]["batch"] == 100
    for wrong in (0, 501, "100", 1.5, True):
        refused = register(node, settings={"url": URL, "batch": wrong})
        assert refused.status == 422


def test_a_secret_in_the_place_of_its_name_is_refused(node: Node) -> None:
    answered = register(node, settings={"url": URL, "secrets": [SECRET]})
    assert answered.status == 422
    assert stored_secrets(node) == {}


def test_a_stale_edit_touches_neither_system_nor_secret(node: Node) -> None:
    tag = register(node, secret=SECRET).headers["ETag"]
    register(node, description="newer")
    body = {**BODY, "secret": "whsec_" + "B" * 43 + "="}
    assert node.call("PUT", PATH, body, If_Match=tag).status == 412
    assert stored_secrets(node) == {("top", "acme"): SECRET}


def test_a_system_that_fails_its_check_is_not_activated(node: Node) -> None:
    register(node)
    node.remote.says = (False, "401 unknown signature")
    answered = node.call("POST", f"{PATH}/activate")
    assert answered.status == 409
    assert answered.json["detail"] == "401 unknown signature"
    assert node.get(PATH)["state"] == "disabled"
    assert node.call("POST", f"{PATH}/activate?check=false").json["state"] == "active"


def test_activating_closes_the_breaker(node: Node) -> None:
    register(node)
    with psycopg.connect(node.application.database_url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO breakers VALUES"
            " ('top', 'acme', 3, now() + interval '1 hour', NULL, 'timeouts')"
        )
    seen = node.get(PATH)["breaker"]
    assert (seen["trips"], seen["reason"], seen["is_open"]) == (3, "timeouts", True)
    assert node.call("POST", f"{PATH}/activate").json["breaker"] is None


def test_a_system_is_paused_resumed_and_disabled(node: Node) -> None:
    register(node)
    assert node.call("POST", f"{PATH}/pause", {"reason": "x"}).status == 409
    node.call("POST", f"{PATH}/activate")
    for verb, body, state in (
        ("pause", {"reason": "release night"}, "paused"),
        ("resume", None, "active"),
        ("disable", {"reason": "contract ended"}, "disabled"),
    ):
        answered = node.call("POST", f"{PATH}/{verb}", body, who="operator")
        assert (answered.status, answered.json["state"]) == (200, state)


def test_a_system_shows_what_waits_for_it(sharing: Node) -> None:
    sharing.shared("INC1")
    sharing.capture("INC2")
    queues = {
        each["name"]: each["queues"] for each in sharing.get("/v1/systems")["systems"]
    }
    assert queues == {
        "acme": {"inbound": {"ready": 1}, "outbound": {}},
        "globex": {"inbound": {}, "outbound": {"ready": 1}},
    }


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x.example",
        "https://",
        "https://user:pw@x.example",
        "https://x.example/?a=b",
        "https://x.example/#f",
        "https://x.example:99999",
        "https://[::1",
        "https://x.example/a b",
        "https://exämple.example",
        "https://" + "x" * 3000,
        "",
        7,
    ],
)
def test_an_address_that_cannot_be_one_is_refused(lasting: Node, url: Any) -> None:
    answered = lasting.call("PUT", "/v1/systems/odd", {"settings": {"url": url}})
    assert answered.status == 422
    assert answered.json["place"] == "/settings/url"


# --- accounts -----------------------------------------------------------------------


def test_an_account_has_exactly_the_roles_it_was_given(node: Node) -> None:
    path = "/v1/accounts/robot"
    made = node.call("PUT", path, {"roles": ["operator", "auditor"]})
    assert (made.status, made.json["roles"]) == (201, ["auditor", "operator"])
    changed = node.call("PUT", path, {"roles": ["operator"]})
    assert (changed.status, changed.json["roles"]) == (200, ["operator"])
    unknown = node.call("PUT", path, {"roles": ["king"]})
    assert (unknown.status, unknown.json["place"]) == (422, "/roles/0")
    names = [account["name"] for account in node.get("/v1/accounts")["accounts"]]
    assert "robot" in names
    assert "stranger" not in names


def test_a_token_is_shown_once_and_works_until_it_is_revoked(node: Node) -> None:
    path = "/v1/accounts/robot"
    node.call("PUT", path, {"roles": ["ih_process_sync_api"]})
    issued = node.call("POST", f"{path}/tokens", {"lifetime_days": 7})
    assert issued.status == 201
    token, token_id = issued.json["token"], issued.json["token_id"]
    posted = node.call("POST", "/v1/changes", change_of(), who=token)
    assert posted.json["type"] == "urn:rps:problem:system-unknown"
    shown = node.call("GET", path)
    assert shown.json["tokens"][0]["token_id"] == token_id
    assert token.encode() not in shown.bytes
    assert node.call("DELETE", f"{path}/tokens/{token_id}").status == 204
    assert node.call("DELETE", f"{path}/tokens/{token_id}").status == 404
    assert node.call("GET", "/v1/changes/c1", who=token).status == 401


def test_a_token_ends_with_its_lifetime(node: Node) -> None:
    node.call("PUT", "/v1/accounts/robot", {"roles": ["operator"]})
    issued = node.call("POST", "/v1/accounts/robot/tokens", {"lifetime_days": 7})
    token = issued.json["token"]
    assert node.call("GET", "/v1/systems", who=token).status == 200
    node.later(days=7)
    assert node.call("GET", "/v1/systems", who=token).status == 401


def test_an_account_has_two_live_tokens_at_most(node: Node) -> None:
    node.call("PUT", "/v1/accounts/robot", {"roles": []})
    statuses = [node.call("POST", "/v1/accounts/robot/tokens").status for _ in "123"]
    assert statuses == [201, 201, 409]


# --- domains ------------------------------------------------------------------------


def test_a_domain_is_made_below_ones_own(node: Node) -> None:
    made = node.call("PUT", "/v1/domains/top/acme/emea", {"description": "Europe"})
    assert (made.status, made.json["path"]) == (201, "top/acme/emea")
    assert node.call("PUT", "/v1/domains/top/acme/emea").status == 200
    paths = [domain["path"] for domain in node.get("/v1/domains")["domains"]]
    assert paths == ["top", "top/acme/emea", "top/else"]
    assert node.call("PUT", "/v1/domains/top/UPPER").status == 422
    assert node.call("PUT", "/v1/domains/elsewhere").status == 404
    seen = node.get("/v1/domains", who="stranger")["domains"]
    assert [domain["path"] for domain in seen] == ["top/else"]
    for path in ("top", "top/acme/emea"):
        assert node.call("GET", f"/v1/domains/{path}", who="stranger").status == 404


# --- ServiceNow ---------------------------------------------------------------------

INSTANCE: dict[str, Any] = {
    "connector": "servicenow",
    "settings": {"url": "https://acme.service-now.com", "username": "rps"},
}


def test_an_instance_is_registered_and_its_credentials_are_kept_apart(
    node: Node,
) -> None:
    made = register(node, **INSTANCE, credentials={"password": "correct horse"})
    assert made.status == 201
    assert made.json["settings"] == {
        "url": "https://acme.service-now.com",
        "username": "rps",
        "auth": "basic",
        "secrets": ["acme"],
    }
    assert stored_secrets(node) == {("top", "acme"): '{"password":"correct horse"}'}
    log = b"".join(row.state for row in node.application.recorder.read(0, 1000))
    assert b"correct horse" not in log + node.call("GET", PATH).bytes
    again = register(node, **INSTANCE)
    assert again.status == 200
    assert stored_secrets(node) == {("top", "acme"): '{"password":"correct horse"}'}


def test_what_an_instance_lacks_or_does_not_have_is_named(node: Node) -> None:
    url = {"url": "https://acme.service-now.com"}
    for settings, place in (
        (url, "/settings/username"),
        ({**url, "username": "rps", "batch": 3}, "/settings/batch"),
        ({**url, "auth": "oauth-client"}, "/settings/client_id"),
        ({**url, "username": "rps", "overlap_seconds": 1}, "/settings/overlap_seconds"),
        ({**url, "username": "rps", "poll_from": "soon"}, "/settings/poll_from"),
        ({**url, "username": "rps"}, "/credentials/password"),
    ):
        refused = register(node, connector="servicenow", settings=settings)
        assert refused.status == 422
        assert place.encode() in refused.bytes, refused.bytes
    assert stored_secrets(node) == {}
    pushed = register(node, settings={"url": URL, "username": "rps"})
    assert pushed.status == 422


def test_a_system_is_verified_against_the_authority_that_is_given(node: Node) -> None:
    pem = Authority("Acme root").pem
    url = URL.replace("http:", "https:")
    made = register(node, settings={"url": url, "ca": f"Acme root\n{pem}"})
    assert made.json["settings"]["ca"] == pem
    public = node.call("POST", f"{PATH}/trust", {"ca": None}, who="ih_process_sync")
    assert "ca" not in public.json["settings"]
    again = node.call("POST", f"{PATH}/trust", {"ca": pem}, who="ih_process_sync")
    assert again.json["settings"]["ca"] == pem
    assert again.json["settings"]["url"] == url


def test_an_authority_that_is_none_is_refused_where_it_stands(node: Node) -> None:
    refused = register(node, settings={"url": "https://desk.test", "ca": "no PEM"})
    assert refused.status == 422
    assert refused.json["place"] == "/settings/ca"
    assert "it is no PEM file" in str(refused.json["errors"])
    register(node)
    told = node.call("POST", f"{PATH}/trust", {"ca": "no PEM"}, who="ih_process_sync")
    assert (told.status, told.json["place"]) == (422, "/ca")
