"""Whatever comes in is answered: never by a failure of the instance's own."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

if TYPE_CHECKING:
    from instance_process import InstanceProcess
    from within import Within

URL = "/api/now/table/incident"
NESTED = "[" * 2000 + "]" * 2000
MANY_FIELDS = ",".join(f"opened_by.company.name{' ' * n}" for n in range(3000))


@pytest.mark.parametrize(
    "query",
    [
        {"sysparm_query": "^OR".join(["state=1"] * 1500)},
        {"sysparm_query": "^".join(["opened_by.company.name=x"] * 1500)},
        {"sysparm_query": "^NQ".join(["state=1"] * 1500)},
        {"sysparm_query": "^".join(["ORDERBYstate"] * 1500)},
        {"sysparm_query": "short_descriptionLIKE" + "x" * 60_000},
        {"sysparm_query": "short_descriptionIN" + "," * 50_000},
        {"sysparm_query": "state=\0^\0=\0"},
        {"sysparm_query": "sys_created_on>=9999-99-99 99:99:99"},
        {"sysparm_query": "stateBETWEEN"},
        {"sysparm_fields": MANY_FIELDS},
        {"sysparm_fields": "." * 500},
        {"sysparm_limit": "9" * 400, "sysparm_offset": "9" * 400},
        {"sysparm_limit": "1e9", "sysparm_offset": "٣"},
        {"sysparm_limit": "0"},
        {"sysparm_display_value": "perhaps"},
    ],
)
def test_parameters(snow: Within, query: dict[str, str]) -> None:
    snow.add("incident")
    assert snow.ask("GET", URL, query_string=query).status_code == 200


def test_a_query_of_too_many_parts_is_refused(snow: Within) -> None:
    query = {"sysparm_query": "^".join(["state=1"] * 3000)}
    assert snow.ask("GET", URL, query_string=query).status_code == 400


@pytest.mark.parametrize(
    "fields",
    [
        {"short_description": {"a": [1, 2]}, "impact": [], "state": {"value": 1}},
        {"impact": 10**30, "reopen_count": 1.5, "state": "1e400"},
        {"caller_id": "\0", "opened_at": "0000-00-00 00:00:00", "active": "perhaps"},
        {"comments": {"a": 1}, "work_notes": 7, "due_date": 10**20},
        {"'; DROP TABLE incident; --": "x", "": "y", "sys_id": ["x"]},
        {"short_description": "x" * 1_000_000},
    ],
)
def test_values(snow: Within, fields: dict[str, Any]) -> None:
    made = snow.add("incident", **fields)
    assert snow.set("incident", made["sys_id"], "ann.agent", **fields)
    assert snow.get("table/incident", sysparm_display_value="all")


def test_bodies_that_nest_too_deep(snow: Within) -> None:
    headers = {"Content-Type": "application/json"}
    body = f'{{"short_description":{NESTED}}}'.encode()
    assert snow.ask("POST", URL, data=body, headers=headers).status_code == 400


def test_a_batch_is_no_part_of_a_batch(snow: Within) -> None:
    path = "/api/now/v1/batch"
    inner = {"batch_request_id": 1, "rest_requests": []}
    body = b64encode(json.dumps(inner).encode()).decode()
    headers = [{"name": "Content-Type", "value": "application/json"}]
    asked = {"id": "1", "method": "POST", "url": path, "headers": headers, "body": body}
    document = {"batch_request_id": 1, "rest_requests": [asked]}
    answer = snow.ask("POST", path, json=document)
    assert answer.json["serviced_requests"][0]["status_code"] == 400


@pytest.mark.parametrize("name", ["ä→.txt", "a\nb", 'a"b\\', "../../x", "x" * 5000])
def test_names_of_files(instance: InstanceProcess, name: str) -> None:
    made = instance.ask("POST", URL, json={}).json()["result"]
    about = {
        "table_name": "incident",
        "table_sys_id": made["sys_id"],
        "file_name": name,
    }
    up = instance.ask(
        "POST",
        f"/api/now/attachment/file?{urlencode(about)}",
        headers={"Content-Type": "text/plain"},
        body=b"bytes",
    )
    file = up.json()["result"]
    assert file["file_name"] == name
    read = instance.ask("GET", f"/api/now/attachment/{file['sys_id']}/file")
    assert (read.status, read.data) == (200, b"bytes")
    assert json.loads(read.headers["X-Attachment-Metadata"])["file_name"] == name


def test_the_bytes_of_a_file_cannot_be_pointed_elsewhere(snow: Within) -> None:
    record = snow.add("incident")["sys_id"]
    about = {"table_name": "incident", "table_sys_id": record, "file_name": "a"}
    up = snow.ask(
        "POST",
        "/api/now/attachment/file",
        query_string=about,
        data=b"bytes",
        headers={"Content-Type": "text/plain"},
    )
    sys_id = up.json["result"]["sys_id"]
    fields = {"hash": "../snow.sqlite", "table_sys_id": "x", "size_bytes": "1"}
    changed = snow.set("sys_attachment", sys_id, **fields, file_name="b")
    assert changed["hash"] == up.json["result"]["hash"]
    assert (changed["file_name"], changed["size_bytes"]) == ("b", "5")
    answer = snow.ask("POST", "/api/now/table/sys_attachment", json=fields)
    assert answer.status_code == 403
