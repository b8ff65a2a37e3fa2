from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import psycopg
import psycopg_pool
import pytest
from eventsourcing import persistence
from flask import Flask, abort, request
from marshmallow import Schema, fields
from werkzeug.exceptions import NotFound, ServiceUnavailable, Unauthorized

from rps.http import cursor, json_body
from rps.http.problems import Problem, Table, install, response

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = 'FATAL: password for "rps" at /var/lib/pg: SELECT * FROM rps_events'


class SystemDisabled(Exception):
    pass


class SystemTripped(SystemDisabled):
    pass


class Line(Schema):
    count = fields.Integer(required=True)


class Shape(Schema):
    name = fields.String(required=True)
    lines = fields.List(fields.Nested(Line))
    map = fields.Dict(keys=fields.String(), values=fields.Integer())


TABLE: Table = {
    SystemDisabled: lambda _: Problem(
        409,
        "system-disabled",
        "The system is disabled",
        "Activate it first.",
        extra={"system": "acme", "status": 200},
        headers={"Retry-After": "60"},
    ),
}

DATABASE_ERRORS: list[type[Exception]] = [
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.QueryCanceled,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.AdminShutdown,
    psycopg_pool.PoolTimeout,
    psycopg_pool.PoolClosed,
    persistence.OperationalError,
    persistence.InterfaceError,
    persistence.ConnectionUnavailableError,
]
UNFORESEEN: list[type[Exception]] = [
    RuntimeError,
    KeyError,
    psycopg.errors.SyntaxError,
    psycopg.errors.UniqueViolation,
    persistence.IntegrityError,
    persistence.ProgrammingError,
    RecursionError,
]


KINDS: dict[str, type[Exception]] = {
    f"{kind.__module__}.{kind.__name__}": kind
    for kind in [*DATABASE_ERRORS, *UNFORESEEN, SystemTripped]
}


def body() -> Any:
    return {"value": json_body.decode(request.get_data())}


def shape() -> Any:
    return Shape().load(json_body.decode(request.get_data()))


def many_lines() -> Any:
    return Line(many=True).load(json_body.decode(request.get_data()))


def page() -> Any:
    rows = cursor.limit(request.args.get("limit"))
    return {"rows": rows, "after": cursor.decode(request.args["cursor"], (int,))}


def raised(kind: str) -> Any:
    raise KINDS[kind](SECRET)


def aborted(code: int) -> Any:
    abort(code)


def busy() -> Any:
    raise ServiceUnavailable(retry_after=7)


def late() -> Any:
    return {}


def fail_late(answer: Any) -> Any:
    if request.path == "/late" and answer.status_code == 200:
        raise psycopg.OperationalError(SECRET)
    return answer


def app() -> Flask:
    flask_app = Flask(__name__)
    flask_app.config["MAX_CONTENT_LENGTH"] = 1000
    views: list[tuple[str, str, Callable[..., Any]]] = [
        ("/bodies", "POST", body),
        ("/shapes", "POST", shape),
        ("/lines", "POST", many_lines),
        ("/pages", "GET", page),
        ("/abort/<int:code>", "GET", aborted),
        ("/raise/<kind>", "GET", raised),
        ("/busy", "GET", busy),
        ("/late", "GET", late),
    ]
    for rule, method, view in views:
        flask_app.add_url_rule(rule, view_func=view, methods=[method])
    flask_app.after_request(fail_late)
    install(flask_app, TABLE)
    return flask_app


@pytest.fixture(scope="module")
def client() -> Any:
    return app().test_client()


def problem_of(answer: Any, status: int, code: str) -> dict[str, Any]:
    """The body, after what holds for every problem has been asserted."""
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    body: dict[str, Any] = answer.get_json(force=True)
    assert body["type"] == f"urn:rps:problem:{code}"
    assert body["status"] == status
    assert body["title"]
    assert body["instance"].startswith("urn:uuid:")
    for leak in [
        "psycopg",
        "SELECT",
        "FATAL",
        "password for",
        "Traceback",
        "/var",
        ".py",
    ]:
        assert leak not in answer.get_data(as_text=True)
    return body


@pytest.mark.parametrize(
    ("body", "status", "code", "place"),
    [
        (b"", 400, "empty", "byte 0"),
        (b"[1,]", 400, "not-json", "byte 3"),
        (b'{"a":NaN}', 400, "not-a-number", "/a"),
        (b'{"a":"\\u0000"}', 422, "nul-character", "/a"),
        (b'{"\\ud800":"\\ud800"}', 422, "lone-surrogate", ""),
        (b'{"a":1,"a":2}', 422, "duplicate-key", "/a"),
        (b"[" * 900, 422, "too-deep", "byte 32"),
    ],
)
def test_a_refused_body_is_answered_with_its_place(
    client: Any, body: bytes, status: int, code: str, place: str
) -> None:
    answer = client.post("/bodies", data=body)

    assert problem_of(answer, status, code)["place"] == place


def test_a_wrong_shape_is_answered_with_every_place(client: Any) -> None:
    body = b'{"lines":[{"count":1},{"count":"x"},5],"map":{"a/b":"y"},"odd":1}'
    problem = problem_of(client.post("/shapes", data=body), 422, "wrong-shape")

    assert {error["place"]: error["detail"] for error in problem["errors"]} == {
        "/lines/1/count": "Not a valid integer.",
        "/lines/2": "Invalid input type.",
        "/map/a~1b/value": "Not a valid integer.",
        "/name": "Missing data for required field.",
        "/odd": "Unknown field.",
    }


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"x"'])
def test_a_body_of_another_type_is_a_wrong_shape(client: Any, body: bytes) -> None:
    problem = problem_of(client.post("/shapes", data=body), 422, "wrong-shape")

    assert problem["errors"] == [{"place": "", "detail": "Invalid input type."}]


def test_at_most_a_hundred_places_are_listed(client: Any) -> None:
    body = b"[" + b",".join([b"{}"] * 150) + b"]"
    problem = problem_of(client.post("/lines", data=body), 422, "wrong-shape")

    assert len(problem["errors"]) == 100
    assert problem["place"] == "/0/count"
    assert "150" in problem["detail"]


@pytest.mark.parametrize("parameter", ["cursor", "limit"])
def test_a_foreign_page_is_a_bad_request(client: Any, parameter: str) -> None:
    args = {"cursor": cursor.encode((1,)), "limit": "9"} | {parameter: "x\0é"}
    answer = client.get("/pages", query_string=args)

    assert problem_of(answer, 400, "page-refused")["place"] == f"query {parameter}"


def test_an_unknown_route_is_a_problem(client: Any) -> None:
    problem_of(client.get("/nowhere"), 404, "not-found")


def test_a_wrong_method_names_the_allowed_ones(client: Any) -> None:
    answer = client.get("/bodies")

    problem_of(answer, 405, "method-not-allowed")
    assert set(answer.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


def test_a_body_past_the_content_length_is_too_large(client: Any) -> None:
    answer = client.post("/bodies", data=b" " * 1001)

    problem_of(answer, 413, "request-entity-too-large")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "bad-request"),
        (403, "forbidden"),
        (412, "precondition-failed"),
        (415, "unsupported-media-type"),
        (428, "precondition-required"),
        (429, "too-many-requests"),
    ],
)
def test_every_http_exception_is_a_problem(client: Any, status: int, code: str) -> None:
    problem_of(client.get(f"/abort/{status}"), status, code)


def test_a_missing_query_parameter_is_a_bad_request(client: Any) -> None:
    problem_of(client.get("/pages"), 400, "bad-request")


def test_unauthorized_asks_for_a_bearer_token(client: Any) -> None:
    answer = client.get("/abort/401")

    problem_of(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_http_exceptions_keep_their_headers(client: Any) -> None:
    answer = client.get("/busy")

    problem_of(answer, 503, "service-unavailable")
    assert answer.headers["Retry-After"] == "7"


def test_a_row_answers_its_type_and_those_below_it(client: Any) -> None:
    answer = client.get(f"/raise/{__name__}.SystemTripped")

    assert problem_of(answer, 409, "system-disabled")["system"] == "acme"
    assert answer.headers["Retry-After"] == "60"


@pytest.mark.parametrize("kind", DATABASE_ERRORS)
def test_a_database_away_says_when_to_come_back_and_nothing_else(
    client: Any, kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "rps.http"):
        answer = client.get(f"/raise/{kind.__module__}.{kind.__name__}")

    problem = problem_of(answer, 503, "database-unavailable")
    assert answer.headers["Retry-After"] == "2"
    (record,) = caplog.records
    assert problem["instance"] in record.getMessage()
    assert record.exc_info is None


@pytest.mark.parametrize("kind", UNFORESEEN)
def test_the_unforeseen_is_logged_once_and_shows_an_id_only(
    client: Any, kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.get(f"/raise/{kind.__module__}.{kind.__name__}")

    problem = problem_of(answer, 500, "internal-error")
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("rps.http", "ERROR")
    assert problem["instance"] in record.getMessage()
    assert record.exc_info
    assert record.exc_info[2] is not None


def test_an_error_after_the_view_has_its_row_too(client: Any) -> None:
    problem_of(client.get("/late"), 503, "database-unavailable")


def test_an_abort_with_500_is_the_unforeseen(client: Any) -> None:
    problem_of(client.get("/abort/500"), 500, "internal-error")


def test_a_caller_may_replace_a_row() -> None:
    flask_app = Flask(__name__)
    hidden = Problem(404, "hidden", "There is nothing here", "")
    install(flask_app, {NotFound: lambda _: hidden})

    problem_of(flask_app.test_client().get("/"), 404, "hidden")


def test_a_problem_is_answered_under_the_instance_given() -> None:
    problem = Problem(422, "odd", "Odd", "\ud800 is half a pair", "/a")
    answer = response(problem, "urn:uuid:1")

    assert answer.get_json(force=True) == {
        "type": "urn:rps:problem:odd",
        "title": "Odd",
        "status": 422,
        "detail": "\ud800 is half a pair",
        "instance": "urn:uuid:1",
        "place": "/a",
    }


def test_an_unauthorized_with_a_challenge_keeps_it() -> None:
    problem = Problem(
        Unauthorized.code,
        "token-expired",
        "The token has expired",
        "Ask for a new one.",
        headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
    )

    assert response(problem).headers.getlist("WWW-Authenticate") == [
        'Bearer error="invalid_token"'
    ]
