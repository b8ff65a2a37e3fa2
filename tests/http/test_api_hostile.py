"""Hostile input at every door: a 4xx that names the place, never a 5xx."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson
import pytest
from api_node import DOCUMENT, URL, change_of

if TYPE_CHECKING:
    from api_node import Node

NDJSON = "application/x-ndjson"
CORRELATION = "5f1f2f0e-93a1-4a35-b0a3-06f0c31e4f10"


def with_field(value: bytes) -> bytes:
    change = orjson.dumps(change_of()).replace(b'"Printer"', b"%s")
    return change % value


RAW: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n\t ",
    "nan": with_field(b"NaN"),
    "infinity": with_field(b"-Infinity"),
    "1e400": with_field(b"1e400"),
    "huge integer": with_field(b"9" * 40),
    "nul": with_field(b'"a\\u0000b"'),
    "raw nul": with_field(b'"a\x00b"'),
    "lone surrogate": with_field(b'"\\ud800"'),
    "not utf-8": with_field(b'"\xff"'),
    "utf-16": orjson.dumps(change_of()).decode().encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf" + orjson.dumps(change_of()),
    "deep array": b"[" * 100_000,
    "deep object": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    "duplicate key": b'{"system":"acme","system":"globex"}',
    "cut short": orjson.dumps(change_of())[:-1],
    "two values": b"{}{}",
    "single quotes": b"{'system':'acme'}",
    "comment": b"{} // change",
    "long string": with_field(b'"' + b"x" * 70_000 + b'"'),
    "too large": b"[" + b'"x",' * 300_000 + b'"x"]',
    "too many values": b"[" + b"0," * 200_000 + b"0]",
    "a text": b'"change"',
    "a number": b"17",
    "null": b"null",
    "true": b"true",
}
SHAPES: dict[str, Any] = {
    "no changes": [],
    "too many changes": [change_of()] * 1001,
    "list in a list": [[change_of()]],
    "nothing in it": {},
    "null in the list": [change_of(), None],
    "unknown field": change_of(tabel="x"),
    "dunder field": change_of(__class__="x"),
    "system a list": change_of(system=["acme"]),
    "system empty": change_of(system=""),
    "system null": change_of(system=None),
    "record id a number": change_of(record_id=1),
    "record id too long": change_of(record_id="x" * 256),
    "operation unknown": change_of(operation="upsert"),
    "operation an object": change_of(operation={}),
    "change id empty": change_of(change_id=""),
    "change id too long": change_of(change_id="x" * 201),
    "revision a fraction": change_of(revision=1.5),
    "revision true": change_of(revision=True),
    "fields a list": change_of(fields=[]),
    "fields null": change_of(fields=None),
    "field an object": change_of(fields={"a": {"b": 1}}),
    "field that looks stored": change_of(
        fields={"a": {"_type_": "uuid_hex", "_data_": "x"}}
    ),
    "field a list of numbers": change_of(fields={"a": [1]}),
    "too many fields": change_of(fields={str(n): n for n in range(201)}),
    "field name too long": change_of(fields={"x" * 121: 1}),
    "before a text": change_of(before="x"),
    "entries an object": change_of(entries={}),
    "entry without id": change_of(entries=[{"journal": "c", "text": "t"}]),
    "entry id with control characters": change_of(
        entries=[{"id": "a\nb", "journal": "c", "text": "t"}]
    ),
    "entry without text": change_of(entries=[{"id": "1", "journal": "c"}]),
    "entry neither said nor deleted": change_of(
        entries=[{"id": "1", "journal": "c", "deleted": False}]
    ),
    "entry deleted by a text": change_of(
        entries=[{"id": "1", "journal": "c", "text": "t", "deleted": "true"}]
    ),
    "entry a text": change_of(entries=["hello"]),
    "too many entries": change_of(entries=[{}] * 101),
    "changed at in no form": change_of(changed_at="yesterday"),
    "changed at a number": change_of(changed_at=1700000000),
    "changed at without zone": change_of(changed_at="2026-01-01T00:00:00"),
    "external id a number": change_of(external_id=5),
    "origin a text": change_of(origin="acme"),
    "origin too long": change_of(origin=["a"] * 21),
    "hop negative": change_of(hop=-1),
    "hop too far": change_of(hop=101),
    "hop a text": change_of(hop="1"),
    "hop true": change_of(hop=True),
}
BODIES: dict[str, tuple[str, str, Any]] = {
    "roles a text": ("PUT", "/v1/accounts/x", {"roles": "admin"}),
    "selector's id a number": (
        "POST",
        "/v1/replays",
        {"selector": {"correlation_id": 5}, "reason": "x"},
    ),
    "selector's time a number": (
        "POST",
        "/v1/replays",
        {"selector": {"since": 1700000000}, "reason": "x"},
    ),
    "roles missing": ("PUT", "/v1/accounts/x", {}),
    "account a list": ("PUT", "/v1/accounts/x", []),
    "account's name": ("PUT", "/v1/accounts/%0aadmin", {"roles": []}),
    "lifetime zero": ("POST", "/v1/accounts/admin/tokens", {"lifetime_days": 0}),
    "lifetime text": ("POST", "/v1/accounts/admin/tokens", {"lifetime_days": "9"}),
    "lifetime true": ("POST", "/v1/accounts/admin/tokens", {"lifetime_days": True}),
    "lifetime of ages": ("POST", "/v1/accounts/admin/tokens", {"lifetime_days": 366}),
    "settings missing": ("PUT", "/v1/systems/x", {}),
    "settings a text": ("PUT", "/v1/systems/x", {"settings": "x"}),
    "flag a text": (
        "PUT",
        "/v1/systems/x",
        {"settings": {"url": URL, "dedupe": "yes"}},
    ),
    "setting unknown": ("PUT", "/v1/systems/x", {"settings": {"url": URL, "ulr": 1}}),
    "secret no secret": (
        "PUT",
        "/v1/systems/x",
        {"settings": {"url": URL}, "secret": "hunter2"},
    ),
    "connector unknown": (
        "PUT",
        "/v1/systems/x",
        {"settings": {"url": URL}, "connector": "telex"},
    ),
    "system's name": ("PUT", "/v1/systems/%20x", {"settings": {"url": URL}}),
    "definition a list": ("PUT", "/v1/definitions/x", [DOCUMENT]),
    "definition empty": ("PUT", "/v1/definitions/x", {}),
    "definition of numbers": ("PUT", "/v1/definitions/x", {"members": 5, "fields": 7}),
    "definition's name": ("PUT", "/v1/definitions/%2E%2E%20x", DOCUMENT),
    "reason missing": ("POST", "/v1/systems/acme/disable", {}),
    "reason empty": ("POST", "/v1/systems/acme/disable", {"reason": ""}),
    "reason of two lines": ("POST", "/v1/systems/acme/disable", {"reason": "a\nb"}),
    "reason too long": ("POST", "/v1/systems/acme/disable", {"reason": "x" * 501}),
    "reason a list": ("POST", "/v1/systems/acme/disable", {"reason": ["x"]}),
    "selector empty": ("POST", "/v1/replays", {"selector": {}, "reason": "x"}),
    "selector's id": (
        "POST",
        "/v1/replays",
        {"selector": {"correlation_id": "x"}, "reason": "x"},
    ),
    "selector backwards": (
        "POST",
        "/v1/replays",
        {
            "selector": {
                "since": "2026-01-02T00:00:00Z",
                "until": "2026-01-01T00:00:00Z",
            },
            "reason": "x",
        },
    ),
    "filter missing": ("POST", "/v1/outbound/retry", {"reason": "x"}),
    "filter by processed": (
        "POST",
        "/v1/outbound/skip",
        {"filter": {"status": "processed"}, "reason": "x"},
    ),
    "too many at once": (
        "POST",
        "/v1/outbound/skip",
        {"filter": {}, "reason": "x", "limit": 1001},
    ),
    "entry's reason": ("POST", f"/v1/outbound/{CORRELATION}/retry", {}),
    "domain's name": ("PUT", "/v1/domains/top/ACME", {}),
    "domain too deep": ("PUT", "/v1/domains/top" + "/a" * 11, {}),
}
PATHS: list[str] = [
    "/v1/inbound?status=lost",
    "/v1/inbound?limit=0",
    "/v1/inbound?limit=201",
    "/v1/inbound?limit=-1",
    "/v1/inbound?limit=1e3",
    "/v1/inbound?limit=" + "9" * 5000,
    "/v1/inbound?cursor=x",
    "/v1/inbound?cursor=WyJhIl0",
    "/v1/outbound?cursor=WzFd",
    "/v1/inbound?satus=ready",
    "/v1/inbound?status=ready&status=error",
    "/v1/outbound?correlation_id=x",
    "/v1/outbound?system=%00",
    "/v1/outbound?system=" + "x" * 121,
    "/v1/correlations?q=%00",
    "/v1/correlations?q=",
    "/v1/correlations?q=a&record_id=b",
    "/v1/correlations?record_id=%00",
    f"/v1/correlations/{CORRELATION}/timeline?cursor=WyJhIl0",
    f"/v1/correlations/{CORRELATION}/state?at=%00",
    f"/v1/correlations/{CORRELATION}/state?position=99999999999999999999",
    "/v1/correlations/not-an-id",
    "/v1/changes/%00",
    "/v1/changes/c1?wait=31",
    "/v1/changes/c1?wait=-1",
    "/v1/changes/c1?wait=NaN",
    "/v1/changes/" + "x" * 5000,
    "/v1/definitions/%00",
    "/v1/definitions/x/revisions/99999999999999999999",
    "/v1/definitions/x/revisions/0",
    "/v1/systems/%00",
    "/v1/systems/%FF%FE",
    "/v1/systems?name=x",
    "/v1/systems/acme?check=false",
    f"/v1/correlations/{CORRELATION}?position=1",
    "/v1/openapi.json?version=2",
    "/v1/accounts/%ED%A0%80",
    "/v1/domains/..%2F..%2Fetc",
    "/v1/audit?after=x",
    "/v1/audit?after=-1",
    "/v1/audit?until=99999999999999999999",
    "/v1/audit?whole=perhaps",
    "/v1/audit?correlation_id=1",
    "/v1/inbound/" + CORRELATION + "/99999999999999999999/retry",
    "/v1/nothing",
]


def is_refused(answered: Any) -> None:
    assert 400 <= answered.status < 500, answered.bytes
    assert answered.headers["Content-Type"] == "application/problem+json"
    problem = answered.json
    assert problem["status"] == answered.status
    assert {"type", "title", "detail", "instance"} <= problem.keys()
    for leak in (b"psycopg", b"SELECT", b"Traceback", b"/rps/", b"site-packages"):
        assert leak not in answered.bytes


@pytest.mark.parametrize("name", RAW)
def test_what_is_no_good_json_is_refused(lasting: Node, name: str) -> None:
    head = lasting.application.recorder.head()
    for path, method in (("/v1/changes", "POST"), ("/v1/systems/x", "PUT")):
        is_refused(lasting.call(method, path, raw=RAW[name]))
    is_refused(lasting.call("PUT", "/v1/definitions/x", raw=RAW[name]))
    assert lasting.application.recorder.head() == head


@pytest.mark.parametrize("name", SHAPES)
def test_what_is_no_change_is_refused_at_its_place(lasting: Node, name: str) -> None:
    head = lasting.application.recorder.head()
    answered = lasting.call("POST", "/v1/changes", SHAPES[name])
    is_refused(answered)
    assert answered.status == 422
    assert answered.json["errors"][0]["detail"]
    assert lasting.application.recorder.head() == head


@pytest.mark.parametrize("name", BODIES)
def test_what_is_no_good_body_is_refused(lasting: Node, name: str) -> None:
    head = lasting.application.recorder.head()
    method, path, sent = BODIES[name]
    answered = lasting.call(method, path, sent)
    is_refused(answered)
    assert answered.status in (404, 422)
    assert lasting.application.recorder.head() == head


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:60])
def test_what_is_no_good_address_is_refused(lasting: Node, path: str) -> None:
    is_refused(lasting.call("GET", path))


def test_hostile_lines_of_a_stream_are_refused_one_by_one(lasting: Node) -> None:
    lines = [raw.replace(b"\n", b" ") for raw in RAW.values()]
    lines += [orjson.dumps(shape) for shape in SHAPES.values()]
    lines.append(orjson.dumps(change_of(record_id="INC77")))
    raw = b"\n".join(lines)
    answered = lasting.call("POST", "/v1/changes", raw=raw, Content_Type=NDJSON)
    assert answered.status == 202
    *refused, last = answered.lines
    assert last["status"] == "captured"
    assert all(400 <= line["problem"]["status"] < 500 for line in refused)
    blank = 2
    assert len(refused) == len(lines) - 1 - blank


def test_a_value_that_looks_like_a_stored_one_comes_back_as_it_was(
    lasting: Node,
) -> None:
    fields = {"_type_": "uuid_hex", "_data_": "not hex"}
    receipt = lasting.capture("INC78", fields=fields)
    stream = receipt["correlations"][0]["correlation_id"]
    events = lasting.get(f"/v1/correlations/{stream}/timeline")["events"]
    assert events[0]["fields"]["fields"] == fields


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Content_Type", "text/plain"),
        ("Content_Type", "application/x-www-form-urlencoded"),
        ("Content_Type", "multipart/form-data; boundary=x"),
        ("Content_Encoding", "gzip"),
        ("Idempotency_Key", "x" * 201),
        ("Idempotency_Key", "a b"),
        ("Idempotency_Key", ""),
    ],
)
def test_a_header_that_does_not_fit_is_refused(
    lasting: Node, header: str, value: str
) -> None:
    sent = change_of(record_id="INC79")
    is_refused(lasting.call("POST", "/v1/changes", sent, **{header: value}))


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("traceparent", "00-xyz"),
        ("traceparent", "é" * 500),
        ("X_Request_Id", "a b"),
        ("X_Request_Id", "x" * 5000),
    ],
)
def test_a_trace_that_is_none_is_left_out(
    lasting: Node, header: str, value: str
) -> None:
    record_id = f"INC{uuid4()}"
    answered = lasting.call(
        "POST", "/v1/changes", change_of(record_id), **{header: value}
    )
    assert answered.status == 202
    position = answered.json["correlations"][0]["position"]
    row = lasting.application.recorder.read(position - 1, 1)[0]
    assert orjson.loads(row.state)["trace_id"] == ""


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "X"])
def test_a_method_a_route_does_not_know_is_refused(lasting: Node, method: str) -> None:
    answered = lasting.call(method, "/v1/changes")
    is_refused(answered)
    assert answered.status == 405
    assert answered.headers["Allow"] == "POST"


def test_a_body_over_the_most_is_refused_before_it_is_read(lasting: Node) -> None:
    for kind, most in (("application/json", 2**20), (NDJSON, 2**24)):
        raw = b" " * (most + 1)
        answered = lasting.call("POST", "/v1/changes", raw=raw, Content_Type=kind)
        is_refused(answered)
        assert answered.status == 413


@pytest.mark.parametrize(
    ("kind", "most", "key"),
    [
        ("application/json", 2**20, None),
        ("application/json", 2**20, "k"),
        (NDJSON, 2**24, "k"),
    ],
)
def test_a_chunked_body_over_the_most_is_not_cut_off(
    lasting: Node, kind: str, most: int, key: str | None
) -> None:
    """It was: get_data of a body without a length ends at the limit in silence."""
    change = orjson.dumps(change_of("INC80", change_id=f"{kind}{key}"))
    head = lasting.application.recorder.head()
    sent = {"Authorization": f"Bearer {lasting.tokens['admin']}", "Content-Type": kind}
    if key:
        sent["Idempotency-Key"] = key
    response = lasting.client.open(
        "/v1/changes",
        method="POST",
        headers=sent,
        input_stream=BytesIO(change + b" " * most),
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert response.status_code == 413
    assert lasting.application.recorder.head() == head
