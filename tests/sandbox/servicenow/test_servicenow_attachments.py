"""Files of records, and many requests in one."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from werkzeug.test import TestResponse
    from within import Within

URL = "/api/now/attachment"
CONTENT = bytes(range(256)) * 9


@pytest.fixture
def record(snow: Within) -> str:
    return str(snow.add("incident")["sys_id"])


def upload_form(snow: Within, record: str, content: bytes) -> TestResponse:
    form = {
        "table_name": "incident",
        "table_sys_id": record,
        "uploadFile": (BytesIO(content), "b.png", "image/png"),
    }
    return snow.ask("POST", f"{URL}/upload", data=form)


def upload(
    snow: Within, record: str, user: str = "admin", **given: Any
) -> TestResponse:
    about = {"table_name": "incident", "table_sys_id": record, "file_name": "a.bin"}
    headers = given.pop("headers", {"Content-Type": "image/png"})
    data = given.pop("data", CONTENT)
    query = {k: v for k, v in {**about, **given}.items() if v}
    path = f"{URL}/file"
    return snow.ask("POST", path, user, query_string=query, data=data, headers=headers)


def test_a_file_goes_up_and_comes_down(snow: Within, record: str) -> None:
    answer = upload(snow, record)
    assert answer.status_code == 201
    made = answer.json["result"]
    where = f"http://localhost{URL}/{made['sys_id']}"
    assert answer.headers["Location"] == where
    assert made["download_link"] == f"{where}/file"
    assert made["size_bytes"] == str(len(CONTENT))
    assert made["hash"] == sha256(CONTENT).hexdigest()
    assert made["content_type"] == "image/png"
    assert made["sys_created_by"] == "admin"
    read = snow.ask("GET", f"{URL}/{made['sys_id']}/file")
    assert read.data == CONTENT
    assert read.headers["Content-Type"] == "image/png"
    about = json.loads(read.headers["X-Attachment-Metadata"])
    assert about["file_name"] == "a.bin"
    assert snow.get(f"attachment/{made['sys_id']}") == made


def test_a_form_may_carry_the_file(snow: Within, record: str) -> None:
    answer = upload_form(snow, record, CONTENT)
    assert answer.status_code == 201
    made = answer.json["result"]
    assert (made["file_name"], made["content_type"]) == ("b.png", "image/png")
    assert answer.headers["Location"].endswith(f"/api/now/attachment/{made['sys_id']}")


@pytest.mark.parametrize(
    ("headers", "data"),
    [
        ({"Content-Type": "multipart/form-data"}, CONTENT),
        ({"Content-Type": "text/plain"}, CONTENT),
        ({"Content-Type": "multipart/form-data; boundary=x"}, CONTENT),
    ],
)
def test_a_malformed_form_is_refused(
    snow: Within, headers: dict[str, str], data: bytes
) -> None:
    answer = snow.ask("POST", f"{URL}/upload", data=data, headers=headers)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"file_name": ""}, 400),
        ({"table_name": ""}, 400),
        ({"table_name": "bogus"}, 400),
        ({"table_sys_id": "0" * 32}, 404),
        ({"headers": {}}, 400),
        ({"user": "rita.reader"}, 403),
        ({"user": "paul.portal"}, 404),
    ],
)
def test_a_file_that_cannot_be_attached(
    snow: Within, record: str, given: dict[str, Any], status: int
) -> None:
    assert upload(snow, record, **given).status_code == status
    assert snow.get("attachment") == []


def test_size_and_kind_may_be_limited(snow: Within, record: str) -> None:
    limits = {"attachment_bytes_max": 100, "attachment_extensions": ["png", "txt"]}
    snow.control("PATCH", "/behaviour", limits)
    assert upload(snow, record, file_name="a.PNG", data=b"x" * 100).status_code == 201
    assert upload(snow, record, file_name="a.png", data=b"x" * 101).status_code == 413
    assert list(snow.files.iterdir()) == [snow.files / sha256(b"x" * 100).hexdigest()]
    assert upload_form(snow, record, b"x" * 100).status_code == 201
    assert upload_form(snow, record, b"x" * 101).status_code == 413
    refused = upload(snow, record, file_name="a.exe", data=b"x")
    assert refused.status_code == 400
    assert "File type is not allowed" in refused.json["error"]["message"]


def test_files_are_listed_by_record(snow: Within, record: str) -> None:
    other = snow.add("problem")["sys_id"]
    upload(snow, record, file_name="one")
    upload(snow, record, file_name="two")
    upload(snow, other, file_name="three", table_name="problem")
    query = f"table_name=incident^table_sys_id={record}"
    answer = snow.ask("GET", URL, query_string={"sysparm_query": query})
    assert [row["file_name"] for row in answer.json["result"]] == ["one", "two"]
    assert answer.headers["X-Total-Count"] == "2"
    rows = snow.get("table/sys_attachment", table_sys_id=other)
    assert [row["file_name"] for row in rows] == ["three"]


def test_a_removed_file_is_written_down(snow: Within, record: str) -> None:
    made = upload(snow, record).json["result"]
    path = f"{URL}/{made['sys_id']}"
    assert snow.ask("DELETE", path, "rita.reader").status_code == 403
    assert snow.ask("DELETE", path).status_code == 204
    assert snow.ask("GET", path).status_code == 404
    assert snow.ask("GET", f"{path}/file").status_code == 404
    (audit,) = snow.get("table/sys_audit_delete", documentkey=made["sys_id"])
    assert audit["display_value"] == "a.bin"


@pytest.mark.parametrize(("touches", "count"), [(False, "0"), (True, "2")])
def test_a_file_may_count_as_an_update_of_its_record(
    snow: Within, record: str, touches: bool, count: str
) -> None:
    snow.control("PATCH", "/behaviour", {"attachments_touch_record": touches})
    made = upload(snow, record).json["result"]
    snow.ask("DELETE", f"{URL}/{made['sys_id']}")
    assert snow.get(f"table/incident/{record}")["sys_mod_count"] == count


# --- batch ---


def batch(snow: Within, *requests: dict[str, Any], user: str = "admin") -> Any:
    numbered = [{"id": str(n), "headers": [], **r} for n, r in enumerate(requests)]
    document = {"batch_request_id": 7, "rest_requests": numbered}
    return snow.ask("POST", "/api/now/v1/batch", user, json=document)


def body(document: Any) -> str:
    return b64encode(json.dumps(document).encode()).decode()


JSON = [{"name": "Content-Type", "value": "application/json"}]


def test_requests_of_a_batch_are_answered_one_by_one(snow: Within, record: str) -> None:
    path = f"/api/now/table/incident/{record}"
    fields = body({"description": "z"})
    answer = batch(
        snow,
        {"method": "PATCH", "url": path, "headers": JSON, "body": fields},
        {"method": "GET", "url": f"{path}?sysparm_fields=description,sys_updated_by"},
        {"method": "GET", "url": "/api/now/table/incident?sysparm_limit=1"},
        {"method": "DELETE", "url": f"/api/now/table/incident/{'0' * 32}"},
        {"method": "DELETE", "url": path},
        user="ann.agent",
    )
    assert answer.status_code == 200
    assert answer.json["batch_request_id"] == "7"
    assert answer.json["unserviced_requests"] == []
    serviced = answer.json["serviced_requests"]
    assert [(each["id"], each["status_code"]) for each in serviced] == [
        *(("0", 200), ("1", 200), ("2", 200), ("3", 404), ("4", 204))
    ]
    read = json.loads(b64decode(serviced[1]["body"]))["result"]
    assert read == {"description": "z", "sys_updated_by": "ann.agent"}
    headers = {each["name"]: each["value"] for each in serviced[2]["headers"]}
    assert headers["X-Total-Count"] == "1"
    assert serviced[4]["body"] == ""


@pytest.mark.parametrize(
    "request_",
    [
        {"method": "GET", "url": "https://example.com/api/now/table/incident"},
        {"method": "GET", "url": "/_sandbox/behaviour"},
        {"method": "TRACE", "url": "/api/now/table/incident"},
        {"method": "POST", "url": "/api/now/table/incident", "body": "%%%"},
        {"method": "GET", "url": "/api/now/x", "headers": [{"name": "a\n"}]},
    ],
)
def test_a_batch_with_a_malformed_request_is_refused(
    snow: Within, request_: dict[str, Any]
) -> None:
    assert batch(snow, request_).status_code == 400


def test_a_batch_counts_as_one_request(snow: Within) -> None:
    rule = {"id": "r", "limit": 1}
    snow.control("PATCH", "/behaviour", {"rates": [rule]})
    asked = {"method": "GET", "url": "/api/now/table/incident"}
    answer = batch(snow, asked, asked)
    assert [e["status_code"] for e in answer.json["serviced_requests"]] == [200, 200]
    assert batch(snow, asked).status_code == 429
