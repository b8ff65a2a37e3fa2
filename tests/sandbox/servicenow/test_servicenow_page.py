"""The pages a person works on."""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from instance_process import basic

if TYPE_CHECKING:
    from within import Within


def page(snow: Within, path: str, user: str = "ann.agent", status: int = 200) -> str:
    answer = snow.ask("GET", path, user, headers={"Accept": "text/html"})
    assert answer.status_code == status
    return str(answer.text)


def shown_fields(text: str) -> dict[str, str]:
    """What a browser would send of the form as it is."""
    hidden = re.findall(r'name="(was\.[^"]+)" value="([^"]*)"', text)
    return {**dict(hidden), **{f"field.{k[4:]}": v for k, v in hidden}}


def save(snow: Within, sys_id: str, **altered: str) -> str:
    form = shown_fields(page(snow, f"/incident.do?sys_id={sys_id}"))
    form |= {f"field.{name}": value for name, value in altered.items()}
    answer = snow.ask(
        "POST", "/incident.do", "ann.agent", data={**form, "sys_id": sys_id}
    )
    assert answer.status_code == 303, answer.text
    return str(answer.headers["Location"].rpartition("=")[2])


def test_a_browser_is_asked_for_name_and_password(snow: Within) -> None:
    answer = snow.ask("GET", "/incident_list.do", headers={"Authorization": ""})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic")


def test_lists_show_what_a_query_finds(snow: Within) -> None:
    snow.add("incident", short_description="<b>Printer</b>", state="2")
    snow.add("incident", short_description="Mail")
    text = page(snow, "/incident_list.do?sysparm_query=state=2")
    assert "&lt;b&gt;Printer&lt;/b&gt;" in text
    assert "In Progress" in text
    assert "Mail" not in text
    assert "1 to 1 of 1" in text


@pytest.mark.parametrize("table", ["sys_user", "sys_choice", "sys_attachment"])
def test_other_tables_have_lists_and_forms(snow: Within, table: str) -> None:
    text = page(snow, f"/{table}_list.do", "admin")
    found = re.search(rf"/{table}\.do\?sys_id=([0-9a-f]{{32}})", text)
    if found:
        page(snow, found[0], "admin")


def test_a_ticket_is_made_and_edited(snow: Within) -> None:
    made = save(
        snow, "-1", short_description="Printer", caller_id="Paul Portal", state="2"
    )
    snow.set("incident", made, description="two\nlines")
    text = page(snow, f"/incident.do?sys_id={made}")
    assert 'value="Paul Portal"' in text
    count = snow.get(f"table/incident/{made}")["sys_mod_count"]
    assert save(snow, made) == made
    assert snow.get(f"table/incident/{made}")["sys_mod_count"] == count
    save(snow, made, urgency="1", comments="a\r\nb", work_notes="aside")
    record = snow.get(f"table/incident/{made}")
    assert record["urgency"] == "1"
    assert record["caller_id"]["value"] == snow.id_of("sys_user", "paul.portal")
    assert record["sys_updated_by"] == "ann.agent"
    text = page(snow, f"/incident.do?sys_id={made}")
    assert "a\nb</article>" in text
    assert "aside</article>" in text


def test_what_changed_meanwhile_and_was_not_touched_stays(snow: Within) -> None:
    made = snow.add("incident")["sys_id"]
    form = shown_fields(page(snow, f"/incident.do?sys_id={made}"))
    snow.set("incident", made, state="2", description="new")
    form |= {"sys_id": made, "field.short_description": "mine"}
    assert snow.ask("POST", "/incident.do", data=form).status_code == 303
    record = snow.get(f"table/incident/{made}")
    assert (record["state"], record["description"]) == ("2", "new")
    assert record["short_description"] == "mine"


def test_what_the_user_may_not_see_or_write_is_not_offered(snow: Within) -> None:
    made = snow.add("incident", work_notes="aside", comments="loud")
    path = f"/incident.do?sys_id={made['sys_id']}"
    text = page(snow, path, "norm.nonotes")
    assert "loud" in text
    assert "aside" not in text
    assert 'name="field.work_notes"' not in text
    text = page(snow, path, "rita.reader")
    assert 'name="field.' not in text
    page(snow, path, "paul.portal", 404)
    page(snow, "/sys_audit_delete_list.do", "ann.agent", 403)


def test_files_are_attached_read_and_removed(snow: Within) -> None:
    made = snow.add("incident")
    there = f"/attachments/incident/{made['sys_id']}"
    data: Any = {"file": (BytesIO(b"bytes"), "a b.txt")}
    assert snow.ask("POST", there, "ann.agent", data=data).status_code == 303
    text = page(snow, f"/incident.do?sys_id={made['sys_id']}")
    (sys_id,) = re.findall(r'href="/attachments/([0-9a-f]{32})"', text)
    assert snow.ask("GET", f"/attachments/{sys_id}").data == b"bytes"
    assert snow.ask("POST", f"/attachments/{sys_id}/deletion").status_code == 303
    assert snow.get("attachment") == []


def test_links_that_people_pass_on_lead_to_the_ticket(snow: Within) -> None:
    made = snow.add("incident")
    answer = snow.ask("GET", f"/nav_to.do?uri=incident.do?sys_id={made['sys_id']}")
    assert answer.headers["Location"] == f"/incident.do?sys_id={made['sys_id']}"
    away = snow.ask("GET", "/nav_to.do?uri=//example.com/x.do")
    assert away.headers.get("Location", "/").startswith("/example.com")


def test_a_record_is_deleted(snow: Within) -> None:
    made = snow.add("incident")
    form = {"sys_id": made["sys_id"]}
    answer = snow.ask("POST", "/incident_deletion.do", "ann.agent", data=form)
    assert answer.status_code == 303
    page(snow, f"/incident.do?sys_id={made['sys_id']}", status=404)


@pytest.mark.parametrize("path", ["/incident.do", "/api/now/table/incident"])
def test_another_sites_page_cannot_write(snow: Within, path: str) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Authorization": basic("admin")}
    answer = snow.ask("POST", path, headers=headers, json={})
    assert answer.status_code == 403
    assert snow.get("table/incident") == []
