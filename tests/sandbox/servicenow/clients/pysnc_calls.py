"""pysnc's own calls against an instance; run as `python pysnc_calls.py CASE`."""

from __future__ import annotations

import os
import sys
import uuid
from io import BytesIO
from typing import Any

from pysnc import ServiceNowClient
from pysnc.auth import ServiceNowClientCredentialsFlow, ServiceNowPasswordGrantFlow
from pysnc.exceptions import AuthenticationException, RoleException

INSTANCE, PEM = os.environ["INSTANCE"], os.environ["PEM"]
PASSWORD = os.environ["PASSWORD"]
CLIENT = (os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"])


def client(user: str = "rps.integration") -> ServiceNowClient:
    return ServiceNowClient(INSTANCE, (user, PASSWORD), verify=PEM)


def new(short_description: str, **fields: str) -> Any:
    record = client().GlideRecord("incident")
    record.initialize()
    record.short_description = short_description
    for name, value in fields.items():
        record.set_value(name, value)
    assert record.insert()
    return record


def entries(record: Any) -> list[tuple[str, str, str]]:
    journal = client().GlideRecord("sys_journal_field")
    journal.add_query("element_id", record.sys_id)
    journal.order_by("sys_created_on")
    journal.query()
    return [(str(e.element), str(e.value), str(e.sys_created_by)) for e in journal]


def reads_what_it_wrote() -> None:
    made = new("Printer on fire", impact="1", urgency="1", caller_id="Paul Portal")
    assert str(made.number).startswith("INC")
    read = client().GlideRecord("incident")
    assert read.get(made.sys_id)
    assert read.short_description == "Printer on fire"
    assert read.priority.get_display_value() == "1 - Critical"
    assert read.caller_id.get_display_value() == "Paul Portal"
    assert len(read.caller_id.get_value()) == 32
    assert read.sys_mod_count == "0"
    assert client().GlideRecord("incident").get("number", str(made.number))
    assert not read.get("00000000000000000000000000000000")


def a_record_has_the_id_its_maker_chose() -> None:
    chosen = uuid.uuid4().hex
    record = client().GlideRecord("incident")
    record.initialize()
    record.set_new_guid_value(chosen)
    assert record.insert() == chosen
    assert client().GlideRecord("incident").get(chosen)


def updates_send_what_changed() -> None:
    made = new("Mail is late", description="since noon")
    other = client().GlideRecord("incident")
    assert other.get(made.sys_id)
    other.description = "since eleven"
    assert other.update()
    made.short_description = "Mail is very late"
    assert made.update()
    read = client().GlideRecord("incident")
    assert read.get(made.sys_id)
    assert read.description == "since eleven"
    assert read.short_description == "Mail is very late"
    assert read.sys_mod_count == "2"
    assert read.sys_updated_by == "rps.integration"


def journals_are_written_in_order() -> None:
    made = new("Screen is black", comments="first")
    read = client().GlideRecord("incident")
    assert read.get(made.sys_id)
    assert read.work_notes.get_value() == ""
    for text in ("second", "third"):
        read.work_notes = text
        assert read.update()
        assert read.get(made.sys_id)
    by = "rps.integration"
    assert entries(made) == [
        ("comments", "first", by),
        ("work_notes", "second", by),
        ("work_notes", "third", by),
    ]
    assert "third" in read.work_notes.get_display_value()


def files_go_up_and_down() -> None:
    made = new("With a picture")
    api = client().attachment_api
    content = bytes(range(256)) * 4096
    answer = api.upload_file(
        "a picture.png", "incident", made.sys_id, BytesIO(content), "image/png"
    )
    sys_id = answer.headers["Location"].rpartition("/")[2]
    assert answer.json()["result"]["size_bytes"] == str(len(content))
    assert made.add_attachment("note.txt", b"hello", "text/plain")
    files = made.get_attachments()
    read = {str(each.file_name): each.read() for each in files}
    assert read == {"a picture.png": content, "note.txt": b"hello"}
    api.delete(sys_id)
    again = client().Attachment("incident")
    again.add_query("table_sys_id", made.sys_id)
    again.query()
    assert [str(each.file_name) for each in again] == ["note.txt"]


def pages_over_everything() -> None:
    rows = int(os.environ["ROWS"])
    record = client().GlideRecord("incident", batch_size=1000)
    record.fields = ["sys_id", "number"]
    record.add_query("description", "STARTSWITH", "Example ticket")
    record.order_by("sys_updated_on")
    record.query()
    assert len(record) == rows
    assert len({str(each.sys_id) for each in record}) == rows


def queries_find() -> None:
    words = ("alpha", "beta", "gamma")
    for word in words:
        new(f"pysnc {word}", category="network")
    record = client().GlideRecord("incident")
    record.add_query("category", "network")
    found = record.add_query("short_description", "pysnc alpha")
    found.add_or_condition("short_description", "pysnc gamma")
    record.add_not_null_query("opened_at")
    record.order_by_desc("short_description")
    record.query()
    assert [str(each.short_description) for each in record] == [
        "pysnc gamma",
        "pysnc alpha",
    ]
    record = client().GlideRecord("incident")
    record.add_query("short_description", "CONTAINS", "PYSNC")
    record.add_query("short_description", "DOES NOT CONTAIN", "beta")
    record.add_query("number", "NOT IN", "INC1,INC2")
    record.query()
    assert record.get_row_count() == 2
    record = client().GlideRecord("incident")
    record.fields = ["caller_id.name"]
    record.add_query("caller_id.user_name", "paul.portal")
    record.limit = 1
    record.query()
    assert [each.get_value("caller_id.name") for each in record] == ["Paul Portal"]


def many_are_updated_and_deleted_at_once() -> None:
    for n in range(5):
        new(f"of many {n}", correlation_id="many")
    record = client().GlideRecord("incident")
    record.add_query("correlation_id", "many")
    record.query()
    for each in record:
        each.correlation_display = "all of them"
    assert record.update_multiple()
    record = client().GlideRecord("incident")
    record.add_query("correlation_display", "all of them")
    record.query()
    assert len(record) == 5
    assert record.delete_multiple()
    record.query()
    assert len(record) == 0


def long_queries_go_through_the_batch_api() -> None:
    made = new("in a long query")
    ids = ",".join(["0" * 32] * 400 + [str(made.sys_id)])
    record = client().GlideRecord("incident")
    record.add_query("sys_id", "IN", ids)
    record.query()
    assert [str(each.sys_id) for each in record] == [str(made.sys_id)]


def deleted_records_are_gone() -> None:
    made = new("to be deleted")
    assert made.delete()
    assert not client().GlideRecord("incident").get(made.sys_id)
    audit = client().GlideRecord("sys_audit_delete")
    assert audit.get("documentkey", made.sys_id)
    assert audit.tablename == "incident"
    assert audit.get_value("display_value") == made.number


def oauth_with_a_password() -> None:
    flow = ServiceNowPasswordGrantFlow("ann.agent", PASSWORD, *CLIENT)
    record = ServiceNowClient(INSTANCE, flow, verify=PEM).GlideRecord("incident")
    record.initialize()
    record.short_description = "by token"
    assert record.insert()
    assert record.sys_created_by == "ann.agent"


def oauth_with_the_client_alone() -> None:
    os.environ["REQUESTS_CA_BUNDLE"] = PEM  # this flow asks for a token without verify=
    flow = ServiceNowClientCredentialsFlow(*CLIENT)
    record = ServiceNowClient(INSTANCE, flow, verify=PEM).GlideRecord("incident")
    record.initialize()
    record.short_description = "by the client's token"
    assert record.insert()
    assert record.sys_created_by == "rps.integration"


def refusals_are_told_apart() -> None:
    try:
        ServiceNowClient(INSTANCE, ("admin", "wrong"), verify=PEM).GlideRecord(
            "incident"
        ).get("number", "INC0010001")
    except AuthenticationException:
        pass
    else:
        raise AssertionError
    record = client("rita.reader").GlideRecord("incident")
    record.limit = 1
    record.query()
    assert record.next()
    record.short_description = "not mine"
    try:
        record.update()
    except RoleException:
        pass
    else:
        raise AssertionError


if __name__ == "__main__":
    globals()[sys.argv[1]]()
