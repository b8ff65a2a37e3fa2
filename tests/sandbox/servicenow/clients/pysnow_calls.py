"""pysnow's own calls against an instance; run as `python pysnow_calls.py CASE`."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pysnow
import requests
from pysnow.exceptions import ResponseError

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = os.environ["INSTANCE"].removeprefix("https://")
PEM, PASSWORD = os.environ["PEM"], os.environ["PASSWORD"]
CLIENT = (os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"])


def session(user: str = "rps.integration") -> requests.Session:
    made = requests.Session()
    made.auth = (user, PASSWORD)
    made.verify = PEM
    return made


def resource(path: str = "/table/incident", user: str = "rps.integration") -> Any:
    client = pysnow.Client(host=HOST, session=session(user))
    return client.resource(api_path=path)


def new(**fields: str) -> dict[str, Any]:
    made: dict[str, Any] = resource().create(payload=fields).one()
    return made


def refusal(call: Callable[[], Any]) -> str:
    try:
        call()
    except (requests.HTTPError, ResponseError) as error:
        return str(error)
    raise AssertionError


def reads_what_it_wrote() -> None:
    made = new(short_description="Printer on fire", impact="2", urgency="1")
    assert made["priority"] == "2"
    incidents = resource()
    read = incidents.get(query={"number": made["number"]}).one()
    assert read == {**read, "short_description": "Printer on fire"}
    assert read["opened_by"]["link"].endswith(read["opened_by"]["value"])
    assert incidents.get(query={"number": "INC9"}).one_or_none() is None


def updates_and_deletes() -> None:
    made = new(short_description="Mail is late")
    incidents = resource()
    update = {"short_description": "Mail is very late", "state": "2"}
    changed = incidents.update(query={"number": made["number"]}, payload=update).one()
    assert changed["short_description"] == "Mail is very late"
    assert changed["sys_mod_count"] == "1"
    assert incidents.delete(query={"number": made["number"]})["status"] == (
        "record deleted"
    )
    assert not incidents.get(query={"number": made["number"]}).all()


def what_it_asked_before_does_not_matter_to_a_create() -> None:
    incidents = resource()
    incidents.get(query={"number": "INC9"}, fields=["number"]).all()
    made = incidents.create(payload={"short_description": "after a query"}).one()
    assert made["number"].startswith("INC")


def journals_are_written_in_order() -> None:
    made = new(short_description="Screen is black", comments="first")
    assert made["comments"] == ""
    for text in ("second", "third"):
        resource().update(
            query={"sys_id": made["sys_id"]}, payload={"work_notes": text}
        )
    query = pysnow.QueryBuilder().field("element_id").equals(made["sys_id"])
    journal = resource("/table/sys_journal_field")
    rows = journal.get(query=query.AND().field("sys_created_on").order_ascending())
    said = [(row["element"], row["value"], row["sys_created_by"]) for row in rows.all()]
    by = "rps.integration"
    assert said == [
        ("comments", "first", by),
        ("work_notes", "second", by),
        ("work_notes", "third", by),
    ]


def files_go_up_and_down() -> None:
    made = new(short_description="With a file")
    content = b"one line\n" * 100_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.txt"
        path.write_bytes(content)
        uploaded = resource().attachments.upload(made["sys_id"], str(path)).one()
    assert uploaded["file_name"] == "log.txt"
    assert uploaded["content_type"] == "text/plain"
    (listed,) = resource().attachments.get(sys_id=made["sys_id"])
    read = session().get(listed["download_link"])
    assert read.content == content
    resource().attachments.delete(listed["sys_id"])
    assert not resource().attachments.get(sys_id=made["sys_id"])


def a_form_without_boundary_is_refused() -> None:
    made = new(short_description="With a malformed file")
    refused = refusal(
        lambda: (
            resource()
            .attachments.upload(made["sys_id"], __file__, multipart=True)
            .one()
        )
    )
    assert "400" in refused


def pages_over_everything() -> None:
    rows = int(os.environ["ROWS"])
    incidents = resource()
    incidents.parameters.exclude_reference_link = True
    seen: set[str] = set()
    page = 2500
    query = "descriptionSTARTSWITHExample ticket^ORDERBYsys_updated_on"
    for offset in range(0, rows, page):
        read = incidents.get(
            query=query, limit=page, offset=offset, fields=["sys_id"], stream=True
        )
        seen |= {each["sys_id"] for each in read.all()}
    assert len(seen) == rows


def queries_find() -> None:
    for word in ("alpha", "beta", "gamma"):
        new(short_description=f"pysnow {word}", category="hardware")
    query = (
        pysnow.QueryBuilder()
        .field("category")
        .equals("hardware")
        .AND()
        .field("short_description")
        .equals(["pysnow alpha", "pysnow gamma"])
        .AND()
        .field("short_description")
        .order_descending()
    )
    incidents = resource()
    incidents.parameters.display_value = "all"
    rows = incidents.get(query=query, fields=["short_description", "category"]).all()
    assert [row["short_description"]["value"] for row in rows] == [
        "pysnow gamma",
        "pysnow alpha",
    ]
    assert rows[0]["category"] == {"display_value": "Hardware", "value": "hardware"}


def oauth_with_a_password() -> None:
    os.environ["REQUESTS_CA_BUNDLE"] = PEM
    client = pysnow.OAuthClient(client_id=CLIENT[0], client_secret=CLIENT[1], host=HOST)
    client.set_token(client.generate_token("ann.agent", PASSWORD))
    incidents = client.resource(api_path="/table/incident")
    made = incidents.create(payload={"short_description": "by token"}).one()
    assert made["sys_created_by"] == "ann.agent"


def refusals_are_told_apart() -> None:
    reader = resource(user="rita.reader")
    fields = {"short_description": "not mine"}
    assert "403" in refusal(lambda: reader.create(payload=fields).one())
    inactive = resource(user="ina.inactive")
    assert "401" in refusal(lambda: inactive.get(query={}).all())


if __name__ == "__main__":
    globals()[sys.argv[1]]()
