"""How the Table API shows records: shapes, pages, headers, queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from within import Within

URL = "/api/now/table/incident"


@pytest.fixture
def five(snow: Within) -> list[str]:
    """Numbers of five incidents, a minute between them."""
    numbers = []
    for n, (state, subject) in enumerate(
        [
            ("1", "Printer"),
            ("2", "printer"),
            ("3", "Mail"),
            ("6", ""),
            ("7", "100% x_y"),
        ]
    ):
        fields = {"state": state, "short_description": subject, "urgency": "2"}
        numbers.append(snow.add("incident", **fields, correlation_id=f"c{n}")["number"])
        snow.pass_seconds(60)
    return numbers


def test_every_value_is_a_text_and_an_empty_one_is_an_empty_text(snow: Within) -> None:
    made = snow.add("incident", short_description="x")
    assert made["sys_mod_count"] == "0"
    assert made["active"] == "true"
    assert made["impact"] == "3"
    assert made["assigned_to"] == ""
    assert made["comments"] == made["work_notes"] == ""
    assert made["sys_created_on"] == "2026-01-31 12:00:00"
    assert made["number"] == "INC0010001"


@pytest.mark.parametrize(
    ("asked", "reference", "state"),
    [
        ({}, {"link": "LINK", "value": "ID"}, "1"),
        ({"sysparm_exclude_reference_link": "true"}, "ID", "1"),
        (
            {"sysparm_display_value": "true"},
            {"display_value": "Paul Portal", "link": "LINK"},
            "New",
        ),
        (
            {
                "sysparm_display_value": "true",
                "sysparm_exclude_reference_link": "true",
            },
            "Paul Portal",
            "New",
        ),
        (
            {"sysparm_display_value": "all"},
            {"display_value": "Paul Portal", "value": "ID", "link": "LINK"},
            {"display_value": "New", "value": "1"},
        ),
        ({"sysparm_display_value": "False"}, {"link": "LINK", "value": "ID"}, "1"),
    ],
)
def test_references_and_choices_by_display_value(
    snow: Within, asked: dict[str, str], reference: Any, state: Any
) -> None:
    made = snow.add("incident", caller_id="Paul Portal")
    paul = snow.id_of("sys_user", "paul.portal")
    link = f"http://localhost/api/now/table/sys_user/{paul}"
    said = {"ID": paul, "LINK": link}
    if isinstance(reference, dict):
        reference = {key: said.get(value, value) for key, value in reference.items()}
    shown = snow.get(f"table/incident/{made['sys_id']}", **asked)
    assert shown["caller_id"] == said.get(str(reference), reference)
    assert shown["state"] == state


def test_fields_may_be_walked_to_and_unknown_ones_are_left_out(snow: Within) -> None:
    made = snow.add("incident", caller_id="Paul Portal")
    shown = snow.get(
        f"table/incident/{made['sys_id']}",
        sysparm_fields="number,caller_id.email,opened_by.company.name,bogus,caller_id.x",
    )
    assert shown == {
        "number": made["number"],
        "caller_id.email": "paul.portal@example.com",
        "opened_by.company.name": "",
    }


def test_display_dates_are_in_the_users_zone(snow: Within) -> None:
    made = snow.add("incident", short_description="x")
    path = f"table/incident/{made['sys_id']}"
    shown = snow.get(path, "ann.agent", sysparm_display_value="all")
    assert shown["sys_created_on"] == {
        "display_value": "2026-01-31 07:00:00",
        "value": "2026-01-31 12:00:00",
    }


def test_journals_are_shown_newest_first_as_display_values(snow: Within) -> None:
    made = snow.add("incident", comments="first")
    snow.set("incident", made["sys_id"], comments="second")
    shown = snow.get(f"table/incident/{made['sys_id']}", sysparm_display_value="all")
    assert shown["comments"]["value"] == ""
    said = "2026-01-31 12:00:00 - System Administrator (Additional comments)"
    assert shown["comments"]["display_value"] == f"{said}\nsecond\n\n{said}\nfirst\n\n"


@pytest.mark.usefixtures("five")
def test_pages_are_linked_and_counted(snow: Within) -> None:
    query = {"sysparm_limit": 2, "sysparm_offset": 2, "sysparm_query": "ORDERBYnumber"}
    answer = snow.ask("GET", URL, query_string=query)
    assert answer.headers["X-Total-Count"] == "5"
    links = {
        part.split(";rel=")[1].strip('"'): part.split("offset=")[1].partition("&")[0]
        for part in answer.headers["Link"].replace(">", "&>").split(",")
    }
    assert links == {"first": "0", "prev": "0", "next": "4", "last": "4"}
    assert len(answer.json["result"]) == 2
    quiet = {"sysparm_suppress_pagination_header": "true"}
    answer = snow.ask("GET", URL, query_string=quiet)
    assert "Link" not in answer.headers
    assert answer.headers["X-Total-Count"] == "5"
    answer = snow.ask("GET", URL, query_string={"sysparm_no_count": "true"})
    assert "X-Total-Count" not in answer.headers


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=2", [1]),
        ("state!=2", [0, 2, 3, 4]),
        ("stateIN1,3", [0, 2]),
        ("stateNOT IN1,3", [1, 3, 4]),
        ("state>=3", [2, 3, 4]),
        ("stateBETWEEN2@6", [1, 2, 3]),
        ("short_description=PRINTER", [0, 1]),
        ("short_descriptionLIKErint", [0, 1]),
        ("short_descriptionCONTAINSrint", [0, 1]),
        ("short_descriptionNOT LIKErint", [2, 3, 4]),
        ("short_descriptionSTARTSWITHm", [2]),
        ("short_descriptionENDSWITHl", [2]),
        ("short_descriptionLIKE0%", [4]),
        ("short_descriptionLIKEx_y", [4]),
        ("short_descriptionLIKE_", [4]),
        ("short_descriptionISEMPTY", [3]),
        ("short_description=", [3]),
        ("short_descriptionISNOTEMPTY", [0, 1, 2, 4]),
        ("short_description!=Mail", [0, 1, 4]),
        ("active=true", [0, 1, 2, 3]),
        ("active=false", [4]),
        ("state=1^ORstate=2", [0, 1]),
        ("state=1^ORstate=2^short_descriptionSTARTSWITHP", [0, 1]),
        ("short_descriptionSTARTSWITHP^state=2^ORstate=3", [1]),
        ("state=1^NQstate=7", [0, 4]),
        ("bogus=1^state=1", [0]),
        ("bogus=1^ORstate=1", [0]),
        ("state=1^bogus=7^ORstate=2", []),
        ("stateFOO1", [0, 1, 2, 3, 4]),
        ("bogus=1", [0, 1, 2, 3, 4]),
        ("state=1^EQ", [0]),
        ("ORstate=1", [0]),
        ("state=7^NQORstate=1", [0, 4]),
        ("close_codeNOT INx", []),
        ("close_codeIN,x", [0, 1, 2, 3, 4]),
        ("opened_by.user_name=admin^state=3", [2]),
        ("opened_by.nameSTARTSWITHAnn", []),
        ("sys_updated_on>=2026-01-31 12:03:00", [3, 4]),
        ("sys_updated_on>2026-01-31", []),
        ("sys_updated_on=2026-01-31^state=6", [3]),
        ("sys_updated_on<2026-01-31 12:01:00", [0]),
        (
            "sys_updated_on>=javascript:gs.dateGenerate('2026-01-31','12:03:00')",
            [3, 4],
        ),
        ("opened_by=javascript:gs.getUserID()^state=1", [0]),
        ("opened_by.user_name=javascript:gs.getUserName()^state=2", [1]),
        ("opened_bySAMEASassigned_to", []),
        ("correlation_idINc0,c4", [0, 4]),
        ("sys_class_nameINSTANCEOFincident^state=1", [0]),
        ("short_description=it's^NQstate=1", [0]),
    ],
)
def test_encoded_queries(
    snow: Within, five: list[str], query: str, found: list[int]
) -> None:
    ordered = f"{query}^ORDERBYnumber"
    assert snow.found("incident", ordered) == [five[n] for n in found]


def test_orders_are_by_value_and_downwards(snow: Within, five: list[str]) -> None:
    assert snow.found("incident", "ORDERBYDESCstate") == five[::-1]
    query = "ORDERBYshort_description^ORDERBYDESCnumber"
    assert snow.found("incident", query) == [five[n] for n in (3, 4, 2, 1, 0)]


def test_plain_parameters_are_conditions(snow: Within, five: list[str]) -> None:
    rows = snow.get("table/incident", state="2", active="true")
    assert [row["number"] for row in rows] == five[1:2]


@pytest.mark.usefixtures("five")
def test_an_instance_may_answer_invalid_queries_with_nothing(snow: Within) -> None:
    snow.control("PATCH", "/behaviour", {"invalid_query_returns_no_rows": True})
    assert snow.found("incident", "bogus=1") == []
    assert len(snow.found("incident", "active=true")) == 4


def test_an_empty_list_is_404_in_v1_only(snow: Within) -> None:
    for version, status in (("", 200), ("/v2", 200), ("/v1", 404)):
        answer = snow.ask("GET", f"/api/now{version}/table/problem")
        assert answer.status_code == status
    assert answer.json["error"]["message"] == "No Record found"


def test_head_answers_without_body(snow: Within) -> None:
    made = snow.add("incident")
    answer = snow.ask("HEAD", f"{URL}/{made['sys_id']}")
    assert (answer.status_code, answer.data) == (200, b"")
    assert snow.ask("HEAD", f"{URL}/0").status_code == 404


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        (f"{URL}/{'0' * 32}", 404, "No Record found"),
        ("/api/now/table/bogus", 400, "Invalid table bogus"),
        (f"{URL}?sysparm_offset=-1", 400, "Pagination not supported"),
        ("/api/now/bogus", 400, "Requested URI does not represent any resource"),
    ],
)
def test_what_is_not_there(snow: Within, path: str, status: int, message: str) -> None:
    answer = snow.ask("GET", path)
    assert answer.status_code == status
    assert answer.json["status"] == "failure"
    assert answer.json["error"]["message"].startswith(message)


def test_stats_count(snow: Within, five: list[str]) -> None:
    counted = snow.get("stats/incident", sysparm_count="true", sysparm_query="state<3")
    assert counted == {"stats": {"count": "2"}}
    assert len(five) == 5


@pytest.mark.parametrize(
    "text",
    ["^" * 50, "^OR^NQ^", "=", "state", "'; DROP TABLE incident", "a.b.c.d.e.f.g=1"],
)
def test_no_query_is_an_error(snow: Within, text: str) -> None:
    made = snow.add("incident")
    assert snow.found("incident", text) == [made["number"]]
