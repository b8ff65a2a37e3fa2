"""Who gets in, who sees what, how often, and by which token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from instance_process import CLIENT, PASSWORD, basic

if TYPE_CHECKING:
    from werkzeug.test import TestResponse
    from within import Within

URL = "/api/now/table/incident"


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        basic("admin", "wrong"),
        basic("nobody"),
        basic("ina.inactive"),
        basic("", ""),
        "Basic %%%",
        "Bearer x",
        "Digest username=admin",
    ],
)
def test_nobody_else_gets_in(snow: Within, authorization: str) -> None:
    answer = snow.ask("GET", URL, headers={"Authorization": authorization})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("BASIC")
    assert answer.json == {
        "error": {
            "message": "User Not Authenticated",
            "detail": "Required to provide Auth information",
        },
        "status": "failure",
    }


def test_a_new_password_counts_at_once_and_is_shown_to_nobody(snow: Within) -> None:
    ann = snow.id_of("sys_user", "ann.agent")
    assert snow.get("table/incident", "ann.agent") == []
    changed = snow.set("sys_user", ann, user_password="another")
    assert "user_password" not in changed
    assert snow.ask("GET", URL, "ann.agent").status_code == 401
    new = {"Authorization": basic("ann.agent", "another")}
    assert snow.ask("GET", URL, headers=new).status_code == 200
    snow.set("sys_user", ann, active="false")
    assert snow.ask("GET", URL, headers=new).status_code == 401


@pytest.mark.parametrize(
    ("user", "create", "update", "delete"),
    [
        ("admin", 201, 200, 204),
        ("ann.agent", 201, 200, 204),
        ("norm.nonotes", 201, 200, 204),
        ("rita.reader", 403, 403, 403),
        ("paul.portal", 201, 404, 404),
    ],
)
def test_writing_takes_a_role(
    snow: Within, user: str, create: int, update: int, delete: int
) -> None:
    made = snow.add("incident", "ann.agent")
    path = f"{URL}/{made['sys_id']}"
    assert snow.ask("POST", URL, user, json={}).status_code == create
    assert snow.ask("PATCH", path, user, json={"state": "2"}).status_code == update
    assert snow.ask("DELETE", path, user).status_code == delete


def test_hidden_fields_are_absent_and_writes_of_them_are_not_heard(
    snow: Within,
) -> None:
    made = snow.add("incident", work_notes="aside", business_impact="large")
    path = f"table/incident/{made['sys_id']}"
    for user, hidden in (
        ("admin", set[str]()),
        ("ann.agent", {"business_impact"}),
        (
            "norm.nonotes",
            {"business_impact", "work_notes", "comments_and_work_notes"},
        ),
    ):
        assert made.keys() - snow.get(path, user).keys() == hidden
    fields = {"work_notes": "mine", "business_impact": "none", "comments": "loud"}
    changed = snow.set("incident", made["sys_id"], "norm.nonotes", **fields)
    assert changed["sys_mod_count"] == "1"
    assert snow.get(path)["business_impact"] == "large"
    journal = {"sysparm_query": f"element_id={made['sys_id']}"}
    said = [row["value"] for row in snow.get("table/sys_journal_field", **journal)]
    assert said == ["aside", "loud"]
    seen = snow.get("table/sys_journal_field", "norm.nonotes", **journal)
    assert [row["value"] for row in seen] == ["loud"]


def test_what_must_not_be_seen_leaves_a_page_short_but_counts(snow: Within) -> None:
    for _ in range(3):
        snow.add("incident", "ann.agent")
        snow.add("incident", "paul.portal")
    query = {"sysparm_limit": 3, "sysparm_query": "ORDERBYnumber"}
    answer = snow.ask("GET", URL, "paul.portal", query_string=query)
    assert answer.headers["X-Total-Count"] == "6"
    assert len(answer.json["result"]) == 1


def test_people_without_a_role_comment_on_their_own(snow: Within) -> None:
    made = snow.add("incident", "paul.portal", short_description="x", state="7")
    assert made["state"] == "1"
    path = f"{URL}/{made['sys_id']}"
    fields = {"comments": "please", "work_notes": "no", "assigned_to": "Ann Agent"}
    answer = snow.ask("PATCH", path, "paul.portal", json=fields)
    assert answer.json["result"]["assigned_to"] == ""
    rows = snow.get("table/sys_journal_field", element_id=made["sys_id"])
    assert [row["value"] for row in rows] == ["please"]


@pytest.mark.parametrize(
    ("user", "status"), [("admin", 200), ("rps.integration", 200), ("ann.agent", 403)]
)
def test_deletions_are_told_to_those_who_may_know(
    snow: Within, user: str, status: int
) -> None:
    answer = snow.ask("GET", "/api/now/table/sys_audit_delete", user)
    assert answer.status_code == status


def test_field_acls_can_be_set(snow: Within) -> None:
    snow.control("PATCH", "/behaviour", {"field_roles": {"incident.impact": ["x"]}})
    made = snow.add("incident", "ann.agent", impact="1")
    assert "impact" not in made
    assert "business_impact" in made
    assert snow.get(f"table/incident/{made['sys_id']}")["impact"] == "3"


# --- tokens ---


def token(snow: Within, in_header: bool = False, **form: str) -> TestResponse:
    headers = {"Authorization": basic(*CLIENT) if in_header else ""}
    pair = {} if in_header else {"client_id": CLIENT[0], "client_secret": CLIENT[1]}
    return snow.ask("POST", "/oauth_token.do", headers=headers, data={**pair, **form})


def whoami(snow: Within, access_token: str) -> str:
    bearer = {"Authorization": f"Bearer {access_token}"}
    answer = snow.ask("POST", URL, headers=bearer, json={})
    if answer.status_code != 201:
        return str(answer.status_code)
    return str(answer.json["result"]["sys_created_by"])


ANN = {"grant_type": "password", "username": "ann.agent", "password": PASSWORD}


@pytest.mark.parametrize("in_header", [True, False])
def test_a_password_is_exchanged_for_tokens(snow: Within, in_header: bool) -> None:
    given = token(snow, in_header, **ANN).json
    assert given["token_type"] == "Bearer"
    assert (given["expires_in"], given["scope"]) == (1799, "useraccount")
    assert whoami(snow, given["access_token"]) == "ann.agent"
    assert whoami(snow, given["refresh_token"]) == "401"
    refresh = {"refresh_token": given["refresh_token"]}
    again = token(snow, in_header, grant_type="refresh_token", **refresh).json
    assert whoami(snow, again["access_token"]) == "ann.agent"


def test_the_client_alone_acts_as_the_integration_user(snow: Within) -> None:
    given = token(snow, grant_type="client_credentials").json
    assert "refresh_token" not in given
    assert whoami(snow, given["access_token"]) == "rps.integration"


def test_tokens_end(snow: Within) -> None:
    snow.control("PATCH", "/behaviour", {"token_seconds": 10})
    given = token(snow, **ANN).json
    assert given["expires_in"] == 10
    snow.pass_seconds(9)
    assert whoami(snow, given["access_token"]) == "ann.agent"
    snow.pass_seconds(1)
    assert whoami(snow, given["access_token"]) == "401"
    snow.set("sys_user", snow.id_of("sys_user", "ann.agent"), active="false")
    refresh = {"refresh_token": given["refresh_token"]}
    assert token(snow, grant_type="refresh_token", **refresh).status_code == 401


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({**ANN, "password": "wrong"}, "server_error"),
        ({**ANN, "client_secret": "wrong"}, "invalid_client"),
        ({**ANN, "grant_type": "magic"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "server_error"),
        ({}, "unsupported_grant_type"),
    ],
)
def test_no_token_for(snow: Within, form: dict[str, str], error: str) -> None:
    answer = token(snow, **form)
    assert (answer.status_code, answer.json["error"]) == (401, error)


# --- rate limits ---


def limit(snow: Within, **rule: Any) -> None:
    snow.control("PATCH", "/behaviour", {"rates": [{"id": "r" * 32, **rule}]})


def test_too_many_requests_are_refused_until_the_hour_is_over(snow: Within) -> None:
    limit(snow, limit=2)
    snow.pass_seconds(600)
    statuses = [snow.ask("GET", URL).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert snow.ask("GET", URL, "ann.agent").status_code == 200
    answer = snow.ask("GET", URL)
    assert answer.headers["Retry-After"] == "3000"
    assert answer.headers["X-RateLimit-Limit"] == "2"
    assert answer.headers["X-RateLimit-Rule"] == "r" * 32
    reset = int(answer.headers["X-RateLimit-Reset"])
    assert reset == int(snow.time.timestamp()) + 3000
    assert answer.json["error"] == {
        "message": "Rate limit exceeded",
        "detail": "Rate limit of 2 requests per hour for Table API exceeded",
    }
    snow.pass_seconds(3000)
    assert snow.ask("GET", URL).status_code == 200


@pytest.mark.parametrize(
    ("rule", "user", "status"),
    [
        ({"user": "ann.agent"}, "ann.agent", 429),
        ({"user": "ann.agent"}, "admin", 200),
        ({"role": "itil"}, "ann.agent", 429),
        ({"role": "itil"}, "admin", 200),
    ],
)
def test_a_limit_is_about_a_user_or_a_role(
    snow: Within, rule: dict[str, str], user: str, status: int
) -> None:
    limit(snow, limit=0, **rule)
    assert snow.ask("GET", URL, user).status_code == status


def test_a_refused_write_has_no_effect(snow: Within) -> None:
    limit(snow, limit=0, user="ann.agent")
    assert snow.ask("POST", URL, "ann.agent", json={}).status_code == 429
    assert snow.get("table/incident") == []


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", basic("admin")])
def test_control_takes_its_own_token(snow: Within, authorization: str) -> None:
    headers = {"Authorization": authorization}
    answer = snow.ask("GET", "/_sandbox/behaviour", headers=headers)
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "document",
    [
        {"bogus": 1},
        {"rates": [{}]},
        {"rates": [{"limit": 1, "seconds": 0}]},
        {"policies": [{"table": "bogus", "query": "", "message": ""}]},
        {"skew_seconds": "soon"},
    ],
)
def test_control_refuses_what_it_does_not_know(
    snow: Within, document: dict[str, Any]
) -> None:
    headers = {"Authorization": "Bearer a control token"}
    path = "/_sandbox/behaviour"
    assert snow.ask("PATCH", path, headers=headers, json=document).status_code == 400
