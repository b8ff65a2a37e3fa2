"""What the ticket sandbox's own users do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rps.config import ConfigurationError
from rps.sandbox.server import SandboxSettings

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox_neighbours import Client


def created(client: Client, **fields: object) -> str:
    answer = client.post("/records/incident", json={"fields": fields, "user": "ann"})
    assert answer.status_code == 201
    return str(answer.json["id"])


def test_a_user_creates_edits_comments_and_deletes(client: Client) -> None:
    new = {"fields": {"state": "new"}, "comment": "Help", "user": "ann"}
    made = client.post("/records/incident", json=new)
    path = made.headers["Location"]
    client.patch(path, json={"fields": {"state": "open"}, "user": "bob"})
    client.post(f"{path}/comments", json={"text": "On it", "user": "bob"})
    client.delete(f"{path}?user=ann")

    held = client.get(path).json

    assert (held["id"], held["revision"], held["deleted"]) == ("INC0000001", 4, True)
    assert held["fields"] == {"state": "open"}
    assert [(c["text"], c["author"], c["journal"]) for c in held["comments"]] == [
        ("Help", "ann", "comments"),
        ("On it", "bob", "comments"),
    ]
    assert [record["id"] for record in client.get("/records/incident").json] == [
        "INC0000001"
    ]


def test_a_conditional_edit_of_a_changed_record_is_refused(client: Client) -> None:
    path = f"/records/incident/{created(client, state='new')}"
    revision = client.get(path).headers["ETag"]
    client.patch(path, json={"fields": {"state": "open"}})

    late = client.patch(
        path, json={"fields": {"state": "closed"}}, headers={"If-Match": revision}
    )

    assert (late.status_code, late.json["revision"]) == (412, "2")


def test_a_deleted_record_takes_no_more_edits(client: Client) -> None:
    path = f"/records/incident/{created(client)}"
    client.delete(path)

    assert client.patch(path, json={"fields": {"a": 1}}).status_code == 410
    assert client.post(f"{path}/comments", json={"text": "x"}).status_code == 410
    assert client.delete(path).json["revision"] == 2


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/records/incident", b"", 400),
        ("/records/incident", b"[]", 422),
        ("/records/incident", b'{"fields": {"a": [1]}}', 422),
        ("/records/incident", b'{"fields": {}, "surprise": 1}', 422),
        ("/records/Bad-Table", b'{"fields": {}}', 422),
        ("/records/incident/INC0000009/comments", b'{"text": "x"}', 404),
        ("/records/incident/INC0000009/comments", b'{"text": ""}', 422),
        ("/log", b"{}", 405),
        ("/nowhere", b"{}", 404),
    ],
)
def test_a_users_mistake_is_a_problem_document(
    client: Client, path: str, body: bytes, status: int
) -> None:
    answer = client.post(path, data=body)

    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")


def test_another_sites_page_cannot_write(client: Client) -> None:
    answer = client.post(
        "/tickets",
        data={"table": "incident", "user": "eve"},
        headers={"Sec-Fetch-Site": "cross-site"},
    )

    assert answer.status_code == 403
    assert client.get("/records/incident").json == []


def test_the_page_lists_creates_edits_comments_and_deletes(client: Client) -> None:
    form = {
        "table": "incident",
        "field.short_description": "<b>Printer</b>",
        "field.state": "new",
        "comment": "Help",
        "user": "ann",
    }
    path = client.post("/tickets", data=form).headers["Location"]
    client.post(
        path,
        data={
            "was.state": "new",
            "field.state": "open",
            "new_name": "place",
            "new_value": "Hall",
            "user": "bob",
        },
    )
    client.post(f"{path}/comments", data={"text": "On it", "user": "bob"})

    page = client.get(path).text
    listed = client.get("/?refresh=1").text

    held = client.get("/records/incident/INC0000001").json
    assert (held["revision"], held["fields"]["place"]) == (3, "Hall")
    assert "On it" in page
    assert 'value="open"' in page
    assert "&lt;b&gt;Printer&lt;/b&gt;" in listed
    assert 'http-equiv="refresh"' in listed
    assert 'http-equiv="refresh"' not in client.get("/").text
    assert client.post(f"{path}/deletion", data={"user": "ann"}).status_code == 303
    assert "Add comment" not in client.get(path).text


def test_a_new_ticket_is_asked_for_in_the_words_of_the_newest(client: Client) -> None:
    assert 'name="field.short_description"' in client.get("/").text
    client.post(
        "/records/case", json={"fields": {"subject": "x", "severity": 3}, "user": "ann"}
    )
    page = client.get("/").text
    assert 'name="field.subject" required' in page
    assert 'name="field.severity" value="3"' in page
    form = {
        "table": "case",
        "field.subject": "y",
        "field.severity": "2",
        "user": "bob",
    }
    path = client.post("/tickets", data=form).headers["Location"]
    held = client.get(path.replace("/tickets/", "/records/")).json
    assert held["fields"] == {"subject": "y", "severity": 2}


def test_a_form_sets_only_what_the_person_altered(client: Client) -> None:
    record_id = created(client, state="new", priority=3, urgent=True)
    client.patch(f"/records/incident/{record_id}", json={"fields": {"state": "open"}})

    client.post(
        f"/tickets/incident/{record_id}",
        data={
            "was.state": "new",
            "field.state": "new",
            "was.priority": "3",
            "field.priority": "1",
            "was.urgent": "True",
            "field.urgent": "False",
            "user": "ann",
        },
    )

    held = client.get(f"/records/incident/{record_id}").json
    assert held["fields"] == {"state": "open", "priority": 1, "urgent": False}


def test_settings_complain_about_everything_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SandboxSettings(
            name="s",
            database=tmp_path / "s.sqlite",
            secrets=("whsec_", "no"),
            host="0.0.0.0",
            report_url="ftp://x",
        )

    for named in ("host", "secrets", "report_url", "report_token"):
        assert named in str(caught.value)


def test_a_user_edits_and_removes_a_comment(client: Client) -> None:
    path = f"/records/incident/{created(client)}"
    client.post(f"{path}/comments", json={"text": "On it", "user": "bob"})
    made = client.post(f"{path}/comments", json={"text": "Me too", "user": "ann"})
    first, second = (comment["id"] for comment in made.json["comments"])

    edited = client.patch(
        f"{path}/comments/{first}", json={"text": "Done", "user": "bob"}
    )
    removed = client.delete(f"{path}/comments/{second}?user=ann")

    assert [c["text"] for c in edited.json["comments"]] == ["Done", "Me too"]
    assert [(c["text"], c["author"]) for c in removed.json["comments"]] == [
        ("Done", "bob")
    ]
    assert removed.json["revision"] == 5
    assert client.delete(f"{path}/comments/{second}").status_code == 404
    assert client.patch(f"{path}/comments/x", json={"text": "y"}).status_code == 404
    empty = client.patch(f"{path}/comments/{first}", json={"text": ""})
    assert empty.status_code == 422


def test_comments_are_edited_and_removed_on_the_page(client: Client) -> None:
    record = created(client)
    made = client.post(f"/records/incident/{record}/comments", json={"text": "On <it>"})
    entry = made.json["comments"][0]["id"]
    path = f"/tickets/incident/{record}"
    shown = client.get(path).text
    assert f'action="{path}/comments/{entry}"' in shown
    assert f'formaction="{path}/comments/{entry}/deletion"' in shown

    form = {"text": "Line\r\nbreak", "user": "ann"}
    assert client.post(f"{path}/comments/{entry}", data=form).status_code == 303
    held = client.get(f"/records/incident/{record}").json
    assert held["comments"][0]["text"] == "Line\nbreak"
    gone = client.post(f"{path}/comments/{entry}/deletion", data=form)
    assert gone.status_code == 303
    assert client.get(f"/records/incident/{record}").json["comments"] == []
