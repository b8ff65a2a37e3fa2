"""Files over HTTP: offered in changes, handed in and handed out by their SHA-256."""

from __future__ import annotations

import hashlib
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from api_node import DOCUMENT

from rps.http.file_answers import disposition

if TYPE_CHECKING:
    from api_node import Answered, Node

BODY = bytes(range(256)) * 5000
SHA256 = hashlib.sha256(BODY).hexdigest()
PATH = f"/v1/attachments/{SHA256}"
FILE = {
    "id": "att1",
    "name": 'Grüße "1".png',
    "size": len(BODY),
    "type": "image/png",
    "sha256": SHA256,
}
API = "ih_process_sync_api"


@pytest.fixture
def files(sharing: Node) -> Node:
    document: dict[str, Any] = deepcopy(DOCUMENT)
    document["attachments"] = {"journal": "comments", "size_max": "2 MB"}
    path = "/v1/definitions/incident.shared"
    assert sharing.call("PUT", path, document).status == 200
    assert sharing.call("POST", f"{path}/publish").status == 200
    return sharing


def put(node: Node, body: bytes = BODY, path: str = PATH, **headers: str) -> Answered:
    kind = {"Content_Type": "application/octet-stream"}
    return node.call("PUT", path, raw=body, who=API, **kind, **headers)


def part(node: Node, start: int, end: int) -> Answered:
    said = f"bytes {start}-{end - 1}/{len(BODY)}"
    return put(node, BODY[start:end], Content_Range=said)


# --- handing in ---------------------------------------------------------------------


def test_a_file_is_handed_in_and_out(files: Node) -> None:
    made = put(files)
    assert (made.status, made.json) == (
        201,
        {"sha256": SHA256, "size": len(BODY), "stored": len(BODY), "complete": True},
    )
    assert put(files).status == 200
    given = files.call("GET", PATH, who=API)
    assert (given.status, given.bytes) == (200, BODY)
    assert given.headers["Content-Length"] == str(len(BODY))
    assert given.headers["Content-Type"] == "application/octet-stream"
    assert given.headers["X-Content-Type-Options"] == "nosniff"
    assert given.headers["ETag"] == f'"{SHA256}"'
    assert given.headers["Content-Disposition"].startswith("attachment; ")


def test_it_may_come_in_parts_and_asks_where_to_go_on(files: Node) -> None:
    assert part(files, 0, 1000).json["stored"] == 1000
    where = put(files, b"", Content_Range=f"bytes */{len(BODY)}")
    assert (where.status, where.json["stored"]) == (202, 1000)
    assert files.call("GET", PATH, who=API).status == 404  # not before it is whole
    gap = part(files, 1001, 2000)
    assert (gap.status, gap.json["stored"]) == (409, 1000)
    assert gap.json["type"].endswith("attachment-gap")
    assert part(files, 500, 2000).json["stored"] == 2000  # what is known is passed over
    last = part(files, 2000, len(BODY))
    assert (last.status, last.json["complete"]) == (201, True)
    assert files.call("GET", PATH, who=API).bytes == BODY


def test_other_bytes_than_announced_are_refused_and_nothing_kept(files: Node) -> None:
    refused = put(files, BODY[::-1])
    assert refused.status == 422
    assert refused.json["type"].endswith("attachment-contradicted")
    assert hashlib.sha256(BODY[::-1]).hexdigest() in refused.json["detail"]
    where = put(files, b"", Content_Range=f"bytes */{len(BODY)}")
    assert where.json["stored"] == 0
    assert put(files).status == 201


@pytest.mark.parametrize(
    ("body", "said", "status"),
    [
        (b"", None, 413),
        (b"x" * 2_000_001, None, 413),
        (b"x", "bytes 0-0/2000001", 413),
        (b"x", "bytes 0-1/10", 400),
        (b"x", "bytes 9-9/9", 400),
        (b"x", "bytes 5-4/9", 400),
        (b"x", "lines 0-0/9", 400),
        (b"x", "bytes */9", 400),
    ],
)
def test_what_cannot_be_a_file_here_is_refused(
    files: Node, body: bytes, said: str | None, status: int
) -> None:
    headers = {} if said is None else {"Content_Range": said}
    assert put(files, body, **headers).status == status


@pytest.mark.parametrize("name", ["x", SHA256.upper(), SHA256[1:], SHA256 + "0"])
def test_a_file_is_named_by_its_hash(files: Node, name: str) -> None:
    refused = put(files, path=f"/v1/attachments/{name}")
    assert (refused.status, refused.json["type"]) == (
        400,
        "urn:rps:problem:sha256-refused",
    )
    assert files.call("GET", f"/v1/attachments/{name}", who=API).status == 404


def test_where_no_definition_shares_files_none_is_taken(sharing: Node) -> None:
    refused = put(sharing)
    assert (refused.status, refused.json["type"]) == (
        409,
        "urn:rps:problem:attachments-not-shared",
    )


def test_two_hand_in_the_same_file_one_after_the_other(files: Node) -> None:
    writing = files.application.blobs.begin("top", SHA256, len(BODY))
    assert writing is not None
    busy = put(files)
    assert (busy.status, busy.headers["Retry-After"]) == (409, "2")
    writing.leave()
    assert put(files).status == 201


# --- handing out --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=1000-", 1000, len(BODY)),
        ("bytes=-7", len(BODY) - 7, len(BODY)),
        ("bytes=1048570-1048590", 1048570, 1048591),  # over the edge of a chunk
        ("bytes=5-99999999", 5, len(BODY)),
    ],
)
def test_a_range_of_it_is_given(files: Node, asked: str, start: int, end: int) -> None:
    put(files)
    given = files.call("GET", PATH, who=API, Range=asked)
    assert (given.status, given.bytes) == (206, BODY[start:end])
    assert given.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(BODY)}"
    of_another = {"Range": asked, "If-Range": '"another"'}
    assert files.call("GET", PATH, who=API, **of_another).bytes == BODY


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "lines=1-2", "nonsense", "bytes="])
def test_what_is_no_range_is_passed_over(files: Node, asked: str) -> None:
    put(files)
    given = files.call("GET", PATH, who=API, Range=asked)
    assert (given.status, given.bytes) == (200, BODY)


def test_a_range_it_does_not_have_is_refused(files: Node) -> None:
    put(files)
    refused = files.call("GET", PATH, who=API, Range=f"bytes={len(BODY)}-")
    assert refused.status == 416
    assert refused.headers["Content-Range"] == f"bytes */{len(BODY)}"


def test_who_has_it_or_only_asks_gets_no_bytes(files: Node) -> None:
    put(files)
    known = files.call("GET", PATH, who=API, If_None_Match=f'"{SHA256}"')
    assert (known.status, known.bytes) == (304, b"")
    asked = files.call("HEAD", PATH, who=API)
    assert (asked.status, asked.bytes) == (200, b"")
    assert asked.headers["Content-Length"] == str(len(BODY))
    assert files.call("HEAD", PATH.replace("0", "1"), who=API).status == 404


def test_another_domain_does_not_have_it(files: Node) -> None:
    put(files)
    assert files.call("GET", PATH, who="stranger").status == 404


def test_it_is_saved_under_the_name_it_was_offered_with(files: Node) -> None:
    files.shared(attachments=[FILE])
    put(files)
    given = files.call("GET", PATH, who=API)
    assert given.headers["Content-Disposition"] == (
        'attachment; filename="Gr__e _1_.png"; '
        "filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%221%22.png"
    )


@pytest.mark.parametrize("name", ['a";x="b.png', "a\r\nX: y.png", "a\\b.png", "\u202e"])
def test_a_name_cannot_end_its_header(name: str) -> None:
    said = disposition(name)
    assert said.isascii()
    assert "\r" not in said
    assert "\\" not in said
    assert said.count('"') == 2


# --- in changes ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attachments", "place"),
    [
        ([{}], "id"),
        ([{"id": "1"}], "name"),
        ([{"id": "1", "deleted": False}], "sha256"),
        ([{**FILE, "sha256": SHA256.upper()}], "sha256"),
        ([{**FILE, "size": -1}], "size"),
        ([{**FILE, "size": "1"}], "size"),
        ([{**FILE, "name": "x" * 1001}], "name"),
        ([{**FILE, "bytes": "x"}], "bytes"),
        ([FILE] * 101, "attachments"),
        ("x", "attachments"),
    ],
)
def test_a_malformed_offer_says_what_to_change(
    files: Node, attachments: Any, place: str
) -> None:
    change = {
        "system": "acme",
        "table": "incident",
        "record_id": "1",
        "operation": "update",
        "attachments": attachments,
    }
    refused = files.call("POST", "/v1/changes", change, who=API)
    assert refused.status == 422
    assert f"/{place}" in refused.bytes.decode()


def test_a_message_says_which_files_it_waits_for(files: Node) -> None:
    files.shared(attachments=[FILE])
    (entry,) = files.get("/v1/outbound", who="operator")["entries"]
    assert entry["waits_for"]["why"] == (
        "its files: 'Grüße \"1\".png' (1.3 MB) of acme, 0 bytes here"
    )


def test_the_state_shows_files_and_who_has_them(files: Node) -> None:
    correlation_id = files.shared(attachments=[FILE])
    state = files.get(f"/v1/correlations/{correlation_id}/state")
    assert state["attachments"] == [
        {**FILE, "id": "acme:att1", "version": 1, "system": "acme", "members": ["acme"]}
    ]
    timeline = files.get(f"/v1/correlations/{correlation_id}/timeline")["events"]
    assert 'acme added Grüße "1".png' in [event["summary"] for event in timeline]


def test_a_refused_file_is_in_the_timeline(files: Node) -> None:
    correlation_id = files.shared(attachments=[{**FILE, "size": 0}])
    timeline = files.get(f"/v1/correlations/{correlation_id}/timeline")["events"]
    said = [event["summary"] for event in timeline]
    assert "file 'Grüße \"1\".png' of acme not passed on: it is empty" in said
