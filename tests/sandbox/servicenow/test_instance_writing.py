"""What a write through the Table API does, and what it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from within import Within

URL = "/api/now/table/incident"
JSON = {"Content-Type": "application/json"}


def entries(snow: Within, sys_id: str, user: str = "admin") -> list[tuple[str, str]]:
    query = f"element_id={sys_id}^elementINcomments,work_notes^ORDERBYsys_created_on"
    rows = snow.get("table/sys_journal_field", user, sysparm_query=query)
    return [(row["element"], row["value"]) for row in rows]


def test_a_new_record_says_where_it_is(snow: Within) -> None:
    answer = snow.ask("POST", URL, json={"short_description": "x", "bogus": "y"})
    assert answer.status_code == 201
    made = answer.json["result"]
    assert answer.headers["Location"] == f"http://localhost{URL}/{made['sys_id']}"
    assert "bogus" not in made
    assert made["sys_created_by"] == made["sys_updated_by"] == "admin"


def test_numbers_go_up_by_table(snow: Within) -> None:
    tables = ("incident", "problem", "change_request", "sn_customerservice_case")
    numbers = [snow.add(table)["number"] for table in (*tables, "incident")]
    assert numbers == [
        *("INC0010001", "PRB0040001", "CHG0030001", "CS0001001", "INC0010002")
    ]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_an_update_counts_and_says_who(snow: Within, method: str) -> None:
    made = snow.add("incident", short_description="x", description="y")
    snow.pass_seconds(5)
    path = f"{URL}/{made['sys_id']}"
    answer = snow.ask(method, path, "ann.agent", json={"description": "z"})
    changed = answer.json["result"]
    assert answer.status_code == 200
    assert changed["short_description"] == "x"
    assert changed["sys_mod_count"] == "1"
    assert changed["sys_updated_by"] == "ann.agent"
    assert changed["sys_updated_on"] == "2026-01-31 12:00:05"
    assert changed["sys_created_by"] == "admin"


@pytest.mark.parametrize(
    "fields",
    [
        {"description": "y"},
        {"bogus": "z"},
        {},
        {"sys_mod_count": "7", "sys_updated_by": "x", "sys_id": "0" * 32},
        {"number": "INC9"},
        {"comments": ""},
        {"state": ""},
        {"active": True, "impact": 3},
    ],
)
def test_what_says_what_is_so_already_changes_nothing(
    snow: Within, fields: dict[str, Any]
) -> None:
    made = snow.add("incident", description="y")
    snow.pass_seconds(5)
    assert snow.set("incident", made["sys_id"], **fields) == made


def test_an_empty_text_clears_a_field_but_no_choice(snow: Within) -> None:
    made = snow.add("incident", description="y", category="network")
    changed = snow.set("incident", made["sys_id"], description="", category="")
    assert (changed["description"], changed["category"]) == ("", "network")


def test_an_unknown_choice_is_kept_as_it_is(snow: Within) -> None:
    made = snow.add("incident", state="77", category="bogus", impact="high")
    assert (made["state"], made["category"]) == ("77", "bogus")
    assert made["impact"] == "high"


def test_journals_are_rows_of_their_own_in_order(snow: Within) -> None:
    made = snow.add("incident", comments="first", work_notes="aside")
    for text in ("second", "second"):
        changed = snow.set("incident", made["sys_id"], "ann.agent", comments=text)
        assert changed["comments"] == ""
    assert entries(snow, made["sys_id"]) == [
        ("comments", "first"),
        ("work_notes", "aside"),
        ("comments", "second"),
        ("comments", "second"),
    ]
    assert changed["sys_mod_count"] == "2"
    rows = snow.get("table/sys_journal_field", element_id=made["sys_id"])
    assert [row["sys_created_by"] for row in rows] == [
        *("admin", "admin", "ann.agent", "ann.agent")
    ]
    assert {row["name"] for row in rows} == {"incident"}


def test_references_are_set_by_id_or_name(snow: Within) -> None:
    ann = snow.id_of("sys_user", "ann.agent")
    made = snow.add("incident", assigned_to=ann, assignment_group="Network")
    assert made["assigned_to"]["value"] == ann
    group = snow.id_of("sys_user_group", "Network")
    assert made["assignment_group"]["value"] == group


def test_display_values_are_taken_where_asked_for(snow: Within) -> None:
    fields = {
        "state": "On Hold",
        "assigned_to": "Ann Agent",
        "caller_id": "Nobody Known",
        "due_date": "2026-02-01 10:00:00",
    }
    answer = snow.ask(
        "POST", f"{URL}?sysparm_input_display_value=true", "ann.agent", json=fields
    )
    made = answer.json["result"]
    assert made["state"] == made["incident_state"] == "3"
    assert made["assigned_to"]["value"] == snow.id_of("sys_user", "ann.agent")
    assert made["caller_id"] == ""
    assert made["due_date"] == "2026-02-01 15:00:00"  # Ann is in New York
    made = snow.add("incident", due_date="2026-02-01 10:00:00", closed_at="soon")
    assert (made["due_date"], made["closed_at"]) == ("2026-02-01 10:00:00", "")


def test_priority_follows_impact_and_urgency(snow: Within) -> None:
    made = snow.add("incident", impact="1", urgency="1")
    assert made["priority"] == "1"
    changed = snow.set("incident", made["sys_id"], urgency="3")
    assert changed["priority"] == "3"
    changed = snow.set("incident", made["sys_id"], urgency="1", priority="4")
    assert changed["priority"] == "4"


def test_a_closed_record_is_not_active_until_it_is_reopened(snow: Within) -> None:
    made = snow.add("incident")
    resolved = snow.set("incident", made["sys_id"], state="6")
    assert resolved["resolved_at"] == "2026-01-31 12:00:00"
    closed = snow.set("incident", made["sys_id"], incident_state="7")
    assert (closed["active"], closed["state"]) == ("false", "7")
    assert closed["closed_by"]["value"] == snow.id_of("sys_user", "admin")
    again = snow.set("incident", made["sys_id"], state="2")
    assert (again["active"], again["closed_at"]) == ("true", "")
    assert (again["resolved_at"], again["reopen_count"]) == ("", "1")


def test_a_deleted_record_goes_with_all_that_belongs_to_it(snow: Within) -> None:
    made = snow.add("incident", comments="first")
    path = f"{URL}/{made['sys_id']}"
    assert snow.ask("DELETE", path).status_code == 204
    assert snow.ask("GET", path).status_code == 404
    assert snow.ask("DELETE", path).status_code == 404
    assert entries(snow, made["sys_id"]) == []
    (audit,) = snow.get("table/sys_audit_delete", documentkey=made["sys_id"])
    assert (audit["tablename"], audit["display_value"]) == ("incident", made["number"])
    assert audit["sys_created_by"] == "admin"


def test_the_maker_may_choose_the_id(snow: Within) -> None:
    chosen = "ab" * 16
    assert snow.add("incident", sys_id=chosen)["sys_id"] == chosen
    answer = snow.ask("POST", URL, json={"sys_id": chosen})
    assert answer.status_code == 403
    assert snow.add("incident", sys_id="short")["sys_id"] != "short"


def test_the_answer_may_be_left_out(snow: Within) -> None:
    quiet = {"X-no-response-body": "true"}
    answer = snow.ask("POST", URL, json={}, headers=quiet)
    assert (answer.status_code, answer.data) == (201, b"")


def test_a_method_may_be_said_in_a_header(snow: Within) -> None:
    made = snow.add("incident")
    path = f"{URL}/{made['sys_id']}"
    override = {"X-HTTP-Method-Override": "PATCH"}
    answer = snow.ask("POST", path, json={"description": "z"}, headers=override)
    assert answer.json["result"]["description"] == "z"


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (JSON, b"{", 400),
        (JSON, b"[]", 400),
        (JSON, b'"text"', 400),
        (JSON, b"\xff", 400),
        ({}, b"{}", 400),
        ({"Content-Type": "text/plain"}, b"{}", 415),
        ({**JSON, "Accept": "text/html"}, b"{}", 406),
        ({**JSON, "Accept": ""}, b"{}", 400),
        ({"Content-Type": "application/json; charset=utf-8"}, b"{}", 201),
        ({**JSON, "Accept": "*/*"}, b'[{"state":"2"},{"state":"3"}]', 201),
    ],
)
def test_bodies_and_headers(
    snow: Within, headers: dict[str, str], body: bytes, status: int
) -> None:
    answer = snow.ask("POST", URL, data=body, headers=headers)
    assert answer.status_code == status
    if status == 201 and body != b"{}":
        assert answer.json["result"]["state"] == "2"


def test_a_policy_refuses_and_nothing_is_changed(snow: Within) -> None:
    policy = {
        "table": "incident",
        "query": "state=6^close_notesISEMPTY",
        "message": "Data Policy Exception: Close notes is mandatory",
    }
    snow.control("PATCH", "/behaviour", {"policies": [policy]})
    made = snow.add("incident")
    path = f"{URL}/{made['sys_id']}"
    answer = snow.ask("PATCH", path, json={"state": "6", "comments": "done"})
    assert answer.status_code == 403
    assert answer.json["error"]["detail"] == policy["message"]
    assert snow.get(f"table/incident/{made['sys_id']}") == made
    assert entries(snow, made["sys_id"]) == []
    assert snow.set("incident", made["sys_id"], state="6", close_notes="done")
